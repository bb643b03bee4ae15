"""Models of earlier nights by their content: what tonight's model is measured beside. Folders of md5s, nothing else."""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from harness.errors import HarnessError
from harness.files import safe
from harness.files.digests import md5_of_file

FOLDER = "artefacts"  # in the folder of nights
PIECE_BYTES = 2**20
_MD5 = re.compile(r"[0-9a-f]{32}")


def keep(nights: Path, model: Path, md5: str) -> bool:
    """Copy a model into the store, unless it is in it; False for one that is another file by now.

    Errors: OSError of a full disk, LinkInside.
    """
    if not _MD5.fullmatch(md5):
        return False
    folder = nights / FOLDER / md5
    if kept(nights, md5) is not None:
        return True
    with model.open("rb") as source, safe.new_file(folder / model.name, nights) as copy:
        while piece := source.read(PIECE_BYTES):
            copy.write(piece)
    if md5_of_file(folder / model.name) == md5:
        return True
    _remove(nights, folder)
    return False


def kept(nights: Path, md5: str) -> Path | None:
    """The model of that content; None where it is not kept, or is no longer what it was."""
    folder = nights / FOLDER / md5
    if not _MD5.fullmatch(md5) or not folder.is_dir() or folder.is_symlink():
        return None
    files = [path for path in folder.iterdir() if path.is_file() and not path.is_symlink()]
    with suppress(OSError):
        return next((path for path in files if md5_of_file(path) == md5), None)
    return None


def prune(nights: Path, wanted: Collection[str]) -> int:
    """Delete every model whose md5 is not in `wanted`; how many. Nothing but folders named like an md5 is touched."""
    parent = nights / FOLDER
    if not parent.is_dir() or parent.is_symlink():
        return 0
    gone = [path for path in parent.iterdir() if _MD5.fullmatch(path.name) and path.name not in wanted]
    for folder in gone:
        with suppress(OSError, HarnessError):
            _remove(nights, folder)
    return len(gone)


def _remove(nights: Path, folder: Path) -> None:
    for path in list(folder.iterdir()):
        safe.remove_file(path, nights)
    folder.rmdir()
