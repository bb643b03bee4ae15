"""Errors that no command foresaw: what the system refuses becomes a sentence, a bug says that it is one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from harness.cli.common import note, say_error
from harness.errors import COULD_NOT_MEASURE, HarnessError, HostError, InputError
from harness.files.safe import FULL, explained, words_of

_PATHS = (FileNotFoundError, PermissionError)
_NAMES = (errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP)


def tell(error: Exception) -> int:
    """Say what happened on stderr; returns the exit code. A traceback is printed for bugs only."""
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
