"""The built-in emulated boards, and how one is stood up for a session: asked of the vendors' rooms."""

from __future__ import annotations

from contextlib import AbstractContextManager

from harness.emulator.rooms import room_of_board, rooms
from harness.records import Board

BUILT_IN: dict[str, Board] = {board.name: board for room in rooms().values() for board in room.boards}


def stand_up(board: Board) -> AbstractContextManager[Board]:
    """The board made ready and, where it is reached by ssh, a real server in front of it; yields how to reach it.

    Errors: HostError when the server cannot be started.
    """
    assert board.emulated is not None
    return room_of_board(board).stand_up(board)


def serve_board(board: Board, server: str = "", port: int = 0) -> AbstractContextManager[Board]:
    """The board behind a real ssh server on loopback, until the context ends; yields how to reach it.

    `server` "" is the one that fits the board. Errors: UserError for a server that it cannot have, HostError where
    this PC lacks what the board needs.
    """
    assert board.emulated is not None
    return room_of_board(board).serve(board, server, port)
