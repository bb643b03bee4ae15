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
    note(f"error: a bug in harness: {type(error).__name__}: {error}")
    note("hint: report it with the lines above and the command; --version tells the version")
    return COULD_NOT_MEASURE


def _of_system(error: Exception) -> HarnessError | None:
    """The sentence for what the operating system refused; None for what is a bug."""
    if isinstance(error, MemoryError):
        return HostError("this PC's memory does not suffice", "close what else runs, or take smaller inputs")
    if not isinstance(error, OSError):
        return None
    if error.errno in FULL and isinstance(error.filename, str | bytes):
        error = explained(error, Path(os.fsdecode(error.filename)))
    what = words_of(error)
    if error.errno in FULL:
        return HostError(what, "free space there (df -h), or give another folder; no file was left cut short")
    if isinstance(error, FileExistsError | NotADirectoryError):
        return InputError(what, "a folder is wanted there: give another path")
    if isinstance(error, IsADirectoryError):
        return InputError(what, "a file is wanted there: give another path")
    if isinstance(error, _PATHS) or error.errno in _NAMES:
        return InputError(what, "give a path that is there and may be read and written")
    return HostError(what, "see what this PC lacks: the message is the operating system's")
