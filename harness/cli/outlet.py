"""Standard output and error whose reader may go away: `harness ... | head` ends quietly, with the command's own code.

A tool of text is killed by the signal there. A measurement is not: it goes on, and its exit code is that of what it
found, whoever stopped reading.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO


class _Outlet(io.FileIO):
    """A file descriptor that leads nowhere once nobody reads it any more."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return super().write(data)


def install() -> None:
    """Put outlets in front of both streams. A stream that was closed from the start leads nowhere, too."""
    sys.stdout = _outlet(sys.stdout, 1)
    sys.stderr = _outlet(sys.stderr, 2)


def _outlet(stream: TextIO | None, fd: int) -> TextIO:
    if stream is None:  # started with `>&-`: the number itself is free, and would be given to the next file opened
        os.dup2(os.open(os.devnull, os.O_WRONLY), fd)
        return open(fd, "w", encoding="utf-8", closefd=False)
    stream.flush()
    buffered = io.BufferedWriter(_Outlet(fd, "w", closefd=False))
    lines = bool(getattr(stream, "line_buffering", False))
    return io.TextIOWrapper(buffered, stream.encoding, stream.errors, line_buffering=lines)
