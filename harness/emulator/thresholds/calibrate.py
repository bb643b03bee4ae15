"""Ranges by the settings of a build: one method, or the search of `default` over several on the whole model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from harness.emulator.compiler import calibration
from harness.emulator.compiler.calibration import Feed, Ranges, Samples
from harness.emulator.compiler.operands import moves_data
from harness.emulator.model.execute import open_session
from harness.emulator.model.nodes import ModelGraph
from harness.emulator.thresholds.methods import cut_ranges
from harness.emulator.thresholds.settings import (
    DEFAULT,
    MAX,
    CalibratedRanges,
    CalibrationSettings,
    candidates,
)
from harness.emulator.thresholds.statistics import Statistics, collect, ranges_of

Array = NDArray[Any]
Quantize = Callable[[CalibratedRanges], onnx.ModelProto]


def calibrate(
    model: onnx.ModelProto,
    units: Mapping[str, str],
    samples: Samples,
    settings: CalibrationSettings,
    quantize: Quantize,
) -> CalibratedRanges:
    """What the samples give by the settings. `quantize` is asked where the method tries several on the whole model."""
    if settings.is_plain:
        return CalibratedRanges(calibration.ranges(model, samples), settings)
    statistics = collect(model, samples.feeds, histograms=needs_histograms(settings))
    if settings.method == DEFAULT:
        return searched(model, units, statistics, settings, samples.feeds, quantize)
    return from_statistics(ModelGraph(model), units, statistics, settings)


def needs_histograms(settings: CalibrationSettings) -> bool:
    """Whether extremes alone do not say where the range is cut."""
    return settings.method != MAX or settings.percentile < 1


def from_statistics(
    network: ModelGraph, units: Mapping[str, str], statistics: Statistics, settings: CalibrationSettings
) -> CalibratedRanges:
    """The ranges of one method; `settings.method` is not `default`."""
    cuts = needs_histograms(settings)
    ranges = cut_ranges(statistics, settings) if cuts else ranges_of(statistics)
    channels = _channels(network, units, statistics, ranges) if settings.per_channel else {}
    means = {name: means for name, one in statistics.items() if (means := one.channel_means) is not None}
    return CalibratedRanges(ranges, settings, channels, means if settings.bias_correction else {})


def searched(
    model: onnx.ModelProto,
    units: Mapping[str, str],
    statistics: Statistics,
    settings: CalibrationSettings,
    feeds: Sequence[Feed],
    quantize: Quantize,
) -> CalibratedRanges:
    """Of `candidates` the one whose model has the outputs nearest to the float model's, by their mean cosine."""
    network = ModelGraph(model)
    exact = _outputs(model, network.output_names, feeds)
    best, best_cosine = None, -np.inf
    for one in candidates(settings):
        given = from_statistics(network, units, statistics, one)
        cosine = _cosine(_outputs(quantize(given), network.output_names, feeds), exact)
        if best is None or cosine > best_cosine:
            best, best_cosine = given, cosine
    assert best is not None
    return replace(best, settings=best.settings)


def _outputs(model: onnx.ModelProto, names: Sequence[str], feeds: Sequence[Feed]) -> list[list[Array]]:
    session = open_session(model.SerializeToString())
    ends = [one.name for one in session.get_outputs()]
    # Integer inputs and outputs (pictures, removed Dequantize) have no float model beside them in one shape and type.
    takes = {one.name: one.type for one in session.get_inputs()}
    if any("uint8" in kind for kind in takes.values()):
        feeds = [{name: _as_pixels(value, takes[name]) for name, value in feed.items()} for feed in feeds]
    return [list(session.run(ends[: len(names)], feed)) for feed in feeds]


def _as_pixels(value: Array, kind: str) -> Array:
    return (value + 128).astype(np.uint8) if "uint8" in kind else value


def _cosine(given: list[list[Array]], exact: list[list[Array]]) -> float:
    values = []
    for one, other in zip(given, exact, strict=True):
        for a, b in zip(one, other, strict=True):
            x, y = np.asarray(a, np.float64).ravel(), np.asarray(b, np.float64).ravel()
            norms = float(np.linalg.norm(x) * np.linalg.norm(y))
            values.append(float(x @ y) / norms if norms else 0.0)
    return sum(values) / max(len(values), 1)


def _channels(
    network: ModelGraph, units: Mapping[str, str], statistics: Statistics, ranges: Ranges
) -> dict[str, Array]:
    """Largest magnitude of each channel, not above what is kept of the tensor, where channels have scales of their own.

    A scale a channel can be folded into the weights of the convolution that reads it and into nothing else: tensors
    that anything but convolutions read, outputs, and data that is only moved keep one scale.
    """
    channels = {}
    for name, one in statistics.items():
        if one.channel_peaks is not None and _only_convolutions_read(network, units, name):
            limit = max(abs(ranges[name][0]), abs(ranges[name][1])) or 1.0
            peaks = np.minimum(one.channel_peaks, limit)
            channels[name] = np.asarray(np.where(peaks > 0, peaks, limit), np.float32)
    return channels


def _only_convolutions_read(network: ModelGraph, units: Mapping[str, str], name: str) -> bool:
    readers, maker = network.consumers.get(name, []), network.producer.get(name)
    reads = all(
        node.op_type == "Conv" and list(node.input).index(name) == 0 and units[node.name] != "CPU" for node in readers
    )
    is_moved = maker is not None and moves_data(maker)
    return bool(readers) and reads and not is_moved and name not in network.output_names
