"""Raw bytes of two sizes and nothing that tells a shape: channels that are filled up are found by the values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.consistency.compare import CompareSettings, compare
from harness.records import Comparison, Dump
from harness.reference.open import Reference, ReferenceTensor

Array = npt.NDArray[Any]


def judged(folder: Path, kept: Array, given_: Array) -> Comparison:
    kept.tofile(folder / "ref.bin")
    given_.tofile(folder / "board.bin")
    reference = Reference({"t": ReferenceTensor("t", folder / "ref.bin", None)})
    return compare(reference, [Dump("t", folder / "board.bin")], CompareSettings())


def filled(values: Array, lanes: int, rest: int) -> Array:
    pixels, channels = values.shape
    full = np.full((pixels, -(-channels // lanes) * lanes), rest, values.dtype)
    full[:, :channels] = values
    return full


@settings(max_examples=30, deadline=None)
@given(
    channels=st.integers(1, 90),
    pixels=st.integers(8, 90),
    lanes=st.sampled_from((4, 8, 16, 32, 64)),
    rest=st.integers(0, 255),
    floats=st.booleans(),
)
def test_every_filling_up_is_found(
    tmp_path_factory: pytest.TempPathFactory, channels: int, pixels: int, lanes: int, rest: int, floats: bool
) -> None:
    rng = np.random.default_rng(channels * pixels)
    values = rng.integers(0, 256, (pixels, channels)).astype(np.float32 if floats else np.uint8)
    board = filled(values, lanes, rest)
    comparison = judged(tmp_path_factory.mktemp("t"), values, board)
    assert comparison.verdict.word == "consistent", comparison.layers
    if channels % lanes:
        assert "filled up to" in comparison.layers[0].note
        board[3, 0] += 9
        comparison = judged(tmp_path_factory.mktemp("t"), values, board)
        assert comparison.verdict.word == "diverges"


@pytest.mark.parametrize("size", [2048, 1281, 1300, 5000])
def test_other_bytes_are_nobodys_damage(size: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kept, board = (rng.integers(0, 256, n).astype(np.uint8) for n in (1280, size))
    (layer,) = judged(tmp_path, kept, board).layers
    assert layer.verdict == "not_compared" and layer.reason == "shape_differs"
    assert "nothing tells the shape" in layer.note and "damaged" not in layer.note
