"""Sums of a pair of integers on one scale: exact, in quantization steps.

Eight bits (and four, unpacked): one 256x256 joint histogram holds every pointwise figure. Wider integers are
widened to 64 bits; squares that would leave 64 bits are added in float64, and 64-bit values too large for a
difference in 64 bits are subtracted as Python integers.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.consistency.metrics.sums import HISTOGRAM_LIMIT, Sums

Array = npt.NDArray[Any]
JOINT_BLOCK = 262_144
WIDE_BLOCK = 65_536
SAFE_INT64 = 1 << 61  # a difference of two values below it fits
BINS_LIMIT = 1 << 17  # 16-bit steps are counted with a table of this size


@dataclass(frozen=True)
class Side:
    """Zero point and the rails (lowest and highest value of the dtype) of one side."""

    zero_point: int
    low: int
    high: int

    @property
    def rails(self) -> tuple[int, ...]:
        """Values that mean "saturated". A rail at the zero point is a ReLU's zero, not a saturation."""
        return tuple(rail for rail in (self.low, self.high) if rail != self.zero_point)


def int_sums(board: Array, reference: Array, side_board: Side, side_reference: Side) -> Sums:
    """Sums of two flat integer arrays of equal length, in steps: (board - its zero point) - (reference - its own)."""
    if board.dtype.itemsize == 1 and reference.dtype.itemsize == 1:
        return _joint_sums(board, reference, side_board, side_reference)
    total = Sums()
    for first in range(0, len(board), WIDE_BLOCK):
        part = slice(first, first + WIDE_BLOCK)
        total.add(_wide_sums(board[part], reference[part], side_board, side_reference))
    return total


def joint_histogram(board: Array, reference: Array) -> npt.NDArray[np.int64]:
    """Counts of (board byte, reference byte), both as unsigned bytes, shape (256, 256)."""
    x, r = board.view(np.uint8), reference.view(np.uint8)
    counts = np.zeros(65_536, dtype=np.int64)
    index = np.empty(min(JOINT_BLOCK, len(x)), dtype=np.intp)
    for first in range(0, len(x), JOINT_BLOCK):
        part = x[first : first + JOINT_BLOCK]
        keys = index[: len(part)]
        np.copyto(keys, part)
        np.left_shift(keys, 8, out=keys)
        np.add(keys, r[first : first + JOINT_BLOCK], out=keys, casting="unsafe")
        counts += np.bincount(keys, minlength=65_536)
    return counts.reshape(256, 256)


def _joint_sums(board: Array, reference: Array, sb: Side, sr: Side) -> Sums:
    counts = joint_histogram(board, reference)
    at_x, at_r = np.nonzero(counts)
    count = counts[at_x, at_r]
    raw_x = at_x.astype(np.uint8).view(board.dtype).astype(np.int64)
    raw_r = at_r.astype(np.uint8).view(reference.dtype).astype(np.int64)
    r = raw_r - sr.zero_point
    d = (raw_x - sb.zero_point) - r
    sums = Sums(elements=len(board), finite=len(board))
    _moments(sums, d, r, count)
    sums.mismatched = int(count[d != 0].sum())
    sums.steps = _weighted_steps(d, count)
    sums.zero_board = int(count[raw_x == sb.zero_point].sum())
    sums.zero_reference = int(count[raw_r == sr.zero_point].sum())
    sums.rail_board = int(count[np.isin(raw_x, sb.rails)].sum())
    sums.rail_reference = int(count[np.isin(raw_r, sr.rails)].sum())
    return sums


def _weighted_steps(d: Array, count: Array) -> Counter[int]:
    low = int(d.min())
    times = np.bincount(d - low, weights=count)  # float64, exact below 2**53
    values = np.flatnonzero(times)
    return Counter(dict(zip((values + low).tolist(), times[values].astype(np.int64).tolist(), strict=True)))


def _moments(sums: Sums, d: Array, r: Array, count: Array) -> None:
    if not len(d):
        return
    sums.dd, sums.dr, sums.rr = int((count * d * d).sum()), int((count * d * r).sum()), int((count * r * r).sum())
    sums.d_sum = sums.step_sum = int((count * d).sum())
    _ends(sums, d, r)


def _ends(sums: Sums, d: Array, r: Array) -> None:
    sums.d_low, sums.d_high = int(d.min()), int(d.max())
    sums.r_low, sums.r_high = int(r.min()), int(r.max())
    sums.max_step = float(max(sums.d_high, -sums.d_low))


def _wide_sums(board: Array, reference: Array, sb: Side, sr: Side) -> Sums:
    x, r = _centred(board, sb.zero_point), _centred(reference, sr.zero_point)
    if x.dtype == object or r.dtype == object:
        x, r = x.astype(object), r.astype(object)
    d = x - r
    sums = Sums(elements=len(d), finite=len(d), mismatched=int(np.count_nonzero(d)))
    sums.d_sum = sums.step_sum = _sum(d)
    _ends(sums, d, r)
    sums.dd, sums.dr, sums.rr = _product(d, d), _product(d, r), _product(r, r)
    _count_steps(sums, d)
    sums.zero_board = int(np.count_nonzero(x == 0))
    sums.zero_reference = int(np.count_nonzero(r == 0))
    sums.rail_board = _count_values(board, sb.rails)
    sums.rail_reference = _count_values(reference, sr.rails)
    return sums


def _centred(values: Array, zero_point: int) -> Array:
    """Values less the zero point as int64, or as Python integers where 64 bits might not hold a difference."""
    if values.dtype.itemsize == 8 and (int(values.min()) < -SAFE_INT64 or int(values.max()) > SAFE_INT64):
        return values.astype(object) - zero_point
    return values.astype(np.int64) - zero_point


def _sum(d: Array) -> int:
    return int(d.sum() if d.dtype == object or _largest(d) * len(d) < 2**63 else d.astype(object).sum())


def _product(a: Array, b: Array) -> int | float:
    if a.dtype == object:
        return int((a * b).sum())
    largest = _largest(a) * _largest(b) * len(a)
    if largest < 2**63:
        return int(np.dot(a, b))
    return float(np.dot(a.astype(np.float64), b.astype(np.float64)))


def _largest(a: Array) -> int:
    return max(int(a.max()), -int(a.min()))


def _count_steps(sums: Sums, d: Array) -> None:
    low, high = int(sums.d_low), int(sums.d_high)
    if high - low < BINS_LIMIT:
        counts = np.bincount((d - low).astype(np.intp), minlength=1)
        values = np.flatnonzero(counts)
        pairs = zip((low + value for value in values.tolist()), counts[values].tolist(), strict=True)
    else:
        steps, times = np.unique(d, return_counts=True)
        values = steps
        pairs = zip(steps.tolist(), times.tolist(), strict=True)
    sums.steps_kept = len(values) <= HISTOGRAM_LIMIT
    if sums.steps_kept:
        sums.steps = Counter(dict(pairs))


def _count_values(values: Array, wanted: tuple[int, ...]) -> int:
    return sum(int(np.count_nonzero(values == value)) for value in wanted)
