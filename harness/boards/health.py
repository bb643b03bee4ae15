"""How well a board is, as a lab sees it: good, unknown, bad, or in maintenance. Kept on this PC, one file a board.

After trouble a good board is unknown, and has to pass a health check before its next job; trouble twice in a row, or a
failed check, makes it bad, until somebody clears it or enough checks in a row are clean. Maintenance is what a person
says, and only a person ends it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from harness.agent.leases import owner_name
from harness.files import safe
from harness.files.locks import changing
from harness.files.user_folders import state_folder
from harness.names import safe_name
from harness.records.codec import from_json, to_json

GOOD, UNKNOWN, BAD, MAINTENANCE = WORDS = ("good", "unknown", "bad", "maintenance")
MOST_TROUBLES = 2  # in a row, before a board is bad


@dataclass(frozen=True)
class Health:
    """A board's health. `troubles` and `clean_checks` count in a row."""

    word: str = UNKNOWN
    reason: str = "never used by a night of this PC"
    since_utc: str = ""
    by: str = ""  # of maintenance: who said so
    troubles: int = 0
    clean_checks: int = 0


def after_trouble(health: Health, reason: str) -> Health:
    """The board after a job that it could not do: unknown at first, bad after MOST_TROUBLES in a row."""
    if health.word in (BAD, MAINTENANCE):
        return health
    troubles = health.troubles + 1
    word = BAD if troubles >= MOST_TROUBLES else UNKNOWN
    return _moved(replace(health, troubles=troubles, clean_checks=0), word, reason)


def after_job(health: Health) -> Health:
    """The board after a job that it did."""
    return replace(health, troubles=0)


def after_check(health: Health, failure: str, clean_wanted: int) -> Health:
    """The board after a health check; `failure` is "" for a clean one. A bad board needs `clean_wanted` of them."""
    if health.word == MAINTENANCE:
        return health
    if failure:
        return _moved(replace(health, clean_checks=0), BAD, f"health check: {failure}")
    clean = health.clean_checks + 1
    if health.word == BAD and clean < clean_wanted:
        return replace(health, clean_checks=clean)
    # One clean check does not make up for trouble that comes back: the count of troubles stays until a job is done.
    troubles = health.troubles if health.word == UNKNOWN else 0
    return _moved(replace(health, troubles=troubles, clean_checks=clean), GOOD, "")


def in_maintenance(reason: str) -> Health:
    """What a person says of a board."""
    return _moved(Health(), MAINTENANCE, reason, owner_name().split(" (")[0])


def cleared() -> Health:
    """The end of maintenance, and of being bad: the next job begins with a health check."""
    return _moved(Health(), UNKNOWN, "cleared by hand", owner_name().split(" (")[0])


def _moved(health: Health, word: str, reason: str, by: str = "") -> Health:
    if health.word == word and health.reason == reason:
        return health
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return replace(health, word=word, reason=reason, since_utc=now, by=by)


# --------------------------------------------------------------------------- kept on this PC


def load_health(board: str) -> Health:
    """The health of a board; unknown where this PC never used it, and where the file is damaged."""
    read = from_json(Health, read_json(_file("health", board)))
    if read is None or read.value.word not in WORDS:
        return Health()
    return read.value


def save_health(board: str, health: Health, *, by_hand: bool = False) -> Health:
    """Keep a board's health; gives what is kept: maintenance that a person began meanwhile stays, unless `by_hand`."""
    path = _file("health", board)
    safe.make_folder(path.parent, state_folder())
    with changing(path):
        if not by_hand and load_health(board).word == MAINTENANCE and health.word != MAINTENANCE:
            return load_health(board)
        safe.write_file(path, (json.dumps(to_json(health), indent=1) + "\n").encode())
    return health


@dataclass(frozen=True)
class BoardUse:
    """What a night of this PC does with a board: now, since when, and how much more waits for it."""

    night: str
    case: str = ""
    since_utc: str = ""
    waiting: int = 0
    folder: str = ""  # of the night, on this PC; a lock on it says whether it still goes on
    by: str = ""


def save_use(board: str, use: BoardUse | None) -> None:
    """Say what a board is used for; None: for nothing any more."""
    path = _file("use", board)
    if use is None:
        path.unlink(missing_ok=True)
        return
    safe.make_folder(path.parent, state_folder())
    safe.write_file(path, (json.dumps(to_json(use)) + "\n").encode())


def load_use(board: str) -> BoardUse | None:
    """What a night uses a board for; None where none does, or where its process is gone."""
    from harness.runs.folder import at_work

    read = from_json(BoardUse, read_json(_file("use", board)))
    return read.value if read is not None and read.value.folder and at_work(Path(read.value.folder)) else None


def read_json(path: Path) -> Mapping[str, object] | None:
    """An object of a JSON file; None where there is none, or where it is damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _file(kind: str, board: str) -> Path:
    return state_folder() / "boards" / kind / f"{safe_name(board)}.json"
