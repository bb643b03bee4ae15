"""What layout_search finds by bits, found under noise: a transform counts that leaves next to nothing of the error.

How much noise there is need not be known: what a wrong transform leaves is as large as the error itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.consistency.fingerprint.error_stats import Errors
from harness.consistency.fingerprint.layout_search import Transform, of_order
from harness.consistency.fingerprint.row_stride import row_lengths
from harness.consistency.fingerprint.slices import describe
from harness.consistency.metrics.blocks import pieces
from harness.consistency.reading.layouts import channel_axis

Array = npt.NDArray[Any]
LEFT = 0.05  # root mean square of what a transform may leave, of the error
LEFT_OF_SAMPLE = 0.15
LEAST_WRONG = 32  # elements; fewer are explained by much
LEAST_VALUES = 8
SAMPLE = 1024
PROJECTIONS = 4  # of a slice, by which the slices of both sides find each other
MOST_SLICES = 1 << 11
MOST_ALIKE = 4  # items that one is compared with as a whole
MOST_MOVED = 4  # elements along one axis
MOST_CROPPED = 0.5  # of the elements, where a tensor is moved
MOST_OFF = 64
NEARLY_ALL = 0.9  # of the elements
LEAST_MOVED = 0.01  # of the values' spread: what is nearly everywhere and smaller than that has not been moved
PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class Nearness:
    """Whether two arrays are the same but for noise; `error` is the root mean square of the pair as it stands."""

    error: float

    def reads_as(self, turned: Array, flat: Array) -> bool:
        """The same of `turned`, in C order, and `flat`. A sample first: most candidates end there."""
        at = _places(len(flat))
        if not self._within(turned[np.unravel_index(at, turned.shape)], flat[at], LEFT_OF_SAMPLE):
            return False
        return self.close(turned.reshape(-1), flat)

    def close(self, a: Array, b: Array) -> bool:
        """Whether they differ by noise only, as a whole."""
        return self._within(a, b, LEFT)

    def _within(self, a: Array, b: Array, share: float) -> bool:
        return bool(a.size) and rms(a, b) <= share * self.error


def rms(a: Array, b: Array) -> float:
    """Root mean square of the difference; 0 of nothing."""
    a, b = np.broadcast_arrays(np.asarray(a), np.asarray(b))
    if not a.size:
        return 0.0
    total = 0.0
    for part_a, part_b in pieces(a, b, PIECE_BYTES):
        d = np.subtract(part_a, part_b, dtype=np.float64).reshape(-1)
        total += float(np.dot(d, d))
    return float(np.sqrt(total / a.size))


def _places(size: int) -> npt.NDArray[np.int64]:
    return np.unique(np.linspace(0, size - 1, num=min(SAMPLE, size)).astype(np.int64))


def near_transform(e: Errors) -> Transform | None:
    """The transform that leaves only noise of the pair's error; None where none does, or there is little to see."""
    few = e.count < LEAST_WRONG or e.distinct < LEAST_VALUES or e.distinct_on_board < LEAST_VALUES
    if few or e.nonfinite_wrong or not np.isfinite(e.board).all() or not np.isfinite(e.reference).all():
        return None
    near = Nearness(rms(e.board, e.reference))
    if e.share > NEARLY_ALL and near.error <= LEAST_MOVED * float(np.std(e.thinned[1], dtype=np.float64)):
        return None
    searches: tuple[Callable[[], Iterator[Transform]], ...] = (
        lambda: _moved(e, near),
        lambda: iter(of_order(e.board, e.reference, e.spec, near.reads_as, lambda *_: _reordered(e, near))),
        lambda: _of_batch(e, near),
        lambda: _restrided(e, near),
    )
    explaining = next((transform for search in searches for transform in search()), None)
    return None if explaining is None else replace(explaining, unique=False)


# ------------------------------------------------------------------------- slices


def _reordered(e: Errors, near: Nearness) -> str:
    """Slices of one axis in another order, in words; "" for none. The channel axis is tried first."""
    channels = channel_axis(e.spec, e.board.ndim)
    for axis in sorted(range(e.board.ndim), key=lambda axis: axis != channels):
        order = _order(e, axis, near) if 1 < e.board.shape[axis] <= MOST_SLICES else None
        if order is not None:
            return f"{'channels' if axis == channels else f'axis {axis}'} {describe(order)}"
    return ""


def _order(e: Errors, axis: int, near: Nearness) -> list[int] | None:
    x, r = (np.moveaxis(side, axis, 0) for side in (e.board, e.reference))
    order = _nearest(x.reshape(len(x), -1), r.reshape(len(r), -1))
    if order == list(range(len(order))):
        return None
    return order if near.close(x, r[order]) else None


def _nearest(x: Array, r: Array) -> list[int]:
    """For each row of `x` a row of `r` of its own, the nearest by a few random sums."""
    weights = np.random.default_rng(0).normal(size=(x.shape[1], PROJECTIONS))
    a, b = x.astype(np.float64) @ weights, r.astype(np.float64) @ weights
    away = np.zeros((len(a), len(b)))
    for k in range(PROJECTIONS):
        away += np.square(a[:, k, None] - b[None, :, k])
    order = np.zeros(len(a), np.int64)
    for row in np.argsort(away.min(axis=1), kind="stable"):  # slices that are alike (all zero) share their partners
        order[row] = int(np.argmin(away[row]))
        away[:, order[row]] = np.inf
    return [int(i) for i in order]


def _of_batch(e: Errors, near: Nearness) -> Iterator[Transform]:
    """Items of a batch that hold another item's values, or their own of the frame before; the others are right."""
    items = e.board.shape[0]
    if not 1 < items <= MOST_SLICES or e.board.ndim < 2 or e.spec.layout[:1] not in ("N", ""):
        return
    errors = np.array([rms(e.board[i], e.reference[i]) for i in range(items)])
    wrong = np.flatnonzero(errors > LEFT * errors.max())
    if len(wrong) == items:
        return
    alike = _Alike(e)
    sources: list[str] = []
    for i in wrong:
        sources.append(_source(e, int(i), Nearness(float(errors[i])), alike))
        if not sources[-1]:
            return
    yield Transform("stale", f"{'; '.join(sources[:3])}{'; ...' if len(sources) > 3 else ''} (of {items} in the batch)")


def _source(e: Errors, item: int, near: Nearness, alike: _Alike) -> str:
    previous = e.context.previous
    if previous is not None and near.close(e.board[item], previous[item]):
        return f"item {item} holds its values of the frame before"
    for other in alike.nearest(item):
        if other != item and near.close(e.board[item], e.reference[other]):
            return f"item {item} holds the values of item {other}"
    return ""


class _Alike:
    """Which items of the reference a board's item may hold, by a few random sums of a sample of each: work grows with
    the square of the items, whatever their size, and only by those sums."""

    def __init__(self, e: Errors) -> None:
        at = _places(e.board[0].size)
        inside: tuple[slice | Array, ...] = (slice(None), *np.unravel_index(at, e.board.shape[1:]))
        weights = np.random.default_rng(0).normal(size=(len(at), 2 * PROJECTIONS))
        sides = (side[inside].astype(np.float64) for side in (e.board, e.reference))
        self._board, self._reference = (side @ weights for side in sides)

    def nearest(self, item: int) -> list[int]:
        """The MOST_ALIKE nearest items of the reference, nearest first."""
        away = np.square(self._reference - self._board[item]).sum(axis=1)
        return [int(i) for i in np.argsort(away, kind="stable")[: MOST_ALIKE + 1]]


# ------------------------------------------------------------------------- places


def near_move(e: Errors) -> Transform | None:
    """Along an axis of places, not of channels."""
    return next(_moved(e, Nearness(rms(e.board, e.reference))), None)


def _moved(e: Errors, near: Nearness) -> Iterator[Transform]:
    """Moved by whole elements along one axis or two, whatever came in at the edge."""
    labels = e.geometry.labels
    axes = [axis for axis in range(e.board.ndim) if e.board.shape[axis] > 2 and labels[axis] not in ("N", "C")]
    for axis in axes:
        for by in _distances(e.board.shape[axis]):
            if _overlaps(e, {axis: by}, near):
                yield _move(labels, {axis: by})
                return
    if len(labels) == 4 and {"H", "W"} <= set(labels):
        rows, columns = labels.index("H"), labels.index("W")
        for down in (-1, 1):
            for right in (-1, 1):
                if _overlaps(e, {rows: down, columns: right}, near):
                    yield _move(labels, {rows: down, columns: right})
                    return


def _move(labels: Any, by: dict[int, int]) -> Transform:
    way = " and ".join(f"{distance:+d} along {labels[axis]}" for axis, distance in by.items())
    return Transform("moved", f"moved by {way}")


def _distances(size: int) -> Iterator[int]:
    for by in range(1, min(MOST_MOVED, int(size * MOST_CROPPED)) + 1):
        yield from (by, -by)


def _overlaps(e: Errors, by: dict[int, int], near: Nearness) -> bool:
    """board[i + by] is reference[i], where both are there; and that explains what differs there."""
    x, r = e.board, e.reference
    for axis, distance in by.items():
        to, of = (slice(distance, None), slice(None, -distance)) if distance > 0 else _backwards(distance)
        x, r = _cut(x, axis, to), _cut(r, axis, of)
    at = tuple(np.linspace(0, n - 1, num=min(n, 8)).astype(np.int64) for n in x.shape)
    corner = np.ix_(*at)
    if rms(x[corner], r[corner]) > LEFT_OF_SAMPLE * near.error:
        return False
    return near.close(x, r)


def _backwards(distance: int) -> tuple[slice, slice]:
    return slice(None, distance), slice(-distance, None)


def _cut(array: Array, axis: int, part: slice) -> Array:
    return array[(slice(None),) * axis + (part,)]


def _restrided(e: Errors, near: Nearness) -> Iterator[Transform]:
    """Rows read at another pitch than they lie at, for all that lies in the memory that is seen."""
    for x, r, shape in _orders(e.board, e.reference):
        for length in row_lengths(shape):
            for read, memory, words in (
                (x, r, "rows of {length} elements read with stride {stride}"),
                (r, x, "rows with stride {stride} read as rows of {length}"),
            ):
                stride = _stride(read, memory, length, near)
                if stride:
                    yield Transform("stride", words.format(length=length, stride=stride))
                    return


def _orders(board: Array, reference: Array) -> Iterator[tuple[Array, Array, tuple[int, ...]]]:
    yield board.reshape(-1), reference.reshape(-1), board.shape
    if board.ndim == 4:
        x, r = board.transpose(0, 2, 3, 1), reference.transpose(0, 2, 3, 1)
        yield x.reshape(-1), r.reshape(-1), x.shape


def _stride(read: Array, memory: Array, length: int, near: Nearness) -> int | None:
    rows = len(read) // length
    if rows < 4:
        return None
    row = np.unique(np.linspace(1, rows - 1, num=min(rows - 1, 32)).astype(np.int64))
    column = np.unique(np.linspace(0, length - 1, num=min(length, 16)).astype(np.int64))
    at = (row[:, None] * length + column).reshape(-1)
    strides = np.arange(max(1, length // 2, length - MOST_OFF), length + MOST_OFF + 1)
    for stride in strides[_likely(read[at], memory, row * strides[:, None, None] + column[:, None], near)]:
        whole = np.arange(rows)[:, None] * stride + np.arange(length)
        inside = (whole < len(memory)).reshape(-1)
        agrees = near.close(read[: rows * length][inside], memory[whole.reshape(-1)[inside]])
        if stride != length and agrees:
            return int(stride)
    return None


def _likely(read: Array, memory: Array, places: npt.NDArray[np.int64], near: Nearness) -> npt.NDArray[np.bool_]:
    """Of pitches (first axis of `places`), whether a sample of the rows lies there."""
    places = places.transpose(0, 2, 1).reshape(len(places), -1)
    seen = places < len(memory)
    d = np.subtract(memory[np.minimum(places, len(memory) - 1)], read, dtype=np.float64)
    counts = np.count_nonzero(seen, axis=1)
    left = np.sqrt(np.square(d).sum(axis=1, where=seen) / np.maximum(counts, 1))
    likely: npt.NDArray[np.bool_] = (counts >= max(16, places.shape[1] // 4)) & (left <= LEFT_OF_SAMPLE * near.error)
    return likely
