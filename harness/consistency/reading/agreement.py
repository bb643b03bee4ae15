"""Do a file's values, read in some way, follow the reference's? Asked of a sample: some elements of each file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.consistency.reading.layouts import BLOCKED, TensorError
from harness.consistency.reading.matching import Match
from harness.consistency.reading.pairs import Pair, aligned
from harness.consistency.reading.specs import Storages
from harness.consistency.reading.tensor_files import Array
from harness.records import Dump, Quantization, TensorSpec

POSITIONS = 2048  # elements of a tensor that are looked at
MOST_COPIED = 1 << 22  # elements of a tensor that must be copied to be looked at
NEAR = 0.5  # of the spread of the reference's values: unlike tensors are farther apart than that, noise is far below
EQUAL = 1e-5  # likewise: scales are printed with few digits


@dataclass(frozen=True)
class Agreement:
    """Of the layers that were looked at: how many are near the reference, and how many equal it."""

    layers: int = 0
    near: int = 0
    equal: int = 0

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(self.layers + other.layers, self.near + other.near, self.equal + other.equal)


def agreement(row: Match, dump: Dump, spec: TensorSpec, storages: Storages | None) -> Agreement:
    """Of one layer; nothing where its values say nothing."""
    off = distance(row, dump, spec, storages)
    return Agreement() if off is None else Agreement(1, int(off <= NEAR), int(off <= EQUAL))


def distance(row: Match, dump: Dump, spec: TensorSpec, storages: Storages | None) -> float | None:
    """How far the values of a dump are from its tensor's, in units of the spread of these; None where they say nothing:
    one value only, no numbers, too large to be put in order."""
    assert row.tensor is not None
    copied = spec.layout in BLOCKED or spec.dtype == "bf16"
    if copied and int(np.prod(spec.shape)) > MOST_COPIED:
        return None
    try:
        pair = aligned(spec, row.tensor, dump, storages)
    except (OSError, TensorError):
        return None
    return _distance(pair)


def _distance(pair: Pair) -> float | None:
    if pair.reference.size < 2 or pair.board.shape != pair.reference.shape:
        return None
    index = _positions(pair.reference)
    with np.errstate(all="ignore"):  # any bytes may be read as floats here
        board, wanted = _real(pair.board, pair.spec_board, index), _real(pair.reference, pair.spec_reference, index)
        spread = float(np.linalg.norm(wanted - wanted.mean()))
        apart = float(np.linalg.norm(board - wanted))
    return apart / spread if np.isfinite(spread) and spread > 0 else None


def _positions(array: Array) -> tuple[Array, ...]:
    """The same ones for every reading of a tensor."""
    if array.size <= POSITIONS:
        return np.unravel_index(np.arange(array.size), array.shape)
    chosen = np.random.default_rng(array.size).integers(0, array.size, POSITIONS)
    return np.unravel_index(np.sort(chosen), array.shape)


def _real(array: Array, spec: TensorSpec, index: tuple[Array, ...]) -> Array:
    """Real values at some positions."""
    values = np.asarray(array[index]).astype(np.float64)
    q = spec.quantization
    if q is None or array.dtype.kind not in "iu":
        return np.nan_to_num(values, posinf=0, neginf=0)
    return (values - _at(q.zero_points or (0,), q, index)) * _at(q.scales, q, index)


def _at(per_index: tuple[float, ...], q: Quantization, index: tuple[Array, ...]) -> Array:
    numbers = np.asarray(per_index, dtype=np.float64)
    if q.axis is None or numbers.size == 1 or not index:
        return numbers[:1]
    where = index[q.axis % len(index)]
    chosen: Array = numbers[np.minimum(where, numbers.size - 1)]
    return chosen
