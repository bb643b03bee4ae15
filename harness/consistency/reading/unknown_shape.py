"""Raw bytes on both sides, of unequal sizes, and nothing that tells the shape: channels that the board fills up."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.specs import LANES, file_size
from harness.consistency.reading.tensor_files import Array
from harness.records import Dump, TensorSpec
from harness.reference.open import ReferenceTensor

VALUE_BYTES = (1, 2, 4)
MOST_WAYS = 256
MOST_BYTES = 1 << 16  # of the last axis
LOOKED_AT = 1 << 20  # bytes of the reference that choose between ways
LEAST_EQUAL = 0.25  # of its bytes; by chance few are


def filled_up(tensor: ReferenceTensor, dump: Dump) -> tuple[TensorSpec, Array, Array] | None:
    """(how the board's file lies, its valid bytes, the reference's), both as rows of one shape; None where shapes are
    told, or sizes are equal.

    Errors: TensorError where no filling up explains the two sizes: nobody can tell which file is wrong.
    """
    if tensor.spec is not None or dump.spec is not None or ".npy" in (tensor.path.suffix, dump.path.suffix):
        return None
    kept, given = file_size(tensor.path), file_size(dump.path)
    if not 0 < kept < given:
        return None
    reference, board = _bytes_of(tensor.path), _bytes_of(dump.path)
    ways = list(_ways(kept, given))
    shares = [_equal(board.reshape(-1, full), reference.reshape(-1, valid)) for valid, full in ways]
    if not shares or max(shares) < LEAST_EQUAL:
        raise TensorError(
            f"{dump.path.name}: {given} bytes, {tensor.path.name} has {kept}: nothing tells the shape, and no "
            "filled up channels explain both",
            "keep the log that tells the shapes beside the PC's files",
            "shape_differs",
        )
    valid, full = ways[int(np.argmax(shares))]
    rows = given // full
    stored = TensorSpec(dump.name, "u8", (rows, valid), aligned_shape=(rows, full))
    return stored, board.reshape(rows, full)[:, :valid], reference.reshape(rows, valid)


def _bytes_of(path: Path) -> Array:
    mapped: Array = np.memmap(str(path), dtype=np.uint8, mode="r")
    return mapped


def _ways(kept: int, given: int) -> Iterator[tuple[int, int]]:
    """(valid bytes, all bytes) of the last axis that make both sizes, the fewest first."""
    common = math.gcd(kept, given)
    valid, full = kept // common, given // common
    for times in range(1, min(MOST_WAYS, common, MOST_BYTES // full) + 1):
        if common % times == 0 and _is_filled(valid * times, full * times):
            yield valid * times, full * times


def _is_filled(valid: int, full: int) -> bool:
    """Whether some multiple of channels, of some width, fills so many bytes up to so many."""
    steps = {lanes * width for lanes in LANES for width in VALUE_BYTES}
    return any(full % step == 0 and full - step < valid for step in steps)


def _equal(board: Array, reference: Array) -> float:
    rows = max(1, LOOKED_AT // reference.shape[1])
    return float(np.mean(board[:rows, : reference.shape[1]] == reference[:rows]))
