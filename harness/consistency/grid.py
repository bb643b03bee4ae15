"""Floats that are whole steps of a grid: what a tool wrote that dequantized its integers."""

from __future__ import annotations

import numpy as np

from harness.consistency.reading.tensor_files import Array

LOOKED_AT = 1 << 16  # elements
GLANCE = 1 << 10  # elements: nearly every tensor of floats ends there
VALUES = 256  # of an 8-bit tensor
PER_VALUE = 4  # elements for each value, or few values say nothing
ENOUGH_VALUES = 8  # that say something however often they occur
MOST_PARTS = 16  # steps that the smallest gap may be
NEAR_STEP = 1e-2  # of a step: by chance eight values are that near less than once in a million
ENDS = (-128.0, -127.0, 127.0, 255.0)  # of the integers that such a grid counts with; zero would excuse a wrong ReLU
MOST_CUT = 0.01  # of the elements: calibration cuts off outliers, a range that is too small cuts off more
HALF = 0.5 + 1e-3  # a step, and the digits of a float
ONE_STEP = 1.0 - 1e-3  # rounded twice: to half precision, then to the grid
EVEN = 0.3  # steps: the mean of such errors; what is cut off instead is 0.5 away


def grid_step(array: Array) -> float:
    """The step of an 8-bit grid on which all values of a float tensor lie, 0 for none: a common divisor of the gaps
    between them, since neighbouring steps need not both occur."""
    sample = np.asarray(array).reshape(-1)[:LOOKED_AT]
    if sample.dtype.kind != "f" or not np.isfinite(sample).all():
        return 0.0
    if len(np.unique(sample[:GLANCE])) > VALUES:  # more of them are no fewer
        return 0.0
    values = np.unique(sample.astype(np.float64))
    if not 2 < len(values) <= VALUES or (sample.size < PER_VALUE * len(values) and len(values) < ENOUGH_VALUES):
        return 0.0
    for parts in range(1, MOST_PARTS + 1 if len(values) >= ENOUGH_VALUES else 2):
        step = float(np.diff(values).min()) / parts
        counts = (values - values[0]) / step
        if counts[-1] < VALUES and np.abs(counts - np.rint(counts)).max() < NEAR_STEP:
            return float(counts[-1] and (values[-1] - values[0]) / np.rint(counts[-1]))
    return 0.0


def rounds_to(values: Array, board: Array) -> bool:
    """Whether a board's dequantized values are these ones, rounded to its own 8-bit grid, few cut where that ends.

    A board that requantizes behind an op rounds what the op alone gives, once or (through half precision) twice;
    nothing smaller than that can be told.
    """
    step = grid_step(board)
    if not step or values.dtype.kind != "f" or not np.isfinite(values).all():
        return False
    counts, given = (side.reshape(-1).astype(np.float64) / step for side in (board, values))
    low, high = (bool(counts.size) and np.rint(end) in ENDS for end in (counts.min(), counts.max()))
    if low or high:
        inside = np.clip(given, counts.min() if low else None, counts.max() if high else None)
        if float(np.mean(np.abs(inside - given) > HALF)) > MOST_CUT:
            return False
        given = inside
    off = counts - given
    most = float(np.abs(off).max(initial=0.0))
    return most <= HALF or (most < ONE_STEP and abs(float(off.mean())) < EVEN)
