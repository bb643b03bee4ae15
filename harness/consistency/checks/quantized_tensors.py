"""One tensor of the quantized model beside the float model's: its noise, the channels it loses, what sets its step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.consistency.reading.layouts import TensorError, to_layout
from harness.consistency.reading.pairs import real_values
from harness.consistency.reading.specs import open_array
from harness.records import TensorSpec
from harness.reference.open import ReferenceTensor

Array = npt.NDArray[Any]

LARGE_ELEMENTS = 1 << 22  # from here on float32 is enough
LEAST_OF_CHANNEL = 4  # elements; fewer say nothing of a channel
LOST_DB = 10.0  # of a channel with at most two values: more is a constant that is kept well enough
ONE_STEP = 1.001  # with what rounding to f32 adds
LEAST_SWALLOWED = 8  # values
LEAST_SATURATED = 0.01  # share of the elements
SETS_STEP = 16  # steps; a value that is that far out decides how large a step is
FEW_STEPS = 4  # values that all lie within so many steps are hardly told apart
MASK_SPREAD = 0.25  # a mask is one constant, with what was added to it


@dataclass(frozen=True)
class Swallowed:
    """All values but a few large ones became one value. Ranges are those of the float model."""

    values: int
    low: float
    high: float
    large: float  # the typical large value
    is_mask: bool  # one negative constant, many times


@dataclass(frozen=True)
class Saturated:
    """Values beyond what the scale can hold."""

    share: float
    low: float  # the range that the scale can hold
    high: float
    furthest: float  # the float value that is furthest outside


@dataclass(frozen=True)
class QuantizedTensor:
    """What quantization did to one tensor. `step` is the largest of its scales, None for a tensor of floats."""

    name: str
    op: str
    op_kind: str
    order: int
    sqnr_db: float | None
    step: float | None
    axis: int | None
    channels: int
    lost_channels: tuple[int, ...]
    lost_words: str  # what became of them
    swallowed: Swallowed | None
    saturated: Saturated | None
    coarse: tuple[float, float] | None  # the range of float values that all lie within a few steps


def read_tensor(tensor: ReferenceTensor, partner: ReferenceTensor) -> QuantizedTensor:
    """Measure one tensor. Errors: TensorError where the two cannot be held side by side."""
    assert tensor.spec is not None and partner.spec is not None
    stored = open_array(tensor.path, tensor.spec)
    floats = to_layout(open_array(partner.path, partner.spec), partner.spec, tensor.spec.layout)
    if floats.shape != stored.shape:
        raise TensorError(f"the float model has shape {floats.shape}", "", "shape_differs")
    kind = np.float32 if stored.size > LARGE_ELEMENTS else np.float64
    real = real_values(np.asarray(stored), tensor.spec).astype(kind)
    wanted = real_values(np.asarray(floats), partner.spec).astype(kind)
    steps = _steps(tensor.spec)
    axis, lost, words = _lost_channels(real, wanted, steps, _axes(tensor.spec, real.ndim))
    return QuantizedTensor(
        name=tensor.name,
        op=tensor.op,
        op_kind=tensor.op_kind,
        order=tensor.order,
        sqnr_db=sqnr_db(real, wanted),
        step=float(steps.max()) if steps is not None else None,
        axis=axis,
        channels=real.shape[axis] if axis is not None else 0,
        lost_channels=lost,
        lost_words=words,
        swallowed=_swallowed(real, wanted, float(steps[0])) if steps is not None and steps.size == 1 else None,
        saturated=_saturated(stored, wanted, tensor.spec),
        coarse=_coarse(wanted, float(steps[0])) if steps is not None and steps.size == 1 else None,
    )


def sqnr_db(real: Array, wanted: Array) -> float | None:
    """10 log10(|float|^2 / |quantized - float|^2); inf without noise, None without a signal or with NaN."""
    signal, noise = float(np.square(wanted).sum()), float(np.square(real - wanted).sum())
    if not math.isfinite(signal + noise) or signal == 0.0:
        return None
    return math.inf if noise == 0.0 else 10 * math.log10(signal / noise)


def _steps(spec: TensorSpec) -> Array | None:
    """The scales of a tensor of integers."""
    if spec.quantization is None or spec.dtype[:1] not in "su":
        return None
    return np.asarray(spec.quantization.scales, np.float64)


def _axes(spec: TensorSpec, rank: int) -> tuple[int, ...]:
    """Where channels may lie: axis 1, the last one of NHWC; of three axes either of the last two."""
    if spec.layout in ("NHWC", "NDHWC"):
        return (rank - 1,)
    return {0: (), 1: (), 2: (1,), 3: (1, 2)}.get(rank, (1,))


def _lost_channels(
    real: Array, wanted: Array, steps: Array | None, axes: tuple[int, ...]
) -> tuple[int | None, tuple[int, ...], str]:
    """The axis, the channels that keep less than a step of their own, and what became of them."""
    judged = [axis for axis in axes if real.shape[axis] > 1 and real.size // real.shape[axis] >= LEAST_OF_CHANNEL]
    axes_lost = [(axis, *_lost_along(real, wanted, steps, axis)) for axis in judged]
    if not axes_lost:
        return None, (), ""
    return max(axes_lost, key=lambda one: len(one[1]) / real.shape[one[0]])


def _lost_along(real: Array, wanted: Array, steps: Array | None, axis: int) -> tuple[tuple[int, ...], str]:
    values = np.moveaxis(real, axis, 0).reshape(real.shape[axis], -1)
    floats = np.moveaxis(wanted, axis, 0).reshape(real.shape[axis], -1)
    noise, signal = np.square(values - floats).sum(axis=1), np.square(floats).sum(axis=1)
    step = steps if steps is not None and steps.size in (1, len(values)) else np.zeros(1)
    flat = np.ptp(values, axis=1) <= step * ONE_STEP
    lost = flat & (np.ptp(floats, axis=1) > 0) & (noise * 10 ** (LOST_DB / 10) > signal)
    zero = bool(np.all(values[lost] == 0))
    return tuple(int(i) for i in np.flatnonzero(lost)), "all zero" if zero else "left with one value or two"


def _coarse(wanted: Array, step: float) -> tuple[float, float] | None:
    low, high = float(wanted.min(initial=0.0)), float(wanted.max(initial=0.0))
    return (low, high) if high > low and max(-low, high) < FEW_STEPS * step else None


def _swallowed(real: Array, wanted: Array, step: float) -> Swallowed | None:
    """Values of half the largest magnitude on are large; are all others one value now, which they were not?"""
    size = np.abs(wanted)
    large = size >= size.max(initial=0.0) / 2
    rest = wanted[~large]
    if rest.size < LEAST_SWALLOWED or np.ptp(rest) == 0 or np.ptp(real[~large]) != 0:
        return None
    values = wanted[large]
    typical = float(np.median(values))
    if abs(typical) < SETS_STEP * step:
        return None
    is_mask = values.size > 1 and bool((values < 0).all()) and float(np.ptp(values)) <= MASK_SPREAD * abs(typical)
    return Swallowed(int(rest.size), float(rest.min()), float(rest.max()), typical, is_mask)


def _saturated(stored: Array, wanted: Array, spec: TensorSpec) -> Saturated | None:
    """Elements at the end of their type's range whose float value is more than a step outside."""
    scaling = spec.quantization
    if scaling is None or len(scaling.scales) != 1 or stored.dtype.kind not in "iu" or stored.dtype.itemsize > 2:
        return None
    scale, zero = scaling.scales[0], scaling.zero_points[0] if scaling.zero_points else 0
    ends = np.iinfo(stored.dtype)
    low, high = (ends.min - zero) * scale, (ends.max - zero) * scale
    outside = (wanted > high + scale) | (wanted < low - scale)
    share = float(outside.mean()) if outside.size else 0.0
    if share < LEAST_SATURATED:
        return None
    beyond = wanted[outside]
    return Saturated(share, low, high, float(beyond[np.abs(beyond).argmax()]))
