"""Fitting `cost_model.CONSTANTS` to published board latencies, and cross-validating the fit.

Two figures per model: latency with one thread, and the time per frame at the highest throughput, which is close to
accelerator time alone. Prices are fitted as logarithms on relative errors, drawn weakly towards `PRIORS`, with a loss
that forgives outliers. No price can become negative.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from harness.emulator.cost.model import COMPUTE, INT16_FACTOR, MEMORY, Constants, Work

Vector = NDArray[np.float64]

# Orders of magnitude before any fit: 10 TOPS at a third of its peak, 7 GB/s, and round numbers of the same class.
PRIORS = Constants(
    dense_macs_ns=0.0006,
    depthwise_macs_ns=0.01,
    matmul_macs_ns=0.02,
    attention_rows_ns=1000.0,
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
FORGIVE = 0.05  # relative error beyond which the loss grows linearly
OVERLAP_RANGE = (1.0, 5.0)
FAMILY = re.compile(r"YOLO(?:v\d+|\d+)|[A-Za-z]+(?:v\d)?")


@dataclass(frozen=True)
class PublishedLatency:
    """One published model."""

    name: str
    work: Work
    output_elements: int
    latency_us: float  # one frame, one thread
    throughput_us: float  # time per frame at the highest throughput
    int16: bool = False
    older_runtime: bool = False

    @property
    def family(self) -> str:
        """The name without what tells its size."""
        match = FAMILY.match(self.name)
        return match.group() if match else self.name


@dataclass(frozen=True)
class _Matrices:
    compute: Vector
    memory: Vector
    border: Vector
    latency: Vector
    throughput: Vector

    def rows(self, index: NDArray[np.int64]) -> _Matrices:
        return _Matrices(*(getattr(self, f.name)[index] for f in fields(_Matrices)))


def matrices(samples: Sequence[PublishedLatency]) -> _Matrices:
    """The samples as arrays of float64, a row each: amounts of COMPUTE and MEMORY, border terms, and times in ns."""
    factor = [INT16_FACTOR if s.int16 else 1.0 for s in samples]
    return _Matrices(
        compute=np.array([[getattr(s.work, n) * f for n in COMPUTE] for s, f in zip(samples, factor, strict=True)]),
        memory=np.array([[getattr(s.work, n) for n in MEMORY] for s in samples]),
        border=np.array([[s.output_elements, 1.0, float(s.older_runtime)] for s in samples]),
        latency=np.array([s.latency_us * 1e3 for s in samples]),
        throughput=np.array([s.throughput_us * 1e3 for s in samples]),
    )


def _pack(constants: Constants) -> Vector:
    values = dict(asdict(constants))
    low, high = OVERLAP_RANGE
    share = (values.pop("overlap") - low) / (high - low)
    return np.array([*(math.log(value) for value in values.values()), math.log(share / (1.0 - share))])


def _unpack(vector: Vector) -> Constants:
    names = [f.name for f in fields(Constants) if f.name != "overlap"]
    low, high = OVERLAP_RANGE
    overlap = low + (high - low) / (1.0 + math.exp(-float(vector[-1])))
    return Constants(overlap=overlap, **{n: math.exp(float(v)) for n, v in zip(names, vector, strict=False)})


def predict(vector: Vector, data: _Matrices) -> tuple[Vector, Vector]:
    """(accelerator time, latency) in nanoseconds."""
    a, b = len(COMPUTE), len(COMPUTE) + len(MEMORY)
    low, high = OVERLAP_RANGE
    p = low + (high - low) / (1.0 + math.exp(-float(vector[-1])))
    compute = data.compute @ np.exp(vector[:a])
    memory = data.memory @ np.exp(vector[a:b])
    top = np.maximum(compute, memory)
    busy = top * ((compute / top) ** p + (memory / top) ** p) ** (1.0 / p)
    return busy, busy + data.border @ np.exp(vector[b:-1])


def fit(samples: Sequence[PublishedLatency]) -> Constants:
    """The constants that fit `samples` best."""
    return _unpack(_fit(matrices(samples)))


def _fit(data: _Matrices) -> Vector:
    start = _pack(PRIORS)

    def residuals(vector: Vector) -> Vector:
        busy, latency = predict(vector, data)
        errors = (np.log(latency / data.latency), np.log(busy / data.throughput), PULL * (vector - start))
        return np.concatenate(errors)

    return np.asarray(least_squares(residuals, start, loss="soft_l1", f_scale=FORGIVE, max_nfev=300).x)


def cross_validate(samples: Sequence[PublishedLatency], groups: Sequence[object]) -> Vector:
    """Signed relative error of each sample's latency, predicted by a fit that never saw its group."""
    data = matrices(samples)
    errors = np.zeros(len(samples))
    for group in sorted(set(groups), key=str):
        held = np.array([one == group for one in groups])
        vector = _fit(data.rows(np.flatnonzero(~held)))
        test = data.rows(np.flatnonzero(held))
        errors[held] = predict(vector, test)[1] / test.latency - 1.0
    return errors


def five_folds(count: int, seed: int) -> list[int]:
    """Fold of each of `count` samples: shuffled, sizes differ by one at most."""
    return [int(one) for one in np.random.default_rng(seed).permutation(count) % 5]
