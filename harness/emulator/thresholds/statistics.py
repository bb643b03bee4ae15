"""What the samples do in every float tensor: extremes by sample, a histogram of magnitudes, channels.

Two passes over the samples, so many tensors at a time that memory stays flat whatever the network's size and however
many samples there are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from harness.emulator.compiler.calibration import Feed, Ranges
from harness.emulator.model.execute import open_session
from harness.emulator.model.nodes import ModelGraph
from harness.records.callbacks import ProgressCallback

Array = NDArray[Any]
BINS = 16384
BATCH_ELEMENTS = 16 * 2**20  # of tensors that are held at once
_CONVOLUTIONS, _PRODUCTS = ("Conv", "ConvTranspose"), ("MatMul", "Gemm")


@dataclass
class TensorStatistics:
    """One float tensor. `lows`, `highs`: of each sample. `counts`: of |x| from 0 to the peak, BINS of them, empty where
    no histogram was wanted. `channel_peaks` and `channel_means` along `axis`; empty where it has none. NaN and infinity
    count nowhere."""

    lows: Array
    highs: Array
    elements: int = 0
    axis: int | None = None
    channel_peaks: Array | None = None
    channel_sums: Array | None = None
    counts: Array | None = None

    @property
    def peak(self) -> float:
        """The largest magnitude of all samples."""
        return float(max(np.abs(self.lows).max(), np.abs(self.highs).max()))

    def range(self, samples: Sequence[int] = ()) -> tuple[float, float]:
        """Lowest and highest value, of all samples or of those at the given places."""
        chosen = list(samples) or slice(None)
        return float(self.lows[chosen].min()), float(self.highs[chosen].max())

    @property
    def channel_means(self) -> Array | None:
        """Mean of each channel over all samples."""
        if self.channel_sums is None or self.channel_peaks is None:
            return None
        return self.channel_sums / max(self.elements / len(self.channel_peaks), 1)

    def add(self, place: int, values: Array) -> None:
        """One sample's values: extremes and channels."""
        finite = values[np.isfinite(values)] if not np.isfinite(values).all() else values
        if finite.size:
            self.lows[place], self.highs[place] = finite.min(), finite.max()
        self.elements += finite.size
        if self.axis is not None and finite.size == values.size:
            self._add_channels(np.moveaxis(values, self.axis, 0).reshape(values.shape[self.axis], -1))

    def _add_channels(self, rows: Array) -> None:
        peaks, sums = np.abs(rows).max(axis=1), rows.sum(axis=1, dtype=np.float64)
        self.channel_peaks = peaks if self.channel_peaks is None else np.maximum(self.channel_peaks, peaks)
        self.channel_sums = sums if self.channel_sums is None else self.channel_sums + sums

    def count(self, values: Array) -> None:
        """One sample's magnitudes, when the peak of all is known."""
        if self.counts is None:
            self.counts = np.zeros(BINS, np.int64)
        peak = self.peak
        sizes = np.abs(values[np.isfinite(values)])
        places = np.minimum((sizes * (BINS / peak)).astype(np.int64), BINS - 1) if peak > 0 else sizes.astype(np.int64)
        self.counts += np.bincount(places.reshape(-1), minlength=BINS)


Statistics = dict[str, TensorStatistics]


def _no_progress(what: str, completed: int, total: int) -> None:
    """Nobody looks."""


def collect(
    model: onnx.ModelProto,
    feeds: Sequence[Feed],
    *,
    histograms: bool = True,
    step: ProgressCallback = _no_progress,
) -> Statistics:
    """Of every float tensor that is an input or that a node makes, over all feeds. `step` is called once a sample."""
    network = ModelGraph(model)
    axes = channel_axes(network)
    count = len(feeds)
    kept: Statistics = {}
    passes = 2 if histograms else 1
    for turn in range(passes):
        for number, name, values in tensor_values(network, float_tensors(network), feeds):
            step("calibration data", turn * count + number, passes * count)
            if turn:
                kept[name].count(values)
                continue
            if name not in kept:
                kept[name] = TensorStatistics(np.zeros(count), np.zeros(count), axis=_axis(axes.get(name), values))
            kept[name].add(number, values)
    return kept


def ranges_of(statistics: Mapping[str, TensorStatistics], samples: Sequence[int] = ()) -> Ranges:
    """The extremes of each tensor, over all samples or over those at the given places."""
    return {name: one.range(samples) for name, one in statistics.items()}


def float_tensors(network: ModelGraph) -> list[str]:
    """Inputs, then what nodes make, in execution order."""
    names = [*network.input_names, *(name for node in network.nodes for name in node.output if name)]
    return [name for name in names if network.element_type(name) == onnx.TensorProto.FLOAT]


def channel_axes(network: ModelGraph) -> dict[str, int]:
    """Tensor -> the axis that the products of its readers sum over: 1 of convolutions, the last one of matrices."""
    axes: dict[str, int] = {}
    for node in network.nodes:
        if node.op_type in _CONVOLUTIONS:
            axes.setdefault(node.input[0], 1)
        elif node.op_type in _PRODUCTS:
            axes.setdefault(node.input[0], -1)
    return axes


def _axis(axis: int | None, values: Array) -> int | None:
    return None if axis is None or values.ndim < 2 else axis % values.ndim


def tensor_values(network: ModelGraph, names: Sequence[str], feeds: Sequence[Feed]) -> Iterator[tuple[int, str, Array]]:
    """(sample, tensor, values) of every tensor and sample, batch by batch."""
    given = [name for name in names if name in network.input_names]
    for number, feed in enumerate(feeds):
        yield from ((number, name, np.asarray(feed[name])) for name in given)
    for batch in _batches(network, [name for name in names if name not in given]):
        session = open_session(_with_outputs(network, batch))
        for number, feed in enumerate(feeds):
            yield from zip([number] * len(batch), batch, session.run(batch, feed), strict=True)


def _batches(network: ModelGraph, names: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    held = 0
    for name in names:
        batch.append(name)
        held += math.prod(network.shape(name) or ())
        if held > BATCH_ELEMENTS:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _with_outputs(network: ModelGraph, names: Sequence[str]) -> bytes:
    wide = onnx.ModelProto()
    wide.CopyFrom(network.model)
    wide.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in network.output_names)
    return bytes(wide.SerializeToString())
