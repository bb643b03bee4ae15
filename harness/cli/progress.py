"""Progress on stderr, and what is asked for in the middle of it. On a terminal one line, drawn over itself and gone at
the end; elsewhere nothing, or plain lines where HARNESS_PROGRESS=plain asks for them."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from harness.cli.common import clean, note
from harness.cli.tables import shortened, width_of
from harness.records.callbacks import ProgressCallback

EVERY_S = 0.1  # between two drawings of the same step
BAR = 24  # columns
LEAST_BYTES = 100_000  # a total below it is one of things, tensors for example
CLEAR = "\r\x1b[K"

_bars: list[Bar] = []  # what is drawn on the terminal now


@contextmanager
def progress(label: str) -> Iterator[ProgressCallback]:
    """A progress line on stderr, only where stderr is a terminal: call it with (what, done, total).

    `total` of -1 means not known. Off a terminal each new `what` is one plain line.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield _lines(label)
        return
    bar = Bar(label)
    _bars.append(bar)
    try:
        yield bar.step
    finally:
        _bars.remove(bar)
        bar.hide()


def above(text: str) -> None:
    """One line that stays, on stderr; on a terminal above the progress line, which the next step draws again."""
    if not _bars:
        note(text)
        return
    sys.stderr.write(f"{CLEAR}{clean(text)}\n")  # one write: what other threads draw comes before or after it
    sys.stderr.flush()


@cache
def ask_password(text: str) -> str:
    """A password from the person at the terminal, not shown; asked once. "" where there is no terminal."""
    from getpass import getpass

    if not sys.stdin.isatty():
        return ""
    for bar in _bars:  # the question takes the bar's line; the next step draws it again below
        bar.hide()
    try:
        return getpass(clean(text), stream=sys.stderr)
    except EOFError:
        return ""


class Bar:
    """One line: what is done, how much of it, how fast, and how long it still takes."""

    def __init__(self, label: str) -> None:
        self.what = label
        self.began = self.drawn = time.monotonic()
        self._draw(0, -1)

    def step(self, what: str, completed: int, total: int) -> None:
        """`done` of `total`, bytes or things; a `total` of -1 is not known."""
        now = time.monotonic()
        if what != self.what:
            self.what, self.began = what, now
        elif now - self.drawn < EVERY_S and completed != total:
            return
        self._draw(completed, total)

    def hide(self) -> None:
        """Leave the line as if nothing had been drawn."""
        sys.stderr.write(CLEAR)
        sys.stderr.flush()

    def _draw(self, completed: int, total: int) -> None:
        self.drawn = time.monotonic()
        columns = shutil.get_terminal_size().columns - 1  # a full line would wrap and stay
        sys.stderr.write(CLEAR + line_of(clean(self.what), (completed, total), self.drawn - self.began, columns))
        sys.stderr.flush()


def line_of(what: str, amount: tuple[int, int], took_s: float, columns: int) -> str:
    """At most `columns` wide: the figures go first where it is too narrow, then the middle of `what`."""
    what = " ".join(what.split())
    shown = [what, *_figures(*amount, took_s)]
    while len(shown) > 1 and width_of("  ".join(shown)) > columns:
        shown.pop()
    return shortened("  ".join(shown), max(1, columns))


def _figures(completed: int, total: int, took_s: float) -> list[str]:
    """A bar, the amount, the speed and the time that is left; of an amount that is not known none."""
    if total <= 0:
        return []
    completed = min(max(completed, 0), total)
    full = BAR * completed // total
    bar = "\u2501" * full + "\u2500" * (BAR - full)
    left_s = took_s * (total - completed) / completed if completed else 0.0
    minutes, seconds = divmod(round(left_s), 60)
    remaining = [f"{minutes}:{seconds:02} left"] if completed and completed < total else []
    if total < LEAST_BYTES:
        return [bar, f"{completed} of {total}", *remaining]
    speed = [f"{completed / took_s / 1e6:.1f} MB/s"] if took_s > 0 else []
    return [bar, f"{completed / 1e6:.1f} of {total / 1e6:.1f} MB", *speed, *remaining]


def _lines(label: str) -> ProgressCallback:
    last = label

    def step(what: str, _completed: int, _total: int) -> None:
        nonlocal last
        if what != last and os.environ.get("HARNESS_PROGRESS") == "plain":
            note(what)
            last = what

    return step
