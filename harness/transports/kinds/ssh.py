"""SSH by this program's own client."""

from __future__ import annotations

from harness.records import Endpoint
from harness.transports.base import Kind, Transport
from harness.transports.passwords import Passwords, Prompt
from harness.transports.patience import Patience


def connect(endpoint: Endpoint, prompt: Prompt | None, patience: Patience) -> Transport:
    """A link through paramiko; `prompt` asks for a password where one is wanted."""
    from harness.transports.ssh import SshTransport

    return SshTransport(endpoint, Passwords(endpoint, prompt), patience)


ENTRY = Kind(connect, host_keys=True)
