"""Folders for things that are built once per worker and kept until its last test."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp

_KEPT: list[Path] = []


def kept_folder(prefix: str) -> Path:
    """A new folder of the system's place for temporary files; `drop_kept` deletes it."""
    _KEPT.append(Path(mkdtemp(prefix=prefix)))
    return _KEPT[-1]


def drop_kept() -> None:
    while _KEPT:
        shutil.rmtree(_KEPT.pop(), ignore_errors=True)
