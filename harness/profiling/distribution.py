"""How long a frame usually takes, and how sure that is: from frames, from rounds, or from least, mean and most.

Means are what tools print, and one frame of 200 that took 20 ms makes a mean that no frame had. What is compared is
the median, with an interval of 95 %:

* frames: between the order statistics around the middle, and, as frames of one run resemble their neighbours, at least
  as wide as the medians of ten stretches of the run spread (Student's t);
* rounds, from three on: the usual latency of each, spread by Student's t, in logarithms;
* a tool that prints least, mean and most only: the median lies between the least and 2 * mean - least, because half of
  the frames are at least as long as it and none is shorter than the least. The longest frame is left out of the mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median, stdev

from harness.profiling.statistics import Statistics, is_plausible, statistics
from harness.records import Distribution, Latency

MIN_FRAMES, MIN_ROUNDS = 6, 3  # below, no interval of 95 % is said of them
STRETCHES, STRETCH = 10, 5  # stretches of a run, and the fewest frames of one
QUIET_FRAMES, QUIET_SHARE = 50, 0.02
OUTLIER_FACTOR, OUTLIER_SIGMAS = 1.5, 6.0  # a frame beyond both is one
SIGMA_OF_MAD = 1.4826
Z = 1.96
# Student's t, two-sided 95 %, by degrees of freedom from 1; beyond the last one: close to Z
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)


def distribution(latency: Latency) -> Distribution | None:
    """What is known of the usual latency; None where the tool tells a mean alone, or one frame."""
    frames = statistics(latency.samples_us)
    if len(latency.rounds_us) >= MIN_ROUNDS and min(latency.rounds_us) > 0:
        return _of_rounds(latency, frames)
    if frames is not None and frames.count >= MIN_FRAMES and frames.min_us > 0:
        return _of_frames(latency, frames)
    return _of_bounds(latency)


def usual_us(latency: Latency) -> float:
    """One figure for one run: the median of its frames, the mean without its longest frame, or the mean."""
    known = distribution(latency)
    return known.median_us if known else latency.mean_us


def quiet_us(latency: Latency) -> float | None:
    """The quickest frames of a run: the lowest fiftieth by nearest rank, the third lowest at least; None of fewer than
    QUIET_FRAMES.

    Others that use the board in bursts make frames longer, never shorter: where half of them are disturbed the median
    says how busy the board was, and this still says how long the model takes.
    """
    frames = statistics(latency.samples_us)
    if frames is None or frames.count < QUIET_FRAMES:
        return None
    values = sorted(value for value in latency.samples_us if is_plausible(value))
    return values[max(3, math.ceil(QUIET_SHARE * len(values))) - 1]


def _of_rounds(latency: Latency, frames: Statistics | None) -> Distribution:
    middle, half = median(latency.rounds_us), t_half_width([math.log(value) for value in latency.rounds_us])
    low, high = middle * math.exp(-half), middle * math.exp(half)
    return _with_frames(Distribution("rounds", len(latency.rounds_us), middle, low, high), latency, frames)


def _of_frames(latency: Latency, frames: Statistics) -> Distribution:
    values = [value for value in latency.samples_us if is_plausible(value)][frames.warmup :]
    ordered, middle = sorted(values), median(values)
    reach = Z * math.sqrt(len(values)) / 2
    low = ordered[max(0, math.floor(len(values) / 2 - reach))]
    high = ordered[min(len(values) - 1, math.ceil(len(values) / 2 + reach))]
    half = t_half_width(_stretches(values))
    low, high = min(low, middle * math.exp(-half)), max(high, middle * math.exp(half))
    return _with_frames(Distribution("frames", len(values), middle, low, high), latency, frames)


def _stretches(values: Sequence[float]) -> list[float]:
    """Logarithms of the medians of consecutive stretches; none where the run is too short, or holds a 0."""
    count = min(STRETCHES, len(values) // STRETCH)
    if count < MIN_ROUNDS or min(values) <= 0:
        return []
    edges = [len(values) * place // count for place in range(count + 1)]
    return [math.log(median(values[first:last])) for first, last in pairwise(edges)]


def t_half_width(values: Sequence[float]) -> float:
    """Half the 95 % interval of the middle of a few values; 0.0 of fewer than two."""
    if len(values) < 2:
        return 0.0
    freedom = len(values) - 1
    return (_T[freedom - 1] if freedom <= len(_T) else Z * (1 + 1.3 / freedom)) * stdev(values) / math.sqrt(len(values))


def _with_frames(known: Distribution, latency: Latency, frames: Statistics | None) -> Distribution:
    """The same, with what the frames tell: percentiles, outliers, warm-up and drift."""
    if frames is None:
        return known
    values = [value for value in latency.samples_us if is_plausible(value)][frames.warmup :]
    slow = outliers(values)
    middle = median(values)
    return Distribution(
        known.basis,
        known.count,
        known.median_us,
        known.low_us,
        known.high_us,
        percentiles_us={f"{p:g}": value for p, value in frames.percentiles_us.items() if p != 50.0},
        frames=len(values),
        outliers=len(slow),
        outliers_from_us=min(slow, default=None),
        outliers_to_us=max(slow, default=None),
        outliers_add_us=sum(value - middle for value in slow) / len(values),
        first_us=latency.samples_us[0],
        warmup=frames.warmup,
        drift=frames.drift,
    )


def outliers(values: Sequence[float]) -> list[float]:
    """Frames that took half as long again as the median, and are far beyond the spread of the others."""
    middle = median(values)
    spread = SIGMA_OF_MAD * median(abs(value - middle) for value in values)
    return [value for value in values if value > max(OUTLIER_FACTOR * middle, middle + OUTLIER_SIGMAS * spread)]


def _of_bounds(latency: Latency) -> Distribution | None:
    least, most, mean, frames = latency.min_us, latency.max_us, latency.mean_us, latency.frames
    if least is None or most is None or frames == 1 or not 0 < least <= mean <= most:
        return None
    usual = max(least, (frames * mean - most) / (frames - 1)) if frames else mean
    is_outlier = frames is not None and most > OUTLIER_FACTOR * usual
    return Distribution(
        "bounds",
        frames or 0,
        usual,
        least,
        min(most, 2 * usual - least),
        frames=frames or 0,
        outliers=int(is_outlier),
        outliers_from_us=most if is_outlier else None,
        outliers_to_us=most if is_outlier else None,
        outliers_add_us=mean - usual if is_outlier else 0.0,
    )


# --------------------------------------------------------------------------- two runs


@dataclass(frozen=True)
class Ratio:
    """Usual latency of a new run over an earlier one's, with its 95 % interval."""

    ratio: float
    low: float
    high: float


def ratio(before: Distribution, now: Distribution) -> Ratio:
    """Of medians. Intervals of 95 % add in squares of logarithms; bounds, which are no probabilities, add whole."""
    middle = now.median_us / before.median_us
    if "bounds" in (before.basis, now.basis):
        return Ratio(middle, now.low_us / before.high_us, now.high_us / before.low_us)
    down = math.hypot(math.log(now.median_us / now.low_us), math.log(before.high_us / before.median_us))
    up = math.hypot(math.log(now.high_us / now.median_us), math.log(before.median_us / before.low_us))
    return Ratio(middle, middle * math.exp(-down), middle * math.exp(up))


def merged(latencies: Sequence[Latency]) -> Latency:
    """The rounds of one profile as one latency: frames side by side, warm-ups of the later ones left out."""
    first = latencies[0]
    if len(latencies) == 1:
        return first
    frames = [latency.frames or 1 for latency in latencies]
    rates = [latency.fps for latency in latencies if latency.fps is not None and is_plausible(latency.fps)]
    totals = [latency.total_us for latency in latencies if latency.total_us is not None]
    least, most = ([getattr(latency, key) for latency in latencies] for key in ("min_us", "max_us"))
    return Latency(
        mean_us=sum(one.mean_us * n for one, n in zip(latencies, frames, strict=True)) / sum(frames),
        min_us=min((value for value in least if value is not None), default=None),
        max_us=max((value for value in most if value is not None), default=None),
        fps=fmean(rates) if rates else None,
        frames=sum(frames),
        threads=first.threads,
        core=first.core,
        total_us=sum(totals) if totals else None,
        samples_us=tuple(value for place, one in enumerate(latencies) for value in _warm(one.samples_us, place)),
        rounds_us=tuple(usual_us(latency) for latency in latencies),
        warmup_excluded=first.warmup_excluded,
        problems=tuple(dict.fromkeys(problem for latency in latencies for problem in latency.problems)),
        notes=tuple(dict.fromkeys(note for latency in latencies for note in latency.notes)),
    )


def _warm(samples_us: Sequence[float], place: int) -> Sequence[float]:
    known = statistics(samples_us) if place else None
    return samples_us[known.warmup :] if known else samples_us
