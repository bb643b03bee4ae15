"""The vendors' rooms among the toolchains."""

from __future__ import annotations

from functools import cache

from harness import vendors
from harness.toolchains.base import ModelRuntimes, ToolchainVendor


@cache
def rooms() -> tuple[ToolchainVendor, ...]:
    """What each vendor's room knows of its toolchains."""
    return tuple(vendors.parts("toolchains", ToolchainVendor).values())


def runtimes() -> tuple[ModelRuntimes, ...]:
    """The vendors' own runtimes on the PC."""
    return tuple(room.runtimes for room in rooms() if room.runtimes is not None)
