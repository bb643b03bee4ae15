"""Integers one step off where the real value lies on the edge between two steps: either is right.

An op whose result is a multiple of half a step (sums of two tensors of one scale, pixels on a grid) meets that edge
often; everywhere else it is met by chance, within what float sums differ by. Arithmetic that is off, and not merely on
the edge, moves values that lie elsewhere too.
"""

from __future__ import annotations

import numpy as np

from harness.consistency.reading.tensor_files import Array
from harness.records import Quantization

EDGE = 2.0**-8  # of a step: what sums of floats in another order move a real value by
FINEST = 2.0**-20  # of the value in steps: float32 cannot place it better


def on_edges(board: Array, alone: Array, real: Array, quantization: Quantization | None) -> bool:
    """Whether every element that differs is one step off and its real value lies on the edge between both.

    `board` and `alone`: integers of one shape; `real`: what the quantizer rounds, f32; `quantization`: of the tensor.
    """
    if quantization is None or board.shape != alone.shape or real.size != board.size:
        return False
    wide = np.asarray(board, np.int64) - np.asarray(alone, np.int64)
    differing = wide != 0
    if not differing.any() or np.abs(wide).max() > 1:
        return False
    scales = np.asarray(quantization.scales, np.float64)
    if scales.size > 1 and quantization.axis is not None:
        scales = scales.reshape([-1 if i == quantization.axis % board.ndim else 1 for i in range(board.ndim)])
    steps = (np.asarray(real, np.float64).reshape(board.shape) / scales)[differing]
    with np.errstate(invalid="ignore"):
        apart = np.abs(steps - np.floor(steps) - 0.5)
    return bool((apart <= EDGE + FINEST * np.abs(steps)).all())
