"""SSH by this program's own client."""

from __future__ import annotations

from harness.records import Board
from harness.transports.base import Kind, Transport
from harness.transports.passwords import Passwords, Prompt
from harness.transports.patience import Patience


def connect(board: Board, prompt: Prompt | None, patience: Patience) -> Transport:
    from harness.transports.ssh import SshTransport

    return SshTransport(board, Passwords(board, prompt), patience)


ENTRY = Kind(connect, host_keys=True)
