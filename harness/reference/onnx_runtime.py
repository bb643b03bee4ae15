"""ONNX Runtime, imported in this one place, with its telemetry switched off.

Its official builds send events to their maker, and make a device identifier in the user's cache when they are imported.
The variable that keeps them from it is set in `harness/__init__.py`, before any import; the call is for older releases.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import onnxruntime

__all__ = ["limit", "onnxruntime", "run_options", "time_limit"]

onnxruntime.disable_telemetry_events()


@dataclass(frozen=True)
class TimeLimit:
    """Of all runs of a model together. `end_s` is a monotonic time."""

    limit_s: float
    end_s: float

    @property
    def is_over(self) -> bool:
        """Whether nothing is left of it."""
        return time.monotonic() >= self.end_s


_LIMIT: ContextVar[TimeLimit | None] = ContextVar("_LIMIT", default=None)


def limit() -> TimeLimit | None:
    """The limit that models run under at the moment."""
    return _LIMIT.get()


@contextmanager
def time_limit(limit_s: float) -> Iterator[None]:
    """Models that run while this lasts have `limit_s` seconds from now on, together."""
    token = _LIMIT.set(TimeLimit(limit_s, time.monotonic() + limit_s))
    try:
        yield
    finally:
        _LIMIT.reset(token)


@contextmanager
def run_options() -> Iterator[Any]:
    """Options of one run, which onnxruntime ends between two ops once the limit is over; None where there is none."""
    current = limit()
    if current is None:
        yield None
        return
    options = onnxruntime.RunOptions()
    timer = threading.Timer(max(0.0, current.end_s - time.monotonic()), lambda: setattr(options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        yield options
    finally:
        timer.cancel()
