"""The vendors' rooms of the emulator, and which of them emulates a chip or a board."""

from __future__ import annotations

from functools import cache

from harness import vendors
from harness.emulator.base import EmulatorVendor
from harness.emulator.socs import Soc
from harness.errors import UserError
from harness.records import Board


@cache
def rooms() -> dict[str, EmulatorVendor]:
    """The emulator part of each vendor, by the vendor's name."""
    return vendors.parts("emulator", EmulatorVendor)  # type: ignore[type-abstract]


def socs() -> dict[str, Soc]:
    """Every chip that models can be built for."""
    return {name: soc for room in rooms().values() for name, soc in room.socs.items()}


def soc_named(name: str) -> Soc:
    """The chip of that name. Errors: UserError with the known names."""
    known = socs()
    if name not in known:
        raise UserError(f"the emulator does not know the soc {name!r}", f"known: {', '.join(known)}")
    return known[name]


def room_of_soc(soc: Soc) -> EmulatorVendor:
    """The room that has the chip."""
    return next(room for room in rooms().values() if soc.name in room.socs)


def room_of_march(march: str) -> EmulatorVendor:
    """The room whose chips run such code. Errors: UserError for code of none."""
    for room in rooms().values():
        if march in [soc.march for soc in room.socs.values()]:
            return room
    raise UserError(f"the emulator knows no chip of march {march!r}", "build the model again")


def room_of_board(board: Board) -> EmulatorVendor:
    """The room that emulates boards of this platform. Errors: UserError where none does."""
    for room in rooms().values():
        if board.platform in [one.platform for one in room.boards]:
            return room
    raise UserError(f"board {board.name}: platform {board.platform} has no emulated boards")
