"""Ways to a board. `open_transport(board)` gives the one that the inventory names."""

from __future__ import annotations

from harness.errors import ConfigError
from harness.records import Board
from harness.transports.base import CommandTimeout, Done, Progress, Stream, Transport
from harness.transports.passwords import Passwords, Prompt
from harness.transports.patience import Patience

__all__ = ["CommandTimeout", "Done", "Patience", "Progress", "Prompt", "Stream", "Transport", "open_transport"]


def open_transport(board: Board, prompt: Prompt | None = None, patience: Patience | None = None) -> Transport:
    """A transport that is connected, by one try. Errors: LinkError, HostKeyError, HostError, ConfigError for an
    unknown name.

    `prompt` is asked for a password when no key is accepted, and neither environment nor keyring has one. `patience`
    is the clock of the link, where connecting is a try among others; default: a new one.
    """
    patience = patience or Patience(board.limits.patience_s)
    if board.transport == "local":
        from harness.transports.local import LocalTransport

        return LocalTransport(board, patience)
    if board.transport == "ssh":
        from harness.transports.ssh import SshTransport

        return SshTransport(board, Passwords(board, prompt), patience)
    if board.transport == "openssh":
        from harness.transports.openssh import OpensshTransport

        return OpensshTransport(board, Passwords(board, prompt), patience)
    raise ConfigError(f"board {board.name}: unknown transport {board.transport!r}", "one of: local, ssh, openssh")
