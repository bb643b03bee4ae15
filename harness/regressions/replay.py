"""A series of nights judged again from its first night on, as `harness nightly` would have judged it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from harness.regressions.gate import GateLimits
from harness.regressions.judge import final, suspected
from harness.regressions.series import NightPoint


@dataclass(frozen=True)
class MeasuredNight:
    """A night as it was measured. `sitting`: what a sitting of that night said, `slower`, `faster`, `noise` or ""."""

    point: NightPoint
    sitting: str = ""


@dataclass(frozen=True)
class ReplayedNight:
    """`level_us`: of the nights before, None on a first one. `suspected`: what only a sitting or time could tell."""

    night: str
    median_us: float
    word: str
    alarm: str
    level_us: float | None
    percent: float | None
    suspected: str


def replayed(nights: Iterable[MeasuredNight], limits: GateLimits) -> list[ReplayedNight]:
    """The word on every night, in the given order. The words of a night are what the next night reads."""
    points: list[NightPoint] = []
    judged: list[ReplayedNight] = []
    for measured in nights:
        now = measured.point
        suspect = suspected(points, now, limits)
        word = final(suspect, measured.sitting if suspect.wants_a_sitting else "")
        points.append(replace(now, word=word.word, alarm=word.alarm))
        level, suspicion = suspect.gate.level, suspect.gate.suspicion
        judged.append(
            ReplayedNight(
                now.night,
                now.value_us,
                word.word,
                word.alarm,
                level.level_us if level else None,
                (now.value_us / level.level_us - 1) * 100 if level else None,
                suspicion.word if suspicion else "",
            )
        )
    return judged
