"""One at a time, whatever hands out the tests: xdist's groups are one scheduler's promise, the system's locks hold.

`--dist loadgroup` of xdist 3.8.0 groups nothing under pytest 9.2.0, and says nothing about it.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Hold `lock`, a file that is made where it is missing; waits while another test, of any process, holds it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
