"""A change of level that a person accepted: the nights before it are of another level, and its own nights count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from harness.records.nights.history import AcceptedLevel
from harness.regressions.series import NightPoint, valid_points

FIRST_NIGHTS = 3  # whose median says where the accepted level is


def with_accepted(
    points: Sequence[NightPoint], levels: Sequence[AcceptedLevel], percent: float = 2.0
) -> list[NightPoint]:
    """The nights of one pair as the gate is to read them, oldest first.

    Nights before an accepted one are of another epoch. Nights from it on that were `slower` or `faster` when it was
    accepted are the new level, as far as they are within `percent` of its first ones: another change among them stays
    what it was. Nights of other suites than the accepted one are left alone.
    """
    known = valid_points(points)
    for level in sorted(levels, key=lambda one: one.night):
        known = _applied(known, level, percent)
    return known


def _applied(points: list[NightPoint], level: AcceptedLevel, percent: float) -> list[NightPoint]:
    own = [one for one in points if _suite(one.night) == _suite(level.night) and one.night >= level.night]
    if not own:
        return points
    epoch = own[0].epoch
    at_level = [one for one in own if one.epoch == epoch]
    middle = median(one.value_us for one in at_level[:FIRST_NIGHTS])

    def read(one: NightPoint) -> NightPoint:
        if one.epoch != epoch or _suite(one.night) != _suite(level.night):
            return one
        if one.night < level.night:
            return replace(one, epoch=f"{one.epoch} before {level.night}")
        is_near = abs(one.value_us / middle - 1) * 100 <= percent
        if one.night <= level.through and is_near and one.word in ("slower", "faster"):
            return replace(one, word="pass", alarm="")
        return one

    return [read(one) for one in points]


def _suite(night: str) -> str:
    """Nights are called SUITE/UTC: within a suite their names are in the order of time."""
    return night.rpartition("/")[0]
