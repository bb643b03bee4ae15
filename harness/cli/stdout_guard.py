"""Standard output and error whose reader may go away, and whose disk may be full.

`harness ... | head` ends quietly, with the command's own code. A tool of text is killed by the signal there. A
measurement is not: it goes on, and its exit code is that of what it found, whoever stopped reading. An answer that a
full disk did not take is said on stderr; then the code is never 0.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO

from harness.errors import COULD_NOT_MEASURE


class _GuardedStdout(io.FileIO):
    """A file descriptor that leads nowhere once nobody reads it any more, or it takes nothing more."""

    lost: OSError | None = None  # why what was written did not arrive, where somebody may still wait for it

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self.lost = error
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return super().write(data)


def install() -> None:
    """Put outlets in front of both streams. A stream that was closed from the start leads nowhere, too."""
    sys.stdout = _guarded(sys.stdout, 1)
    sys.stderr = _guarded(sys.stderr, 2)


def exit_code(code: int | str | None) -> int | str | None:
    """The code to end with: where standard output did not take the answer, good (0) becomes "could not measure" (3)."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    lost = raw.lost if isinstance(raw, _GuardedStdout) else None
    if lost is None:
        return code
    print(f"error: standard output: {lost.strerror or lost}: the output is incomplete", file=sys.stderr)
    print("hint: free space there, or redirect it elsewhere; report and run folder are not affected", file=sys.stderr)
    return code or COULD_NOT_MEASURE


def _guarded(stream: TextIO | None, fd: int) -> TextIO:
    if stream is None:  # started with `>&-`: the number itself is free, and would be given to the next file opened
        os.dup2(os.open(os.devnull, os.O_WRONLY), fd)
        return open(fd, "w", encoding="utf-8", closefd=False)
    stream.flush()
    buffered = io.BufferedWriter(_GuardedStdout(fd, "w", closefd=False))
    lines = bool(getattr(stream, "line_buffering", False))
    return io.TextIOWrapper(buffered, stream.encoding, stream.errors, line_buffering=lines)
