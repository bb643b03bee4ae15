"""A dump and a tensor as two arrays with axes in one order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.consistency.reading.pairs import Pair, open_pair
from harness.records import Dump, TensorSpec
from harness.reference.open import ReferenceTensor

CUBE = np.arange(64, dtype=np.int32).reshape(1, 4, 4, 4)


def pair(folder: Path, stored: np.ndarray, layout: str = "", shape: tuple[int, ...] = CUBE.shape) -> Pair:
    (folder / "t.bin").write_bytes(np.ascontiguousarray(stored).tobytes())
    np.save(folder / "t.npy", CUBE)
    reference = ReferenceTensor("t", folder / "t.npy", TensorSpec("t", "s32", CUBE.shape, "NCHW"))
    return open_pair(reference, Dump("t", folder / "t.bin", TensorSpec("t", "s32", shape, layout)))


@pytest.mark.parametrize(("order", "layout"), [((0, 1, 2, 3), "NCHW"), ((0, 2, 3, 1), "NHWC")])
def test_a_cube_without_a_layout_is_read_as_it_is_equal_and_that_is_said(
    tmp_path: Path, order: tuple[int, ...], layout: str
) -> None:
    pair_read = pair(tmp_path, CUBE.transpose(order))
    np.testing.assert_array_equal(pair_read.board, CUBE)
    assert f"read as {layout}, equal" in pair_read.note


def test_a_cube_that_differs_is_read_in_the_nearer_way(tmp_path: Path) -> None:
    changed = CUBE.copy()
    changed[0, 0, 0, 1] = -1
    pair_read = pair(tmp_path, changed.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(pair_read.board, changed)
    assert "read as NHWC, nearer: 63 of 64" in pair_read.note


def test_a_layout_that_is_told_is_believed(tmp_path: Path) -> None:
    pair_read = pair(tmp_path, CUBE.transpose(0, 2, 3, 1), "NCHW")
    assert pair_read.note == "" and not np.array_equal(pair_read.board, CUBE)
