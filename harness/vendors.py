"""Which vendors there are, asked of the folders alone: no file that all vendors share names one of them.

A wing (lint, toolchains, ...) says in a base class what it wants of a vendor; a vendor's room in that wing answers in
`vendor.py`, whose VENDOR is of that class. A vendor that has nothing to say in a wing has no room there.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TypeVar

Part = TypeVar("Part")
PACKAGE = Path(__file__).parent


@cache
def names(wing: str) -> tuple[str, ...]:
    """Vendors with a room in that wing, by name."""
    return tuple(sorted(path.parent.name for path in (PACKAGE / wing).glob("*/vendor.py")))


def parts(wing: str, contract: type[Part]) -> dict[str, Part]:
    """What each vendor answers to the wing's contract, by the vendor's name; imported now, not before.

    Errors: TypeError for a room that does not keep the contract, which is a fault of the room.
    """
    found = {name: import_module(f"harness.{wing}.{name}.vendor").VENDOR for name in names(wing)}
    strangers = [name for name, part in found.items() if not isinstance(part, contract)]
    if strangers:
        raise TypeError(f"harness/{wing}/{strangers[0]}/vendor.py: VENDOR is no {contract.__name__}")
    return found
