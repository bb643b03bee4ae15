"""References that one process computed: a night feeds one ONNX with one input on a hundred boards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from contextlib import suppress
from pathlib import Path

from harness.dumps.manifest import MANIFEST
from harness.errors import HarnessError
from harness.files import safe
from harness.reference.folder import Reference, read_reference


class ReferenceFolders:
    """The folders of references by what they were computed from. Every run has a folder that is whole: its files are
    second names of those that were computed first. Threads that want the same one wait for whoever computes it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: dict[Hashable, threading.Lock] = {}
        self._folders: dict[Hashable, Path] = {}

    def open(self, key: Hashable, folder: Path, compute: Callable[[], Reference]) -> Reference:
        """What `compute` gives, which it leaves in `folder`; there already where another run has computed it.

        `key` says everything that it is computed from. Errors: those of `compute`, which the next one tries again.
        """
        with self._lock:
            turn = self._turns.setdefault(key, threading.Lock())
        with turn:
            if (kept := self._folders.get(key)) is not None:
                with suppress(HarnessError, OSError):  # somebody removed it: computed again
                    return _shared(kept, folder)
            reference = compute()
            if (folder / MANIFEST).is_file():
                self._folders[key] = folder
            return reference


def _shared(kept: Path, folder: Path) -> Reference:
    """The manifest comes last: a folder without one is no reference."""
    root = folder.parent
    files = [path for path in sorted(kept.iterdir()) if path.is_file() and path.name != MANIFEST]
    for path in (*files, kept / MANIFEST):
        safe.share_file(path, folder / path.name, root)
    return read_reference(folder)
