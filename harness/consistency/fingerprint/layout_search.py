"""The layout detective: a bounded set of transforms, and the one that makes the pair equal.

A transform counts only when it explains every element (pitches: every element that is there to be seen). Where
transforms of several kinds do so, as on small or repetitive tensors, the likeliest is named and `unique` is False.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.consistency.fingerprint.row_stride import find_padding, find_row_stride, row_lengths
from harness.consistency.fingerprint.slices import find_reorder
from harness.consistency.reading.layouts import NV12, channel_axis
from harness.records import TensorSpec

Array = npt.NDArray[Any]
ReadsAs = Callable[[Array, Array], bool]  # (reference with its axes in another order, the board's elements, flat)
BLOCKS = (32, 16, 8, 4)
MOST_AXES = 5
SAMPLE = 256
PADS = (4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Transform:
    """`kind` as in kinds.py; `name` is what makes the two equal; `unique`: no transform of another kind does."""

    kind: str
    name: str
    unique: bool = True


def find_transform(
    board: Array, reference: Array, spec: TensorSpec | None = None, stored: TensorSpec | None = None
) -> Transform | None:
    """The transform that makes a differing pair of one shape equal, or None.

    `spec` tells the axes (layout) and the dtype; `stored` how the board keeps the tensor (padding), where known.
    """
    if board.shape != reference.shape or board.dtype != reference.dtype or board.size < 2:
        return None
    spec = spec or TensorSpec("", "", board.shape)
    transforms = list(_of_bytes(board, reference, spec))
    if not transforms and _same_multiset(board, reference):
        transforms = of_order(board, reference, spec)
    if not transforms:
        transforms = _of_row_stride(board, reference, stored)  # sees only a part: never weighed against the others
    if not transforms:
        return None
    kinds = {transform.kind for transform in transforms}
    return Transform(transforms[0].kind, transforms[0].name, unique=len(kinds) == 1)


def multiset_equal(board: Array, reference: Array) -> bool:
    """The same values, however often each, in whatever order."""
    return board.shape == reference.shape and _same_multiset(board, reference)


def _same_multiset(board: Array, reference: Array) -> bool:
    a, b = _bits(board), _bits(reference)
    if a.dtype.itemsize <= 2:
        size = 1 << (8 * a.dtype.itemsize)
        return np.array_equal(np.bincount(a, minlength=size), np.bincount(b, minlength=size))
    if int(a.sum(dtype=np.uint64)) != int(b.sum(dtype=np.uint64)):  # cheap, and nearly always enough
        return False
    return np.array_equal(np.sort(a), np.sort(b))


def _bits(array: Array) -> Array:
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(np.dtype(f"u{flat.dtype.itemsize}"))


def memory_order(array: Array) -> Array:
    """The elements in the order in which the board keeps them (the order of the strides), flat."""
    order = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    return array.transpose(order).reshape(-1)


# ------------------------------------------------------------------------- bytes


def _of_bytes(board: Array, reference: Array, spec: TensorSpec) -> Iterator[Transform]:
    flat = np.ascontiguousarray(board)
    if flat.dtype.itemsize > 1 and _equal_bits(flat.byteswap(), reference):
        yield Transform("endianness", "bytes of every element reversed")
    if spec.dtype in ("s4", "u4"):
        yield from _nibble_pairs(board, reference)
        return
    if _equal_bits(_swap_nibbles(flat), reference):
        yield Transform("nibble_order", "nibbles of every byte swapped")
    if flat.dtype.itemsize == 1 and np.array_equal(flat.view(np.uint8) ^ 0x80, _byte_view(reference)):
        yield Transform("zero_point", "top bit of every byte inverted: u8 against s8")
    if spec.layout == NV12 and board.ndim == 3:
        yield from _nv21(board, reference)


def _equal_bits(a: Array, b: Array) -> bool:
    return np.array_equal(_bits(a), _bits(b))


def _byte_view(array: Array) -> Array:
    return np.ascontiguousarray(array).view(np.uint8)


def _swap_nibbles(flat: Array) -> Array:
    raw = flat.view(np.uint8)
    swapped: Array = ((raw << 4) | (raw >> 4)).view(flat.dtype)
    return swapped


def _nibble_pairs(board: Array, reference: Array) -> Iterator[Transform]:
    """Unpacked 4-bit elements: neighbours exchanged, in the order of the file."""
    orders = ((board.reshape(-1), reference.reshape(-1)), (memory_order(board), _like_memory(reference, board)))
    for x, r in orders:
        n = len(x) // 2 * 2
        if np.array_equal(x[:n].reshape(-1, 2)[:, ::-1], r[:n].reshape(-1, 2)):
            yield Transform("nibble_order", "nibbles of every byte swapped")
            return


def _like_memory(reference: Array, board: Array) -> Array:
    order = sorted(range(board.ndim), key=lambda axis: -abs(board.strides[axis]))
    return reference.transpose(order).reshape(-1)


def _nv21(board: Array, reference: Array) -> Iterator[Transform]:
    rows = board.shape[1] // 3 * 2
    chroma = board[:, rows:].reshape(board.shape[0], -1, 2)[..., ::-1].reshape(board[:, rows:].shape)
    if np.array_equal(board[:, :rows], reference[:, :rows]) and np.array_equal(chroma, reference[:, rows:]):
        yield Transform("preprocessing", "U and V swapped: NV21 instead of NV12")


# ------------------------------------------------------------------------- order


def of_order(
    board: Array,
    reference: Array,
    spec: TensorSpec,
    reads_as: ReadsAs | None = None,
    reordered: Callable[[Array, Array, int | None], str] = find_reorder,
) -> list[Transform]:
    """Transforms that keep every value and change its place. `reads_as` and `reordered` judge whether places fit:
    bit by bit unless given."""
    exact = reads_as is None
    reads_as = reads_as or _reads_as
    transforms = [*_turned(board, reference, spec, reads_as)][:1]
    transforms += [*_blocked(board, reference, spec, reads_as)][:1]
    reorder = reordered(board, reference, channel_axis(spec, board.ndim))
    if reorder:
        transforms.append(Transform("permutation", reorder))
    if not transforms and exact:
        transforms += _rolled(board, reference)
    return transforms


def _flats(board: Array, labels: str) -> Iterator[tuple[str, Array]]:
    """(axes as they were read, elements in that order): as given, channels last or first, and as in memory."""
    orders = [tuple(range(board.ndim))]
    if board.ndim == 4:
        orders.append((0, 3, 1, 2) if labels == "NHWC" else (0, 2, 3, 1))
    memory = tuple(sorted(range(board.ndim), key=lambda axis: -abs(board.strides[axis])))
    for order in dict.fromkeys((*orders, memory)):
        yield "".join(labels[axis] for axis in order) if labels else str(order), board.transpose(order).reshape(-1)


def _labels(spec: TensorSpec, rank: int) -> str:
    return spec.layout if len(spec.layout) == rank and spec.layout.isalpha() else "NCHW" if rank == 4 else ""


def _turned(board: Array, reference: Array, spec: TensorSpec, reads_as: ReadsAs) -> Iterator[Transform]:
    """The bytes are those of the reference with its axes in another order."""
    real = [axis for axis in range(reference.ndim) if reference.shape[axis] > 1]
    if not 2 <= len(real) <= MOST_AXES:
        return
    labels = _labels(spec, reference.ndim)
    small = reference.reshape([reference.shape[axis] for axis in real])
    for read, flat in _flats(board, labels):
        for order in itertools.permutations(range(small.ndim)):
            if reads_as(small.transpose(order), flat):
                yield Transform("layout", f"{_turn_name(order, real, labels, reference.ndim)} read as {read}")
                return


def _turn_name(order: tuple[int, ...], real: list[int], labels: str, rank: int) -> str:
    axes = [real[i] for i in order]
    whole = [axis for axis in range(rank) if axis not in axes] + axes  # axes of one element lie anywhere
    return f"{''.join(labels[axis] for axis in whole)} data" if labels else f"axes stored in the order {tuple(whole)},"


def _reads_as(turned: Array, flat: Array) -> bool:
    """Is `turned`, in C order, `flat`? A sample first: most candidates end there."""
    at = np.linspace(0, len(flat) - 1, num=min(SAMPLE, len(flat)), dtype=np.int64)
    if not np.array_equal(turned[np.unravel_index(at, turned.shape)], flat[at]):
        return False
    return np.array_equal(_bits(turned), _bits(flat))


def _blocked(board: Array, reference: Array, spec: TensorSpec, reads_as: ReadsAs) -> Iterator[Transform]:
    """Channels in blocks of 32, 16, 8 or 4, on the board and not undone, or undone and never done."""
    if reference.ndim != 4:
        return
    axis = channel_axis(spec, 4)
    plain = np.moveaxis(reference, 1 if axis is None else axis, 1)
    n, c, h, w = plain.shape
    for size in BLOCKS:
        if c % size or c == size:
            continue
        blocked = plain.reshape(n, c // size, size, h, w).transpose(0, 1, 3, 4, 2)
        undone = reference.reshape(-1).reshape(n, c // size, h, w, size).transpose(0, 1, 4, 2, 3)
        for read, flat in _flats(board, _labels(spec, 4)):
            if reads_as(blocked, flat):
                yield Transform("layout", f"blocks of {size} channels read as plain {read}")
            elif reads_as(undone, flat):
                yield Transform("layout", f"plain data read as blocks of {size} channels")


def _rolled(board: Array, reference: Array) -> list[Transform]:
    """All elements moved on by one distance, the last ones coming round to the front."""
    x, r = board.reshape(-1), reference.reshape(-1)
    values, counts = np.unique(r, return_counts=True)
    rare = values[np.argmin(counts)]
    start = int(np.flatnonzero(x == rare)[0]) if (x == rare).any() else None
    if start is None:
        return []
    at = np.linspace(0, len(x) - 1, num=min(SAMPLE, len(x)), dtype=np.int64)
    for place in np.flatnonzero(r == rare)[:64]:
        by = start - int(place)
        if by and np.array_equal(x[(at + by) % len(x)], r[at]) and np.array_equal(np.roll(r, by), x):
            return [Transform("stride", f"all elements rotated by {by} places")]
    return []


# ------------------------------------------------------------------------- pitch


def _of_row_stride(board: Array, reference: Array, stored: TensorSpec | None) -> list[Transform]:
    transforms = [*_known_padding(board, reference, stored)]
    for x, r, where in _in_both_orders(board, reference):
        for length in row_lengths(where):
            stride = find_row_stride(x, r, length) if not transforms else None
            if stride:
                transforms.append(Transform("stride", f"rows of {length} elements read with stride {stride}"))
            stride = find_row_stride(r, x, length) if not transforms else None
            if stride:
                transforms.append(Transform("stride", f"rows with stride {stride} read as rows of {length}"))
    return transforms


def _in_both_orders(board: Array, reference: Array) -> Iterator[tuple[Array, Array, tuple[int, ...]]]:
    """C order of the logical axes, then channels-last order: the two that boards keep."""
    yield board.reshape(-1), reference.reshape(-1), board.shape
    if board.ndim == 4:
        order = (0, 2, 3, 1)
        x, r = board.transpose(order), reference.transpose(order)
        yield x.reshape(-1), r.reshape(-1), x.shape


def _known_padding(board: Array, reference: Array, stored: TensorSpec | None) -> Iterator[Transform]:
    """Padding as the board's spec tells it, or of the usual alignments of the last axis, taken for data."""
    orders = [(board, reference)]
    if board.ndim == 4:
        orders.append((board.transpose(0, 2, 3, 1), reference.transpose(0, 2, 3, 1)))
    for x, r in orders:
        read = x.reshape(-1)
        for padded in _paddings(r.shape, stored):
            if find_padding(read, r, r.shape, padded):
                yield Transform("stride", f"rows padded to {padded} read as dense {r.shape}")
                return


def _paddings(shape: tuple[int, ...], stored: TensorSpec | None) -> Iterator[tuple[int, ...]]:
    if stored is not None and stored.aligned_shape and stored.shape == shape != stored.aligned_shape:
        yield stored.aligned_shape
    seen = {shape}
    for pad in PADS:
        padded = (*shape[:-1], -(-shape[-1] // pad) * pad)
        if padded not in seen:
            seen.add(padded)
            yield padded
