"""Sums of a pair of floats: in float64, NaN and infinity by position and sign, distance in ULP.

Full blocks of float32 multiply in float32 and add in short runs, which are added in float64. A block whose
dot products are finite holds no NaN and no infinity, so the usual block pays nothing for the check; any other block,
and one whose squares leave the range of its type, takes the careful way.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.consistency.metrics.sums import Sums

Array = npt.NDArray[Any]
F64 = npt.NDArray[np.float64]
BLOCK = 131_072  # elements; smaller ones leave two threads waiting for the interpreter (measured, docs/metrics.md)
ROW = 8_192  # OpenBLAS starts threads of its own beyond 10,000 elements, which then fight with ours
RUN = 256  # products added in float32: the sum is off by 4e-9 of itself as measured, by 256 roundings at most
LEAST_NARROW = 1e-12  # largest value of a block whose lesser squares may leave float32 without being missed
LEAST_SQUARE = 1e-280  # below, squares have lost digits to the end of float64's range
INTEGERS: dict[int, np.dtype[Any]] = {2: np.dtype("i2"), 4: np.dtype("i4"), 8: np.dtype("i8")}


class Scratch(threading.local):
    """Buffers of one thread, used again for every block of every tensor."""

    def __init__(self) -> None:
        self.x, self.r, self.d = (np.empty(BLOCK) for _ in range(3))
        self.narrow = np.empty(BLOCK, dtype=np.float32)
        self.bits = np.empty(BLOCK, dtype=np.int64)
        self.mask = np.empty(BLOCK, dtype=np.bool_)


_SCRATCH = Scratch()


def float_sums(board: Array, reference: Array) -> Sums:
    """Sums of two flat float arrays of equal length (f16, f32, f64, in any mixture)."""
    total = Sums()
    for first in range(0, len(board), BLOCK):
        total.add(_block(board[first : first + BLOCK], reference[first : first + BLOCK], _SCRATCH))
    return total


def _block(board: Array, reference: Array, scratch: Scratch) -> Sums:
    gap = _Gap.of(board, reference, scratch)
    sums = None
    if gap is not None and board.dtype == np.float32 and len(board) == BLOCK:
        sums = _narrow_sums(board, reference, gap, scratch)
    sums = sums or _wide_sums(board, reference, scratch)
    _compare_bits(board, reference, sums, gap)
    sums.zero_board, sums.zero_reference = _zeros(board, scratch), _zeros(reference, scratch)
    return sums


def _narrow_sums(board: Array, reference: Array, gap: _Gap, scratch: Scratch) -> Sums | None:
    """A full block of float32: products are added in float32 in runs of RUN, the runs in float64.

    None where float32 would lose more than its rounding: NaN, infinity, and values whose squares leave its range.
    """
    n = len(board)
    sums = Sums(elements=n, finite=n)
    with np.errstate(all="ignore"):
        sums.rr = _run_dots(reference, reference)
        if gap.low or gap.high:
            d = scratch.narrow
            np.subtract(board, reference, out=d)
            sums.dd, sums.dr = _run_dots(d, d), _run_dots(d, reference)
            sums.d_low, sums.d_high = _exact_ends(board, reference, d, gap)
    sums.r_low, sums.r_high = float(reference.min()), float(reference.max())
    if not np.isfinite(sums.dd + sums.rr):
        return None
    peaks = (sums.max_abs, max(sums.r_high, -sums.r_low))
    return sums if all(peak == 0 or peak > LEAST_NARROW for peak in peaks) else None


def _exact_ends(board: Array, reference: Array, d: Array, gap: _Gap) -> tuple[float, float]:
    """Float32 within a factor of two have exact differences in float32 (Sterbenz); the others are taken again."""
    if gap.close:
        return float(d.min()), float(d.max())
    low, high = (float(board[at]) - float(reference[at]) for at in (int(d.argmin()), int(d.argmax())))
    return low, high


def _run_dots(a: Array, b: Array) -> float:
    return float(_row_dots(a.reshape(-1, RUN), b.reshape(-1, RUN)).sum(dtype=np.float64))


def _wide_sums(board: Array, reference: Array, scratch: Scratch) -> Sums:
    n = len(board)
    x, r, d = scratch.x[:n], scratch.r[:n], scratch.d[:n]
    with np.errstate(all="ignore"):  # a signalling NaN warns when it is widened
        np.copyto(x, board)
        np.copyto(r, reference)
        np.subtract(x, r, out=d)
        sums = Sums(elements=n, finite=n, dd=_dot(d, d), dr=_dot(d, r), rr=_dot(r, r))
        sums.d_low, sums.d_high = float(d.min()), float(d.max())
        sums.r_low, sums.r_high = float(reference.min()), float(reference.max())
        return sums if _in_range(sums) else _careful(x, r)


def _in_range(sums: Sums) -> bool:
    if not np.isfinite(sums.dd + sums.rr):
        return False
    all_zero = (sums.d_low == sums.d_high == 0, sums.r_low == sums.r_high == 0)
    return all(square > LEAST_SQUARE or zero for square, zero in zip((sums.dd, sums.rr), all_zero, strict=True))


def _dot(a: F64, b: F64) -> float:
    whole = len(a) // ROW * ROW
    total = float(np.dot(a[whole:], b[whole:]))
    if whole:
        total += float(_row_dots(a[:whole].reshape(-1, ROW), b[:whole].reshape(-1, ROW)).sum())
    return total


def _row_dots(a: Array, b: Array) -> Array:
    """Dot product of each row, shape (rows,)."""
    if hasattr(np, "vecdot"):  # numpy 2, by BLAS
        return np.asarray(np.vecdot(a, b))
    return np.asarray(np.einsum("ij,ij->i", a, b))


def count_nonfinite(values: Array) -> tuple[int, int]:
    """(NaN, infinite) of a flat float array. A finite dot product with itself proves that there are none."""
    if values.dtype.itemsize > 2:
        with np.errstate(all="ignore"):
            whole = len(values) // ROW * ROW
            rows = values[:whole].reshape(-1, ROW)
            total = _row_dots(rows, rows).sum() + np.dot(values[whole:], values[whole:])
        if np.isfinite(total):
            return 0, 0
    if np.isfinite(values).all():
        return 0, 0
    return int(np.isnan(values).sum()), int(np.isinf(values).sum())


def _careful(x: F64, r: F64) -> Sums:
    """Only the finite pairs enter the sums, and those in extended precision, whose range squares do not leave."""
    sums = Sums(elements=len(x))
    _count_nonfinite(sums, x, r)
    both = np.isfinite(x) & np.isfinite(r)
    sums.finite = int(np.count_nonzero(both))
    if not sums.finite:
        return sums
    wide_r = r[both].astype(np.longdouble)
    wide_d = x[both].astype(np.longdouble) - wide_r
    sums.dd, sums.dr, sums.rr = (wide_d * wide_d).sum(), (wide_d * wide_r).sum(), (wide_r * wide_r).sum()
    sums.d_low, sums.d_high = wide_d.min(), wide_d.max()
    sums.r_low, sums.r_high = float(wide_r.min()), float(wide_r.max())
    return sums


def _count_nonfinite(sums: Sums, x: F64, r: F64) -> None:
    nan_x, nan_r = np.isnan(x), np.isnan(r)
    up_x, up_r = np.isposinf(x), np.isposinf(r)
    down_x, down_r = np.isneginf(x), np.isneginf(r)
    sums.nan_board, sums.nan_reference = int(nan_x.sum()), int(nan_r.sum())
    sums.inf_board, sums.inf_reference = int(up_x.sum() + down_x.sum()), int(up_r.sum() + down_r.sum())
    pairs = ((nan_x, nan_r), (up_x, up_r), (down_x, down_r))
    sums.nonfinite_agree = all(np.array_equal(a, b) for a, b in pairs)


def _zeros(values: Array, scratch: Scratch) -> int:
    mask = scratch.mask[: len(values)]
    np.equal(values, 0, out=mask)
    return int(np.count_nonzero(mask))


@dataclass(frozen=True)
class _Gap:
    """Differences of the bits of two arrays of one float type, taken as integers.

    Bits of floats of one sign count up in ULP. Differing signs give a gap of `limit` or more, always, although
    it wraps; so `close` means one sign and at most a factor of two, everywhere.
    """

    board: Array
    reference: Array
    gap: Array
    low: int
    high: int
    limit: int

    @staticmethod
    def of(board: Array, reference: Array, scratch: Scratch) -> _Gap | None:
        if board.dtype != reference.dtype:
            return None
        kind = INTEGERS[board.dtype.itemsize]
        a, b = board.view(kind), reference.view(kind)
        gap = scratch.bits.view(kind)[: len(a)]
        np.subtract(a, b, out=gap)
        return _Gap(a, b, gap, int(gap.min()), int(gap.max()), 1 << np.finfo(board.dtype).nmant)

    @property
    def close(self) -> bool:
        return -self.limit < self.low and self.high < self.limit

    def max_ulp(self, both: Array | None) -> int:
        """Largest distance in ULP, over the elements of the mask `both` (all where None). Uses `gap` up."""
        a, b, gap = self.board, self.reference, self.gap
        if both is not None:
            a, b, gap = a[both], b[both], gap[both]
        elif self.close:
            return max(self.high, -self.low)
        far = np.flatnonzero((gap >= self.limit) | (gap <= -self.limit))
        gap[far] = 0
        near = max(int(gap.max()), -int(gap.min()))
        return max(near, _far_ulp(a[far], b[far])) if len(far) else near


def _compare_bits(board: Array, reference: Array, sums: Sums, gap: _Gap | None) -> None:
    """Mismatches by bits, and the largest distance in ULP where both sides are of one float type."""
    if gap is None:
        sums.mismatched = int(np.count_nonzero(board != reference))
        return
    sums.mismatched = int(np.count_nonzero(gap.gap))
    if sums.finite:
        both = None if sums.finite == sums.elements else np.isfinite(board) & np.isfinite(reference)
        sums.max_ulp = gap.max_ulp(both)


def _far_ulp(a: Array, b: Array) -> int:
    unsigned = np.dtype(f"u{a.dtype.itemsize}")
    magnitude = unsigned.type(np.iinfo(a.dtype).max)
    p, q = (side.view(unsigned) & magnitude for side in (a, b))
    p, q = p.astype(np.uint64), q.astype(np.uint64)
    apart = np.where((a < 0) == (b < 0), np.maximum(p, q) - np.minimum(p, q), p + q)
    return int(apart.max())
