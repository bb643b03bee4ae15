"""What a form of export is, and what a vendor's room hands out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.records import Run


@dataclass(frozen=True)
class FolderForm:
    """A form of several files. `files` gives their text or bytes by name; it gets the run and the run's folder.

    It raises InputError for a run that it cannot be made of, and writes nothing itself.
    """

    title: str  # for people, a few words
    files: Callable[[Run, Path], Mapping[str, str | bytes]]


@dataclass(frozen=True)
class ExportVendor:
    """The forms that a vendor's own tools read, by the name that `--to` takes."""

    forms: Mapping[str, FolderForm] = field(default_factory=dict)
