"""How the program ends: streams whose reader may go away or whose disk may be full, and errors that no command foresaw.

`harness ... | head` ends quietly, with the command's own code. A tool of text is killed by the signal there. A
measurement is not: it goes on, and its exit code is that of what it found, whoever stopped reading. An answer that a
full disk did not take is said on stderr; then the code is never 0. What the system refuses becomes a sentence, a bug
says that it is one.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path
from typing import Any, TextIO

from harness.errors import COULD_NOT_MEASURE, HarnessError, HostError, InputError

_PATHS = (FileNotFoundError, PermissionError)
_NAMES = (errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP)


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


def tell(error: Exception) -> int:
    """Say what happened on stderr; returns the exit code. A traceback is printed for bugs only."""
    from harness.cli.common import note, say_error

    known = _of_system(error)
    if known is not None:
        say_error(known)
        return known.exit_code
    import traceback

    traceback.print_exception(error)
    note(f"error: internal error (a bug in harness): {type(error).__name__}: {error}")
    note("hint: report it with the command, the traceback above and `harness --version`")
    return COULD_NOT_MEASURE


def _of_system(error: Exception) -> HarnessError | None:
    """The sentence for what the operating system refused; None for what is a bug."""
    if isinstance(error, MemoryError):
        return HostError("out of memory on this PC", "close other programs, or use smaller inputs")
    if not isinstance(error, OSError):
        return None
    from harness.files.safe import FULL, explained, words_of

    if error.errno in FULL and isinstance(error.filename, str | bytes):
        error = explained(error, Path(os.fsdecode(error.filename)))
    what = words_of(error)
    if error.errno in FULL:
        return HostError(what, "free space there (df -h), or give another folder; no partial file was left")
    if isinstance(error, FileExistsError | NotADirectoryError):
        return InputError(what, "expected a folder, found a file: give another path")
    if isinstance(error, IsADirectoryError):
        return InputError(what, "expected a file, found a folder: give another path")
    if isinstance(error, _PATHS) or error.errno in _NAMES:
        return InputError(what, "give an existing, accessible path")
    return HostError(what, "the message is from this PC's operating system")
