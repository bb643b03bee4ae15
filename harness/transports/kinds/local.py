"""This PC as a board."""

from __future__ import annotations

from harness.records import Board
from harness.transports.base import Kind, Transport
from harness.transports.local import LocalTransport
from harness.transports.passwords import Prompt
from harness.transports.patience import Patience


def connect(board: Board, prompt: Prompt | None, patience: Patience) -> Transport:
    return LocalTransport(board, patience)


ENTRY = Kind(connect, needs_address=False)
