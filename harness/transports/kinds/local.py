"""This PC as a board."""

from __future__ import annotations

from harness.records import Endpoint
from harness.transports.base import Kind, Transport
from harness.transports.local import LocalTransport
from harness.transports.passwords import Prompt
from harness.transports.patience import Patience


def connect(endpoint: Endpoint, prompt: Prompt | None, patience: Patience) -> Transport:
    """The board that is this PC. Nothing is asked."""
    return LocalTransport(endpoint, patience)


ENTRY = Kind(connect, needs_address=False)
