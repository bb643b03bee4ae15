"""SSH by the ssh program of this PC."""

from __future__ import annotations

from harness.records import Board
from harness.transports.base import Kind, Transport
from harness.transports.passwords import Passwords, Prompt
from harness.transports.patience import Patience


def connect(board: Board, prompt: Prompt | None, patience: Patience) -> Transport:
    from harness.transports.openssh import OpensshTransport

    return OpensshTransport(board, Passwords(board, prompt), patience)


ENTRY = Kind(connect, host_keys=True)
