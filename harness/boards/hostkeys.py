"""Host keys for `harness boards trust`: fetch a server's key, show its fingerprint, record it.

Errors of connecting (unknown or changed key) are made in transports/known_hosts.py and name this command.
"""

from __future__ import annotations

from harness.errors import LinkError
from harness.transports.known_hosts import HostKey, default_file, find, known_hosts_file, make_key, trust

__all__ = ["HostKey", "default_file", "fetch", "find", "known_hosts_file", "trust"]


def fetch(address: str, port: int = 22, *, timeout_s: float = 10.0) -> HostKey:
    """Ask a server for its host key without logging in. Errors: LinkError."""
    from harness.transports.ssh_login import fetch_key

    if not address:
        raise LinkError("this board has no address", "add `address:` to it in hosts.yaml")
    return make_key(address, port, *fetch_key(address, port, timeout_s))
