"""A run folder on its way home: what judges, pages and the history read. Tensors stay on the PC that measured them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from harness.errors import HarnessError
from harness.files import safe
from harness.files.archives import unpack_archive, write_archive
from harness.runs.resume import FILE as RESUME_FILE

NAMES = (".json", ".html", ".txt", ".log", ".csv", ".md", ".svg", ".yaml")
LEFT = "left_on_the_worker.txt"
LARGEST_FILE_BYTES = 64 * 2**20
MOST_BYTES = 256 * 2**20


def packed(folder: Path) -> bytes:
    """The small files of a run folder as an archive; b"" where there is none. Errors: OSError.

    What is too large to travel is named in LEFT, which travels instead.
    """
    files: dict[str, Path] = {}
    total, left = 0, []
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.is_symlink() or not path.is_file() or path.suffix not in NAMES or path.name == RESUME_FILE:
            continue
        size_bytes, name = path.stat().st_size, path.relative_to(folder).as_posix()
        if size_bytes <= LARGEST_FILE_BYTES and total + size_bytes <= MOST_BYTES:
            files[name] = path
            total += size_bytes
        else:
            left.append(f"{name}: {size_bytes} bytes")
    if not files and not left:
        return b""
    with tempfile.TemporaryDirectory(prefix="harness-farm-") as scratch:
        if left:
            files[LEFT] = Path(scratch) / LEFT
            safe.write_file(files[LEFT], "\n".join(("too large, and still on the worker's PC:", *left, "")).encode())
        archive = Path(scratch) / "run.zip"
        write_archive(archive, files)
        return archive.read_bytes()


def unpacked(content: bytes, night: Path, run: str) -> str:
    """Write an archive as the folder `run` of a night; gives the name that it has, "" where nothing came.

    Errors: InputError for an archive that is not taken, HarnessError for a name that leads elsewhere; OSError.
    """
    if not content or not run:
        return ""
    name = _free_name(night, run)
    safe.make_folder((night / name).parent, night)
    with tempfile.TemporaryDirectory(prefix="harness-farm-") as folder:
        archive = Path(folder) / "run.zip"
        safe.write_file(archive, content)
        unpack_archive(archive, night / name, MOST_BYTES)
    return name


def _free_name(night: Path, run: str) -> str:
    """A worker is another PC: its word for a folder is a name below the night, or none."""
    parts = Path(run).parts
    if Path(run).is_absolute() or ".." in parts or not parts:
        raise HarnessError(f"{run!r}: not the name of a run folder", "use one version of harness on all PCs of a farm")
    for extra in range(1000):
        name = f"{run}-{extra}" if extra else run
        if not (night / name).exists():
            return name
    raise HarnessError(f"{run}: too many folders of that name", "start a new night")
