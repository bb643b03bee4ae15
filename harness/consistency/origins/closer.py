"""A wrong tensor from near: the slice that differs most on both sides, every axis, the worst elements."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.consistency.fingerprint.error_maps import picture_axes
from harness.consistency.fingerprint.error_stats import differing
from harness.consistency.fingerprint.regions import labels_of
from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.pairs import Pair, real_values
from harness.consistency.reading.tensor_files import dequantize
from harness.records import AxisProfile, Quantization, SignedMap, TensorSpec, WorstElement, WorstSlice

Array = npt.NDArray[Any]
MOST_CELLS = 32  # of a map, per side
MOST_BARS = 64  # of an axis
MOST_WORST = 8
LOOK = 1 << 23  # elements; a larger tensor is thinned along its longest axis


@dataclass(frozen=True)
class _Near:
    """Both sides as numbers that may be subtracted; `steps`: the stride of each axis where the tensor was thinned."""

    pair: Pair
    board: Array
    reference: Array
    wrong: Array
    difference: Array
    labels: tuple[str, ...]
    steps: tuple[int, ...]


def from_near(pair: Pair) -> tuple[SignedMap | None, tuple[AxisProfile, ...], tuple[WorstElement, ...]]:
    """Map, axes and elements of a pair that differs; nothing of one without elements."""
    if not pair.board.size:
        return None, (), ()
    near = _near(pair)
    return _signed_map(near), tuple(_profiles(near)), tuple(_worst(near))


def _near(pair: Pair) -> _Near:
    board, reference, steps = pair.board, pair.reference, [1] * pair.board.ndim
    if board.size > LOOK:
        axis = _thinned_axis(pair)
        steps[axis] = -(-board.size // LOOK)
        at = (slice(None),) * axis + (slice(None, None, steps[axis]),)
        board, reference = board[at], reference[at]
    wrong = differing(board, reference)
    with np.errstate(all="ignore"):
        one, other = _numbers(pair, board, reference)
        difference = np.where(wrong, one - other, 0.0)
    labels = labels_of(pair.spec_reference.layout, board.ndim)
    return _Near(pair, one, other, wrong, difference, labels, tuple(steps))


def _thinned_axis(pair: Pair) -> int:
    """The longest axis, but none that has a scale for each of its indices, as long as there is another."""
    scaled = {
        spec.quantization.axis for spec in (pair.spec_board, pair.spec_reference) if spec.quantization is not None
    }
    sizes = [0 if axis in scaled else size for axis, size in enumerate(pair.board.shape)]
    return int(np.argmax(sizes if max(sizes) > 1 else pair.board.shape))


def _numbers(pair: Pair, board: Array, reference: Array) -> tuple[Array, Array]:
    if pair.form == "integer":
        return board.astype(np.float64), reference.astype(np.float64)
    return real_values(board, pair.spec_board), real_values(reference, pair.spec_reference)


def _size(difference: Array) -> Array:
    """How far apart; what is NaN or infinite on one side alone is farthest."""
    return np.where(np.isfinite(difference), np.abs(difference), np.inf)


def _signed_map(near: _Near) -> SignedMap | None:
    """The plane through the tensor that holds most of what is wrong."""
    board, reference, difference, wrong, where = near.board, near.reference, near.difference, near.wrong, []
    plane = picture_axes(wrong.shape, near.labels)
    if len(plane) < 2:
        return None
    others = [axis for axis in range(wrong.ndim) if axis not in plane]
    if others:
        counts = wrong.sum(axis=tuple(plane))
        at = np.unravel_index(int(np.argmax(counts)), counts.shape)
        for axis, place in zip(reversed(others), reversed(at), strict=True):
            board, reference, difference = (np.take(one, place, axis) for one in (board, reference, difference))
            if wrong.shape[axis] > 1:
                where.append(f"{near.labels[axis]} {int(place) * near.steps[axis]}")
    finite = near.reference[np.isfinite(near.reference)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (None, None)
    return SignedMap(
        where=", ".join(reversed(where)),
        axes=tuple(near.labels[axis] for axis in plane),
        rows=near.pair.board.shape[plane[0]],
        columns=near.pair.board.shape[plane[1]],
        unit="steps" if near.pair.form == "integer" else "value",
        low=low,
        high=high,
        reference=_cells(reference, mean=True),
        board=_cells(board, mean=True),
        difference=_cells(difference, mean=False),
    )


Cells = tuple[tuple[float | None, ...], ...]


def _cells(grid: Array, mean: bool) -> Cells:
    """At most 32 x 32 cells: the mean of what is finite in each, or what is farthest from 0; None: NaN or infinite."""
    edges = [_edges(size, MOST_CELLS) for size in grid.shape]
    return tuple(tuple(_cell(grid[top:low, left:right], mean) for left, right in edges[1]) for top, low in edges[0])


def _edges(size: int, most: int) -> list[tuple[int, int]]:
    count = min(size, most)
    return [(n * size // count, (n + 1) * size // count) for n in range(count)]


def _cell(part: Array, mean: bool) -> float | None:
    finite = part[np.isfinite(part)]
    if not finite.size or (not mean and finite.size < part.size):
        return None
    value = float(finite.mean()) if mean else float(finite.flat[int(np.argmax(np.abs(finite)))])
    return float(f"{value:.4g}")


def _profiles(near: _Near) -> Iterator[AxisProfile]:
    """Each axis that is longer than one: which part of it differs, how far on average, and its worst slices."""
    for axis, size in enumerate(near.wrong.shape):
        if size < 2:
            continue
        others = tuple(n for n in range(near.wrong.ndim) if n != axis)
        counts = near.wrong.sum(axis=others)
        farthest = _size(near.difference).max(axis=others)
        each = near.wrong.size // size
        edges = _edges(size, MOST_BARS)
        shares = tuple(round(float(counts[a:b].sum()) / (each * (b - a)), 6) for a, b in edges)
        order = np.lexsort((np.arange(size), -farthest, -counts))[:3]
        worst = tuple(
            WorstSlice(int(n) * near.steps[axis], int(counts[n]), each, _finite(farthest[n]))
            for n in order
            if counts[n]
        )
        yield AxisProfile(near.labels[axis], near.pair.board.shape[axis], shares, worst)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _worst(near: _Near) -> Iterator[WorstElement]:
    """Elements that are farthest apart, first ones first among equals; values as stored and as real numbers."""
    far = _size(near.difference).reshape(-1)
    count = min(MOST_WORST, int(np.count_nonzero(near.wrong)))
    least = np.partition(far, -count)[-count] if count else 0.0
    candidates = np.flatnonzero(far >= least)
    chosen = candidates[np.argsort(-far[candidates], kind="stable")][:count]
    for flat in chosen:
        at = np.unravel_index(int(flat), near.wrong.shape)
        whole = tuple(int(n) * step for n, step in zip(at, near.steps, strict=True))
        board, reference = near.pair.board[whole], near.pair.reference[whole]
        real = (_real(near.pair, side, whole) for side in ("board", "reference"))
        yield WorstElement(whole, float(board), float(reference), *real)


def _real(pair: Pair, side: str, at: tuple[int, ...]) -> float | None:
    """What an integer stands for; None for a float, and where scales and values do not fit each other."""
    array, spec = (pair.board, pair.spec_board) if side == "board" else (pair.reference, pair.spec_reference)
    if array.dtype.kind not in "iu" or spec.quantization is None:
        return None
    one = array[tuple(slice(n, n + 1) for n in at)].reshape(1)
    try:
        with np.errstate(all="ignore"):  # a scale may be infinite
            return _finite(dequantize(one, _at_element(spec.quantization, array, spec, pair, at))[0])
    except TensorError:
        return None


def _at_element(whole: Quantization, array: Array, spec: TensorSpec, pair: Pair, at: tuple[int, ...]) -> Quantization:
    """Scale and zero point of one element. Errors: TensorError where that is not known: the axis is one of the file as
    it was stored, and the values may have been turned since."""
    if whole.axis is None or len(whole.scales) == 1:
        return replace(whole, axis=None)
    turned = array.shape != spec.shape or spec.layout != pair.spec_reference.layout
    if turned or not 0 <= whole.axis < array.ndim or len(whole.scales) != array.shape[whole.axis]:
        raise TensorError(f"{spec.name}: its scales do not fit its values")
    place, zeros = at[whole.axis], whole.zero_points or (0,)
    if len(zeros) not in (1, len(whole.scales)):
        raise TensorError(f"{spec.name}: its zero points do not fit its scales")
    return Quantization((whole.scales[place],), (zeros[place if len(zeros) > 1 else 0],))
