"""Host keys for `harness boards trust`: fetch a server's key, show its fingerprint, record it.

Errors of connecting (unknown or changed key) are made in transports/known_hosts.py and name this command.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.errors import LinkError
from harness.records import Board
from harness.transports import Prompt
from harness.transports.known_hosts import HostKey, changed, default_file, find, known_hosts_file, make_key, trust

__all__ = ["HostKey", "changed", "default_file", "fetch", "find", "known_hosts_file", "meet", "trust"]

Decide = Callable[[str, str, int, HostKey, tuple[Path, ...]], None]  # where, address, port, key, files of known keys


def fetch(address: str, port: int = 22, *, timeout_s: float = 10.0) -> HostKey:
    """Ask a server for its host key without logging in. Errors: LinkError."""
    from harness.transports.ssh_login import fetch_key

    if not address:
        raise LinkError("this board has no address", "add `address:` to it in hosts.yaml")
    return make_key(address, port, *fetch_key(address, port, timeout_s))


def meet(board: Board, decide: Decide, prompt: Prompt | None = None) -> None:
    """Show `decide` the key of each host on the way to a board, jump hosts first, before anything is sent to it.

    Errors: LinkError, what `decide` raises, HostKeyError for a jump host whose key it did not record.
    """
    from harness.transports import ssh_login
    from harness.transports.passwords import Passwords

    def show(login: ssh_login.Login, kind: str, blob: bytes) -> None:
        key = make_key(login.address, login.port, kind, blob)
        decide(login.where, login.address, login.port, key, login.key_files)

    ssh_login.meet(board.endpoint, Passwords(board.endpoint, prompt), show)
