"""Series of nights judged again from their first night on, as `harness nightly` would have judged them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from harness.regressions.confirmation import Confirmation, SittingBlock, confirmed, sat_blocks, sitting
from harness.regressions.gate import GateLimits
from harness.regressions.judge import JudgedLatency, SuspectedPair, final, suspected
from harness.regressions.series import NightPoint


@dataclass(frozen=True)
class MeasuredNight:
    """A night as it was measured. `sitting`: what a sitting of that night said, `slower`, `faster`, `noise` or "".

    `blocks` are a sitting's own figures (`A` the last good model, `B` tonight's), in the order that they were measured
    in; as many are used as a night would have measured.
    """

    point: NightPoint
    sitting: str = ""
    blocks: tuple[SittingBlock, ...] = ()


@dataclass(frozen=True)
class ReplayedNight:
    """`level_us`: of the nights before, None on a first one. `suspected`: what only a sitting or time could tell.

    `can_find_pct`: the smallest change that this night could have shown; `sat`: whether a sitting was asked for.
    """

    night: str
    median_us: float
    word: str
    alarm: str
    level_us: float | None
    percent: float | None
    suspected: str
    can_find_pct: float | None = None
    sat: bool = False
    series: str = ""


def in_order(series: Mapping[str, Sequence[MeasuredNight]]) -> list[str] | None:
    """The names of all nights, oldest first: sorted where every series is, else as they come first; None where that is
    not the order of some series."""
    names = {name: [one.point.night for one in own] for name, own in series.items()}
    nights = list(dict.fromkeys(night for own in names.values() for night in own))
    if all(own == sorted(own) for own in names.values()):
        return sorted(nights)
    places = {night: place for place, night in enumerate(nights)}
    ordered = all(places[before] < places[after] for own in names.values() for before, after in pairwise(own))
    return nights if ordered else None


def replayed(
    series: Mapping[str, Sequence[MeasuredNight]], nights: Sequence[str], limits: GateLimits
) -> list[ReplayedNight]:
    """The word on every night of every series, in the order of `nights` (their names, see `in_order`).

    Series are pairs of one farm: what is suspected in one night is corrected together. The words of a night are what
    the next night reads.
    """
    by_night = {name: {one.point.night: one for one in own} for name, own in series.items()}
    points: dict[str, list[NightPoint]] = {name: [] for name in series}
    judged: list[ReplayedNight] = []
    for night in nights:
        tonight = {name: own[night] for name, own in by_night.items() if night in own}
        suspects = {name: suspected(points[name], one.point, limits) for name, one in tonight.items()}
        words = _sittings(tonight, suspects, limits)
        for name, one in tonight.items():
            word = final(suspects[name], words.get(name, ""))
            points[name].append(replace(one.point, word=word.word, alarm=word.alarm))
            judged.append(_night(name, one.point, suspects[name], word))
    return judged


def _sittings(
    tonight: Mapping[str, MeasuredNight], suspects: Mapping[str, SuspectedPair], limits: GateLimits
) -> dict[str, str]:
    """What the sittings of one night say, all of them together where they give blocks."""
    wanted = [name for name, one in suspects.items() if one.wants_a_sitting]
    words = {name: tonight[name].sitting for name in wanted}
    results: dict[str, Confirmation] = {}
    for name in wanted:
        result = sitting(sat_blocks(tonight[name].blocks, len(wanted), limits.percent), limits.percent)
        if result is not None:
            results[name] = result
    return words | confirmed(results, dict.fromkeys(results, limits.percent))


def _night(name: str, now: NightPoint, suspect: SuspectedPair, word: JudgedLatency) -> ReplayedNight:
    level, suspicion, finds = suspect.gate.level, suspect.gate.suspicion, suspect.gate.finds
    return ReplayedNight(
        now.night,
        now.value_us,
        word.word,
        word.alarm,
        level.level_us if level else None,
        (now.value_us / level.level_us - 1) * 100 if level else None,
        suspicion.word if suspicion else "",
        finds.in_1_night_pct if finds else None,
        suspect.wants_a_sitting,
        name,
    )
