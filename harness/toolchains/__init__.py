"""Readers of what PC toolchains leave behind. `read_any(path)` recognises a file by content and reads it.

A reader module has a `READERS` tuple; add the module's name to `MODULES` and it is asked in that order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module, util
from pathlib import Path

from harness.errors import InputError
from harness.toolchains.base import Probe, Reader
from harness.toolchains.records import Artifact

MODULES = (
    "harness.toolchains.files",
    "harness.toolchains.horizon.readers",
    "harness.toolchains.magik.readers",
)


def readers() -> Iterator[Reader]:
    """Every known reader, in the order they are asked."""
    for module in MODULES:
        if util.find_spec(module) is not None:
            yield from import_module(module).READERS


def read_any(path: Path, first: Iterable[Reader] = (), last: Iterable[Reader] = ()) -> Artifact | None:
    """What `path` holds, or None for a file of no known kind. Errors: InputError when it cannot be read.

    `first` and `last` are readers asked before and after the known ones.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file")
    probe = Probe(path)
    try:
        for reader in (*first, *readers(), *last):
            if reader.matches(probe):
                return reader.read(probe)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    return None
