"""What run folders take on this disk, and what of it may go: tensors, never what a run is told by.

A run is told by run.json, its report and its logs. Tensors are evidence: they may go where the run is good, and no
process, no unfinished run and no other run's command needs them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from harness.errors import GOOD, InputError
from harness.files import safe
from harness.records import Run
from harness.runs import folder as store
from harness.runs.resume import FILE as RESUME

TENSORS = frozenset((".bin", ".npy", ".npz"))
KEPT_FOLDERS = frozenset(("inputs",))  # what was fed is small, and the run cannot be repeated without it
UNREADABLE = "run.json cannot be read"


@dataclass(frozen=True)
class StoredRun:
    """One run folder. `dumps_bytes` are its tensors; `needed` says why they must stay, "" where they may go."""

    folder: Path
    id: str = ""
    case: str = ""
    board: str = ""
    verdict: str = ""
    state: str = ""
    started_utc: str = ""
    age_days: float | None = None
    size_bytes: int = 0
    dumps_bytes: int = 0
    needed: str = ""
    dumps: tuple[Path, ...] = field(default=(), repr=False)


def stored_runs(root: Path, keep: int = 1, *, bad_too: bool = False, now: datetime | None = None) -> list[StoredRun]:
    """Every run below `root`, the oldest first. `keep`: so many of the newest of each case and board keep their
    tensors; without `bad_too` those of runs that are not good stay.

    Errors: InputError for a folder that is not there.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder of runs", "give the folder of --runs, for example runs")
    files = sorted(root.rglob("run.json"), key=lambda path: (path.parent.name, os.fspath(path)))
    loaded = [(file.parent, _loaded(file)) for file in files]
    newest = _newest(loaded, keep)
    used = list(_used_by_others(loaded))
    moment = now or datetime.now(timezone.utc)
    return [_stored(folder, run, newest, used, moment, bad_too) for folder, run in loaded]


def _loaded(file: Path) -> Run | None:
    try:
        return store.load_run(file)
    except (InputError, OSError):
        return None


def _newest(loaded: Sequence[tuple[Path, Run | None]], keep: int) -> set[Path]:
    """The newest of each case and board."""
    by_case: dict[tuple[str, str], list[Path]] = {}
    for folder, run in loaded:
        if run is not None:
            by_case.setdefault((run.case.name, run.board.name), []).append(folder)
    return {folder for folders in by_case.values() for folder in folders[len(folders) - min(keep, len(folders)) :]}


def _used_by_others(loaded: Sequence[tuple[Path, Run | None]]) -> Iterator[tuple[Path, Path]]:
    """(run, path that its command names) of every path that a recorded command gave."""
    for folder, run in loaded:
        command = run.command if run is not None else None
        for word in command.argv if command is not None else ():
            for part in (word, word.rpartition("=")[2]):
                if command is not None and "/" in part:
                    yield folder, Path(os.path.realpath(Path(command.folder) / part))


def _stored(
    folder: Path,
    run: Run | None,
    newest: set[Path],
    used: Sequence[tuple[Path, Path]],
    now: datetime,
    bad_too: bool,
) -> StoredRun:
    files = list(_files(folder))
    dumps = tuple(path for path, _ in files if _is_tensor(path, folder))
    sizes = dict(files)
    size_bytes, dumps_bytes = sum(sizes.values()), sum(sizes[path] for path in dumps)
    needed = _needed(folder, run, newest, used, bad_too)
    if run is None:
        return StoredRun(folder, size_bytes=size_bytes, dumps_bytes=dumps_bytes, needed=needed, dumps=dumps)
    return StoredRun(
        folder,
        run.id,
        run.case.name,
        run.board.name,
        run.verdict.word if run.verdict is not None else "",
        run.state,
        run.started_utc,
        _age_days(run.started_utc, now),
        size_bytes,
        dumps_bytes,
        needed,
        dumps,
    )


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    """Every regular file with its size; nothing behind a link is looked at."""
    waiting = [os.fspath(folder)]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    yield Path(entry.path), entry.stat(follow_symlinks=False).st_size


def _is_tensor(path: Path, folder: Path) -> bool:
    inside = path.relative_to(folder).parts
    return len(inside) > 1 and inside[0] not in KEPT_FOLDERS and path.suffix in TENSORS


def _needed(folder: Path, run: Run | None, newest: set[Path], used: Sequence[tuple[Path, Path]], bad_too: bool) -> str:
    if run is None:
        return UNREADABLE
    if store.at_work(folder) or run.state == "running":
        return "a process works on it"
    if os.path.lexists(folder / RESUME):
        return "it can be resumed"
    inside = Path(os.path.realpath(folder))
    for other, path in used:
        if other != folder and path.is_relative_to(inside):
            return f"the command of {other.name} names it"
    if folder in newest:
        return "the newest of its case and board"
    good = run.verdict is not None and run.verdict.exit_code == GOOD and not run.damage
    return "" if good or bad_too else "not good: its tensors are the evidence"


def _age_days(started_utc: str, now: datetime) -> float | None:
    try:
        started = datetime.fromisoformat(started_utc.replace("Z", "+00:00"))
    except ValueError:
        return None
    started = started if started.tzinfo else started.replace(tzinfo=timezone.utc)
    return (now - started).total_seconds() / 86400


def prune(one: StoredRun) -> int:
    """Delete the tensors of a run; gives the bytes that are free. Errors: InputError where it is needed by now."""
    if one.needed:
        raise InputError(f"{one.folder}: {one.needed}", "harness runs list shows what may go")
    freed_bytes = 0
    with store.claimed(one.folder):
        if os.path.lexists(one.folder / RESUME):
            raise InputError(f"{one.folder}: it can be resumed", "harness runs list shows what may go")
        for path in one.dumps:
            with suppress(FileNotFoundError):
                size_bytes = path.stat().st_size
                safe.remove_file(path, one.folder)
                freed_bytes += size_bytes
    return freed_bytes
