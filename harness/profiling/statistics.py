"""Figures of a series of latencies, microseconds in and out. No figure where the series is too short for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isfinite
from statistics import fmean, median, stdev

PERCENTILES = (50.0, 90.0, 95.0, 99.0)
LONGEST_US = 1e15  # 31 years: what a tool or a file says beyond is no time, and sums of it overflow


@dataclass(frozen=True)
class Statistics:
    """Of the samples after the warm-up ones. None: too few samples to say."""

    count: int
    warmup: int  # samples at the front that were left out, see `warmup_length`
    mean_us: float
    min_us: float
    max_us: float
    percentiles_us: dict[float, float]  # only those with at least one sample beyond them
    stdev_us: float | None = None
    mad_us: float | None = None  # median of the distances from the median: what outliers do not move
    drift: float | None = None  # median of the last quarter over that of the first, minus 1


def statistics(samples_us: Sequence[float], warmup: int | None = None) -> Statistics | None:
    """Summary of a series, in the order measured; None when it is empty or holds no plausible one.

    `warmup` samples at the front are left out; None: as many as `warmup_length` finds.
    """
    finite = [value for value in samples_us if is_plausible(value)]
    if not finite:
        return None
    front = warmup_length(finite) if warmup is None else min(max(warmup, 0), len(finite) - 1)
    values = finite[front:]
    middle = median(values)
    return Statistics(
        count=len(values),
        warmup=front,
        mean_us=fmean(values),
        min_us=min(values),
        max_us=max(values),
        percentiles_us={p: percentile(values, p) for p in PERCENTILES if len(values) * (100.0 - p) >= 100.0},
        stdev_us=stdev(values) if len(values) > 1 else None,
        mad_us=median(abs(value - middle) for value in values) if len(values) > 2 else None,
        drift=_drift(values),
    )


def is_plausible(value: float) -> bool:
    """Whether a figure can be that of a latency or a rate."""
    return isfinite(value) and abs(value) <= LONGEST_US


def percentile(values: Sequence[float], p: float) -> float:
    """The smallest sample that at least p percent of the samples do not exceed (nearest rank: always a sample)."""
    ordered = sorted(values)
    return ordered[max(0, ceil(len(ordered) * p / 100.0) - 1)]


def warmup_length(values: Sequence[float], most: int = 10) -> int:
    """Leading samples that are slower than everything usual: above median + 5 MAD of the rest, at most `most`.

    A series of fewer than 20 samples is taken whole.
    """
    if len(values) < 20:
        return 0
    rest = values[most:]
    middle = median(rest)
    spread = median(abs(value - middle) for value in rest)
    limit = middle + 5.0 * max(spread, 0.01 * middle)
    return next((index for index, value in enumerate(values[:most]) if value <= limit), most)


def _drift(values: Sequence[float]) -> float | None:
    quarter = len(values) // 4
    if quarter < 5:
        return None
    first = median(values[:quarter])
    return median(values[-quarter:]) / first - 1.0 if first > 0 else None
