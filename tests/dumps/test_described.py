"""Raw integers and 16-bit words of a board, with the model's own table of types and scales beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.consistency.compare import compare
from harness.dumps.folders import read_dumps
from harness.records import Dump, Quantization
from harness.reference.open import open_reference

TABLE = """
Model Version: 1.2

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


def described_dump(folder: Path, table: str, dtype: type = np.uint8) -> Dump:
    np.savez(folder / "out.npz", t=np.arange(16, dtype=dtype))
    (folder / "info.txt").write_text(table, encoding="utf-8")
    return read_dumps(folder / "out.npz")[0]


@pytest.mark.parametrize(
    ("heading", "cells", "zero_point"),
    [
        ("NAME TYPE SCALE ZERO_POINT", "t uint8 0.5 128", 128),
        ("NAME TYPE SCALE Zero Point", "t uint8 0.5 128", 128),
        ("NAME TYPE ZP QSCALE", "t uint8 128 0.5", 128),
        ("NAME TYPE SCALE OFFSET", "t uint8 0.5 128.0", 128),
        ("NAME OFFSET TYPE SCALE", "t 96 uint8 0.5", None),  # a place in memory
        ("NAME TYPE SCALE ZP", "t uint8 0.5 -", None),
        ("NAME TYPE SCALE", "t uint8 0.5", None),
    ],
)
def test_the_zero_point_is_read_or_it_is_said_that_none_is_told(
    tmp_path: Path, heading: str, cells: str, zero_point: int | None
) -> None:
    dump = described_dump(tmp_path, f"{heading}\n{cells}\n")
    assert dump.spec is not None and dump.spec.quantization == Quantization((0.5,), (zero_point or 0,))
    assert (dump.described_in, dump.zero_assumed) == ("info.txt", zero_point is None)
    np.savez(tmp_path / "ref.npz", t=(np.arange(16, dtype=np.float32) - (zero_point or 0)) * np.float32(0.5))
    comparison = compare(open_reference(tmp_path / "ref.npz"), [dump])
    assert comparison.verdict.word == "consistent"
    assert "type or scale of 1 dump comes from the table in info.txt beside the dumps" in comparison.notes
    assert any("no zero point of unsigned t: 0 is taken" in note for note in comparison.notes) is (zero_point is None)


@pytest.mark.parametrize("zero_point", ["300", "-1", "1.5", "many", "inf"])
def test_a_row_whose_zero_point_the_type_cannot_hold_tells_nothing(tmp_path: Path, zero_point: str) -> None:
    dump = described_dump(tmp_path, f"NAME TYPE SCALE ZP\nt uint8 0.5 {zero_point}\n")
    assert dump.spec is not None and dump.spec.quantization is None and not dump.described_in


def test_signed_integers_without_a_zero_point_are_symmetric_and_no_note_asks_for_one(tmp_path: Path) -> None:
    assert not described_dump(tmp_path, "NAME TYPE SCALE\nt int8 0.5\n", np.int8).zero_assumed
