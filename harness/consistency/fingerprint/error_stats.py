"""The errors of one pair, as the tests of the fingerprint look at them. Figures are worked out when asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.consistency.fingerprint.context import FingerprintContext
from harness.consistency.fingerprint.noise import without_noise
from harness.consistency.fingerprint.regions import Geometry, Region, find_region, labels_of
from harness.consistency.reading.layouts import BLOCKED, bits_of, channel_axis, storage
from harness.records import TensorSpec

Array = npt.NDArray[Any]
SAMPLE = 1 << 16
THINNED = 1 << 14
TRUNCATED = (0.25, 0.75)  # share of the values: half of those that are not clipped (a Relu's zeros stay)


@dataclass(frozen=True)
class Errors:
    """`wrong` marks the differing elements; `whole` is False where only a part of a large tensor is looked at.

    `noise`: differences up to it are everywhere and are not among `wrong`; 0 where every difference is.
    """

    board: Array
    reference: Array
    spec: TensorSpec
    context: FingerprintContext
    wrong: Array
    whole: bool
    noise: float = 0.0

    @property
    def is_float(self) -> bool:
        """Whether the board's values are floats."""
        return bool(self.board.dtype.kind == "f")

    @property
    def comparable(self) -> bool:
        """One dtype on both sides, so that bytes and laws can be compared."""
        return self.board.dtype == self.reference.dtype

    @property
    def spec_of_board(self) -> TensorSpec:
        """Its dtype gives the rails: the reference's, unless that is of another width."""
        name = f"{'s' if self.board.dtype.kind == 'i' else 'u'}{self.board.dtype.itemsize * 8}"
        four = self.spec.dtype in ("s4", "u4") and self.board.dtype.itemsize == 1
        return self.spec if four else replace(self.spec, dtype=name)

    @cached_property
    def zero_point(self) -> int:
        """The tensor's zero point; 0 where it has none, or one per channel."""
        q = self.spec.quantization
        return q.zero_points[0] if q and len(set(q.zero_points)) == 1 else 0

    def is_zero(self, value: Any) -> bool:
        """Zero as stored, or as meant."""
        return bool(value in (0, self.zero_point))

    @cached_property
    def count(self) -> int:
        """How many elements differ."""
        return int(np.count_nonzero(self.wrong))

    @property
    def share(self) -> float:
        """Of all elements, 0..1."""
        return self.count / self.wrong.size

    @cached_property
    def differences(self) -> npt.NDArray[np.float64]:
        """Board minus reference where they differ and both are finite."""
        with np.errstate(invalid="ignore", over="ignore"):
            sides = (self.board, self.reference)
            held = (side.reshape(-1) if self.count == side.size else side[self.wrong] for side in sides)
            d = np.subtract(*held, dtype=np.float64)
        if not np.isfinite(d).all():
            d = d[np.isfinite(d)]
        finite: npt.NDArray[np.float64] = d
        return finite

    @cached_property
    def nonfinite_wrong(self) -> int:
        """Differing elements that have no difference: NaN or infinity on a side."""
        return self.count - len(self.differences)

    @cached_property
    def max_step(self) -> float:
        """The largest absolute difference; 0 without any."""
        return self.ends_of_differences[1]

    @cached_property
    def count_up(self) -> int:
        """How many elements are too large."""
        return int(np.count_nonzero(self.differences > 0))

    @cached_property
    def truncated(self) -> str:
        """ "down", "up" or "towards zero" where about half of the integers are one step off, that way only; else ""."""
        if self.is_float or self.count < 64 or not TRUNCATED[0] <= self.share <= TRUNCATED[1]:
            return ""
        if self.count_up in (0, self.count):
            return "up" if self.count_up else "down"
        sides = np.sign(self.reference[self.wrong].astype(np.int64) - self.zero_point)
        return "towards zero" if bool((self.differences * sides <= 0).all()) else ""

    @cached_property
    def ends_of_differences(self) -> tuple[float, float]:
        """(smallest, largest) absolute difference; (0, 0) without any."""
        if not len(self.differences):
            return 0.0, 0.0
        parts = (np.abs(self.differences[i : i + SAMPLE]) for i in range(0, len(self.differences), SAMPLE))
        ends = [(float(part.min()), float(part.max())) for part in parts]
        return min(low for low, _ in ends), max(high for _, high in ends)

    @cached_property
    def distinct(self) -> int:
        """Distinct values of the reference where it differs, in a sample."""
        return int(np.unique(self.reference[self.wrong][:SAMPLE]).size)

    @cached_property
    def distinct_on_board(self) -> int:
        """How many values the board has where it differs, of the first SAMPLE."""
        return int(np.unique(self.board[self.wrong][:SAMPLE]).size)

    @cached_property
    def board_constant(self) -> bool:
        """Whether the board's tensor holds one value only."""
        return bool((self.board == self.board[(0,) * self.board.ndim]).all())

    @cached_property
    def board_constant_where_wrong(self) -> Any:
        """The one value that the board holds at every error; None where it holds several."""
        held = self.board[self.wrong]
        return held[0].item() if len(held) and bool((held == held[0]).all()) else None

    @cached_property
    def last_place(self) -> float:
        """Unit in the last place of the largest float involved: what rounding alone may add to a difference."""
        if not self.is_float:
            return 0.0
        held = self.board[self.wrong]
        held = held if np.isfinite(held).all() else held[np.isfinite(held)]
        return float(np.spacing(np.maximum(held.max(), -held.min()))) if held.size else 0.0

    @cached_property
    def span(self) -> float:
        """Range of the reference's finite values."""
        finite = self.reference[np.isfinite(self.reference)] if self.is_float else self.reference
        return float(finite.max()) - float(finite.min()) if finite.size else 0.0

    @cached_property
    def one_bit_each(self) -> bool:
        """Whether every differing element is off by exactly one bit."""
        kind = np.dtype(f"u{self.board.dtype.itemsize}")
        if not self.comparable:
            return False
        flips = np.ascontiguousarray(self.board[self.wrong]).view(kind) ^ np.ascontiguousarray(
            self.reference[self.wrong]
        ).view(kind)
        return bool((flips & (flips - kind.type(1)) == 0).all())

    @cached_property
    def thinned(self) -> tuple[Array, Array]:
        """About THINNED pairs out of all: what does not hold for them does not hold."""
        every = max(1, self.board.size // THINNED)
        return self.board.reshape(-1)[::every], self.reference.reshape(-1)[::every]

    @cached_property
    def sampled(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Finite pairs (board, reference) about the zero point: all of a small tensor, every k-th of a large one."""
        every = max(1, self.board.size // (1 << 20))
        x = self.board.reshape(-1)[::every].astype(np.float64) - self.zero_point
        r = self.reference.reshape(-1)[::every].astype(np.float64) - self.zero_point
        good = np.isfinite(x) & np.isfinite(r)
        return x[good], r[good]

    @cached_property
    def correlation(self) -> float:
        """Pearson's, of the sample; 0 where a side does not vary."""
        x, r = self.sampled
        if len(x) < 2 or not x.std() or not r.std():
            return 0.0
        return float(np.corrcoef(x, r)[0, 1])

    def slope(self) -> tuple[float | None, float, float]:
        """(slope through zero, largest residual, what is left of the error's root mean square as a share) of the pairs
        that are not at the board's ends."""
        x, r = self.sampled
        inside = (x > x.min()) & (x < x.max()) if len(x) else np.zeros(0, dtype=bool)
        x, r = x[inside], r[inside]
        power = float(np.dot(r, r)) if len(r) > 15 else 0.0
        if not power:
            return None, math.inf, 1.0
        slope = float(np.dot(x, r)) / power
        left = x - slope * r
        error = float(np.linalg.norm(x - r))
        return slope, float(np.abs(left).max()), float(np.linalg.norm(left)) / error if error else 1.0

    @property
    def rounding_room(self) -> float:
        """How far rounding alone may move an element: one step, of floats 1e-4 of the range where no step is known."""
        return 1.0 if not self.is_float else max(self.context.step or self.span * 1e-4, self.noise)

    def distribution_distance(self) -> float:
        """Largest distance of the two cumulative distributions (Kolmogorov-Smirnov); 1 without a finite pair."""
        x, r = (np.sort(side) for side in self.sampled)
        if not len(x):
            return 1.0
        at = np.concatenate([x, r])
        below = np.searchsorted(x, at, "right") / len(x) - np.searchsorted(r, at, "right") / len(r)
        return float(np.abs(below).max())

    def example(self) -> str:
        """The first differing element, in words."""
        index = tuple(int(axis[0]) for axis in np.nonzero(self.wrong))
        return f"{self.board[index]} instead of {self.reference[index]} at {index}"

    @cached_property
    def channel_is_one_element(self) -> bool:
        """Whether each channel has one element, so that channels and elements cannot be told apart."""
        axis = channel_axis(self.spec, self.board.ndim)
        if axis is None:
            axis = 1 if self.board.ndim == 4 else self.board.ndim - 1
        size = int(self.board.shape[axis])
        return 1 < size == int(self.board.size)

    @cached_property
    def region(self) -> Region | None:
        """The region of axes or memory that holds all differing elements; None for none."""
        constant = self.board_constant_where_wrong is not None
        return find_region(self.wrong, self.geometry, constant, self.context.weighted and not constant)

    @cached_property
    def geometry(self) -> Geometry:
        """Labels, steps in memory and bits of the axes."""
        bits = bits_of(self.spec_of_board)
        steps = _steps_bits(self.board, self.spec, self.context.stored, bits) if self.context.in_memory else None
        return Geometry(labels_of(self.spec.layout, self.board.ndim), steps, bits)


def _steps_bits(board: Array, spec: TensorSpec, stored: TensorSpec | None, bits: int) -> tuple[int, ...] | None:
    """Step of each logical axis in the board's memory: from its spec where given, else from the view's strides."""
    if stored is None:
        return tuple(stride // board.itemsize * bits for stride in board.strides)
    if stored.layout in BLOCKED or len(stored.shape) != board.ndim:
        return None
    steps = storage(stored).strides_bits
    if stored.layout == spec.layout or not {stored.layout, spec.layout} <= {"NCHW", "NHWC"} or board.ndim != 4:
        return steps if stored.shape == board.shape else None
    return tuple(steps[stored.layout.index(axis)] for axis in spec.layout)


def look(board: Array, reference: Array, spec: TensorSpec, context: FingerprintContext, most: int) -> Errors:
    """Mark the errors; of a tensor of more than `most` elements only in a slab that holds the first one."""
    if board.ndim == 0:
        board, reference = board.reshape(1), reference.reshape(1)
    whole = board.size <= most
    if not whole:
        board, reference = _slab(board, reference, most)
        context = FingerprintContext(
            is_input=context.is_input,
            first_op=context.first_op,
            inputs_equal=context.inputs_equal,
            step=context.step,
            weighted=context.weighted,
            in_memory=context.in_memory,
        )
    wrong, noise = without_noise(board, reference, differing(board, reference))
    return Errors(board, reference, spec, context, wrong, whole, noise)


def differing(board: Array, reference: Array) -> Array:
    """Elements that differ; NaN equals NaN, and 0 equals -0."""
    wrong: Array = np.asarray(board != reference)
    if board.dtype.kind == "f" and reference.dtype.kind == "f":
        wrong &= ~(np.isnan(board) & np.isnan(reference))
    return wrong


def _slab(board: Array, reference: Array, most: int) -> tuple[Array, Array]:
    """Indices of the first axis that is long enough, from the first error on."""
    axis = next(i for i, n in enumerate(board.shape) if n > 1)
    board, reference = np.moveaxis(board, axis, 0), np.moveaxis(reference, axis, 0)
    rows = max(1, most // (board.size // board.shape[0]))
    first = next((i for i in range(len(board)) if differing(board[i], reference[i]).any()), 0)
    first = min(first, max(0, len(board) - rows))
    part = slice(first, first + rows)
    return np.moveaxis(board[part], 0, axis), np.moveaxis(reference[part], 0, axis)
