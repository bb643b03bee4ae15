"""Floats that are whole steps of a grid: what a tool wrote that dequantized its integers."""

from __future__ import annotations

from dataclasses import dataclass

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
LOWEST = (-128, -127, 0)  # the smallest counts: of a signed tensor, of one behind a ReLU
MOST_CUT = 0.01  # of the elements: calibration cuts off outliers, a range that is too small cuts off more
OTHER_STEP = 5e-3  # of two scales: nearer, the largest steps of 256 fall together
OFF = 0.05  # of a step: what lies farther from the nearest is on none
ENOUGH_OFF = 4  # elements of the one that are on no step of the other
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


@dataclass(frozen=True)
class TwoGrids:
    """Steps of the grids that two dequantized tensors lie on.

    `few_tell_it`: whether the values alone tell it, however few elements differ by more than rounding: a small vector
    that was quantized with another scale differs by less than a step nearly everywhere.
    """

    board: float
    reference: float
    few_tell_it: bool

    @property
    def sentence(self) -> str:
        """What the two are, in words."""
        return (
            f"the board's values are multiples of {self.board:.6g}, the reference's of {self.reference:.6g}: "
            "quantized with another scale (another calibration)"
        )

    @property
    def no_multiple(self) -> bool:
        """Whether no step is a multiple of the other, as of a grid that is used sparsely."""
        ratio = max(self.board, self.reference) / min(self.board, self.reference)
        return abs(ratio - round(ratio)) > OTHER_STEP * ratio


def two_grids(board: Array, reference: Array) -> TwoGrids | None:
    """Two float tensors whose values lie on grids of different steps; None where either lies on none, or both on one.

    A step that few values tell may be a multiple of the real one by chance: few_tell_it wants enough values on both
    sides, and several that the other grid does not have.
    """
    steps = grid_step(board), grid_step(reference)
    if not all(steps) or abs(steps[0] / steps[1] - 1) < OTHER_STEP:
        return None
    enough = min(len(np.unique(side)) for side in (board, reference)) >= ENOUGH_VALUES
    off = max(_off(board, steps[1]), _off(reference, steps[0]))
    return TwoGrids(*steps, enough and off >= ENOUGH_OFF)


@dataclass(frozen=True)
class Counts:
    """Two dequantized tensors as int64 counts of one step, and the ends at which both are cut."""

    step: float
    board: Array
    reference: Array
    rails: tuple[float, float]


def counts_on_one_grid(board: Array, reference: Array) -> Counts | None:
    """Two float tensors, counted in the finer step of both.

    None where they lie on no grid, or on two. An end that no value reaches, or that no 8-bit type has, is infinite.
    """
    steps = grid_step(board), grid_step(reference)
    if not all(steps):
        return None
    both = [side.astype(np.float64) / min(steps) for side in (board, reference)]
    if not all(np.isfinite(side).all() and np.abs(side - np.rint(side)).max() < OFF for side in both):
        return None
    counts = [np.rint(side).astype(np.int64) for side in both]
    low, high = (int(end([end(side) for side in counts])) for end in (np.min, np.max))
    ends = (low if low in LOWEST else -np.inf, high if high in ENDS else np.inf)
    return Counts(min(steps), counts[0], counts[1], ends)


def _off(values: Array, step: float) -> int:
    """Elements that are on no step of a grid through zero."""
    counts = values.reshape(-1)[:LOOKED_AT].astype(np.float64) / step
    return int(np.count_nonzero(np.abs(counts - np.rint(counts)) > OFF))


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
