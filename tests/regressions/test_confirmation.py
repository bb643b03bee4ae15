"""Sittings: their order, their test and its correction over a night. scipy is the oracle."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy import stats

from harness.regressions.change_points import change_points, rank_p
from harness.regressions.confirmation import (
    QUIET,
    Confirmation,
    SittingBlock,
    confirmation,
    confirmed,
    goes_on,
    order_of,
    pairs_for,
    sat_blocks,
    signed_rank_p,
    sitting,
    wants_more,
)


def blocks(ratio: float, noise: float, seed: int, pairs: int = 8, drift: float = 0.0) -> list[tuple[str, float]]:
    chance = random.Random(seed)
    return [
        (side, 5000 * (ratio if side == "B" else 1.0) * (1 + drift * place) * chance.gauss(1, noise))
        for place, side in enumerate(order_of(pairs))
    ]


def test_the_order_is_a_b_b_a() -> None:
    assert "".join(order_of(4)) == "ABBAABBA"
    assert len(list(order_of(8))) == 16


def test_the_signed_rank_test_is_that_of_scipy() -> None:
    chance = np.random.default_rng(1)
    for count in (3, 8, 13, 20):
        values = chance.standard_normal(count) + 0.3
        assert signed_rank_p(list(values)) == pytest.approx(stats.wilcoxon(values, method="exact").pvalue)
    assert signed_rank_p([0.03] * 8) == pytest.approx(2 / 2**8), "ties"
    assert signed_rank_p([]) == signed_rank_p([0.0] * 8) == 1.0


def test_the_rank_test_is_that_of_scipy() -> None:
    chance = np.random.default_rng(2)
    first, other = chance.standard_normal(14).round(1), chance.standard_normal(9).round(1) + 1
    expected = stats.mannwhitneyu(first, other, method="asymptotic").pvalue
    assert rank_p(first, other) == pytest.approx(expected)
    assert rank_p(np.ones(5), np.ones(5)) == 1.0


def test_three_percent_are_confirmed_and_a_drift_of_the_sitting_is_nothing() -> None:
    words = [
        confirmed({"c": sitting}, {"c": 2.0})["c"]
        for seed in range(50)
        if (sitting := confirmation(blocks(1.03, 0.006, seed)))
    ]
    assert words.count("slower") >= 48
    flat = [confirmation(blocks(1.0, 0.006, seed, drift=0.004)) for seed in range(200)]
    assert all(one is not None and confirmed({"c": one}, {"c": 2.0}) == {"c": "noise"} for one in flat)
    faster = confirmation(blocks(0.95, 0.006, 1))
    assert faster is not None and confirmed({"c": faster}, {"c": 2.0}) == {"c": "faster"}


def test_a_sitting_with_too_few_figures_says_nothing() -> None:
    whole = blocks(1.03, 0.0, 1)
    assert confirmation(whole[:14]) is None
    assert confirmation([*whole[:14], ("A", float("nan")), ("B", 5000.0)]) is None
    assert confirmation([("A", 1.0)] * 16) is None


def test_a_restless_board_is_asked_for_longer() -> None:
    assert not wants_more(blocks(1.03, 0.003, 1), 2.0)
    assert wants_more(blocks(1.02, 0.04, 1), 2.0)
    assert not wants_more(blocks(1.02, 0.04, 1, pairs=32), 2.0), "for ever is too long"


def test_one_change_among_many_suspects_can_still_be_told() -> None:
    for suspects in (1, 8, 40, 200):
        pairs = pairs_for(suspects)
        least = 2 / 2**pairs
        sittings = {str(n): Confirmation(pairs, 0.1, 0.6) for n in range(suspects - 1)}
        words = confirmed(sittings | {"real": Confirmation(pairs, 3.0, least)}, dict.fromkeys([*sittings, "real"], 2.0))
        assert words.pop("real") == "slower"
        assert set(words.values()) <= {"noise"}
    assert pairs_for(0) == pairs_for(1) == 8


def test_the_correction_over_a_night_is_that_of_scipy() -> None:
    chance = np.random.default_rng(4)
    p = list(chance.random(30) ** 4)
    sittings = {str(n): Confirmation(8, 50.0, min(one, 0.01)) for n, one in enumerate(p)}
    expected = stats.false_discovery_control([one.p for one in sittings.values()]) <= 0.05
    words = confirmed(sittings, dict.fromkeys(sittings, 2.0))
    assert [words[str(n)] == "slower" for n in range(30)] == list(expected)


# --------------------------------------------------------------------------- change points


def noisy(levels: list[tuple[int, float]], seed: int, odd: float = 0.03) -> list[float]:
    chance = random.Random(seed)
    return [
        level * chance.gauss(1, 0.006) * (chance.uniform(1.02, 1.15) if chance.random() < odd else 1.0)
        for count, level in levels
        for _ in range(count)
    ]


def test_a_step_is_one_change_point_at_its_night() -> None:
    exact = 0
    for seed in range(40):
        points = change_points(noisy([(45, 5000), (45, 5150)], seed))
        assert len(points) == 1, seed
        exact += abs(points[0].index - 45) <= 2
        assert points[0].percent == pytest.approx(3, abs=1)
    assert exact >= 38


def test_odd_nights_and_noise_are_none() -> None:
    assert [seed for seed in range(150) if change_points(noisy([(90, 5000)], seed, odd=0.1))] == []


def test_a_stay_of_ten_nights_has_two() -> None:
    points = change_points(noisy([(40, 5000), (10, 5250), (40, 5000)], 5, odd=0.0))
    assert [abs(one.index - place) <= 1 for one, place in zip(points, (40, 50), strict=True)] == [True, True]


def test_short_and_constant_series_have_none() -> None:
    assert change_points([]) == change_points([1.0] * 90) == change_points([1.0, 2.0, 1.0]) == []


# --------------------------------------------------------------------------- a board that others use beside it


def bursts(ratio: float, seed: int, shared: float = 0.25, pairs: int = 32) -> list[SittingBlock]:
    """Blocks as recorded on a busy PC: medians jump by 12 %, quick frames stay but where a block was shared whole."""
    chance = random.Random(seed)
    result, is_shared = [], False
    for side in order_of(pairs):
        is_shared = chance.random() < (0.6 if is_shared else shared / 2)
        own = 5000.0 * (ratio if side == "B" else 1.0) * (chance.uniform(1.15, 1.47) if is_shared else 1.0)
        result.append(SittingBlock(side, own * chance.choice((1.0, 1.1, 1.25)), own * chance.gauss(1, 0.006)))
    return result


def played(ratio: float, seed: int) -> tuple[str, Confirmation]:
    result = sitting(sat_blocks(bursts(ratio, seed), 1, 2.0), 2.0)
    assert result is not None
    return confirmed({"c": result}, {"c": 2.0})["c"], result


def test_a_change_is_told_on_a_board_that_others_use_by_its_quickest_frames() -> None:
    for ratio, word in ((1.05, "slower"), (0.95, "faster")):
        results = [played(ratio, seed) for seed in range(60)]
        assert sum(one == word for one, _ in results) >= 57
        assert sum(result.figure == QUIET for _, result in results) >= 55
    flat = [played(1.0, seed) for seed in range(300)]
    assert [word for word, _ in flat if word != "noise"] == []


def test_medians_are_what_a_calm_board_goes_by_whatever_its_quickest_frames_say() -> None:
    """Half of the frames of tonight's model are slower: its quickest are not, and it is slower."""
    calm = [SittingBlock(side, us, 4900.0) for side, us in blocks(1.04, 0.002, 1)]
    result = sitting(calm, 2.0)
    assert result is not None and result.figure == "median" and confirmed({"c": result}, {"c": 2.0}) == {"c": "slower"}
    assert result.can_find_pct is not None and 2 < result.can_find_pct < 3


def test_a_sitting_says_what_it_cannot_tell() -> None:
    restless = [SittingBlock(side, us) for side, us in blocks(1.0, 0.04, 3, pairs=32)]
    result = sitting(restless, 2.0)
    assert result is not None and result.can_find_pct is not None and result.can_find_pct > 3
    assert goes_on(restless[:16], 2.0) and not goes_on(restless, 2.0)
