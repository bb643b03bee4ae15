"""Whether tonight's latency of a pair is suspicious: against its level, over three nights, by a change point.

Suspicious is no verdict: the models are measured against each other (confirmation.py), or, where the model is what it
was and only the board can have changed, it has to last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from statistics import median

from harness.regressions.change_points import change_points
from harness.regressions.finding import CanFind, can_find_of, reach_of
from harness.regressions.series import (
    GOOD_WORDS,
    LONGEST,
    NIGHTS,
    SIGMA_OF_MAD,
    NightLevel,
    NightPoint,
    baseline,
    level_of,
    spread_of,
    valid_points,
)

LEAST_CHANGE_US = 20.0  # of what is measured: timers of boards are no better
LASTING = 3  # nights that a change without a new model has to last; more on a board with odd nights
MOST_LASTING = 6
ONE_ASIDE = 5  # nights of which one may lie apart from the others
LASTING_SIGMAS = 4.0  # at 5 a board that became 3 % slower was told on the third night in 56 to 77 of 100 cases only
FRESH = 7  # nights in which a change point is news
ODD_SIGMAS = 4.0
MOST_BY_CHANCE = 0.005  # rows of odd nights in LONGEST nights
EXPECTED_PERSISTENCE, ITS_NIGHTS = 0.3, 14  # of one night's noise in the next, until the series tells its own


@dataclass(frozen=True)
class GateLimits:
    """`percent`: a smaller change is none. `floor_us`: nor is one below it; 0 for times that are computed."""

    percent: float = 2.0
    floor_us: float = LEAST_CHANGE_US


@dataclass(frozen=True)
class Suspicion:
    """A change that may be one. `how`: "night" (tonight alone), "lasting", "change point" (both: over nights)."""

    word: str  # "slower" or "faster"
    how: str
    level_us: float
    percent: float


@dataclass(frozen=True)
class Gate:
    """What the history says of tonight. `level` is None on a first night; `lasting` needs no new model; `finds` is the
    smallest change that could be seen."""

    level: NightLevel | None
    suspicion: Suspicion | None = None
    lasting: Suspicion | None = None
    finds: CanFind | None = None


def gate(points: Sequence[NightPoint], now: NightPoint, limits: GateLimits) -> Gate:
    """Hold tonight against the earlier nights of one pair, oldest first. Pure; no order but the given one is used."""
    earlier = [point for point in valid_points(points) if point.night != now.night][-LONGEST:]
    level = level_of(baseline(earlier, now.epoch), earlier)
    if level is None:
        return Gate(None)
    lasting = _lasting(earlier, now, limits)
    tonight = _tonight(level, now, limits)
    finds = can_find_of(level, limits.percent, limits.floor_us)
    return Gate(level, tonight or lasting or _changed(earlier, now, limits), lasting, finds)


def _beyond(value_us: float, level_us: float, reach: float, limits: GateLimits) -> str:
    """`slower`, `faster` or "": whether a value is beyond the level by more than `reach`, a share of it."""
    change = value_us - level_us
    if abs(change) <= max(reach * level_us, limits.percent / 100 * level_us, limits.floor_us):
        return ""
    return "slower" if change > 0 else "faster"


def _tonight(level: NightLevel, now: NightPoint, limits: GateLimits) -> Suspicion | None:
    word = _beyond(now.value_us, level.level_us, reach_of(level), limits)
    return Suspicion(word, "night", level.level_us, _percent(now.value_us, level.level_us)) if word else None


def _percent(value_us: float, level_us: float) -> float:
    return (value_us / level_us - 1) * 100


# --------------------------------------------------------------------------- without a new model: it has to last


def _lasting(earlier: Sequence[NightPoint], now: NightPoint, limits: GateLimits) -> Suspicion | None:
    """Whether the last nights agree on another level than the nights before them."""
    own = [point for point in earlier if point.epoch == now.epoch]
    count = _nights_needed(own)
    recent = [*own[1 - count :], now]
    older = _level_nights(own[: len(own) - count + 1])
    level = level_of(older, earlier)
    if len(recent) < count or level is None or len(older) < count:
        return None
    values = [point.value_us for point in recent]
    middle = median(values)
    reach = LASTING_SIGMAS * level.spread * _middle_spread(own, count) * sqrt(1 + 1.57 / level.nights)
    word = _beyond(middle, level.level_us, reach, limits)
    least = 0.5 * limits.percent / 100
    towards = [(value / level.level_us - 1) * (1 if word == "slower" else -1) for value in values]
    if not word or min(towards) < least or _apart(values) > 2 * ODD_SIGMAS * level.spread:
        return None
    return Suspicion(word, "lasting", level.level_us, _percent(middle, level.level_us))


def _level_nights(own: Sequence[NightPoint]) -> list[NightPoint]:
    return [point for point in own if point.word in GOOD_WORDS][-NIGHTS:]


def _apart(values: Sequence[float]) -> float:
    """How far the nights are apart, as a share; the farthest one aside where there are enough of them.

    Odd nights in a row are odd by chance, each by another share; a board that has changed is at one level.
    """
    ordered = sorted(values)
    if len(ordered) < ONE_ASIDE:
        return ordered[-1] / ordered[0] - 1
    return min(ordered[-2] / ordered[0], ordered[-1] / ordered[1]) - 1


def _nights_needed(own: Sequence[NightPoint]) -> int:
    """Odd nights of a hot or busy board come in rows by chance: the more it has, the longer a change has to last."""
    for count in range(LASTING, MOST_LASTING):
        nights = [point.value_us for point in own[: len(own) - count + 1] if point.word in GOOD_WORDS]
        if _odd_share(nights) ** count * LONGEST <= MOST_BY_CHANCE:
            return count
    return MOST_LASTING


def _odd_share(nights: Sequence[float]) -> float:
    """Of all nights; a few that were none do not prove that there are none."""
    if not nights:
        return 0.5
    middle = median(nights)
    spread = spread_of([value / middle - 1 for value in nights])
    odd = sum(abs(value / middle - 1) > ODD_SIGMAS * spread for value in nights)
    return (odd + 0.5) / (len(nights) + 1)


def _middle_spread(own: Sequence[NightPoint], count: int) -> float:
    """Spread of the median of `count` nights over that of one: more where a night resembles the night before."""
    values = [point.value_us for point in own if point.word in GOOD_WORDS]
    persistence = EXPECTED_PERSISTENCE
    if len(values) > 2:
        middle = median(values)
        whole = SIGMA_OF_MAD * median(abs(value - middle) for value in values)
        steps = [after - before for before, after in pairwise(values)]
        step = SIGMA_OF_MAD * median(abs(one) for one in steps) / sqrt(2)
        measured = 1 - (step / whole) ** 2 if whole > 0 else 0.0
        weight = len(values) / (len(values) + ITS_NIGHTS)
        persistence += weight * (min(0.9, max(0.0, measured)) - persistence)
    independent = 1.16 / sqrt(count)  # of a median of few nights
    return min(1.0, independent * sqrt((1 + persistence) / (1 - persistence)))


# --------------------------------------------------------------------------- change points


def _changed(earlier: Sequence[NightPoint], now: NightPoint, limits: GateLimits) -> Suspicion | None:
    """A change point of the last FRESH nights that no verdict has said yet."""
    own = [point for point in earlier if point.epoch == now.epoch]
    nights = [*own, now]
    points = change_points([point.value_us for point in nights], limits.percent)
    if not points or points[-1].index < len(nights) - FRESH:
        return None
    last = points[-1]
    if any(point.word not in ("pass", "new") for point in nights[last.index : -1]):
        return None
    word = _beyond(last.after, last.before, 0.0, limits)
    return Suspicion(word, "change point", last.before, last.percent) if word else None


# --------------------------------------------------------------------------- what to measure it against


def last_good(points: Sequence[NightPoint], now: NightPoint, suspicion: Suspicion, limits: GateLimits) -> str:
    """The newest artefact other than tonight's that stood at the level; "" where the model is what it was.

    A night that was on its way to the new level is no witness of the old one, whatever its verdict.
    """
    most = 0.2 * limits.percent / 100
    own = [point for point in valid_points(points) if point.epoch == now.epoch and point.night != now.night]
    for point in reversed(own[-2 * NIGHTS :]):
        share = point.value_us / suspicion.level_us - 1
        towards = share if suspicion.word == "slower" else -share
        if point.artefact and point.artefact != now.artefact and point.word in GOOD_WORDS and towards <= most:
            return point.artefact
    return ""
