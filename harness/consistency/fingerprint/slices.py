"""Slices of one axis in another order: channels rotated, RGB for BGR, halves of a concatenation exchanged."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
MOST_SLICES = 1 << 16


def find_reorder(board: Array, reference: Array, channels: int | None) -> str:
    """The order of slices along some axis that makes board out of reference, in words; "" where there is none.

    The channel axis is tried first.
    """
    axes = sorted(range(board.ndim), key=lambda axis: axis != channels)
    for axis in axes:
        if 1 < board.shape[axis] <= MOST_SLICES:
            order = _order(np.moveaxis(board, axis, 0), np.moveaxis(reference, axis, 0))
            if order is not None and order != list(range(len(order))):
                name = "channels" if axis == channels else f"axis {axis}"
                return f"{name} {describe(order)}"
    return ""


def _order(board: Array, reference: Array) -> list[int] | None:
    """order[i] = index of the reference's slice that the board has at i."""
    places: dict[bytes, list[int]] = defaultdict(list)
    for index in range(len(reference) - 1, -1, -1):
        places[_digest(reference[index])].append(index)
    order: list[int] = []
    for index in range(len(board)):
        free = places.get(_digest(board[index]))
        if not free:
            return None
        order.append(free.pop())
    return order


def _digest(part: Array) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(part).tobytes(), digest_size=16).digest()


def describe(order: list[int]) -> str:
    """A permutation in the shortest words: rotation, reversal, two exchanged, exchanged pieces, or the list."""
    n = len(order)
    if order == list(range(n))[::-1]:
        return "in reverse order"
    if all(order[i] == (order[0] + i) % n for i in range(n)):
        return f"rotated by {-order[0] % n} of {n}"
    moved = [i for i in range(n) if order[i] != i]
    if len(moved) == 2:
        return f"{moved[0]} and {moved[1]} swapped"
    shown = ", ".join(str(i) for i in order[:16])
    return f"in the order {shown}{', ...' if n > 16 else ''} ({len(moved)} of {n} moved)"
