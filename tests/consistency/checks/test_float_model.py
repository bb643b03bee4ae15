"""A quantized board beside the float model: what is noise, and what is a fault."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from harness.consistency.compare import CompareSettings, compare
from harness.dumps.folders import npy_spec
from harness.records import Comparison, Dump
from harness.reference.open import open_reference

Array = npt.NDArray[Any]
RNG = np.random.default_rng(14)
FLOATS = {name: RNG.normal(size=(1, 8, 16, 16)).astype(np.float32) for name in ("x", "r1", "y")}


def on_grid(values: Array) -> Array:
    step = np.float32(np.abs(values).max() / 127)
    quantized: Array = np.clip(np.round(values / step), -128, 127).astype(np.float32) * step
    return quantized


def judged(tmp_path: Any, board: dict[str, Array]) -> Comparison:
    np.savez(tmp_path / "ref.npz", **FLOATS)
    dumps = []
    for name, values in board.items():
        np.save(tmp_path / f"{name}.npy", values)
        dumps.append(Dump(name, tmp_path / f"{name}.npy", npy_spec(tmp_path / f"{name}.npy")))
    return compare(open_reference(tmp_path / "ref.npz"), dumps, CompareSettings())


def row_of_zeros(y: Array) -> None:
    y[:, :, 5, :] = 0


def block_of_another_value(y: Array) -> None:
    y[:, :, 4:8, 8:] = y[0, 0, 0, 0]


def tail_of_zeros(y: Array) -> None:
    y.reshape(-1)[-300:] = 0


@pytest.mark.parametrize("fault", [row_of_zeros, block_of_another_value, tail_of_zeros])
def test_a_part_that_is_far_off_is_a_fault_though_quantization_is_everywhere(fault: Any, tmp_path: Any) -> None:
    board = {name: on_grid(values) for name, values in FLOATS.items()}
    fault(board["y"])
    comparison = judged(tmp_path, board)
    assert comparison.verdict.word == "diverges" and "float-reference" in comparison.verdict.detail
    assert [origin.tensor for origin in comparison.origins] == ["y"] and comparison.policy == "float-reference"


def clean(values: Array) -> Array:
    return on_grid(values)


def coarse(values: Array) -> Array:
    """Two bits: far off, and everywhere."""
    step = np.float32(np.abs(values).max() / 2)
    quantized: Array = np.round(values / step).astype(np.float32) * step
    return quantized


def clipped(values: Array) -> Array:
    """A range that calibration cut short: whole regions at the rail."""
    quantized: Array = np.clip(on_grid(values), -0.5, 0.5)
    return on_grid(quantized)


def small_channels(values: Array) -> Array:
    """A scale for one large channel: the others are zero."""
    step = np.float32(np.abs(values).max())
    quantized: Array = np.round(values / step).astype(np.float32) * step
    return quantized


@pytest.mark.parametrize("habit", [clean, coarse, clipped, small_channels])
def test_quantization_however_bad_is_no_fault_of_an_op(habit: Any, tmp_path: Any) -> None:
    board = {name: on_grid(values) for name, values in FLOATS.items()} | {"y": habit(FLOATS["y"])}
    comparison = judged(tmp_path, board)
    assert (comparison.verdict.word, comparison.verdict.exit_code) == ("not_comparable", 3) and not comparison.origins
