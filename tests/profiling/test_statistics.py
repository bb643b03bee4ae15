"""Figures of a series of latencies."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.profiling.statistics import percentile, statistics, warmup_length

SERIES = st.lists(st.floats(1.0, 1e6), min_size=1, max_size=200)


@given(SERIES)
def test_every_figure_lies_within_the_samples(samples: list[float]) -> None:
    stats = statistics(samples)
    assert stats is not None and stats.count + stats.warmup == len(samples)
    assert stats.min_us <= stats.mean_us * (1 + 1e-12) and stats.mean_us <= stats.max_us * (1 + 1e-12)
    for value in stats.percentiles_us.values():
        assert value in samples and stats.min_us <= value <= stats.max_us


@given(SERIES)
def test_percentiles_rise(samples: list[float]) -> None:
    values = [percentile(samples, p) for p in (1, 25, 50, 75, 99, 100)]
    assert values == sorted(values) and values[-1] == max(samples)


def test_nothing_is_said_of_no_samples() -> None:
    assert statistics([]) is None and statistics([math.nan, math.inf]) is None


def test_short_series_have_no_high_percentiles() -> None:
    assert set(statistics([1.0] * 10).percentiles_us) == {50.0, 90.0}  # type: ignore[union-attr]
    assert 99.0 in statistics([1.0] * 100).percentiles_us  # type: ignore[union-attr]


def test_slow_first_frames_are_left_out_and_counted() -> None:
    samples = [90.0, 40.0, *([10.0, 10.5] * 20)]
    stats = statistics(samples)
    assert stats is not None and stats.warmup == 2 and stats.max_us == 10.5
    assert statistics(samples, warmup=0).max_us == 90.0  # type: ignore[union-attr]
    assert warmup_length([5.0] * 30) == 0 and warmup_length([50.0, 1.0]) == 0


def test_a_board_that_grows_slower_shows_a_drift() -> None:
    stats = statistics([100.0] * 20 + [130.0] * 20)
    assert stats is not None and stats.drift == pytest.approx(0.3)
    assert statistics([100.0] * 8).drift is None  # type: ignore[union-attr]


def test_outliers_move_the_deviation_and_not_the_median_distance() -> None:
    stats = statistics([10.0, 11.0, 10.0, 11.0, 500.0], warmup=0)
    assert stats is not None and stats.mad_us == 1.0 and stats.stdev_us is not None and stats.stdev_us > 200.0


def test_what_no_latency_can_be_is_left_out_and_nothing_overflows() -> None:
    huge = statistics([8.98e307, 8.98e307, 5.0, 7.0], warmup=0)
    assert huge is not None and (huge.count, huge.mean_us, huge.max_us) == (2, 6.0, 7.0)
    assert statistics([8.98e307, 8.98e307]) is None
