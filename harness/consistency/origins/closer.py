"""A wrong tensor from near: the slice that differs most on both sides, every axis, the worst elements."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.consistency.fingerprint.error_maps import picture_axes
from harness.consistency.fingerprint.regions import labels_of
from harness.consistency.origins.slabs import Slab, slabs
from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.pairs import Pair
from harness.consistency.reading.tensor_files import dequantize
from harness.records import AxisProfile, Quantization, SignedMap, TensorSpec, WorstElement, WorstSlice

Array = npt.NDArray[Any]
MOST_CELLS = 32  # of a map, per side
MOST_BARS = 64  # of an axis
MOST_WORST = 8


class _Sums:
    """What one pass over a pair gathers: counts and distances of every axis, of the planes, the farthest elements."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        shape = pair.board.shape
        self.labels = labels_of(pair.spec_reference.layout, len(shape))
        self.plane = tuple(picture_axes(shape, self.labels))
        self.counts = [np.zeros(size, np.int64) for size in shape]
        self.farthest = [np.zeros(size) for size in shape]
        self.planes = np.zeros([1 if axis in self.plane else size for axis, size in enumerate(shape)], np.int64)
        self.low, self.high = np.inf, -np.inf
        self.worst: list[tuple[float, int]] = []  # minus the distance, and the element's place in the flat tensor
        for slab in slabs(pair):
            self._add(slab)

    def _add(self, slab: Slab) -> None:
        ndim, size = slab.wrong.ndim, _size(slab.difference)
        for axis in range(ndim):
            others = tuple(n for n in range(ndim) if n != axis)
            at = slab.at(self.pair.board.shape[axis], axis)
            self.counts[axis][at] += slab.wrong.sum(axis=others)
            np.maximum(self.farthest[axis][at], size.max(axis=others), out=self.farthest[axis][at])
        at_planes = tuple(slab.at(length, axis) for axis, length in enumerate(self.planes.shape))
        self.planes[at_planes] += slab.wrong.sum(axis=self.plane, keepdims=True)
        finite = slab.reference[np.isfinite(slab.reference)]
        self.low = min(self.low, float(finite.min(initial=np.inf)))
        self.high = max(self.high, float(finite.max(initial=-np.inf)))
        self._farther(slab, size.reshape(-1))

    def _farther(self, slab: Slab, far: Array) -> None:
        """Elements farthest apart, first ones first among equals: in a slab, flat order is that of the whole."""
        count = min(MOST_WORST, int(np.count_nonzero(slab.wrong)))
        if not count:
            return
        candidates = np.flatnonzero(far >= np.partition(far, -count)[-count])
        chosen = candidates[np.argsort(-far[candidates], kind="stable")][:count]
        shape = slab.wrong.shape or (1,)
        places = list(np.unravel_index(chosen, shape))
        places[slab.axis] = places[slab.axis] + slab.start
        whole = np.ravel_multi_index(places, self.pair.board.shape or (1,))
        self.worst += zip((-far[chosen]).tolist(), whole.tolist(), strict=True)
        self.worst = sorted(self.worst)[:MOST_WORST]


def from_near(pair: Pair) -> tuple[SignedMap | None, tuple[AxisProfile, ...], tuple[WorstElement, ...]]:
    """Map, axes and elements of a pair that differs; nothing of one without elements."""
    if not pair.board.size:
        return None, (), ()
    sums = _Sums(pair)
    return _signed_map(sums), tuple(_profiles(sums)), tuple(_worst(sums))


def _size(difference: Array) -> Array:
    """How far apart; what is NaN or infinite on one side alone is farthest."""
    return np.where(np.isfinite(difference), np.abs(difference), np.inf)


def _signed_map(sums: _Sums) -> SignedMap | None:
    """The plane through the tensor that holds most of what is wrong."""
    if len(sums.plane) < 2:
        return None
    place = np.unravel_index(int(np.argmax(sums.planes)), sums.planes.shape)
    shape = sums.pair.board.shape
    others = [axis for axis, size in enumerate(shape) if axis not in sums.plane and size > 1]
    board, reference, difference = _plane(sums, tuple(int(n) for n in place))
    return SignedMap(
        where=", ".join(f"{sums.labels[axis]} {int(place[axis])}" for axis in others),
        axes=tuple(sums.labels[axis] for axis in sums.plane),
        rows=shape[sums.plane[0]],
        columns=shape[sums.plane[1]],
        unit="steps" if sums.pair.form == "integer" else "value",
        low=_finite(sums.low),
        high=_finite(sums.high),
        reference=_cells(reference, mean=True),
        board=_cells(board, mean=True),
        difference=_cells(difference, mean=False),
    )


def _plane(sums: _Sums, place: tuple[int, ...]) -> list[Array]:
    """Board, reference and difference of one plane, as a grid each."""
    parts: list[tuple[Array, ...]] = []
    for slab in slabs(sums.pair):
        inside = slab.axis in sums.plane or slab.start <= place[slab.axis] < slab.stop
        if inside:
            at = tuple(
                slice(None) if axis in sums.plane else n - (slab.start if axis == slab.axis else 0)
                for axis, n in enumerate(place)
            )
            # Copies: a view would hold its whole slab.
            parts.append((slab.board[at].copy(), slab.reference[at].copy(), slab.difference[at].copy()))
            along = sums.plane.index(slab.axis) if slab.axis in sums.plane else 0
    return [np.concatenate(one, axis=along) for one in zip(*parts, strict=True)]


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


def _profiles(sums: _Sums) -> Iterator[AxisProfile]:
    """Each axis that is longer than one: which part of it differs, how far on average, and its worst slices."""
    for axis, size in enumerate(sums.pair.board.shape):
        if size < 2:
            continue
        counts, farthest, each = sums.counts[axis], sums.farthest[axis], sums.pair.board.size // size
        edges = _edges(size, MOST_BARS)
        shares = tuple(round(float(counts[a:b].sum()) / (each * (b - a)), 6) for a, b in edges)
        order = np.lexsort((np.arange(size), -farthest, -counts))[:3]
        worst = tuple(WorstSlice(int(n), int(counts[n]), each, _finite(farthest[n])) for n in order if counts[n])
        yield AxisProfile(sums.labels[axis], size, shares, worst)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _worst(sums: _Sums) -> Iterator[WorstElement]:
    """Values as stored and as real numbers."""
    pair = sums.pair
    for _, flat in sums.worst:
        at = tuple(int(n) for n in np.unravel_index(flat, pair.board.shape))
        real = (_real(pair, side, at) for side in ("board", "reference"))
        yield WorstElement(at, float(pair.board[at]), float(pair.reference[at]), *real)


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
