"""md5 of both sides of a row: no byte is hashed twice, and none where nobody asked for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.consistency.metrics.pointwise import equal
from harness.consistency.reading.pairs import Pair
from harness.consistency.reading.tensor_files import file_md5, valid_md5
from harness.records import Dump
from harness.reference.open import ReferenceTensor

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class RowHashes:
    """`same`: the valid bytes of both sides are. The md5 sums are of the valid bytes, and of the whole files."""

    same: bool
    board: str = ""
    reference: str = ""
    file_board: str = ""
    file_reference: str = ""


def hashes_of(
    pair: Pair, tensor: ReferenceTensor, dump: Dump, *, may_be_same: bool, file_board: str | None = None
) -> RowHashes:
    """All sums of one row. `may_be_same`: no value differs; `file_board`: md5 of the board's file, where it is known.

    Errors: TensorError.
    """
    board = valid_md5(pair.board)
    file_board = _of_file(dump.path, pair.board, board) if file_board is None else file_board
    if pair.reference_md5:  # what a manifest tells; the file itself is looked at
        reference, file_reference = pair.reference_md5, partial(file_md5, tensor.path)
    else:
        reference = board if may_be_same and same_bytes(pair) else valid_md5(pair.reference)
        file_reference = partial(_of_file, tensor.path, pair.reference, reference)
    sum_of_file = "" if tensor.path.suffix == ".npy" else file_reference()
    return RowHashes(board == reference, board, reference, file_board, sum_of_file)


def same_bytes(pair: Pair) -> bool:
    """Whether the valid bytes of both sides are the same, whatever their types are called."""
    board, reference = pair.board, pair.reference
    if board.shape != reference.shape or board.itemsize != reference.itemsize:
        return False
    bits = np.dtype(f"u{board.itemsize}")
    return equal(board.view(bits), reference.view(bits))


def _of_file(path: Path, array: Array, valid: str) -> str:
    """md5 of a file; that of its valid bytes where these are the file, from end to end."""
    return valid if _is_whole_file(path, array) else file_md5(path)


def _is_whole_file(path: Path, array: Array) -> bool:
    root: Any = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    mapped = (
        isinstance(root, np.memmap) and root.filename is not None and Path(root.filename).resolve() == path.resolve()
    )
    return mapped and array.flags.c_contiguous and root.nbytes == array.nbytes == path.stat().st_size
