"""A command that took longer than it may: an error of its own, because what it printed until then is kept."""

from __future__ import annotations

from harness.errors import LinkError


class CommandTimeout(LinkError):
    """A command did not end within its time limit; it was ended on the board too."""
