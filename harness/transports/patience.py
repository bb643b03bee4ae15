"""How long a broken or silent link is tried again: one clock for each link, whoever waits on it.

The clock begins with the first failure and ends when something is received, whatever each try costs in between.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from harness.errors import HostKeyError, LinkError, LoginError
from harness.records.callbacks import LogCallback
from harness.transports.timeouts import CommandTimeout

PATIENCE_S = 30.0  # `limits: patience_s` of a board
BACK_OFF_S = (0.5, 1.0, 2.0, 4.0)
TRIES = 50  # of one thing, over a link that breaks again and again
STOPPED_S = 10.0  # what is left for a silent board after Ctrl-C, or once a run has given up
SHORTEST_WAIT_S = 1.0  # less than this no board can answer in

T = TypeVar("T")


class Patience:
    """The clock of one link. `limit_s`: seconds from the first failure until something must have been received."""

    def __init__(self, limit_s: float = PATIENCE_S) -> None:
        self.limit_s = limit_s
        self._ends_at = math.inf  # of time.monotonic()
        self._failures = 0
        self._heard = False  # ever
        self._stopped = False
        self._lock = threading.Lock()
        self._waiting: Callable[[], None] | None = None  # of the one thread that waits for long
        self._waiter = 0

    @contextmanager
    def while_waiting(self, waiting: Callable[[], None]) -> Iterator[None]:
        """While this thread waits for one long answer: `waiting` is called about once a second, and may end the wait
        by raising."""
        self._waiting, self._waiter = waiting, threading.get_ident()
        try:
            yield
        finally:
            self._waiting = None

    def waits(self) -> None:
        """Nothing came for a moment. Errors: what `while_waiting` was given raises."""
        if self._waiting is not None and threading.get_ident() == self._waiter:
            self._waiting()

    def heard(self) -> None:
        """Something was received: what failed before is over."""
        self._ends_at, self._failures, self._heard = math.inf, 0, True

    def broke(self) -> None:
        """The link was seen to end: the clock begins, before anything is tried again."""
        with self._lock:
            if math.isinf(self._ends_at):
                self._ends_at = time.monotonic() + self.limit_s

    def stop(self) -> None:
        """What is still to be done (cleaning up) gets STOPPED_S of silence in all, not a patience each."""
        with self._lock:
            self._stopped = True
            self.limit_s = min(self.limit_s, STOPPED_S)
            self._ends_at = min(self._ends_at, time.monotonic() + self.limit_s)

    @property
    def given_up(self) -> bool:
        """Whether `stop` was called and nothing was received since, for so long: what still waits is to be cut."""
        return self._stopped and self._ends_at <= time.monotonic()

    def at_most(self, wait_s: float) -> float:
        """A wait for an answer of the far side, cut to what is left of the patience.

        Where the patience was over before and nobody has stopped, the next thing begins with one whole try.
        """
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0 and not self._stopped:
            return wait_s
        return min(wait_s, max(SHORTEST_WAIT_S, left_s))

    def retry(self, action: Callable[[], T], limit_s: float = math.inf, tell: LogCallback | None = None) -> T:
        """Do something that is safe to repeat until the link carries it. Errors: those of the last try.

        Given up when the patience is over, after `limit_s` in all, and at once where trying again cannot help.
        """
        ends_at = time.monotonic() + limit_s
        for _ in range(TRIES):
            try:
                return action()
            except LinkError as error:
                self.pause(error, ends_at, tell)
        raise LinkError(f"the link broke {TRIES} times in a row", "check cable, switch and power")

    def pause(self, error: LinkError, ends_at: float = math.inf, tell: LogCallback | None = None) -> None:
        """Wait before the next try. Errors: the given one where there is to be none; `ends_at` of time.monotonic()."""
        if isinstance(error, HostKeyError | CommandTimeout) or (isinstance(error, LoginError) and not self._heard):
            raise error
        pause_s = self._failed()
        if pause_s is None or time.monotonic() + pause_s > ends_at:
            raise error
        if tell:
            tell(f"{error.message}: retrying")
        time.sleep(pause_s)

    def _failed(self) -> float | None:
        """Count a failed try; seconds to the next one, None when the patience is over."""
        self.broke()
        with self._lock:
            pause_s = BACK_OFF_S[min(self._failures, len(BACK_OFF_S) - 1)]
            self._failures += 1
            return pause_s if time.monotonic() + pause_s <= self._ends_at else None
