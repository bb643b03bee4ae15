"""The built-in emulated boards, and how one is stood up for a session: asked of the vendors' rooms."""

from __future__ import annotations

from contextlib import AbstractContextManager

from harness.emulator.rooms import own_rooms, room_of_board, rooms
from harness.records import Board


def own_boards() -> dict[str, Board]:
    """Harness's own emulated boards by name; no package is asked."""
    return {board.name: board for room in own_rooms().values() for board in room.boards}


def boards() -> dict[str, Board]:
    """Every emulated board by name, those of packages too."""
    return {board.name: board for room in rooms().values() for board in room.boards}


def board_named(name: str) -> Board | None:
    """An emulated board; None where no vendor has one of that name. Packages are asked only for others' names."""
    return own_boards().get(name) or boards().get(name)


def stand_up(board: Board) -> AbstractContextManager[Board]:
    """The board made ready and, where it is reached by ssh, a real server in front of it; yields how to reach it.

    Errors: HostError when the server cannot be started.
    """
    assert board.emulated is not None
    return room_of_board(board.identity).stand_up(board)


def serve_board(board: Board, server: str = "", port: int = 0) -> AbstractContextManager[Board]:
    """The board behind a real ssh server on loopback, until the context ends; yields how to reach it.

    `server` "" is the one that fits the board. Errors: UserError for a server that it cannot have, HostError where
    this PC lacks what the board needs.
    """
    assert board.emulated is not None
    return room_of_board(board.identity).serve(board, server, port)
