"""What a repeated mode leaves again byte for byte: taken from the first turn's folder, not over the link."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.agent import FileFacts
from harness.files.safe import new_file, read_file
from harness.records import ModeOfRun


def reuse_first_turn(
    modes: Sequence[ModeOfRun], name: str, remote: Mapping[str, FileFacts], reused: dict[str, str], run: Path
) -> None:
    """Add to `known` what `name` ("debug-2") has in common with the first turn of its mode, and copy it.

    `modes` are those of run.json that ran before, `there` the files on the board, `run` the run folder.
    """
    first = [finished for finished in modes if f"{finished.mode}-" == name.rstrip("0123456789")]
    for folder, file in ((finished.folder, file) for finished in first for file in finished.files):
        whole = file.file and file.obtained != "verified_on_board"  # what was hashed lies here without its padding
        facts = remote.get(file.name) if whole and file.name not in reused else None
        if facts is not None and (facts.size_bytes, facts.md5) == (file.size_bytes, file.md5):
            first_file, target = run / folder / file.file, run / name / file.file
            with read_file(first_file, run) as source, new_file(target, run) as copy:
                shutil.copyfileobj(source, copy)
            reused[file.name] = file.file
