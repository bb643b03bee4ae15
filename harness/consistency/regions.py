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
CHANCE = 1e-6  # errors thrown anywhere would fall into the region by themselves less often than this
SLACK = 1.2  # a simpler region is preferred to one that fits this much closer
MOST_SHARE = 0.6  # a region of more of the tensor says nothing


@dataclass(frozen=True)
class Region:
    """`what` is line, page, channel, column, row, block or extent; `elements` is its size."""

    what: str
    elements: int
    sentence: str
    edge: bool = False  # it reaches the end of its axis
    count: int = 1


@dataclass(frozen=True)
class Geometry:
    """Axis labels of the logical tensor and, where known, the place of each element in the board's memory."""

    labels: Sequence[str]
    offsets_bits: Array | None  # same shape as the tensor
    bits: int


def labels_of(layout: str, rank: int) -> tuple[str, ...]:
    """One name per axis: N, C, H, W where the layout tells them, "axis 2" otherwise."""
    plain = {"NC1HWC2": "NCHW", "NDHWC32": "NCHW"}.get(layout, layout)
    if len(plain) == rank:
        return tuple(plain)
    guess = {4: "NCHW", 3: "NCW", 2: "NC", 1: "C"}.get(rank) if not layout or layout in ("NCHW", "NHWC") else None
    return tuple(guess) if guess and layout != "NHWC" else tuple(f"axis {i}" for i in range(rank))


def find_region(wrong: Array, geometry: Geometry) -> Region | None:
    """The region that explains where `wrong` (bool, the tensor's shape) is true; None where errors are scattered."""
    total, count = wrong.size, int(np.count_nonzero(wrong))
    likely = [r for r in _candidates(wrong, geometry) if _telling(r.elements, total, count)]
    if not likely:
        return None
    least = min(r.elements for r in likely)
    return next(r for r in likely if r.elements <= least * SLACK)


def _telling(elements: int, total: int, count: int) -> bool:
    share = elements / total
    return share <= MOST_SHARE and count * math.log(share) < math.log(CHANCE)


def _candidates(wrong: Array, geometry: Geometry) -> Iterator[Region]:
    """Simplest first."""
    where = np.nonzero(wrong)
    yield from _memory(wrong, geometry, LINE_BYTES, "line")
    yield from _slices(wrong, where, geometry)
    yield from _memory(wrong, geometry, PAGE_BYTES, "page")
    yield from _box(wrong, where, geometry)
    yield from _extent(wrong, geometry)


def _memory(wrong: Array, geometry: Geometry, size: int, what: str) -> Iterator[Region]:
    if geometry.offsets_bits is None:
        return
    blocks = geometry.offsets_bits // (size * 8)
    touched = np.unique(blocks[wrong])
    last = int(blocks.max())
    if len(touched) > 2 or last < 2 or (len(touched) == 2 and touched[1] != touched[0] + 1):
        return
    elements = int(np.isin(blocks, touched).sum())
    first = int(touched[0]) * size
    name = "64 byte line" if what == "line" else "4 KiB page"
    text = f"all within {len(touched)} {name}{'s' if len(touched) > 1 else ''} at byte {first} of the board's tensor"
    yield Region(what, elements, text, count=len(touched))


def _slices(wrong: Array, where: tuple[Array, ...], geometry: Geometry) -> Iterator[Region]:
    """One or a few indices of one axis hold everything."""
    for axis in sorted(range(wrong.ndim), key=lambda a: _AXIS_ORDER.get(geometry.labels[a], 9)):
        size = wrong.shape[axis]
        indices = np.unique(where[axis])
        if size < 2 or len(indices) > max(1, size // 4):
            continue
        label = geometry.labels[axis]
        what = {"C": "channel", "W": "column", "H": "row"}.get(label, "slice")
        named = ", ".join(str(i) for i in indices[:6]) + (" ..." if len(indices) > 6 else "")
        edge = bool(indices[-1] == size - 1) and len(indices) == int(indices[-1] - indices[0]) + 1
        text = f"all in {label} {named} of {size}"
        yield Region(what, wrong.size // size * len(indices), text, edge, len(indices))


_AXIS_ORDER = {"C": 0, "W": 1, "H": 2}


def _box(wrong: Array, where: tuple[Array, ...], geometry: Geometry) -> Iterator[Region]:
    spans = [(int(index.min()), int(index.max()) + 1) for index in where]
    cut = [
        f"{geometry.labels[axis]} {low}..{high - 1} of {wrong.shape[axis]}"
        for axis, (low, high) in enumerate(spans)
        if high - low < wrong.shape[axis]
    ]
    if cut:
        yield Region("block", math.prod(high - low for low, high in spans), f"all in the block {', '.join(cut)}")


def _extent(wrong: Array, geometry: Geometry) -> Iterator[Region]:
    """One stretch of memory."""
    if geometry.offsets_bits is None:
        return
    at = geometry.offsets_bits[wrong]
    low, high = int(at.min()), int(at.max())
    elements = int(np.count_nonzero((geometry.offsets_bits >= low) & (geometry.offsets_bits <= high)))
    text = f"all in one stretch of {(high - low + geometry.bits) // 8} bytes at byte {low // 8} of the board's tensor"
    yield Region("extent", elements, text)
