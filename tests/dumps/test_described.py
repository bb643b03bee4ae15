"""Raw integers and 16-bit words of a board, with the model's own table of types and scales beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.consistency.compare import compare
from harness.dumps.folders import read_dumps
from harness.reference.open import open_reference

TABLE = """Model Version: 1.2
    tensor_map  :
        ID   OFFSET  TYPE  N    C    H    W    QSCALE     MEM     NAME
        000  0       fp32  1    1    8    8    1.000000   io_mem  image
        001  0       int8  1    24   2    2    0.071385   shared  pool_out
        002  96      bf16  1    10   1    1    1.000000   shared  softmax_out
some words that are no row
        003  96      int8  1    10   1    1    9.000000   shared  not_in_the_table
"""


@pytest.fixture
def board(tmp_path: Path) -> tuple[Path, Path]:
    """(reference, board): the PC's dequantized floats, the board's raw values."""
    random = np.random.default_rng(4)
    steps = random.integers(-90, 90, (1, 24, 2, 2), dtype=np.int8)
    halves = (random.random((1, 10)).astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)
    real = (steps.astype(np.float32) * np.float32(0.0713851)).astype(np.float32)
    np.savez(tmp_path / "ref.npz", pool_out=real, softmax_out=halves)
    (tmp_path / "board").mkdir()
    words = (halves.view(np.uint32) >> 16).astype(np.uint16)
    np.savez(tmp_path / "board" / "out.npz", pool_out=steps, softmax_out=words.reshape(1, 10, 1, 1))
    return tmp_path / "ref.npz", tmp_path / "board" / "out.npz"


def test_scale_and_type_come_from_the_table_beside_the_dumps(board: tuple[Path, Path]) -> None:
    (board[1].parent / "info.txt").write_text(TABLE, encoding="utf-8")
    comparison = compare(open_reference(board[0]), read_dumps(board[1]))
    assert comparison.verdict.word == "consistent" and comparison.coverage.layers_compared == 2
    assert not any("float model" in note for note in comparison.notes)


def test_without_a_table_integers_are_not_compared_and_it_is_said_what_is_missing(board: tuple[Path, Path]) -> None:
    comparison = compare(open_reference(board[0]), read_dumps(board[1]))
    row = next(layer for layer in comparison.layers if layer.name == "pool_out")
    assert row.reason == "dtype_differs" and "without a scale" in row.note and "table" in row.note


def test_rows_outside_of_a_table_and_damaged_ones_tell_nothing(board: tuple[Path, Path]) -> None:
    (board[1].parent / "info.txt").write_text(TABLE.replace("0.071385", "0.07.1"), encoding="utf-8")
    specs = {dump.name: dump.spec for dump in read_dumps(board[1])}
    assert specs["pool_out"] is not None and specs["pool_out"].quantization is None
    assert specs["softmax_out"] is not None and specs["softmax_out"].dtype == "bf16"
