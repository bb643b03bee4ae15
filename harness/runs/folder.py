"""Run folders: `runs/<case>/<board>/<utc>/run.json`, written as the run goes, so that a cut run is still readable."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from harness import __version__
from harness.errors import COULD_NOT_MEASURE, InputError
from harness.files import safe
from harness.files.digests import sums_of_file
from harness.files.locks import locked
from harness.files.packed import refuse_packed
from harness.files.passwords import may_hold_one, values_without_passwords
from harness.names import safe_name
from harness.records import FORMAT, NamedFile, Run, Verdict
from harness.records.codec import from_json, to_json

LARGEST_BYTES = 2**30  # of a run.json; one of 5,000 layers and 20,000 ops takes 20 MB


def file_facts(path: Path) -> NamedFile:
    """Name, size, md5 and sha256 of a file; read in pieces. Errors: InputError when it cannot be read."""
    try:
        return NamedFile(path.name, path.stat().st_size, *sums_of_file(path))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


def new_run_folder(root: Path, case: str, board: str, now: datetime | None = None) -> Path:
    """Make `root/<case>/<board>/<utc>`; two runs in one second get different folders.

    Errors: InputError where it cannot be made.
    """
    stamp = (now or datetime.now(timezone.utc)).strftime("%Y%m%dT%H%M%SZ")
    parent = root / safe_name(case) / safe_name(board)
    for extra in range(1000):
        folder = parent / (stamp if not extra else f"{stamp}-{extra}")
        try:
            safe.make_folder(folder, root, new=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise InputError(f"{folder}: {error.strerror}", "give a writable folder with --runs DIR") from error
        return folder
    raise InputError(f"{parent}: too many runs in one second", "wait a second and retry")


def write_atomically(path: Path, text: str, *, mode: int = 0o666) -> None:
    """Write a whole file or none of it; half a surrogate pair of a board's name is escaped, as JSON allows."""
    safe.write_file(path, text.encode("utf-8", "backslashreplace"), mode=mode)


A_LOOK_S = 1.0  # longer than another process looks whether somebody is at work
RESERVE = ".reserve"
RESERVE_BYTES = 2**20  # room for the last run.json on a disk that the dumps have filled


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Be the one process that works on a run folder; a lock of the system, so a killed process holds none.

    Errors: InputError when another process is at work on it, or where it holds links.
    """
    safe.refuse_links(folder)
    claim = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not locked(claim, fcntl.LOCK_EX, A_LOOK_S):
            raise InputError(f"{folder}: this run is in progress in another process", "wait for it to end, or stop it")
        with suppress(OSError):
            safe.write_file(folder / RESERVE, os.urandom(RESERVE_BYTES))
        yield
    finally:
        os.close(claim)
        free_reserve(folder)


def free_reserve(folder: Path) -> None:
    """Give up the room that was kept for the end of a run."""
    with suppress(OSError):
        (folder / RESERVE).unlink(missing_ok=True)


def at_work(folder: Path) -> bool:
    """Whether a process works on this run folder now."""
    try:
        claim = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        return not locked(claim, fcntl.LOCK_SH)
    finally:
        os.close(claim)


def save_run(folder: Path, run: Run) -> Path:
    """Write run.json; keys in the order of the record, two spaces, one newline at the end."""
    path = folder / "run.json"
    plain = to_json(run)
    text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)
    if may_hold_one(text):
        text = json.dumps(values_without_passwords(plain), indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(path, text + "\n")
    return path


def find_run(path: Path) -> Path:
    """The run.json meant by a run folder, a case's folder (newest run inside) or the file itself.

    Errors: InputError where there is none, or where the run folder holds links.
    """
    if path.is_file():
        _refuse_other_file(path)
        return path
    if os.path.lexists(path / "run.json"):
        safe.refuse_links(path)
        return path / "run.json"
    inside = sorted(path.rglob("run.json"), key=lambda p: (p.parent.name, os.fspath(p))) if path.is_dir() else []
    if inside:
        safe.refuse_links(inside[-1].parent)
        return inside[-1]
    raise InputError(f"{path}: no run.json found", "give a run folder, for example runs/CASE/BOARD/20261120T091400Z")


def _refuse_other_file(file: Path) -> None:
    """Errors: InputError for a file that cannot be a run.json by its name: where the run is, if it lies beside it."""
    if file.suffix == ".json":
        return
    refuse_packed(file, "a run folder")
    beside = next((folder for folder in (file.parent, file.parent.parent) if (folder / "run.json").is_file()), None)
    hint = f"use the run it belongs to: {beside}" if beside else "for example runs/CASE/BOARD/20261120T091400Z"
    raise InputError(f"{file}: expected a run folder or its run.json", hint)


def load_run(path: Path) -> Run:
    """Read a run. Parts that are damaged take their defaults and stand in its `damage`.

    Errors: InputError when it is missing, not a run, cut short or of a newer format.
    """
    file = find_run(path)
    value = _json_of(file)
    if not isinstance(value, dict) or type(value.get("format")) is not int:
        raise InputError(f"{file}: not a harness run (no format number)")
    if value["format"] > FORMAT:
        made_by = str(value.get("harness_version"))[:40]
        raise InputError(
            f"{file}: run format {value['format']}, written by harness {made_by}; this version "
            f"({__version__}) reads up to format {FORMAT}",
            f"update harness to {made_by} or newer",
        )
    read = from_json(Run, value)
    if read is None:
        raise InputError(f"{file}: not a harness run", "run the case again")
    run = replace(read.value, damage=read.damage, unknown=read.unknown)
    return broken_off(run) if run.state == "running" and not at_work(file.parent) else run


def _json_of(file: Path) -> object:
    try:
        if file.stat().st_size > LARGEST_BYTES:
            raise InputError(f"{file}: larger than {LARGEST_BYTES} bytes: not a harness run")
        text = file.read_text(encoding="utf-8")
        return values_without_passwords(json.loads(text)) if may_hold_one(text) else json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file}: not a readable run.json ({error})", "run the case again") from error


def check_names(run: Run, file: Path) -> None:
    """Names in run.json that files of the run folder are looked up by. Errors: InputError for one that leads out."""
    single = [name for mode in run.modes for name in (mode.mode, mode.folder)]
    files = [
        *(fed.file for fed in run.case.inputs),
        *(file_record.file for mode in run.modes for file_record in mode.files),
    ]
    for name in (*single, *files):
        parts = name.split("/")
        if ".." in parts or name.startswith("/") or "\0" in name or (name in single and (len(parts) > 1 or not name)):
            raise InputError(f"{file}: path {name!r} is outside the run folder", "do not trust this run.json")


def broken_off(run: Run) -> Run:
    """Say of a run that nobody works on any more what its own process could not."""
    message = "interrupted: the process of this run no longer exists (killed, or this PC lost power or disk)"
    verdict = Verdict("not_measured", message, COULD_NOT_MEASURE)
    return replace(run, state="interrupted", verdict=verdict, problems=(*run.problems, message))
