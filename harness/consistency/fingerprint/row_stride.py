"""Rows read at the wrong pitch: padding taken for data, or data for padding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
REACH = 256  # elements by which a pitch may be off
LEAST_SEEN = 32  # elements that must be seen to agree
LEAST_SHARE = 0.1
PROBED = 16  # elements of a row: nearly every wrong guess ends there
LOOK_FIRST = 4096  # elements: nearly every wrong guess ends there


def row_lengths(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Lengths that a row may have: the last axis, or the last two together (W*C of NHWC)."""
    real = [n for n in shape if n > 1]
    lengths = [real[-1]] if real else []
    if len(real) > 2:
        lengths.append(real[-1] * real[-2])
    return tuple(n for n in lengths if n > 1)


def find_row_stride(read: Array, memory: Array, length: int) -> int | None:
    """Pitch p with read[h, w] == memory[h * p + w] for all that lies in `memory`; None where there is none.

    Both arrays are flat. Past the end either nothing is known or the memory starts again; both are accepted.
    """
    rows = len(read) // length
    if rows < 3 or rows * length != len(read):
        return None
    for stride in _likely(read, memory, length, rows):
        if _agrees(read, memory, length, stride):
            return stride
    return None


def _likely(read: Array, memory: Array, length: int, rows: int) -> Iterator[int]:
    """Pitches at which a few rows agree: a few elements of each, for all pitches at once, and then the rows whole."""
    strides = np.arange(max(1, length // 2, length - REACH), length + REACH + 1)
    looked = [h for h in (1, 2, rows // 4, rows // 2) if h > 0]
    last = np.asarray(looked)[:, None] * strides + length  # where each row ends
    strides = strides[(strides != length) & (last <= len(memory)).any(axis=0)]
    within = np.unique(np.linspace(0, length - 1, num=min(length, PROBED), dtype=np.int64))
    for h in looked:
        ends = h * strides + length
        places = np.minimum(h * strides[:, None] + within, len(memory) - 1)
        same = (memory[places] == read[h * length + within]).all(axis=1)
        strides = strides[same | (ends > len(memory))]
    for stride in map(int, strides):
        rows_seen = (h for h in looked if h * stride + length <= len(memory))
        if all(_row_agrees(read, memory, length, stride, h) for h in rows_seen):
            yield stride


def _row_agrees(read: Array, memory: Array, length: int, stride: int, row: int) -> bool:
    return np.array_equal(read[row * length : (row + 1) * length], memory[row * stride : row * stride + length])


def _agrees(read: Array, memory: Array, length: int, stride: int) -> bool:
    rows = len(read) // length
    at = (np.arange(rows)[:, None] * stride + np.arange(length)).reshape(-1)
    inside = at < len(memory)
    if np.count_nonzero(inside) < LEAST_SHARE * len(read) or not np.array_equal(read[inside], memory[at[inside]]):
        return False
    return _explains(read, memory, inside)


def _explains(read: Array, memory: Array, seen: Array) -> bool:
    """Enough is seen, it is not all one value, and what differs in the pair as it stands is among it."""
    wrong = read != memory
    wrong_seen = int(np.count_nonzero(wrong & seen))
    share = np.count_nonzero(seen) / len(seen)
    enough = np.count_nonzero(seen) >= LEAST_SEEN and wrong_seen >= max(8, share * np.count_nonzero(wrong) / 2)
    return bool(enough and np.unique(read[seen][: 1 << 16]).size > 2)


def find_padding(read: Array, valid: Array, shape: tuple[int, ...], padded: tuple[int, ...]) -> bool:
    """Were rows padded to `padded` read as if they were dense? `valid` holds the data of `shape`, in stored axes."""
    first = np.unravel_index(np.arange(min(valid.size, LOOK_FIRST)), shape)
    places = np.ravel_multi_index(first, padded)
    inside = places < len(read)
    if not np.array_equal(read[places[inside]], valid[first][inside]):
        return False
    places = np.zeros(1, dtype=np.int64)
    for size, room in zip(shape, padded, strict=True):
        places = (places[:, None] * room + np.arange(size)).reshape(-1)
    inside = places < len(read)
    flat = valid.reshape(-1)
    return np.array_equal(read[places[inside]], flat[inside]) and _explains(flat, read, inside)
