"""The folder that a reference is written into: new files only, links below a run folder are refused."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from harness.dumps.manifest import MANIFEST
from harness.files import safe

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class TargetFolder:
    """Where the tensors go. In a run folder, it must not be a link itself."""

    path: Path

    @property
    def root(self) -> Path:
        """The folder that nothing may be written outside of: the run's where it lies in one, else its own."""
        inside = os.path.lexists(self.path.parent / safe.RUN_FILE)
        return self.path.parent if inside else self.path

    def clear(self) -> None:
        """An empty folder whose manifest says that the run is not over; of an earlier reference nothing is left."""
        safe.make_folder(self.path, self.root)
        if (self.path / MANIFEST).is_file():
            for path in self.path.glob("t[0-9][0-9][0-9][0-9][0-9]*.npy"):
                safe.remove_file(path, self.root)
        self.write_manifest('{"format": 1, "state": "running"}')

    def write_manifest(self, text: str) -> None:
        """Write the manifest, whole or not at all. Errors: as `safe.write_file`."""
        safe.write_file(self.path / MANIFEST, text.encode("utf-8", "backslashreplace"), self.root)

    def write_array(self, name: str, value: Array) -> None:
        """Write an array as .npy, whole or not at all. Errors: as `safe.new_file`."""
        with safe.new_file(self.path / name, self.root) as file:
            npy: Any = np.lib.format  # numpy 1.26 has no types for it
            npy.write_array(_Sink(file), value, allow_pickle=False)


@dataclass(frozen=True)
class _Sink:
    """A file that numpy writes in pieces: what it writes by descriptor fails without saying that the disk is full."""

    file: BinaryIO

    def write(self, data: bytes) -> int:
        return self.file.write(data)
