"""Signals that end what runs on several boards: each is cleaned and given back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.nightly.control import NightControl


@contextmanager
def stopped_by_signals(control: NightControl) -> Iterator[None]:
    """The first SIGINT, SIGTERM or SIGHUP stops the night and cleans its boards; a second one ends the program."""
    from signal import SIG_DFL, SIGHUP, SIGINT, SIGTERM, signal

    numbers = (SIGINT, SIGTERM, SIGHUP)

    def stop(_number: int, _frame: object) -> None:
        control.stop()
        for number in numbers:
            signal(number, SIG_DFL)

    before = [signal(number, stop) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal(number, handler)
