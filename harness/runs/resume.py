"""What a broken run needs to go on: `resume.json` in its run folder, there only while the run is not complete."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.errors import InputError
from harness.files.packed import refuse_packed
from harness.records import Case, FileIdentity
from harness.records.codec import from_json, to_json
from harness.runs import folder as store

FILE = "resume.json"


@dataclass(frozen=True)
class BoardSettings:
    """What the inventory says of how a tool runs on a board."""

    platform: str = ""
    soc: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    setup: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Resume:
    """Where a run stands. `tokens` are runs that were started on the board, by the name of their mode."""

    board: str
    case: Case
    nonce: str  # of the lease: whoever has it is the same holder as before
    place: str = ""  # the run's folder on the board; nobody can guess it, so no other run's files lie there
    tokens: dict[str, str] = field(default_factory=dict)
    files: tuple[FileIdentity, ...] = ()  # on this PC, as they were when the run began; none in harness 0.1.0
    settings: BoardSettings = field(default_factory=BoardSettings)

    def started(self, mode: str, token: str) -> Resume:
        """The same with one more mode started."""
        return replace(self, tokens=self.tokens | {mode: token})


def save(folder: Path, resume: Resume) -> None:
    """Keep it for the user alone: the nonce is what the board takes for this holder."""
    store.write_atomically(folder / FILE, json.dumps(to_json(resume), indent=2) + "\n", mode=0o600)


def drop(folder: Path) -> None:
    """Forget what the run needs to go on: it is complete."""
    (folder / FILE).unlink(missing_ok=True)


def load(folder: Path) -> Resume:
    """Errors: InputError when the run is complete, or was not made by this harness."""
    path = folder / FILE
    if folder.is_file():
        refuse_packed(folder, "a run folder")
        is_inside = (folder.parent / FILE).is_file()
        hint = f"harness run --resume {folder.parent}" if is_inside else "for example runs/CASE/BOARD/20261120T091400Z"
        raise InputError(f"{folder}: expected the folder of an interrupted run", hint)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such run folder", "give the folder that the interrupted run printed")
    if not path.is_file():
        raise InputError(
            f"{folder}: nothing to resume (no {FILE})",
            "give the folder of an interrupted run; a complete run has nothing to resume",
        )
    try:
        read = from_json(Resume, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not readable ({error})", "start a new run") from error
    if read is None or read.damage:
        why = read.damage[0] if read else "a part is missing"
        raise InputError(f"{path}: not readable ({why})", "start a new run")
    return read.value
