"""Telnet, for boards that have no SSH."""

from __future__ import annotations

from harness.records import Endpoint
from harness.transports.base import Kind, Transport
from harness.transports.passwords import Passwords, Prompt
from harness.transports.patience import Patience


def connect(endpoint: Endpoint, prompt: Prompt | None, patience: Patience) -> Transport:
    """A link through telnet; `prompt` asks for a password where one is wanted."""
    from harness.transports.telnet import TelnetTransport

    return TelnetTransport(endpoint, Passwords(endpoint, prompt), patience)


ENTRY = Kind(connect, port=23)
