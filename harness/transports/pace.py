"""The least that a stream must carry: a board that drips is given up long before its time limit."""

from __future__ import annotations

import threading
import time

from harness.transports.base import CommandTimeout, Paced
from harness.transports.patience import Patience

LEAST_BYTES_PER_S = 500.0  # sparse dumps, compressed a thousandfold by a slow core, still carry more
WINDOW_S = 60.0


class Pace:
    """Counts what one stream moved while that was waited for; time that this PC takes for itself is not counted.

    `patience` is its link's clock, `way` the one that is held to the least, see Transport.stream; `window_s` the time
    in which it must move.
    """

    def __init__(self, patience: Patience, way: Paced, window_s: float = WINDOW_S) -> None:
        self.patience, self.way = patience, way
        self._window_s = window_s
        self._waited_s = 0.0
        self._bytes = 0
        self._lock = threading.Lock()

    def check(self, way: Paced, began: float, moved_bytes: int) -> CommandTimeout | None:
        """Add a wait that `began` (of time.monotonic()) and what it brought; the error when a whole window carried
        less than the least. Errors: what `Patience.while_waiting` was given raises."""
        if not moved_bytes and way == "down":
            self.patience.waits()
        if way != self.way:
            return None
        with self._lock:
            self._waited_s += time.monotonic() - began
            self._bytes += moved_bytes
            if self._waited_s < self._window_s:
                return None
            moved, waited_s = self._bytes, self._waited_s
            self._waited_s, self._bytes = 0.0, 0
        if moved >= LEAST_BYTES_PER_S * waited_s:
            return None
        return CommandTimeout(f"only {moved} bytes received in {waited_s:.0f} s", "check the network link")
