"""stdout and stderr of the emulated tool, and the two number forms that its texts use."""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime


class Console:
    """stdout for the tool's own text, stderr for glog and error lines, as glog does by default."""

    def __init__(self) -> None:
        self.pid = os.getpid()

    def out(self, *lines: str) -> None:
        """Lines on stdout."""
        for line in lines:
            print(line, flush=True)

    def error(self, text: str) -> None:
        """A line on stderr."""
        print(text, file=sys.stderr, flush=True)

    def glog(self, place: str, text: str, level: str = "I") -> None:
        """`I0903 08:45:22.591094 626414 main.cpp:233] text`."""
        stamp_now = datetime.now().strftime("%m%d %H:%M:%S.%f")
        self.error(f"{level}{stamp_now} {self.pid} {place}] {text}")


def stamp() -> str:
    """`2025-07-24,22:00:31.501.776`: milliseconds and microseconds are not padded in the original."""
    now = datetime.fromtimestamp(time.time())
    return f"{now:%Y-%m-%d,%H:%M:%S}.{now.microsecond // 1000}.{now.microsecond % 1000}"


def general(value: float) -> str:
    """A number as C++ streams print it: six significant digits."""
    return f"{value:.6g}"
