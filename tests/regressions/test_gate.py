"""Levels, suspicions, and what becomes of them: series that a person can read."""

from __future__ import annotations

import math
import random

import pytest

from harness.regressions.gate import GateLimits, gate, last_good
from harness.regressions.judge import final, suspected
from harness.regressions.series import NightPoint, baseline, level_of, spread_of, valid_points

LIMITS = GateLimits()
QUIET = [5000.0 + step for step in (-3, 0, 2, -1, 4, 1, -2, 3, 0, -4, 2, 1, -1, 0)]


def series(values: list[float], model: str = "m1", word: str = "pass", epoch: str = "e") -> list[NightPoint]:
    return [NightPoint(f"n{place:03d}", value, epoch, model, word) for place, value in enumerate(values)]


def now(value: float, model: str = "m2", epoch: str = "e") -> NightPoint:
    return NightPoint("tonight", value, epoch, model, "")


def alarm(values: list[float], value: float, model: str = "m2") -> tuple[str, str]:
    judged = final(suspected(series(values), now(value, model), LIMITS))
    return judged.word, judged.alarm


@pytest.mark.parametrize(
    ("value", "word"), [(5000, ""), (5090, ""), (5110, "slower"), (5150, "slower"), (4890, "faster"), (4920, "")]
)
def test_tonight_is_suspicious_beyond_two_percent_of_a_quiet_level(value: float, word: str) -> None:
    suspicion = gate(series(QUIET), now(value), LIMITS).suspicion
    assert (suspicion.word if suspicion else "") == word


def test_a_restless_board_needs_more() -> None:
    restless = [5000.0 + 100 * step for step in (-3, 0, 2, -1, 3, 1, -2, 3, 0, -3, 2, 1, -1, 0)]
    assert gate(series(restless), now(5200), LIMITS).suspicion is None
    assert gate(series(restless), now(6000), LIMITS).suspicion is not None


def test_timers_tell_no_less_than_twenty_microseconds() -> None:
    short = [100.0] * 14
    assert gate(series(short), now(115), LIMITS).suspicion is None
    assert gate(series(short), now(115), GateLimits(floor_us=0.0)).suspicion is not None


def test_values_that_are_none_and_a_night_twice_do_not_count() -> None:
    points = [*series([math.nan, 0.0, -1.0, math.inf, 5000.0]), NightPoint("n004", 5010.0, "e", "m1")]
    assert [(one.night, one.value_us) for one in valid_points(points)] == [("n004", 5010.0)]
    assert gate(series([math.nan]), now(5000), LIMITS).level is None
    assert final(suspected([], now(5000), LIMITS)).word == "new"


def test_another_epoch_is_a_new_series_with_the_spread_of_its_board() -> None:
    old = series([5000.0 + 50 * (place % 3) for place in range(14)], epoch="old")
    assert gate(old, now(9000), LIMITS).level is None
    fresh = [*old, NightPoint("x", 9000.0, "e", "m1"), NightPoint("y", 9010.0, "e", "m1")]
    level = level_of(baseline(fresh, "e"), fresh)
    assert level is not None and level.level_us == 9005 and level.nights == 2
    assert level.spread > 0.006


def test_a_spread_of_few_silent_nights_is_not_zero() -> None:
    assert spread_of([0.0] * 3) > spread_of([0.0] * 14) > spread_of([0.0] * 60) > 0
    assert spread_of([]) == pytest.approx(0.006)


# --------------------------------------------------------------------------- the same model: it has to last


def test_a_slower_board_is_said_on_the_third_night() -> None:
    """No other model explains it, so it waits; what waits is no verdict."""
    nights = list(QUIET)
    words = []
    for value in (5151.0, 5149.0, 5152.0, 5150.0):
        words.append(alarm(nights, value, "m1"))
        nights.append(value)
    assert words == [("pass", "waiting"), ("pass", "waiting"), ("slower", "lasting"), ("slower", "lasting")]


def test_odd_nights_of_another_height_each_are_no_slower_board() -> None:
    nights = list(QUIET)
    for value in (5700.0, 5150.0, 5350.0):
        judged = alarm(nights, value, "m1")
        nights.append(value)
    assert judged == ("pass", "waiting")


def test_a_board_with_odd_nights_waits_longer() -> None:
    nights = QUIET[:12] + [5600.0] + QUIET[12:]
    words = []
    for value in (5151.0, 5149.0, 5152.0, 5150.0, 5151.0):
        words.append(alarm(nights, value, "m1")[0])
        nights.append(value)
    assert words[:3] == ["pass"] * 3 and words[-1] == "slower"


def test_a_drift_of_two_percent_in_ninety_nights_is_nothing() -> None:
    chance = random.Random(3)
    values = [5000 * (1 + 0.02 * night / 90) * chance.gauss(1, 0.003) for night in range(90)]
    assert {alarm(values[:night], values[night], "m1") for night in range(20, 90)} == {("pass", "")}


def test_a_slower_board_stays_its_own_until_it_is_well() -> None:
    points = [*series(QUIET), NightPoint("third", 5150.0, "e", "m1", "slower", "lasting")]
    assert final(suspected(points, now(5140, "m1"), LIMITS)).alarm == "lasting"
    assert final(suspected(points, now(5000, "m1"), LIMITS)).word == "pass"


# --------------------------------------------------------------------------- another model: a sitting


def test_the_last_good_model_is_the_newest_that_stood_at_the_level() -> None:
    points = [*series(QUIET[:10]), *series(QUIET[:3], "m2")[:0]]
    points += [
        NightPoint("a", 5003.0, "e", "m2"),
        NightPoint("b", 5080.0, "e", "m3"),
        NightPoint("c", 5001.0, "e", "m4", "slower"),
    ]
    suspect = suspected(points, now(5160, "m5"), LIMITS)
    assert suspect.artefact == "m2", "m3 was on its way, m4 is called slower"
    assert suspect.gate.suspicion is not None
    assert last_good(points, now(5160, "m1"), suspect.gate.suspicion, LIMITS) == "m2"
    assert suspect.wants_a_sitting


@pytest.mark.parametrize(
    ("sitting", "judged"),
    [("slower", ("slower", "confirmed")), ("noise", ("pass", "noise")), ("", ("pass", "unconfirmed"))],
)
def test_a_sitting_decides(sitting: str, judged: tuple[str, str]) -> None:
    suspect = suspected(series(QUIET), now(5160), LIMITS)
    result = final(suspect, sitting)
    assert (result.word, result.alarm) == judged


def test_what_was_confirmed_needs_no_second_sitting() -> None:
    points = [
        *series(QUIET),
        NightPoint("first", 5160.0, "e", "m2", "slower", "confirmed"),
        NightPoint("2nd", 5155.0, "e", "m2", "slower", "known"),
    ]
    suspect = suspected(points, now(5070), LIMITS)
    assert (final(suspect).word, final(suspect).alarm, suspect.known_since) == ("slower", "known", "first")
    assert not suspect.wants_a_sitting
    assert final(suspected(points, now(5010), LIMITS)).word == "pass", "it is over"
    assert suspected(points, now(5160, "m3"), LIMITS).wants_a_sitting, "another model is another question"


def test_both_models_alike_and_a_level_that_lasts_is_the_boards() -> None:
    points = [*series(QUIET), NightPoint("a", 5150.0, "e", "m2"), NightPoint("b", 5152.0, "e", "m2")]
    result = final(suspected(points, now(5149), LIMITS), "noise")
    assert (result.word, result.alarm) == ("slower", "lasting")


def test_nights_that_are_slower_do_not_move_the_level_and_faster_ones_do_after_three() -> None:
    slower = [*series(QUIET), *(NightPoint(f"s{n}", 5300.0, "e", "m2", "slower") for n in range(20))]
    assert {one.value_us for one in baseline(slower, "e")} <= set(QUIET)
    faster = [*series(QUIET), *(NightPoint(f"f{n}", 4700.0, "e", "m2", "faster") for n in range(3))]
    assert {one.value_us for one in baseline(faster[:-1], "e")} > {4700.0}
    assert {one.value_us for one in baseline(faster, "e")} == {4700.0}


def test_the_same_nights_give_the_same_word() -> None:
    points = series(QUIET)
    assert suspected(points, now(5160), LIMITS) == suspected(list(points), now(5160), LIMITS)
