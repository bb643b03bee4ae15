"""One process at a time: locks of the system on a folder, so that a killed process holds none and no file is left."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import InputError

LOOK_AGAIN_S = 0.05
WAIT_S = 20.0  # for another process that changes a small file


def locked(descriptor: int, kind: int, wait_s: float = 0.0) -> bool:
    """Take a lock of `fcntl.flock`, or False where another process has it for longer than `wait_s`."""
    ends_at = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= ends_at:
                return False
            time.sleep(LOOK_AGAIN_S)
        except OSError:  # a file system without locks
            return True


@contextmanager
def changing(file: Path) -> Iterator[None]:
    """Read, change and write a file of the user while no other harness does: what both add is kept.

    The lock is on its folder, because the file itself is exchanged. Errors: InputError where another process keeps it
    for WAIT_S, OSError where there is no such folder.
    """
    folder = os.open(Path(os.path.realpath(file)).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not locked(folder, fcntl.LOCK_EX, WAIT_S):
            raise InputError(f"{file}: another process is changing it", "wait for it to end, then retry")
        yield
    finally:
        os.close(folder)
