"""Ways to a board. `open_transport(endpoint)` gives the one that the inventory names."""

from __future__ import annotations

from harness.extensions import Registry
from harness.records import Endpoint
from harness.records.callbacks import BytesCallback
from harness.transports.base import CommandResult, CommandTimeout, Kind, Stream, Transport
from harness.transports.passwords import Prompt
from harness.transports.patience import Patience

__all__ = [
    "KINDS",
    "BytesCallback",
    "CommandResult",
    "CommandTimeout",
    "Kind",
    "Patience",
    "Prompt",
    "Stream",
    "Transport",
    "open_transport",
]

KINDS = Registry("transport", "harness.transports", Kind, "harness.transports.kinds")


def open_transport(endpoint: Endpoint, prompt: Prompt | None = None, patience: Patience | None = None) -> Transport:
    """A transport that is connected, by one try. Errors: LinkError, HostKeyError, HostError, ConfigError for an
    unknown name.

    `prompt` is asked for a password when no key is accepted, and neither environment nor keyring has one. `patience`
    is the clock of the link, where connecting is a try among others; default: a new one.
    """
    return KINDS.get(endpoint.transport).connect(endpoint, prompt, patience or Patience(endpoint.patience_s))
