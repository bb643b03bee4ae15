"""Where a tensor's range is cut off: by a share of its values, by the least divergence, by the least error.

Sources: max and percentile as the X3 manual defines calibration_type and max_percentile. KL: S. Migacz, "8-bit
Inference with TensorRT", GTC 2017, entropy calibration, on hmct's number of bins. `mix` picks a method tensor by
tensor, as the manual says ("at the granularity of nodes, the best of several methods"); by what it picks is not
public: the least mean squared error on the histogram is this emulator's choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.emulator.compiler.calibration import Ranges
from harness.emulator.compiler.operands import LEVELS
from harness.emulator.thresholds.settings import KL, MIX, USUAL_PERCENTILE, CalibrationSettings
from harness.emulator.thresholds.statistics import BINS, TensorStatistics

Array = NDArray[Any]
KL_LEVELS = 128  # magnitudes of int8
MIX_PERCENTILES = (0.9999, USUAL_PERCENTILE)


def cut_ranges(statistics: Mapping[str, TensorStatistics], settings: CalibrationSettings) -> Ranges:
    """Float tensor -> (lowest, highest) that are kept; `settings.method` is max, kl or mix."""
    ranges = {}
    for name, one in statistics.items():
        low, high = one.range()
        limit = threshold(one, settings)
        ranges[name] = (max(low, -limit), min(high, limit))
    return ranges


def threshold(one: TensorStatistics, settings: CalibrationSettings) -> float:
    """The largest magnitude that is kept. Needs a histogram for all but the plain maximum."""
    if settings.method == KL:
        return kl_threshold(one, settings.bins)
    if settings.method == MIX:
        return mixed_threshold(one, settings.bins)
    return percentile_threshold(one, settings.percentile)


def percentile_threshold(one: TensorStatistics, share: float) -> float:
    """The magnitude that `share` of all values do not exceed, to one bin of the histogram, upwards."""
    if share >= 1 or one.counts is None or not one.counts.any():
        return one.peak
    kept = np.cumsum(one.counts)
    place = int(np.searchsorted(kept, share * kept[-1]))
    return float(one.peak * min(place + 1, BINS) / BINS)


def kl_threshold(one: TensorStatistics, bins: int) -> float:
    """Of the thresholds at whole bins that whose int8 histogram diverges least from the one that was seen."""
    if one.counts is None or not one.counts.any() or one.peak == 0:
        return one.peak
    counts = _merged(one.counts, bins)
    bins = len(counts)
    ends = range(min(KL_LEVELS, bins), bins + 1, max(1, bins // KL_LEVELS))
    divergences = [_divergence(counts, end) for end in ends]
    return float(one.peak * ends[int(np.argmin(divergences))] / bins)


def _merged(counts: Array, bins: int) -> Array:
    edges = np.arange(min(bins, BINS)) * BINS // min(bins, BINS)
    return np.asarray(np.add.reduceat(counts, edges), np.float64)


def _divergence(counts: Array, end: int) -> float:
    """KL divergence of the first `end` bins, the rest clipped into the last of them, from the same on 128 levels."""
    kept = counts[:end]
    seen = kept.copy()
    seen[-1] += counts[end:].sum()
    edges = np.arange(KL_LEVELS) * end // KL_LEVELS
    filled = np.add.reduceat((kept > 0).astype(np.float64), edges)
    level = np.add.reduceat(kept, edges) / np.maximum(filled, 1)
    spread = np.repeat(level, np.diff(np.append(edges, end))) * (kept > 0)
    if not spread.any():
        return float("inf")
    p, q = seen / seen.sum(), spread / spread.sum()
    judged = p > 0
    return float(np.sum(p[judged] * np.log(p[judged] / np.maximum(q[judged], 1e-10))))


def mixed_threshold(one: TensorStatistics, bins: int) -> float:
    """Of max, two percentiles and KL that with the least mean squared error."""
    tried = [one.peak, *(percentile_threshold(one, share) for share in MIX_PERCENTILES), kl_threshold(one, bins)]
    return min(tried, key=lambda limit: squared_error(one, limit))


def squared_error(one: TensorStatistics, limit: float) -> float:
    """Expected squared error of int8 with that range: a step's twelfth inside, the distance of what is cut off."""
    if one.counts is None or limit <= 0:
        return 0.0 if one.peak == 0 else float("inf")
    middles = (np.arange(BINS) + 0.5) * one.peak / BINS
    over = np.maximum(middles - limit, 0.0)
    rounding = (limit / LEVELS) ** 2 / 12
    return float(np.sum(one.counts * np.where(over > 0, over**2, rounding)) / max(one.counts.sum(), 1))
