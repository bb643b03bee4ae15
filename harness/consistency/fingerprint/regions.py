"""Where the errors are: the smallest region of the tensor, or of the memory of the board, that holds them all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
LINE_BYTES = 64
PAGE_BYTES = 4096
CHANCE = 1e-6  # errors thrown anywhere would fall into such a region by themselves less often than this
SLACK = 1.2  # a simpler region is preferred to one that fits this much closer
MOST_SHARE = {"line": 0.95, "page": 0.95}  # alignment is evidence by itself; of any other region more says nothing
OTHER_SHARE = 0.6


@dataclass(frozen=True)
class Region:
    """`what` is line, page, channel, column, row, slice, block or extent; `elements` is its size.

    `choices` is the natural logarithm of how many such regions the tensor has: the price of having picked this one.
    """

    what: str
    elements: int
    sentence: str
    choices: float
    edge: bool = False  # it reaches the end of its axis
    count: int = 1


@dataclass(frozen=True)
class Geometry:
    """Axis labels of the logical tensor and, where known, the step of each axis in bits of the board's memory."""

    labels: Sequence[str]
    steps_bits: tuple[int, ...] | None
    bits: int

    def offsets(self, shape: tuple[int, ...]) -> Iterator[tuple[tuple[int | slice, ...], Array]]:
        """(index, offsets in bits) for each index of the longest axis: never all offsets at once."""
        assert self.steps_bits is not None
        axis = int(np.argmax(shape))
        inner = np.zeros([1 if i == axis else n for i, n in enumerate(shape)], dtype=np.int64)
        for other, step in enumerate(self.steps_bits):
            if other != axis:
                at = [-1 if i == other else 1 for i in range(len(shape))]
                inner += (np.arange(shape[other], dtype=np.int64) * step).reshape(at)
        for index in range(shape[axis]):
            where = (*(slice(None),) * axis, slice(index, index + 1))
            yield where, inner + index * self.steps_bits[axis]


def labels_of(layout: str, rank: int) -> tuple[str, ...]:
    """One name per axis: N, C, H, W where the layout tells them, "axis 2" otherwise."""
    plain = {"NC1HWC2": "NCHW", "NDHWC32": "NCHW"}.get(layout, layout)
    if len(plain) == rank:
        return tuple(plain)
    guess = {4: "NCHW", 3: "NLC", 2: "NC", 1: "C"}.get(rank) if not layout or layout in ("NCHW", "NHWC") else None
    return tuple(guess) if guess and layout != "NHWC" else tuple(f"axis {i}" for i in range(rank))


def find_region(wrong: Array, geometry: Geometry, constant: bool = False, channel_first: bool = False) -> Region | None:
    """The region that explains where `wrong` (bool, the tensor's shape) is true; None where errors are scattered.

    Where a page is just one channel or row, it is the channel if the board is `constant` there, else the page. With
    `channel_first` one channel is the answer even where a part of it, or a line of memory, fits closer.
    """
    total, count = wrong.size, int(np.count_nonzero(wrong))
    if not 0 < count < total * max(MOST_SHARE.values()):
        return None
    likely = [region for region in _candidates(wrong, geometry, constant) if _telling(region, total, count)]
    if not likely:
        return None
    channel = next((r for r in likely if r.what == "channel" and r.count == 1), None)
    if channel_first and channel is not None:
        return channel
    least = min(region.elements for region in likely)
    return next(r for r in likely if r.what == "line" or r.elements <= least * SLACK)


def find_memory_block(wrong: Array, geometry: Geometry) -> Region | None:
    """The aligned line or page of the board's memory that holds all errors, if one does."""
    total, count = wrong.size, int(np.count_nonzero(wrong))
    for size, what in ((LINE_BYTES, "line"), (PAGE_BYTES, "page")):
        region = next(_memory(wrong, geometry, size, what), None)
        if region is not None and _telling(region, total, count):
            return region
    return None


def _telling(region: Region, total: int, count: int) -> bool:
    share = region.elements / total
    if share > MOST_SHARE.get(region.what, OTHER_SHARE):
        return False
    return count * math.log(share) + region.choices < math.log(CHANCE)


def _candidates(wrong: Array, geometry: Geometry, constant: bool) -> Iterator[Region]:
    """Simplest first."""
    hits = [np.flatnonzero(wrong.any(axis=tuple(o for o in range(wrong.ndim) if o != a))) for a in range(wrong.ndim)]
    slices = list(_slices(wrong, hits, geometry))
    single = [region for region in slices if region.count == 1 and (constant or region.what == "column")]
    yield from (region for region in single if region.what == "channel")
    yield from _memory(wrong, geometry, LINE_BYTES, "line")
    yield from (region for region in single if region.what != "channel")
    yield from _memory(wrong, geometry, PAGE_BYTES, "page")
    yield from (region for region in slices if region not in single)
    yield from _box(wrong, hits, geometry)
    yield from _extent(wrong, geometry)


def _memory(wrong: Array, geometry: Geometry, size: int, what: str) -> Iterator[Region]:
    """One aligned block of the board's memory, or two that touch."""
    if geometry.steps_bits is None:
        return
    touched: set[int] = set()
    for where, offsets in geometry.offsets(wrong.shape):
        touched.update(np.unique(offsets[wrong[where]] // (size * 8)).tolist())
        if len(touched) > 2:
            return
    low, high = min(touched), max(touched)
    count = high - low + 1
    last = sum((n - 1) * step for n, step in zip(wrong.shape, geometry.steps_bits, strict=True)) // (size * 8)
    if count > 2 or last < 1:
        return
    elements = _count_between(wrong.shape, geometry, low * size * 8, (high + 1) * size * 8)
    name = "64 byte line" if what == "line" else "4 KiB page"
    text = f"all within {count} {name}{'s' if count > 1 else ''} at byte {low * size} of the board's tensor"
    yield Region(what, elements, text, math.log(last + 1), count=count)


def _count_between(shape: tuple[int, ...], geometry: Geometry, low: int, high: int) -> int:
    pieces = geometry.offsets(shape)
    return sum(int(np.count_nonzero((offsets >= low) & (offsets < high))) for _, offsets in pieces)


def _slices(wrong: Array, hits: Sequence[Array], geometry: Geometry) -> Iterator[Region]:
    """One or a few indices of one axis hold everything."""
    for axis in sorted(range(wrong.ndim), key=lambda a: _AXIS_ORDER.get(geometry.labels[a], 9)):
        size, indices = wrong.shape[axis], hits[axis]
        if size >= 2 and len(indices) <= max(1, size // 4):
            yield _slice_region(wrong, axis, indices, geometry.labels[axis])


def _slice_region(wrong: Array, axis: int, indices: Array, label: str) -> Region:
    size, count = wrong.shape[axis], len(indices)
    what = {"C": "channel", "W": "column", "H": "row"}.get(label, "slice")
    together = count == int(indices[-1] - indices[0]) + 1
    named = ", ".join(str(i) for i in indices[:6]) + (" ..." if count > 6 else "")
    choices = 2 * math.log(size) if together else _log_combinations(size, count)
    edge = together and bool(indices[-1] == size - 1)
    return Region(what, wrong.size // size * count, f"all in {label} {named} of {size}", choices, edge, count)


def _log_combinations(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


_AXIS_ORDER = {"C": 0, "W": 1, "H": 2}


def _box(wrong: Array, hits: Sequence[Array], geometry: Geometry) -> Iterator[Region]:
    spans = [(int(indices[0]), int(indices[-1]) + 1) for indices in hits]
    cut = [axis for axis, (low, high) in enumerate(spans) if high - low < wrong.shape[axis]]
    if not cut:
        return
    named = [f"{geometry.labels[a]} {spans[a][0]}..{spans[a][1] - 1} of {wrong.shape[a]}" for a in cut]
    elements = math.prod(high - low for low, high in spans)
    choices = sum(2 * math.log(wrong.shape[axis]) for axis in cut)
    yield Region("block", elements, f"all in the block {', '.join(named)}", choices)


def _extent(wrong: Array, geometry: Geometry) -> Iterator[Region]:
    """One stretch of memory."""
    if geometry.steps_bits is None:
        return
    ends: list[int] = []
    for where, offsets in geometry.offsets(wrong.shape):
        at = offsets[wrong[where]]
        ends += [int(at.min()), int(at.max())] if len(at) else []
    low, high = min(ends), max(ends)
    size = (high - low + geometry.bits) // 8
    text = f"all within {size} bytes at byte {low // 8} of the board's tensor"
    yield Region("extent", _count_between(wrong.shape, geometry, low, high + 1), text, 2 * math.log(wrong.size))
