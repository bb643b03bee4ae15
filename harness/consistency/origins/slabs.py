"""Both sides of a pair as numbers, slab by slab: memory stays small, and every element is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.consistency.fingerprint.error_stats import differing
from harness.consistency.reading.pairs import Pair, real_values

Array = npt.NDArray[Any]
ELEMENTS = 1 << 18  # of a slab: its five arrays of float64 take 10 MB


@dataclass(frozen=True)
class Slab:
    """Indices `start` to `stop` of one axis: float64 values, of integers the steps where the pair is one of integers.

    `difference` is board minus reference, 0 where both are the same; `wrong` is where they are not.
    """

    axis: int
    start: int
    stop: int
    board: Array
    reference: Array
    wrong: Array
    difference: Array

    def at(self, size: int, axis: int) -> slice:
        """Its place among the `size` indices of an axis that is whole, or summed up into one."""
        return slice(self.start, self.stop) if axis == self.axis and size > 1 else slice(0, size)


def slabs(pair: Pair) -> Iterator[Slab]:
    """All of a pair with elements. Errors: TensorError where scales do not fit their values."""
    axis = _axis(pair)
    length = pair.board.shape[axis] if pair.board.ndim else 1
    rows = length if _scaled(pair, axis) else max(1, ELEMENTS * length // pair.board.size)
    for start in range(0, length, rows):
        stop = min(length, start + rows)
        at = (slice(None),) * axis + (slice(start, stop),) if pair.board.ndim else ()
        yield _slab(pair, axis, start, stop, pair.board[at], pair.reference[at])


def _slab(pair: Pair, axis: int, start: int, stop: int, board: Array, reference: Array) -> Slab:
    wrong = differing(board, reference)
    with np.errstate(all="ignore"):
        one, other = _numbers(pair, board, reference)
        difference = np.where(wrong, one - other, 0.0)
    return Slab(axis, start, stop, one, other, wrong, difference)


def _axis(pair: Pair) -> int:
    """The longest axis, but none that has a scale for each of its indices, as long as there is another."""
    sizes = [0 if _scaled(pair, axis) else size for axis, size in enumerate(pair.board.shape)]
    return int(np.argmax(sizes)) if sizes else 0


def _scaled(pair: Pair, axis: int) -> bool:
    """A slab of this axis would not fit the scales of one side. An axis may count from the end."""
    axes = [spec.quantization.axis for spec in (pair.spec_board, pair.spec_reference) if spec.quantization is not None]
    return any(place is not None and place % max(1, pair.board.ndim) == axis for place in axes)


def _numbers(pair: Pair, board: Array, reference: Array) -> tuple[Array, Array]:
    if pair.form == "integer":
        return board.astype(np.float64), reference.astype(np.float64)
    return real_values(board, pair.spec_board), real_values(reference, pair.spec_reference)
