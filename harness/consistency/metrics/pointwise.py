"""Every pointwise figure of one pair, in one pass and in flat memory. Definitions: docs/metrics.md."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.consistency.metrics.blocks import each, same_bytes
from harness.consistency.metrics.float_sums import count_nonfinite, float_sums
from harness.consistency.metrics.int_sums import Side, int_sums
from harness.consistency.metrics.sums import Sums
from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.tensor_files import value_range
from harness.records import Metrics, Quantization, TensorSpec

Array = npt.NDArray[Any]
TINY = 16  # below, a share or a norm says less than the elements themselves
SAME_SCALE = 1e-5  # vendor tools print scales with six significant digits
EQUAL_BLOCK_BYTES = 1 << 20  # of one side: still in the cache for the second look


def equal(board: Array, reference: Array) -> bool:
    """Same shape, same type, same bytes. Stops at the first difference; padding of a strided view does not count."""
    board, reference = _plain(board), _plain(reference)
    if board.shape != reference.shape or board.dtype != reference.dtype:
        return False
    return all(each(same_bytes, board, reference))


def _look_equal(board: Array, reference: Array) -> tuple[bool, int, int]:
    """(same bytes, NaN, infinite) of a piece; the counts are worked out while its blocks are still in the cache."""
    if board.dtype.kind != "f":
        return same_bytes(board, reference), 0, 0
    nan = inf = 0
    size = EQUAL_BLOCK_BYTES // board.itemsize
    for first in range(0, len(board), size):
        part = board[first : first + size]
        if not same_bytes(part, reference[first : first + size]):
            return False, 0, 0
        counts = count_nonfinite(part)
        nan, inf = nan + counts[0], inf + counts[1]
    return True, nan, inf


def _equal_counts(board: Array, reference: Array) -> tuple[int, int] | None:
    """(NaN, infinite) of an equal pair; None at the first difference."""
    if board.dtype != reference.dtype:
        return None
    nan = inf = 0
    for same, some_nan, some_inf in each(_look_equal, board, reference):
        if not same:
            return None
        nan, inf = nan + some_nan, inf + some_inf
    return nan, inf


def measure(
    board: Array,
    reference: Array,
    spec_board: TensorSpec | None = None,
    spec_reference: TensorSpec | None = None,
) -> Metrics:
    """Figures of board against reference, both logical arrays of one shape with axes in one order.

    Integers on one scale are compared in exact steps; on differing scales, or against floats, both are
    dequantized and the step is the larger scale. Without a quantization integers are compared as they are.
    Errors: TensorError (shape_differs, dtype_differs) for a pair that has no common values.
    """
    board, reference = _plain(board), _plain(reference)
    if board.shape != reference.shape:
        raise TensorError(f"shapes differ: board {board.shape}, reference {reference.shape}", "", "shape_differs")
    if board.size == 0:
        return Metrics(elements=0, mismatched=0, special="empty")
    terms = _terms(board, reference, spec_board, spec_reference)
    counts = _equal_counts(board, reference) if terms.exact_when_equal else None
    if counts is not None:
        return _equal_metrics(board, terms, *counts)
    return _figures(terms, _sums(board, reference, terms))


def _plain(array: Array) -> Array:
    """Booleans as bytes, foreign byte order as the machine's own."""
    if array.dtype == np.bool_:
        return array.view(np.uint8)
    if not array.dtype.isnative:
        return array.astype(array.dtype.newbyteorder("="))
    return array


# ------------------------------------------------------------------------- terms


@dataclass(frozen=True)
class Terms:
    """On which terms a pair is compared: as integers, as dequantized values, or as floats."""

    kind: str  # "integer", "dequantized", "float"
    board: Quantization | None
    reference: Quantization | None
    side_board: Side | None
    side_reference: Side | None

    @property
    def exact_when_equal(self) -> bool:
        """Equal bytes are equal values: not so when the two sides read the same bytes with other scales."""
        if self.kind == "float":
            return True
        return self.kind == "integer" and _zeros(self.board) == _zeros(self.reference)


def _terms(board: Array, reference: Array, sb: TensorSpec | None, sr: TensorSpec | None) -> Terms:
    whole = [array.dtype.kind in "iu" for array in (board, reference)]
    if not any(whole):
        return Terms("float", None, None, None, None)
    qb, qr = quantizations(board, reference, sb, sr)
    for is_whole, q, who in ((whole[0], qb, "board"), (whole[1], qr, "reference")):
        if not all(whole) and is_whole and q is None:
            raise TensorError(
                f"{who} is {board.dtype if who == 'board' else reference.dtype} without a scale, the other floats; "
                "a text table with NAME, TYPE and SCALE of each tensor beside the dumps gives it",
                "give the quantization of the integer side",
                "dtype_differs",
            )
    sides = _side(board, sb, qb), _side(reference, sr, qr)
    if all(whole) and _same_scale(qb, qr):
        return Terms("integer", qb, qr, *sides)
    return Terms("dequantized", qb, qr, *sides)


def quantizations(
    board: Array, reference: Array, sb: TensorSpec | None, sr: TensorSpec | None
) -> tuple[Quantization | None, Quantization | None]:
    """Scales of both sides as they are compared: one that a side does not tell is the other's; None for floats."""
    qb = _simple(sb.quantization if sb else None)
    qr = _simple(sr.quantization if sr else None)
    if board.dtype == reference.dtype:  # a dump's own tool often tells no scale: then it is the reference's
        qb, qr = qb or qr, qr or qb
    elif board.dtype.kind in "iu" and reference.dtype.kind in "iu" and (qb is None or qr is None):
        qb = qr = None  # no common scale is known: the stored values themselves
    if board.dtype.kind == "f":
        qb = None
    if reference.dtype.kind == "f":
        qr = None
    return _on_axis(qb, qr, board.shape), _on_axis(qr, qr, board.shape)


def _simple(q: Quantization | None) -> Quantization | None:
    """One scale for all where the list says the same thing again and again."""
    if q is None or not q.scales:
        return None
    zeros = q.zero_points or (0,)
    if len(set(q.scales)) == 1 and len(set(zeros)) == 1:
        return Quantization((q.scales[0],), (zeros[0],), None)
    return replace(q, zero_points=zeros)


def _on_axis(q: Quantization | None, by: Quantization | None, shape: tuple[int, ...]) -> Quantization | None:
    """Scales of the board along the reference's axis: arrays come in the reference's axis order."""
    if q is None or (q.axis is None and len(q.scales) == 1 and len(q.zero_points) == 1):
        return q
    count = max(len(q.scales), len(q.zero_points))
    axes = [by.axis if by else None, q.axis]
    for axis in axes:
        if axis is not None and -len(shape) <= axis < len(shape) and shape[axis] == count:
            return replace(q, axis=axis % len(shape))
    raise TensorError(f"{count} scales do not match any axis of shape {shape}", "check the quantization axis")


def _side(array: Array, spec: TensorSpec | None, q: Quantization | None) -> Side | None:
    if array.dtype.kind not in "iu":
        return None
    info = np.iinfo(array.dtype)
    low, high = int(info.min), int(info.max)
    if spec is not None and spec.dtype in ("s4", "u4"):
        low, high = value_range(spec)
    return Side(_zeros(q)[0], low, high)


def _zeros(q: Quantization | None) -> tuple[int, ...]:
    return q.zero_points if q else (0,)


def _same_scale(a: Quantization | None, b: Quantization | None) -> bool:
    if a is None or b is None:
        return a is b
    if len(a.scales) != len(b.scales):
        return False
    return all(math.isclose(p, q, rel_tol=SAME_SCALE) for p, q in zip(a.scales, b.scales, strict=True))


# ------------------------------------------------------------------------- sums


def _sums(board: Array, reference: Array, terms: Terms) -> Sums:
    total = Sums()
    for x, r, at in _channels(board, reference, terms):
        for part in _piece_sums(x, r, at):
            total.add(part)
    return total


@dataclass(frozen=True)
class _Channel:
    """Scale and zero points that hold for all of what is compared at once."""

    kind: str
    scale_board: float | None
    scale_reference: float | None
    side_board: Side | None
    side_reference: Side | None

    @property
    def step(self) -> float:
        return max(self.scale_board or 0.0, self.scale_reference or 0.0)


def _channels(board: Array, reference: Array, terms: Terms) -> Iterator[tuple[Array, Array, _Channel]]:
    axis = next((q.axis for q in (terms.reference, terms.board) if q and q.axis is not None), None)
    if axis is None:
        yield board, reference, _channel(terms, 0)
        return
    for index in range(board.shape[axis]):
        at = (slice(None),) * axis + (index,)
        yield board[at], reference[at], _channel(terms, index)


def _channel(terms: Terms, index: int) -> _Channel:
    sides = [
        replace(side, zero_point=_at(_zeros(q), index)) if side else None
        for side, q in ((terms.side_board, terms.board), (terms.side_reference, terms.reference))
    ]
    scales = [_at(q.scales, index) if q else None for q in (terms.board, terms.reference)]
    return _Channel(terms.kind, scales[0], scales[1], sides[0], sides[1])


def _at(values: tuple[Any, ...], index: int) -> Any:
    return values[index] if len(values) > 1 else values[0]


def _piece_sums(board: Array, reference: Array, at: _Channel) -> Iterator[Sums]:
    if at.kind == "float":
        yield from each(float_sums, board, reference)
        return
    if at.kind == "integer":
        assert at.side_board is not None and at.side_reference is not None
        sb, sr = at.side_board, at.side_reference
        for sums in each(lambda x, r: int_sums(x, r, sb, sr), board, reference):
            yield sums.scaled(at.scale_reference) if at.scale_reference else sums
        return
    yield from each(lambda x, r: _dequantized_sums(x, r, at), board, reference)


def _dequantized_sums(board: Array, reference: Array, at: _Channel) -> Sums:
    x = _real(board, at.scale_board, at.side_board)
    r = _real(reference, at.scale_reference, at.side_reference)
    sums = float_sums(x, r)
    d = x - r
    sums.mismatched = int(np.count_nonzero(~(np.abs(d) <= at.step * (1 + SAME_SCALE))))
    sums.step_sum = float(np.sum(d[np.isfinite(d)])) / at.step
    sums.max_step = sums.max_abs / at.step
    sums.steps_kept, sums.max_ulp = False, None
    sums.rail_board, sums.rail_reference = _rails(board, at.side_board), _rails(reference, at.side_reference)
    return sums


def _real(values: Array, scale: float | None, side: Side | None) -> npt.NDArray[np.float64]:
    wide = values.astype(np.float64)
    return (wide - side.zero_point) * scale if side and scale else wide


def _rails(values: Array, side: Side | None) -> int:
    return sum(int(np.count_nonzero(values == rail)) for rail in side.rails) if side else 0


# ------------------------------------------------------------------------- figures


def _equal_metrics(board: Array, terms: Terms, nan: int, inf: int) -> Metrics:
    """Nothing differs: only what one side alone can tell is looked for (NaN and infinity, zero, constant)."""
    n = board.size
    special = _special_of(n, *_ends_of(board, terms))
    related = None if special == "all_zero" or nan + inf == n else 0.0
    steps = terms.kind == "integer"
    return Metrics(
        elements=n,
        mismatched=0,
        max_step=0.0 if steps else None,
        mean_step=0.0 if steps else None,
        histogram=((0, n),) if steps else (),
        relative_l2=related,
        max_abs=0.0,
        max_abs_over_range=None if special in ("all_zero", "constant") or related is None else 0.0,
        one_minus_cosine=related,
        max_ulp=None if steps else 0,
        nan_board=nan,
        nan_reference=nan,
        inf_board=inf,
        inf_reference=inf,
        special=special,
    )


def _ends_of(board: Array, terms: Terms) -> tuple[Any, Any]:
    """Lowest and highest value if the tensor is constant; any two that differ, otherwise."""
    zero = _zeros(terms.reference)
    first = board[(0,) * board.ndim]
    if len(zero) > 1 or not _constant(board, first):
        return 0, 1
    value = int(first) - zero[0] if terms.kind == "integer" else first
    return value, value


def _constant(board: Array, first: Any) -> bool:
    return all(each(lambda part, _: bool((part == first).all()), board, board))


def _special_of(elements: int, low: Any, high: Any) -> str:
    if low is not None and low == high == 0:
        return "all_zero"
    if elements < TINY:
        return "tiny"
    return "constant" if low is not None and low == high else ""


def _figures(terms: Terms, sums: Sums) -> Metrics:
    steps = terms.kind != "float"
    n = sums.elements
    span = float(sums.r_high) - float(sums.r_low) if sums.finite else 0.0
    relative = _relative_l2(sums)
    return Metrics(
        elements=n,
        mismatched=sums.mismatched,
        max_step=sums.max_step if steps else None,
        mean_step=float(sums.step_sum / n) if steps else None,
        histogram=tuple(sorted(sums.steps.items())) if sums.steps_kept else (),
        relative_l2=relative,
        sqnr_db=-20 * math.log10(relative) if relative else None,
        max_abs=sums.max_abs if sums.finite else None,
        max_abs_over_range=sums.max_abs / span if span else None,
        one_minus_cosine=_one_minus_cosine(sums),
        max_ulp=sums.max_ulp,
        nan_board=sums.nan_board,
        nan_reference=sums.nan_reference,
        inf_board=sums.inf_board,
        inf_reference=sums.inf_reference,
        nonfinite_agree=sums.nonfinite_agree,
        saturated_share_board=sums.rail_board / n if terms.side_board else None,
        saturated_share_reference=sums.rail_reference / n if terms.side_reference else None,
        zero_share_board=sums.zero_board / n,
        zero_share_reference=sums.zero_reference / n,
        special=_special_of(n, sums.r_low, sums.r_high),
    )


def _relative_l2(sums: Sums) -> float | None:
    if not sums.rr:
        return None
    return float(np.sqrt(np.longdouble(sums.dd) / np.longdouble(sums.rr)))


def _one_minus_cosine(sums: Sums) -> float | None:
    """From d, because 1 - cos of nearly equal vectors loses every digit: with x = r + d,
    |x||r| - x.r = (|d|^2 - (|x| - |r|)^2) / 2, and |x| - |r| = (|d|^2 + 2 d.r) / (|x| + |r|)."""
    dd, dr, rr = (np.longdouble(v) for v in (sums.dd, sums.dr, sums.rr))
    xx = dd + 2 * dr + rr
    if not rr > 0 or not xx > 0:
        return None
    norms = np.sqrt(xx) + np.sqrt(rr)
    short = (dd + 2 * dr) / norms
    return max(0.0, float((dd - short * short) / (2 * np.sqrt(xx) * np.sqrt(rr))))
