"""Integers one step off where the real value lies on the edge between two steps: either is right.

An op whose result is a multiple of half a step (sums of two tensors of one scale, pixels on a grid) meets that edge
often; everywhere else it is met by chance, within what float sums differ by. Arithmetic that is off, and not merely on
the edge, moves values that lie elsewhere too.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from harness.consistency.reading.tensor_files import Array
from harness.records import Quantization

EDGE = 2.0**-8  # of a step: what sums of floats in another order move a real value by
FINEST = 2.0**-20  # of the value in steps: float32 cannot place it better


INTERPOLATING = frozenset(("Resize", "Upsample", "AveragePool", "GlobalAveragePool"))


def on_edges(board: Array, alone: Array, real: Array, quantization: Quantization | None) -> bool:
    """Whether every element that differs is one step off and its real value lies on the edge between both.

    `board` and `alone`: integers of one shape; `real`: what the quantizer rounds, f32; `quantization`: of the tensor.
    """
    steps = _in_steps(board, real, quantization)
    if steps is None or board.shape != alone.shape:
        return False
    wide = np.asarray(board, np.int64) - np.asarray(alone, np.int64)
    differing = wide != 0
    if not differing.any() or np.abs(wide).max() > 1:
        return False
    near = steps[differing]
    with np.errstate(invalid="ignore"):
        apart = np.abs(near - np.floor(near) - 0.5)
    return bool((apart <= EDGE + FINEST * np.abs(near)).all())


def between_steps(board: Array, real: Array, quantization: Quantization | None) -> bool:
    """Whether every integer is one of the two steps that its real value lies between, as the integer kernels of
    interpolation leave it: they cut, or round in two passes."""
    steps = _in_steps(board, real, quantization)
    if steps is None:
        return False
    room = EDGE + FINEST * np.abs(steps)
    low, high = np.floor(steps - room), np.ceil(steps + room)
    limits = np.iinfo(board.dtype)
    with np.errstate(invalid="ignore"):
        kept = (board >= np.minimum(low, limits.max)) & (board <= np.maximum(high, limits.min))
    return bool(kept.all())


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
