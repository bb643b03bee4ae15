"""Ranges of feature maps by sample: which of them one sample or one value sets, and what a run has beyond them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from harness.emulator.compiler.calibration import Feed
from harness.emulator.compiler.operands import LEVELS
from harness.emulator.model.nodes import ModelGraph
from harness.emulator.thresholds.statistics import BINS, Statistics, TensorStatistics, tensor_values
from harness.precision.judged.observations import (
    BAD,
    CLIPPED,
    COVERAGE,
    NOTE,
    OUTLIER,
    UNUSED,
    WARNING,
    CalibrationObservation,
    TensorRange,
)

Array = NDArray[Any]
ALONE = 2.0  # times the next sample's: one bit of int8 is spent on one sample
FEW_SHARE = 1e-5  # of a tensor's values above half of its range: one bit is spent on so few
LEAST_ELEMENTS = 10_000  # fewer say nothing of a share
WIDER = 1.05  # a range that grows by less is the same
MOST_GROWING = 0.1  # of the tensors, whose range the second half of the samples may still widen
CLIPPED_BAD, CLIPPED_NOTED = 1e-2, 1e-4  # share of a run's values beyond a range
UNUSED_BELOW = 0.25  # of the range: two bits that the run never uses
FEWEST_SAMPLES = 3
SHOWN = 3


def tensor_ranges(network: ModelGraph, statistics: Statistics, stems: Sequence[str]) -> list[TensorRange]:
    """In execution order."""
    return [_range(network, name, one, stems) for name, one in statistics.items()]


def _range(network: ModelGraph, name: str, one: TensorStatistics, stems: Sequence[str]) -> TensorRange:
    peaks = np.maximum(np.abs(one.lows), np.abs(one.highs))
    order = np.argsort(peaks)
    second = float(peaks[order[-2]]) if len(peaks) > 1 else 0.0
    alone = float(peaks[order[-1]] / second) if second > 0 else None
    above = int(one.counts[BINS // 2 :].sum()) if one.counts is not None else 0
    maker = network.producer.get(name)
    low, high = one.range()
    place = int(order[-1])
    op = maker.name if maker is not None else ""
    return TensorRange(name, op, low, high, stems[place], alone, above, one.elements)


def outliers(ranges: Sequence[TensorRange], samples: int) -> Iterator[CalibrationObservation]:
    """Samples and single values that set a range by themselves."""
    if samples >= FEWEST_SAMPLES:
        yield from _sample_outliers(ranges)
    few = [one for one in ranges if one.elements >= LEAST_ELEMENTS and 0 < one.above_half <= _few(one.elements)]
    for one in few[:SHOWN]:
        text = (
            f"{one.above_half} of {one.elements} values lie above half of the range"
            f" ({one.low:.4g} to {one.high:.4g}, sample {one.sample}): one bit of int8 is spent on them"
        )
        yield CalibrationObservation(OUTLIER, WARNING, one.tensor, text, "try a percentile, KL or mix: harness explore")
    if len(few) > SHOWN:
        rest = f"{len(few) - SHOWN} more tensors whose range few values set"
        yield CalibrationObservation(OUTLIER, NOTE, "", rest)


def _few(elements: int) -> float:
    return max(1.0, FEW_SHARE * elements)


def _sample_outliers(ranges: Sequence[TensorRange]) -> Iterator[CalibrationObservation]:
    by_sample: dict[str, list[TensorRange]] = {}
    for one in ranges:
        if one.alone is not None and one.alone >= ALONE:
            by_sample.setdefault(one.sample, []).append(one)
    for sample, own in sorted(by_sample.items(), key=lambda pair: -len(pair[1])):
        most = max(own, key=lambda one: one.alone or 0.0)
        text = (
            f"sets the range of {len(own)} of {len(ranges)} tensors alone, of {most.tensor} {most.alone:.3g} times"
            " the next sample's"
        )
        yield CalibrationObservation(
            OUTLIER, BAD, sample, text, "look at this sample; leave it out where it is a mistake"
        )


def coverage(statistics: Statistics, samples: int, stems: Sequence[str]) -> Iterator[CalibrationObservation]:
    """Whether more samples would still widen the ranges: the second half of them against the first."""
    if samples < FEWEST_SAMPLES:
        text = f"{samples} samples: whether they cover the ranges cannot be judged"
        yield CalibrationObservation(COVERAGE, WARNING, "", text, "give more samples")
        return
    half = list(range((samples + 1) // 2))
    growing = [name for name, one in statistics.items() if _size(one.range()) > WIDER * _size(one.range(half))]
    share = len(growing) / max(len(statistics), 1)
    setters = Counter(stem for stem, count in _setters(statistics, stems).items() for _ in range(count))
    busiest, count = setters.most_common(1)[0] if setters else ("", 0)
    text = (
        f"the second half of {samples} samples widens {len(growing)} of {len(statistics)} ranges by more than"
        f" {100 * (WIDER - 1):.0f} %; sample {busiest} sets most of them, {count}"
    )
    if share > MOST_GROWING:
        yield CalibrationObservation(COVERAGE, WARNING, "", text, "give more samples: ranges still grow with them")
    else:
        yield CalibrationObservation(COVERAGE, NOTE, "", text)


def _setters(statistics: Statistics, stems: Sequence[str]) -> Counter[str]:
    return Counter(stems[int(np.argmax(np.maximum(np.abs(s.lows), np.abs(s.highs))))] for s in statistics.values())


def _size(ends: tuple[float, float]) -> float:
    return max(abs(ends[0]), abs(ends[1]))


# --------------------------------------------------------------------------- a run's inputs


def beyond(model: onnx.ModelProto, statistics: Statistics, feeds: Sequence[Feed]) -> Mapping[str, tuple[float, float]]:
    """Tensor -> (share of a run's values beyond the range, its largest magnitude over the calibration's).

    int8 is symmetric: beyond is what lies more than half a step outside of the largest magnitude.
    """
    network = ModelGraph(model)
    clipped: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    peaks: dict[str, float] = {}
    for _, name, values in tensor_values(network, list(statistics), feeds):
        sizes = np.abs(values[np.isfinite(values)])
        limit = statistics[name].peak * (1 + 0.5 / LEVELS)
        clipped[name] += int((sizes > limit).sum())
        seen[name] += values.size
        peaks[name] = max(peaks.get(name, 0.0), float(sizes.max(initial=0.0)))
    return {name: (clipped[name] / max(seen[name], 1), peaks[name] / (statistics[name].peak or 1.0)) for name in peaks}


def left(ranges: Sequence[TensorRange], inputs: Sequence[str]) -> Iterator[CalibrationObservation]:
    """Ranges that a run leaves, and those of which it uses little. `inputs` are the model's."""
    beyond_them = sorted(
        (one for one in ranges if (one.clipped or 0.0) >= CLIPPED_NOTED), key=lambda o: -(o.clipped or 0)
    )
    for one in beyond_them[:SHOWN]:
        severity = BAD if (one.clipped or 0.0) >= CLIPPED_BAD else WARNING
        text = (
            f"{100 * (one.clipped or 0.0):.3g} % of the run's values lie beyond {one.low:.4g} to {one.high:.4g};"
            f" they reach {one.used:.3g} times as far"
        )
        yield CalibrationObservation(
            CLIPPED, severity, one.tensor, text, "calibrate with samples like the run's inputs"
        )
    if len(beyond_them) > SHOWN:
        text = f"{len(beyond_them) - SHOWN} more tensors of {len(ranges)} that the run's values leave"
        yield CalibrationObservation(CLIPPED, NOTE, "", text)
    for one in ranges:
        if one.tensor in inputs and one.used is not None and one.used < UNUSED_BELOW:
            text = f"the run's values reach {100 * one.used:.3g} % of the range: the rest of int8 is never used"
            yield CalibrationObservation(
                UNUSED, WARNING, one.tensor, text, "calibrate with samples like the run's inputs"
            )
