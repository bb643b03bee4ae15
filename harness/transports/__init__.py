"""Ways to a board. `open_transport(board)` gives the one that the inventory names."""

from __future__ import annotations

from harness.errors import ConfigError
from harness.records import Board
from harness.transports.base import CommandTimeout, Done, Progress, Stream, Transport
from harness.transports.passwords import Passwords, Prompt

__all__ = ["CommandTimeout", "Done", "Progress", "Prompt", "Stream", "Transport", "open_transport"]


def open_transport(board: Board, prompt: Prompt | None = None) -> Transport:
    """A transport that is connected. Errors: LinkError, HostKeyError, HostError, ConfigError for an unknown name.

    `prompt` is asked for a password when no key is accepted, and neither environment nor keyring has one.
    """
    if board.transport == "local":
        from harness.transports.local import LocalTransport

        return LocalTransport(board)
    if board.transport == "ssh":
        from harness.transports.ssh import SshTransport

        return SshTransport(board, Passwords(board, prompt))
    if board.transport == "openssh":
        from harness.transports.openssh import OpensshTransport

        return OpensshTransport(board, Passwords(board, prompt))
    raise ConfigError(f"board {board.name}: unknown transport {board.transport!r}", "one of: local, ssh, openssh")
