"""What a repeated mode leaves again byte for byte: taken from the first turn's folder, not over the link."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.agent import FileFacts
from harness.files.safe import new_file, read_file
from harness.records import ModeOfRun


def fill(
    modes: Sequence[ModeOfRun], name: str, there: Mapping[str, FileFacts], known: dict[str, str], run: Path
) -> None:
    """Add to `known` what `name` ("debug-2") has in common with the first turn of its mode, and copy it.

    `modes` are those of run.json that ran before, `there` the files on the board, `run` the run folder.
    """
    first = [done for done in modes if f"{done.mode}-" == name.rstrip("0123456789")]
    for folder, file in ((done.folder, file) for done in first for file in done.files):
        whole = file.file and file.came != "hashed"  # what was hashed lies here without its padding
        facts = there.get(file.name) if whole and file.name not in known else None
        if facts is not None and (facts.size_bytes, facts.md5) == (file.size_bytes, file.md5):
            here, target = run / folder / file.file, run / name / file.file
            with read_file(here, run) as source, new_file(target, run) as copy:
                shutil.copyfileobj(source, copy)
            known[file.name] = file.file
