"""A few threads that judge what was measured, while the boards are at their next cases."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

JUDGES = 2  # that compare at a time: memory and this PC's cores are few
MOST_WAITING = 128  # measured and not judged yet; a worker that brings one more waits


class Judges:
    """Takes work in the order in which it comes. Work must not raise. Call `start` first."""

    def __init__(self, count: int = JUDGES, most_waiting: int = MOST_WAITING) -> None:
        self._work: queue.Queue[Callable[[], None]] = queue.Queue(most_waiting)
        self._threads = [threading.Thread(target=self._judge, name=f"judge {place}", daemon=True)
                         for place in range(count)]  # fmt: skip

    def start(self) -> None:
        """Begin; the threads end with the program."""
        for thread in self._threads:
            thread.start()

    def take(self, work: Callable[[], None]) -> threading.Event:
        """Have it done by one of the threads; what is given back is set when it is."""
        ended = threading.Event()

        def to_its_end() -> None:
            try:
                work()
            finally:
                ended.set()

        self._work.put(to_its_end)
        return ended

    @property
    def waiting(self) -> int:
        """How much nobody has begun with."""
        return self._work.qsize()

    def _judge(self) -> None:
        while True:
            self._work.get()()
