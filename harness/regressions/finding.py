"""The smallest change that a series can show: a night says so, instead of being silent about what it cannot see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from harness.records.nights.history import AcceptedLevel
from harness.regressions.accepting import with_accepted
from harness.regressions.series import NightLevel, NightPoint, baseline, level_of, valid_points

SIGMAS = 3.0  # of the nights, that a suspicious one is beyond
# Sigmas of the nights by which one of so many is above with a chance of 95 %. Measured: level and spread are estimates.
_SURE_IN = {1: 2.2, 3: 0.6}


@dataclass(frozen=True)
class CanFind:
    """The smallest change, in percent of the level, that is suspected with a chance of 95 %: on its first night, and
    on one of its first three."""

    in_1_night_pct: float
    in_3_nights_pct: float


def reach_of(level: NightLevel) -> float:
    """How far from the level a night has to be to be suspicious, as a share of it; the level is not known exactly."""
    return SIGMAS * level.spread * sqrt(1 + 1.57 / level.nights)


def can_find_of(level: NightLevel, percent: float, floor_us: float) -> CanFind:
    """What can be seen against a level, by the limits of the gate."""
    reach = max(reach_of(level), percent / 100, floor_us / level.level_us)
    one, three = (round((reach + _SURE_IN[nights] * level.spread) * 100, 3) for nights in (1, 3))
    return CanFind(one, three)


def can_find(
    points: Sequence[NightPoint],
    accepted: Sequence[AcceptedLevel] = (),
    percent: float = 2.0,
    floor_us: float = 20.0,
) -> CanFind | None:
    """What the night after these could see; None without nights. `points`: of one pair, oldest first."""
    known = valid_points(with_accepted(points, accepted))
    level = level_of(baseline(known, known[-1].epoch), known) if known else None
    return can_find_of(level, percent, floor_us) if level is not None else None
