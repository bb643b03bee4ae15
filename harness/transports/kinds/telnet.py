"""Telnet, for boards that have no SSH."""

from __future__ import annotations

from harness.records import Board
from harness.transports.base import Kind, Transport
from harness.transports.passwords import Passwords, Prompt
from harness.transports.patience import Patience


def connect(board: Board, prompt: Prompt | None, patience: Patience) -> Transport:
    from harness.transports.telnet import TelnetTransport

    return TelnetTransport(board, Passwords(board, prompt), patience)


ENTRY = Kind(connect, port=23)
