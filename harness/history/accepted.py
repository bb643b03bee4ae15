"""Accepted levels: a file beside the nights, which people may edit. It is the truth; no index holds them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from harness.config import StrictFile, load_file
from harness.errors import ConfigError
from harness.files import safe
from harness.records.nights.history import AcceptedLevel

FILE = "accepted.yaml"
_HEAD = (
    "# Changes of latency that were accepted as the new level, by `harness history accept` and `revoke`. An entry may\n"
    "# be taken out by hand; comments below this one are lost at the next write.\n"
)


class AcceptedEntryFile(StrictFile):
    """One accepted level as it is written; the keys are those of AcceptedLevel."""

    case: str
    board: str
    night: str
    through: str
    reason: str
    by: str = ""
    at_utc: str = ""


class AcceptedFile(StrictFile):
    """The whole file."""

    accepted: list[AcceptedEntryFile] = []  # noqa: RUF012  (pydantic copies it)


def load_accepted(root: Path) -> list[AcceptedLevel]:
    """The accepted levels of a folder of nights; none where there is no file. Errors: ConfigError with its line."""
    path = root / FILE
    if not path.is_file():
        return []
    return [AcceptedLevel(**one.model_dump()) for one in load_file(path, AcceptedFile).accepted]


def of_pair(levels: Sequence[AcceptedLevel], case: str, board: str) -> list[AcceptedLevel]:
    """Those of one pair, oldest night first."""
    return sorted((one for one in levels if (one.case, one.board) == (case, board)), key=lambda one: one.night)


def save_accepted(root: Path, levels: Sequence[AcceptedLevel]) -> None:
    """Write the file anew. Errors: ConfigError where it cannot be written."""
    lines = [f"  - {_entry(one)}" for one in sorted(levels, key=lambda one: (one.case, one.board, one.night))]
    text = _HEAD + ("accepted:\n" + "\n".join(lines) if lines else "accepted: []") + "\n"
    try:
        safe.write_file(root / FILE, text.encode("utf-8", "backslashreplace"), root)
    except OSError as error:
        raise ConfigError(f"{root / FILE}: {safe.words_of(error)}", "make the folder of nights writable") from error


def _entry(one: AcceptedLevel) -> str:
    """JSON strings are YAML."""
    keys = [f"{key}: {json.dumps(value)}" for key, value in vars(one).items() if value]
    return "\n    ".join(keys)
