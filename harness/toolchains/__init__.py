"""Readers of what PC toolchains leave behind. `read_any(path)` recognises a file by content and reads it.

A vendor's room hands its readers out in `vendor.py`; those of files of no vendor are in files.py and are asked first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from harness import vendors
from harness.errors import InputError
from harness.toolchains.base import FileProbe, FileReader, ToolchainVendor
from harness.toolchains.records import Artifact


def _rooms() -> Iterator[ToolchainVendor]:
    yield from vendors.built_in("toolchains", ToolchainVendor).values()
    for name, room in vendors.added("toolchains", ToolchainVendor).items():
        first, boards, consoles = (
            tuple(_careful(name, reader) for reader in wing)
            for wing in (room.readers, room.of_boards, room.of_consoles)
        )
        yield replace(room, readers=first, of_boards=boards, of_consoles=consoles)


def _careful(vendor: str, reader: FileReader) -> FileReader:
    """A package's reader is asked about every file: where it fails at one, others are asked."""
    return replace(reader, matches=lambda probe: vendors.careful(vendor, lambda: reader.matches(probe), False))


def readers() -> Iterator[FileReader]:
    """Every reader of what toolchains leave, in the order they are asked."""
    from harness.toolchains.files import READERS

    yield from READERS
    for room in _rooms():
        yield from room.readers


def board_readers() -> tuple[tuple[FileReader, ...], tuple[FileReader, ...]]:
    """Readers of what boards leave, and of what their tools print: for `read_any`, before and after the others."""
    rooms = tuple(_rooms())
    return tuple(r for room in rooms for r in room.of_boards), tuple(r for room in rooms for r in room.of_consoles)


# What a reader raises on content that it did not expect: the file's fault, and one that is said.
DAMAGE = (ValueError, LookupError, ArithmeticError, TypeError, AttributeError, RecursionError)


def read_any(path: Path, first: Iterable[FileReader] = (), last: Iterable[FileReader] = ()) -> Artifact | None:
    """What `path` holds, or None for a file of no known kind. Errors: InputError when it cannot be read.

    `first` and `last` are readers asked before and after the known ones. Content that a reader stumbles over is a
    problem of the artifact.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file")
    from harness.toolchains.files import LAST

    probe = FileProbe(path)
    try:
        for reader in (*first, *readers(), *last, *LAST):
            if _matches(reader, probe):
                return _read(reader, probe)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    return None


def _matches(reader: FileReader, probe: FileProbe) -> bool:
    """A reader that stumbles over a file does not know it: others are asked."""
    try:
        return reader.matches(probe)
    except DAMAGE:
        return False


def _read(reader: FileReader, probe: FileProbe) -> Artifact:
    try:
        return reader.read(probe)
    except DAMAGE as error:
        problem = f"damaged, or of another version of the tool: nothing of it could be read ({_reason(error)})"
        return Artifact(reader.kind, reader.title, problems=(problem,))


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:80]}"
