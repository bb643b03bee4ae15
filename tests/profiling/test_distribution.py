"""The usual latency and its interval: from frames, rounds, or least, mean and most."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.profiling.distribution import distribution, merged, ratio, usual_us
from harness.profiling.split import profile
from harness.records import Distribution, Latency, OpTime

SERIES = st.lists(st.floats(1.0, 1e6), min_size=2, max_size=60)


def of(samples: list[float], **more: object) -> Latency:
    return Latency(float(np.mean(samples)), min(samples), max(samples), frames=len(samples), **more)  # type: ignore[arg-type]


def known(latency: Latency) -> Distribution:
    made = distribution(latency)
    assert made is not None
    return made


@given(SERIES)
def test_the_median_of_any_series_lies_in_what_least_mean_and_most_allow(samples: list[float]) -> None:
    """All frames but the longest: the bounds are of what a tool leaves once one frame is set aside."""
    rest = sorted(samples)[:-1]
    made = distribution(of(samples))
    if made is not None and len(rest) > 1:
        middle = float(np.median(rest))
        assert (made.low_us <= middle * (1 + 1e-9) and middle <= made.high_us * (1 + 1e-9)) or middle >= made.high_us


@pytest.mark.parametrize("samples", [[], [5.0], [5.0] * 4])
def test_too_few_frames_have_no_interval_of_their_own(samples: list[float]) -> None:
    made = distribution(Latency(5.0, samples_us=tuple(samples)))
    assert made is None


def test_one_frame_that_took_twenty_milliseconds_is_counted_and_moves_nothing() -> None:
    frames = [22.9 + 0.1 * (place % 5) for place in range(200)]
    frames[77] = 20000.0
    latency = of(frames, samples_us=tuple(frames))
    made = known(latency)
    assert (made.basis, made.outliers, made.outliers_to_us) == ("frames", 1, 20000.0)
    assert 22.9 <= made.low_us <= made.median_us <= made.high_us <= 23.4 < latency.mean_us
    printed = known(of(frames))
    assert (printed.basis, printed.outliers) == ("bounds", 1) and printed.high_us < 24.0
    ops = (OpTime("s", "subgraph", "BPU", "compute", 22.0),)
    whole = profile(latency, ops)
    assert whole.split_us["outliers"] == pytest.approx(99.9, abs=1.0) and whole.unattributed_us < 2.0
    assert sum(whole.split_us.values()) + whole.unattributed_us == pytest.approx(latency.mean_us)


def test_percentiles_need_frames() -> None:
    assert set(known(of([1.0] * 50, samples_us=(1.0,) * 50)).percentiles_us) == {"90", "95"}
    assert "99" in known(of([1.0] * 100, samples_us=(1.0,) * 100)).percentiles_us


def test_warm_up_and_drift_are_told() -> None:
    frames = [90.0, 60.0, *([10.0] * 40), *([11.5] * 20)]
    made = known(of(frames, samples_us=tuple(frames)))
    assert made.warmup == 2 and made.first_us == 90.0 and made.drift == pytest.approx(0.15)
    assert made.low_us < 9.6 and made.high_us > 10.4, "a drift makes the interval wide"


def test_rounds_make_an_interval_of_means() -> None:
    rounds = [Latency(mean, mean - 5, mean + 6, frames=200, threads=1) for mean in (100.0, 101.0, 99.5, 100.5, 100.2)]
    whole = merged(rounds)
    made = known(whole)
    assert (made.basis, made.count, whole.frames) == ("rounds", 5, 1000)
    assert 99.0 < made.low_us < 100.2 < made.high_us < 101.5
    assert whole.min_us == 94.5 and whole.max_us == 107.0
    assert merged(rounds[:1]) is rounds[0] and usual_us(rounds[0]) == pytest.approx(100.0, abs=0.1)


def test_the_interval_of_a_ratio_holds_the_truth_as_often_as_it_says() -> None:
    draw = np.random.default_rng(1)
    inside = 0
    for _ in range(300):
        sides = [known(of(list(s), samples_us=tuple(s))) for s in np.exp(draw.normal(3.0, 0.02, (2, 100)))]
        medians = ratio(*sides)
        inside += medians.low <= 1.0 <= medians.high
    assert inside >= 285


def test_bounds_are_no_probabilities_and_add_whole() -> None:
    before, now = known(of([100.0, 101.0, 102.0])), known(of([110.0, 111.0, 112.0]))
    medians = ratio(before, now)
    assert medians.low == now.low_us / before.high_us and medians.high == now.high_us / before.low_us
