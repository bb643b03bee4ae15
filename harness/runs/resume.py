"""What a broken run needs to go on: `resume.json` in its run folder, there only while the run is not complete."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.files.packed import refuse_packed
from harness.records import Case, FileIdentity, ReferenceRuntime
from harness.runs import folder as store

FILE = "resume.json"


@dataclass(frozen=True)
class Resume:
    """Where a run stands. `tokens` are runs that were started on the board, by the name of their mode."""

    board: str
    case: Case
    nonce: str  # of the lease: whoever has it is the same holder as before
    place: str = ""  # the run's folder on the board; nobody can guess it, so no other run's files lie there
    tokens: dict[str, str] = field(default_factory=dict)
    files: tuple[FileIdentity, ...] = ()  # on this PC, as they were when the run began; none in harness 0.1.0
    settings: dict[str, Any] = field(default_factory=dict)  # the inventory's, that decide how a tool runs

    def started(self, mode: str, token: str) -> Resume:
        return replace(self, tokens=self.tokens | {mode: token})


def save(folder: Path, resume: Resume) -> None:
    """Keep it for the user alone: the nonce is what the board takes for this holder."""
    store.write_atomically(folder / FILE, json.dumps(store.to_json(resume), indent=2) + "\n", mode=0o600)


def drop(folder: Path) -> None:
    (folder / FILE).unlink(missing_ok=True)


def load(folder: Path) -> Resume:
    """Errors: InputError when the run is complete, or was not made by this harness."""
    path = folder / FILE
    if folder.is_file():
        refuse_packed(folder, "a run folder")
        is_inside = (folder.parent / FILE).is_file()
        hint = f"harness run --resume {folder.parent}" if is_inside else "for example runs/CASE/BOARD/20261120T091400Z"
        raise InputError(f"{folder}: a file; the folder of a broken run is wanted", hint)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such run folder", "the folder that the broken run named")
    if not path.is_file():
        raise InputError(
            f"{folder}: nothing to resume ({FILE} is not there)", "a complete run has none: start a new one instead"
        )
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return Resume(
            told["board"],
            _case(told["case"]),
            told["nonce"],
            told.get("place", ""),
            told["tokens"],
            tuple(_identity(one) for one in told.get("files", ())),
            told.get("settings", {}),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: not readable ({error})", "start a new run instead") from error


def _identity(told: dict[str, Any]) -> FileIdentity:
    files = {str(name): (int(size), str(md5)) for name, (size, md5) in told["files"].items()}
    return FileIdentity(str(told["role"]), str(told["path"]), files)


def _case(told: dict[str, Any]) -> Case:
    values = {f.name: told[f.name] for f in fields(Case) if f.name != "reference_runtime"}
    values["model"] = Path(values["model"])
    values["inputs"] = tuple((name, Path(path)) for name, path in values["inputs"])
    values["build"] = tuple(Path(path) for path in values["build"])
    values["modes"] = tuple(values["modes"])
    return Case(**values, reference_runtime=_runtime(told.get("reference_runtime")))


def _runtime(told: dict[str, Any] | None) -> ReferenceRuntime | None:
    return None if told is None else ReferenceRuntime(**told | {"names": tuple(told["names"])})
