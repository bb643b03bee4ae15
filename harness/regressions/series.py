"""The nights of one pair of case and board, and what their level is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, sqrt
from statistics import median

NIGHTS = 14  # of the level
LONGEST = 90  # nights that are looked at
SIGMA_OF_MAD = 1.4826
USUAL_SPREAD = 0.006  # of the level: what boards that are well spread from night to night
USUAL_NIGHTS = 4  # so many nights does that expectation count for beside what was measured
GOOD_WORDS = ("pass", "new", "faster")
MOVED_AFTER = 3  # nights of `faster` in a row, and the level is theirs


@dataclass(frozen=True)
class NightPoint:
    """One valid night. `artefact` is the md5 of the model, `word` the verdict that the pair got that night."""

    night: str
    value_us: float
    epoch: str = ""
    artefact: str = ""
    word: str = "pass"
    alarm: str = ""  # one of judge.ALARMS


@dataclass(frozen=True)
class NightLevel:
    """The level of a series: median of `nights` nights, and the spread of one night as a share of it."""

    level_us: float
    spread: float
    nights: int


def valid_points(points: Sequence[NightPoint]) -> list[NightPoint]:
    """Finite positive values, one a night (the last one written), in the order of first appearance."""
    by_night = {point.night: point for point in points if isfinite(point.value_us) and point.value_us > 0}
    return list(by_night.values())


def baseline(points: Sequence[NightPoint], epoch: str) -> list[NightPoint]:
    """The nights that a level of `epoch` is made of, oldest first: at most NIGHTS, without those that are `slower`.

    Where the pair was `faster` for MOVED_AFTER nights in a row, the nights before them count no more.
    """
    own = [point for point in valid_points(points) if point.epoch == epoch]
    in_a_row = begin = 0
    for place, point in enumerate(own):
        in_a_row = in_a_row + 1 if point.word == "faster" else 0
        if in_a_row >= MOVED_AFTER:
            begin = place - in_a_row + 1
    return [point for point in own[begin:] if point.word in GOOD_WORDS][-NIGHTS:]


def level_of(nights: Sequence[NightPoint], before: Sequence[NightPoint] = ()) -> NightLevel | None:
    """The level of a baseline; None of no night. `before`: earlier nights of any epoch, for the spread of the board.

    The spread is that of up to LONGEST nights around their own medians: 14 nights alone tell it to 40 % only.
    """
    if not nights:
        return None
    level = median(point.value_us for point in nights)
    shares = _shares(before)
    if len(shares) < len(nights):
        shares = [point.value_us / level - 1 for point in nights]
    return NightLevel(level, spread_of(shares), len(nights))


def _shares(points: Sequence[NightPoint]) -> list[float]:
    """Distances of good nights from the medians of the stretches that they are in; a drift is no spread."""
    groups: dict[str, list[float]] = {}
    for point in valid_points(points)[-LONGEST:]:
        if point.word in GOOD_WORDS:
            groups.setdefault(point.epoch, []).append(point.value_us)
    shares: list[float] = []
    for values in groups.values():
        parts = max(1, len(values) // NIGHTS)
        edges = [len(values) * place // parts for place in range(parts + 1)]
        for first, last in pairwise(edges):
            if last - first > USUAL_NIGHTS:
                middle = median(values[first:last])
                shares += [value / middle - 1 for value in values[first:last]]
    return shares


def spread_of(shares: Sequence[float]) -> float:
    """One sigma of relative values, by MAD; a few nights alone prove no silence, so the usual spread counts too."""
    if not shares:
        return USUAL_SPREAD
    middle = median(shares)
    measured = SIGMA_OF_MAD * median(abs(share - middle) for share in shares)
    count = len(shares)
    return sqrt((count * measured**2 + USUAL_NIGHTS * USUAL_SPREAD**2) / (count + USUAL_NIGHTS))
