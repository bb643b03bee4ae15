"""Walking over two tensors in pieces: flat memory whatever their size, and two cores where there are two.

Pages of a memory map count as memory of this process until they are given back, so each piece of a read-only
map is given back (`madvise`) once it has been looked at; it stays in the system's file cache.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import mmap
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
T = TypeVar("T")
PIECE_BYTES = 8 << 20  # of one side: the work of one thread at a time
WORKERS = min(4, os.cpu_count() or 1)


def pieces(board: Array, reference: Array, limit_bytes: int = PIECE_BYTES) -> Iterator[tuple[Array, Array]]:
    """Cut a pair of equal shape into pairs of views, in the board's memory order; both cover every element once."""
    board, reference = _in_memory_order(board, reference)
    limit = max(1, limit_bytes // max(board.itemsize, reference.itemsize, 1))
    if board.flags.c_contiguous and reference.flags.c_contiguous:
        board, reference = board.reshape(-1), reference.reshape(-1)
    yield from _cut(board, reference, limit)


def _in_memory_order(board: Array, reference: Array) -> tuple[Array, Array]:
    order = sorted(range(board.ndim), key=lambda axis: -abs(board.strides[axis]))
    return board.transpose(order), reference.transpose(order)


def _cut(board: Array, reference: Array, limit: int) -> Iterator[tuple[Array, Array]]:
    if board.size == 0:
        return
    if board.size <= limit or board.ndim == 0:
        yield board, reference
        return
    inner = math.prod(board.shape[1:])
    if inner > limit:
        for index in range(board.shape[0]):
            yield from _cut(board[index], reference[index], limit)
        return
    rows = limit // inner
    for first in range(0, board.shape[0], rows):
        yield board[first : first + rows], reference[first : first + rows]


def each(work: Callable[[Array, Array], T], board: Array, reference: Array) -> Iterator[T]:
    """`work` on every piece, results in order; large pairs by WORKERS threads. Pieces come flat and contiguous.

    The cuts do not depend on the number of threads, so sums come out the same on every machine.
    """

    def one(pair: tuple[Array, Array]) -> T:
        result = work(*(np.ascontiguousarray(side).reshape(-1) for side in pair))
        for side in pair:
            give_back(side)
        return result

    if WORKERS == 1 or board.nbytes <= PIECE_BYTES:
        yield from map(one, pieces(board, reference))
        return
    with ThreadPoolExecutor(WORKERS) as pool:
        yield from pool.map(one, pieces(board, reference))


def _find_memcmp() -> Any:
    """memcmp() of the C library: half as fast again as numpy's compare, and no temporary. None where there is none."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        memcmp = ctypes.CDLL(None).memcmp
        memcmp.argtypes, memcmp.restype = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t], ctypes.c_int
        return memcmp
    return None


_MEMCMP = _find_memcmp()


def same_bytes(a: Array, b: Array) -> bool:
    """Are two flat, contiguous arrays of one dtype and length equal byte for byte?"""
    assert a.flags.c_contiguous and b.flags.c_contiguous and a.nbytes == b.nbytes
    if _MEMCMP is None:
        return np.array_equal(a.view(np.uint8), b.view(np.uint8))
    return not _MEMCMP(a.ctypes.data, b.ctypes.data, a.nbytes)


def give_back(view: Array) -> None:
    """Let the system take back the pages of a read-only memory map under `view`; anything else is left alone."""
    root = _mapped_root(view)
    if root is None or not hasattr(mmap, "MADV_DONTNEED"):
        return
    mapped = root._mmap  # numpy documents no other way to its mmap object
    start = np.frombuffer(mapped, dtype=np.uint8).ctypes.data
    first, last = _bounds(view)
    begin = (first - start) // mmap.PAGESIZE * mmap.PAGESIZE
    with contextlib.suppress(OSError, ValueError):  # a system that refuses the advice keeps the pages: no harm
        mapped.madvise(mmap.MADV_DONTNEED, begin, last - start - begin)


def _mapped_root(view: Array) -> Any:
    """The memory map that a view stands on, if it is read-only: dropping pages of another kind would lose data."""
    base: Any = view
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap) and isinstance(base.base, mmap.mmap):
            return base if base.mode == "r" else None
        base = base.base
    return None


def _bounds(view: Array) -> tuple[int, int]:
    address = view.ctypes.data
    span = sum(stride * (size - 1) for stride, size in zip(view.strides, view.shape, strict=True))
    return address, address + span + view.itemsize
