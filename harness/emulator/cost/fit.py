"""Fitting `cost_model.CONSTANTS` to published board latencies, and cross-validating the fit.

Two figures per model: latency with one thread, and the time per frame at the highest throughput, which is close to
accelerator time alone; latency is what is estimated, so it counts twice. Prices are fitted as logarithms on relative
errors, drawn weakly towards `PRIORS`, with a loss that forgives outliers. No price can become negative.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from harness.emulator.cost.model import COMPUTE, MEMORY, Constants, Work

Vector = NDArray[np.float64]

# Orders of magnitude before any fit: 10 TOPS at a third of its peak, 7 GB/s, and round numbers of the same class.
PRIORS = Constants(
    dense_macs_ns=0.0006,
    depthwise_macs_ns=0.01,
    matmul_macs_ns=0.02,
    attention_elements_ns=1.0,
    attention_heads_ns=30000.0,
    lookup_elements_ns=0.01,
    elementwise_elements_ns=0.03,
    moved_elements_ns=0.05,
    transposed_elements_ns=0.1,
    normalized_elements_ns=0.1,
    ops_ns=1000.0,
    weight_bytes_ns=0.15,
    spilled_bytes_ns=0.01,
    overlap=3.0,
    border_elements_ns=2.0,
    call_ns=200000.0,
    older_runtime_ns=200000.0,
)
PULL = 0.1  # weight of one logarithmic unit away from a prior, against a relative error of 1
THROUGHPUT_WEIGHT = 0.5  # of an error in throughput, against one in latency
FORGIVE = 0.05  # relative error beyond which the loss grows linearly
OVERLAP_RANGE = (1.0, 5.0)
_NOTHING = 1e-9  # ns: an op without compute or without memory
FAMILY = re.compile(r"YOLO(?:v\d+|\d+)|[A-Za-z]+(?:v\d)?")


@dataclass(frozen=True)
class PublishedLatency:
    """One published model; `works` are its ops, counted as they were built (int16 or int8)."""

    name: str
    works: tuple[Work, ...]
    output_elements: int
    latency_us: float  # one frame, one thread
    throughput_us: float  # time per frame at the highest throughput
    older_runtime: bool = False

    @property
    def family(self) -> str:
        """The name without what tells its size."""
        match = FAMILY.match(self.name)
        return match.group() if match else self.name


@dataclass(frozen=True)
class _Matrices:
    """Ops that are alike are one row, multiplied, with their model; borders and times are a row per model."""

    compute: Vector
    memory: Vector
    launches: Vector
    model: NDArray[np.int64]
    border: Vector
    latency: Vector
    throughput: Vector

    def models(self, index: NDArray[np.int64]) -> _Matrices:
        """Those models alone."""
        place = np.full(len(self.latency), -1)
        place[index] = np.arange(len(index))
        kept = place[self.model] >= 0
        per_op = (self.compute[kept], self.memory[kept], self.launches[kept], place[self.model[kept]])
        return _Matrices(*per_op, self.border[index], self.latency[index], self.throughput[index])


_COLUMNS = tuple(f.name for f in fields(Work))


def matrices(samples: Sequence[PublishedLatency]) -> _Matrices:
    """The samples as arrays of float64: amounts of COMPUTE and MEMORY per op, border terms, and times in ns."""
    rows = [(i, *astuple(work), n) for i, one in enumerate(samples) for work, n in Counter(one.works).items()]
    table = np.array(rows, np.float64).reshape(len(rows), len(_COLUMNS) + 2)
    amounts, often = table[:, 1:-1], table[:, -1:]
    return _Matrices(
        compute=amounts[:, [_COLUMNS.index(name) for name in COMPUTE]] * often,
        memory=amounts[:, [_COLUMNS.index(name) for name in MEMORY]] * often,
        launches=amounts[:, [_COLUMNS.index("ops")]] * often,
        model=table[:, 0].astype(np.int64),
        border=np.array([[s.output_elements, 1.0, float(s.older_runtime)] for s in samples]),
        latency=np.array([s.latency_us * 1e3 for s in samples]),
        throughput=np.array([s.throughput_us * 1e3 for s in samples]),
    )


_NAMES = tuple(f"{name}_ns" for name in (*COMPUTE, *MEMORY, "ops", "border_elements", "call", "older_runtime"))
_FIRST_MEMORY, _LAUNCH, _BORDER = len(COMPUTE), len(COMPUTE) + len(MEMORY), len(COMPUTE) + len(MEMORY) + 1


def _pack(constants: Constants) -> Vector:
    values = asdict(constants)
    low, high = OVERLAP_RANGE
    share = (constants.overlap - low) / (high - low)
    return np.array([*(math.log(values[name]) for name in _NAMES), math.log(share / (1.0 - share))])


def _overlap(vector: Vector) -> float:
    low, high = OVERLAP_RANGE
    return low + (high - low) / (1.0 + math.exp(-float(vector[-1])))


def _unpack(vector: Vector) -> Constants:
    prices = {name: math.exp(float(value)) for name, value in zip(_NAMES, vector, strict=False)}
    return Constants(overlap=_overlap(vector), **prices)


def _parts(vector: Vector, data: _Matrices) -> tuple[Vector, Vector, Vector]:
    """Per row of ops: its compute, its memory, and both as they overlap, in nanoseconds."""
    p = _overlap(vector)
    compute = data.compute @ np.exp(vector[:_FIRST_MEMORY]) + _NOTHING
    memory = data.memory @ np.exp(vector[_FIRST_MEMORY:_LAUNCH]) + _NOTHING
    top = np.maximum(compute, memory)
    return compute, memory, top * ((compute / top) ** p + (memory / top) ** p) ** (1.0 / p)


def predict(vector: Vector, data: _Matrices) -> tuple[Vector, Vector]:
    """(accelerator time, latency) of each model, in nanoseconds."""
    per_op = _parts(vector, data)[2] + data.launches[:, 0] * math.exp(vector[_LAUNCH])
    busy = np.asarray(np.bincount(data.model, per_op, len(data.latency)), np.float64)
    return busy, busy + data.border @ np.exp(vector[_BORDER:-1])


def _slopes(vector: Vector, data: _Matrices) -> tuple[Vector, Vector]:
    """Derivatives of `predict` by the vector, a row per model."""
    p, (compute, memory, both) = _overlap(vector), _parts(vector, data)
    prices = np.exp(vector[:-1])
    by_compute = data.compute * prices[:_FIRST_MEMORY] * ((compute / both) ** (p - 1.0))[:, None]
    by_memory = data.memory * prices[_FIRST_MEMORY:_LAUNCH] * ((memory / both) ** (p - 1.0))[:, None]
    shares = [(part / both) ** p * np.log(part / both) for part in (compute, memory)]
    low, high = OVERLAP_RANGE
    by_overlap = both * (shares[0] + shares[1]) / p * (p - low) * (high - p) / (high - low)
    per_op = [by_compute, by_memory, data.launches * prices[_LAUNCH], by_overlap[:, None]]
    summed = np.zeros((len(data.latency), _LAUNCH + 2))
    np.add.at(summed, data.model, np.concatenate(per_op, axis=1))
    none = np.zeros(data.border.shape)
    busy = np.concatenate([summed[:, :_BORDER], none, summed[:, _BORDER:]], axis=1)
    latency = np.concatenate([summed[:, :_BORDER], data.border * prices[_BORDER:], summed[:, _BORDER:]], axis=1)
    return busy, latency


def fit(samples: Sequence[PublishedLatency]) -> Constants:
    """The constants that fit `samples` best."""
    return _unpack(_fit(matrices(samples)))


def _fit(data: _Matrices) -> Vector:
    start = _pack(PRIORS)

    def residuals(vector: Vector) -> Vector:
        busy, latency = predict(vector, data)
        throughput = THROUGHPUT_WEIGHT * np.log(busy / data.throughput)
        return np.concatenate((np.log(latency / data.latency), throughput, PULL * (vector - start)))

    def slopes(vector: Vector) -> Vector:
        (busy, latency), (by_busy, by_latency) = predict(vector, data), _slopes(vector, data)
        pull = PULL * np.eye(len(vector))
        return np.concatenate((by_latency / latency[:, None], THROUGHPUT_WEIGHT * by_busy / busy[:, None], pull))

    return np.asarray(least_squares(residuals, start, slopes, loss="soft_l1", f_scale=FORGIVE, max_nfev=300).x)


def cross_validate(samples: Sequence[PublishedLatency], groups: Sequence[object]) -> Vector:
    """Signed relative error of each sample's latency, predicted by a fit that never saw its group."""
    data = matrices(samples)
    errors = np.zeros(len(samples))
    for group in sorted(set(groups), key=str):
        held = np.array([one == group for one in groups])
        vector = _fit(data.models(np.flatnonzero(~held)))
        test = data.models(np.flatnonzero(held))
        errors[held] = predict(vector, test)[1] / test.latency - 1.0
    return errors


def five_folds(count: int, seed: int) -> list[int]:
    """Fold of each of `count` samples: shuffled, sizes differ by one at most."""
    return [int(one) for one in np.random.default_rng(seed).permutation(count) % 5]
