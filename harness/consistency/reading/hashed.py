"""Dumps of a run that were judged by a hash made on the board: what lies in the run folder was written by this PC."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.consistency.reading.specs import open_array
from harness.consistency.reading.tensor_files import valid_md5
from harness.errors import InputError
from harness.records import LeftFile, TensorSpec
from harness.runs import folder as store

WAYS = {"reused": "file", "verified_on_board": "valid"}  # `obtained` of run.json -> what the board hashed of it


@dataclass(frozen=True)
class HashedDump:
    """A dump that this PC wrote because an md5 made on the board is the reference's: of the "file", or of the "valid"
    bytes, and then its padding here is not the board's."""

    how: str
    file_md5: str  # as reported by the board
    valid_md5: str = ""  # likewise, in the order in which the bytes lie in the file

    def covers(self, path: Path, spec: TensorSpec) -> bool:
        """Whether what is read of the file is what the board hashed. Errors: TensorError."""
        return self.how != "valid" or valid_md5(open_array(path, spec)) == self.valid_md5


def hashed_files(folder: Path, files: Iterable[LeftFile]) -> dict[Path, HashedDump]:
    """Of a mode's folder, by run.json's list of its files."""
    ways = [(file, WAYS[file.obtained]) for file in files if file.obtained in WAYS and file.file]
    return {folder / file.file: HashedDump(way, file.md5, file.valid_md5) for file, way in ways}


def hashed_beside(folder: Path) -> dict[Path, HashedDump]:
    """The same for a folder of dumps that may be a mode of a run; nothing where it is none."""
    if not (folder.parent / "run.json").is_file():
        return {}
    try:
        modes = store.load_run(folder.parent).modes
    except InputError:  # somebody else's run.json, or a damaged one
        return {}
    return hashed_files(folder, [file for mode in modes if mode.folder == folder.name for file in mode.files])
