"""The folder of a night: `night.json`, its log, what it takes to go on with it, and the nights before it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from harness.boards.health import read_json
from harness.errors import InputError
from harness.files import safe
from harness.files.digests import md5_of_file
from harness.names import safe_name
from harness.nightly.cells import History
from harness.nightly.verdicts import point_of
from harness.records.callbacks import LogCallback
from harness.records.codec import from_json, to_json
from harness.records.nights import NIGHT_FORMAT, Cell, Night
from harness.regressions.series import NightPoint
from harness.runs.folder import write_atomically

FILE, LOG, RESUME = "night.json", "night.log", "resume.json"
SAVE_EVERY_S = 1.0  # what a killed night lost in between stands in its run folders
SAVE_SHARE = 20  # of a night of thousands of pairs seldomer: no more than one part in so many of the time is written
MOST_NIGHTS = 60  # that are looked through for a history


class NightFile:
    """The night of a folder: kept in one place by all workers, written as it grows."""

    def __init__(self, folder: Path, night: Night, heard: LogCallback) -> None:
        self.folder, self.night, self._heard = folder, night, heard
        self._lock, self._saved_at, self._pause_s = threading.Lock(), 0.0, SAVE_EVERY_S
        self._places = {(cell.case, cell.board): place for place, cell in enumerate(night.cells)}
        self._cells = list(night.cells)
        self.problem = ""  # why night.json could not be written, the first time

    def put(self, cell: Cell) -> None:
        """Take a cell that began or ended; night.json is written at most once a second, of a large night seldomer."""
        with self._lock:
            self._cells[self._places[cell.case, cell.board]] = cell
            if time.monotonic() - self._saved_at > self._pause_s:
                self._save()

    def cells(self) -> list[Cell]:
        """All cells as they are now."""
        with self._lock:
            return list(self._cells)

    def close(self, night: Night) -> None:
        """Write the night as it ended. Errors: OSError."""
        with self._lock:
            self.night, self._cells = night, list(night.cells)
            self._write()

    def log(self, text: str) -> None:
        """One line of night.log, with the time of day; a full disk costs the line only."""
        line = " ".join(text.split())
        self._heard(line)
        stamp = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        with suppress(OSError, InputError), self._lock:
            safe.append_file(self.folder / LOG, f"{stamp} {line}\n".encode("utf-8", "backslashreplace"), self.folder)

    def _save(self) -> None:
        try:
            self._write()
        except OSError as error:  # measured all the same: the runs are in their folders
            self.problem = self.problem or safe.words_of(error)

    def _write(self) -> None:
        self._saved_at, began = time.monotonic(), time.thread_time()
        self.night = replace(self.night, cells=tuple(self._cells))
        text = json.dumps(to_json(self.night), indent=1, ensure_ascii=False, allow_nan=False)
        write_atomically(self.folder / FILE, text + "\n")
        self._pause_s = max(SAVE_EVERY_S, SAVE_SHARE * (time.thread_time() - began))


def new_folder(root: Path, suite: str) -> Path:
    """`root/<suite>/<utc>`, made now. Errors: InputError where it cannot be."""
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    for extra in range(1000):
        folder = root / safe_name(suite) / (f"{stamp}-{extra}" if extra else stamp)
        try:
            safe.make_folder(folder, root, new=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise InputError(f"{folder}: {error.strerror}", "give a writable folder with --nights DIR") from error
        return folder.absolute()
    raise InputError(f"{root}: too many nights in one second", "wait a second and retry")


def load_night(folder: Path) -> Night:
    """Read a night. Errors: InputError where it is none, is damaged, or was written by a newer harness."""
    path = folder if folder.is_file() else folder / FILE
    value = read_json(path)
    if value is None or type(value.get("format")) is not int:
        raise InputError(
            f"{path}: not a readable night", "give the folder of a night, for example nights/SUITE/20261120T010000Z"
        )
    if value["format"] != NIGHT_FORMAT:
        raise InputError(
            f"{path}: night format {value['format']}; this version reads format {NIGHT_FORMAT}", "update harness"
        )
    read = from_json(Night, value)
    if read is None or read.damage:
        why = read.damage[0] if read else "a part is missing"
        raise InputError(f"{path}: night.json is damaged: {why}", "start a new night")
    return read.value


# --------------------------------------------------------------------------- going on


@dataclass(frozen=True)
class ResumeNight:
    """What a broken night needs to go on; only on this PC. Paths are absolute."""

    suite: str
    suite_md5: str
    hosts: str = ""


def save_resume(folder: Path, suite: Path, hosts: Path | None) -> None:
    """Keep it for the user alone."""
    words = ResumeNight(str(suite.absolute()), md5_of_file(suite), str(hosts.absolute()) if hosts else "")
    write_atomically(folder / RESUME, json.dumps(to_json(words)) + "\n", mode=0o600)


def load_resume(folder: Path) -> ResumeNight:
    """Errors: InputError where there is nothing to go on with, or the suite is another by now."""
    read = from_json(ResumeNight, read_json(folder / RESUME))
    if read is None or read.damage:
        raise InputError(f"{folder}: nothing to resume (no {RESUME})", "give the folder of a night that did not end")
    path = Path(read.value.suite)
    if not path.is_file() or md5_of_file(path) != read.value.suite_md5:
        raise InputError(f"{path}: the suite is not what it was when this night began", "start a new night")
    return read.value


def drop_resume(folder: Path) -> None:
    """The night is complete."""
    (folder / RESUME).unlink(missing_ok=True)


# --------------------------------------------------------------------------- the nights before


def earlier(root: Path, suite: str, own: Path) -> History:
    """The series of every pair on earlier nights of this suite, oldest first, from the nights' own files."""
    history: dict[tuple[str, str], list[NightPoint]] = {}
    for night in _nights(root / safe_name(suite), own):
        for cell in night.cells:
            point = point_of(cell, night.id)
            if point is not None:
                history.setdefault((cell.case, cell.board), []).append(point)
    return history


def _nights(parent: Path, own: Path) -> Iterator[Night]:
    folders: Sequence[Path] = sorted(path.parent for path in parent.glob(f"*/{FILE}"))
    for folder in folders[-MOST_NIGHTS:]:
        if folder.absolute() != own.absolute():
            with suppress(InputError):
                yield load_night(folder)
