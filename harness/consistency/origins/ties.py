"""Integers one step off where the real value lies on the edge between two steps: either is right.

An op whose result is a multiple of half a step (sums of two tensors of one scale, pixels on a grid) meets that edge
often; everywhere else it is met by chance, within what float sums differ by. Arithmetic that is off, and not merely on
the edge, moves values that lie elsewhere too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.consistency.reading.tensor_files import Array
from harness.records import Quantization

EDGE = 2.0**-8  # of a step: what sums of floats in another order move a real value by
FINEST = 2.0**-20  # of the value in steps: float32 cannot place it better
WHOLE = 2.0**-12  # of a step: float sums leave a whole number so near, above it or below
KERNEL_EDGE = 2.0**-4  # of a step: what weights of 11 bits and fewer move an interpolated value by
KERNEL_SHARE = 0.04  # of the elements: moved by that much to either side, a value passes an edge once in 32 times
ONE_SIDED = 8  # off the ties, right rounding of moved values goes to either side: at least once in so many

RESAMPLING = frozenset(("Resize", "Upsample"))
INTERPOLATING = RESAMPLING | frozenset(("AveragePool", "GlobalAveragePool"))


def on_edges(board: Array, alone: Array, real: Array, quantization: Quantization | None) -> bool:
    """Whether every element that differs is one step off and its real value lies on the edge between both.

    `board` and `alone`: integers of one shape; `real`: what the quantizer rounds, f32; `quantization`: of the tensor.
    """
    steps = _in_steps(board, real, quantization)
    if steps is None or board.shape != alone.shape:
        return False
    off = _off(board, alone, steps)
    return off is not None and bool(off.on_edge.all())


def by_integer_kernel(board: Array, real: Array, quantization: Quantization | None) -> bool:
    """Whether the integers are right roundings of values that an integer kernel of an interpolation moved a little.

    Its weights are integers of few bits: what differs from the nearest step lies close to the edge between both steps,
    is few elements, and is off to either side; on the edge itself any number, to one side only as well. Cutting to one
    side, or rounding at random, moves values far from an edge: that is no such kernel. Arguments as in `on_edges`.
    """
    steps = _in_steps(board, real, quantization)
    if steps is None or not np.isfinite(steps).all():
        return False
    limits = np.iinfo(board.dtype)
    off = _off(board, np.clip(np.rint(steps), limits.min, limits.max), steps)
    if off is None or bool((off.apart > KERNEL_EDGE).any()):
        return False
    up = off.up[~off.on_edge]
    sides = np.count_nonzero(up), np.count_nonzero(~up)
    return bool(up.size <= KERNEL_SHARE * board.size and min(sides) >= up.size // ONE_SIDED)


def cut_towards_zero(board: Array, real: Array, quantization: Quantization | None) -> bool:
    """Whether the integers are the real values in steps, each without its fraction.

    So a kernel leaves them that interpolates the stored integers and casts the result (ONNX Runtime's Resize of int8).
    Only where what it read has the same steps are these values its own. Arguments as in `on_edges`.
    """
    steps = _in_steps(board, real, quantization)
    if steps is None or not np.isfinite(steps).all():
        return False
    limits, nearest = np.iinfo(board.dtype), np.rint(steps)
    held = np.asarray(board, np.float64)
    near = np.abs(steps - nearest) <= WHOLE
    least = np.where(near, nearest - np.sign(nearest), np.trunc(steps))  # of a whole number float sums miss a little
    most = np.where(near, nearest, least)
    low, high = (side.clip(limits.min, limits.max) for side in (np.minimum(least, most), np.maximum(least, most)))
    return bool(((held == low) | (held == high)).all())


@dataclass(frozen=True)
class _Off:
    """Elements that are one step off: the distance of the real value from the edge between both steps, in steps;
    whether that is none; whether the board is the larger one."""

    apart: npt.NDArray[np.float64]
    on_edge: npt.NDArray[np.bool_]
    up: npt.NDArray[np.bool_]


def _off(board: Array, right: Array, steps: npt.NDArray[np.float64]) -> _Off | None:
    """None where nothing differs, or something by more than one step."""
    differing = board != right
    held, wanted, real = (np.asarray(side[differing], np.float64) for side in (board, right, steps))
    by = held - wanted
    if not by.size or np.abs(by).max() > 1:
        return None
    with np.errstate(invalid="ignore"):
        apart = np.abs(real - (held + wanted) / 2)
    return _Off(apart, apart <= EDGE + FINEST * np.abs(real), by > 0)


def _in_steps(board: Array, real: Array, quantization: Quantization | None) -> npt.NDArray[np.float64] | None:
    """The real values in steps from the stored zero, in the board's shape; None where that cannot be told."""
    if quantization is None or real.size != board.size or board.dtype.kind not in "iu":
        return None
    scales = np.asarray(quantization.scales, np.float64)
    points = np.asarray(quantization.zero_points or (0,), np.float64)
    if scales.size > 1 and quantization.axis is not None:
        along = [-1 if i == quantization.axis % board.ndim else 1 for i in range(board.ndim)]
        scales, points = scales.reshape(along), points.reshape(along if points.size > 1 else [1] * board.ndim)
    return np.asarray(real, np.float64).reshape(board.shape) / scales + points
