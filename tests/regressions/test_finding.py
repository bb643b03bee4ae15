"""The smallest change that a night says it can see is the one that it sees nineteen times in twenty."""

from __future__ import annotations

import random

import pytest

from harness.regressions.finding import can_find
from harness.regressions.gate import GateLimits, gate
from harness.regressions.series import NightPoint

LIMITS = GateLimits()


def nights(seed: int, spread: float, count: int = 30) -> list[NightPoint]:
    chance = random.Random(seed)
    return [NightPoint(f"{n:03d}", 5000 * chance.gauss(1, spread), "e") for n in range(count)]


@pytest.mark.parametrize("spread", [0.006, 0.02])
def test_a_change_of_that_size_is_suspected_nineteen_times_in_twenty(spread: float) -> None:
    in_one = in_three = less = 0
    for seed in range(120):
        points, chance = nights(seed, spread), random.Random(seed + 1000)
        finds = can_find(points)
        assert finds is not None and finds.in_3_nights_pct < finds.in_1_night_pct
        steps = [finds.in_1_night_pct, finds.in_3_nights_pct, finds.in_1_night_pct / 3]
        noise = [chance.gauss(1, spread) for _ in range(3)]

        def seen(percent: float, one: float, points: list[NightPoint] = points) -> bool:
            now = NightPoint("tonight", 5000 * (1 + percent / 100) * one, "e", "m2")
            suspicion = gate(points, now, LIMITS).suspicion
            return suspicion is not None and suspicion.word == "slower"

        in_one += seen(steps[0], noise[0])
        in_three += any(seen(steps[1], one) for one in noise)
        less += seen(steps[2], noise[0])
    assert in_one >= 0.9 * 120 and in_three >= 0.9 * 120 and less < 0.3 * 120


def test_a_restless_series_says_that_it_sees_little_and_none_says_nothing() -> None:
    calm, restless = can_find(nights(1, 0.004)), can_find(nights(1, 0.05))
    assert calm is not None and restless is not None
    assert calm.in_1_night_pct < 4 < 15 < restless.in_1_night_pct
    assert can_find([]) is None
    first = can_find(nights(1, 0.004)[:1])
    assert first is not None and first.in_1_night_pct > calm.in_1_night_pct, "one night knows its level badly"


def test_what_is_tiny_is_bounded_by_the_timer() -> None:
    points = [NightPoint(f"{n:03d}", 100.0 + n % 2 * 0.1, "e") for n in range(30)]
    coarse, computed = can_find(points), can_find(points, floor_us=0.0)
    assert coarse is not None and computed is not None
    assert coarse.in_1_night_pct > 20 and computed.in_1_night_pct < 4
