"""The vendors' rooms of the emulator, and which of them emulates a chip or a board."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from harness import vendors
from harness.emulator.base import EmulatorVendor
from harness.emulator.socs import Soc
from harness.errors import UserError
from harness.records import BoardIdentity


@cache
def own_rooms() -> dict[str, EmulatorVendor]:
    """The emulator part of harness's own vendors; no package is asked."""
    return vendors.built_in("emulator", EmulatorVendor)  # type: ignore[type-abstract]


@cache
def rooms() -> dict[str, EmulatorVendor]:
    """The emulator part of each vendor, by the vendor's name."""
    return vendors.parts("emulator", EmulatorVendor)  # type: ignore[type-abstract]


def in_turn() -> Iterator[EmulatorVendor]:
    """Harness's own rooms, then those of packages, which are only asked for where the first have not answered."""
    yield from own_rooms().values()
    yield from (room for name, room in rooms().items() if name not in own_rooms())


def socs() -> dict[str, Soc]:
    """Every chip that models can be built for, those of packages too."""
    return {name: soc for room in rooms().values() for name, soc in room.socs.items()}


def own_socs() -> dict[str, EmulatorVendor]:
    """Every chip that a vendor's own compiler builds for, with its room."""
    return {name: room for room in rooms().values() for name in room.own_socs}


def soc_named(name: str) -> Soc:
    """The chip of that name. Errors: UserError with the known names."""
    for room in in_turn():
        if name in room.socs:
            return room.socs[name]
    raise UserError(f"the emulator does not know the soc {name!r}", f"known: {', '.join(socs())}")


def room_of_soc(soc: Soc) -> EmulatorVendor:
    """The room that has the chip."""
    return next(room for room in in_turn() if soc.name in room.socs)


def room_of_march(march: str) -> EmulatorVendor:
    """The room whose chips run such code. Errors: UserError for code of none."""
    for room in in_turn():
        if march in [soc.march for soc in room.socs.values()]:
            return room
    raise UserError(f"the emulator knows no chip of march {march!r}", "build the model again")


def room_of_board(board: BoardIdentity) -> EmulatorVendor:
    """The room that emulates boards of this platform. Errors: UserError where none does."""
    for room in in_turn():
        if board.platform in [one.identity.platform for one in room.boards]:
            return room
    raise UserError(f"board {board.name}: platform {board.platform} has no emulated boards")
