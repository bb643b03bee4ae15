"""A product of integers whose inputs the runtime quantizes once more, in groups, is that runtime's kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import helper

from harness.consistency.compare import compare
from harness.dumps.folders import read_dumps
from harness.records import Comparison
from harness.reference.open import Reference, run_reference
from tests.support.nets import tiny_model

Array = npt.NDArray[Any]
ROWS, DEPTH, WIDTH, GROUP, STEP = 16, 64, 20, 32, np.float32(1 / 16)
RNG = np.random.default_rng(0)
X = RNG.normal(0, 2, (ROWS, DEPTH)).astype(np.float32)
W = RNG.integers(-127, 128, (DEPTH, WIDTH)).astype(np.int8)
SCALE = np.float32(1 / 1024)


@pytest.fixture(scope="module", params=["Gemm", "MatMul"])
def reference(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    folder = tmp_path_factory.mktemp("dynamic")
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "zero"], ["xq"], "x_quantize"),
        helper.make_node("DequantizeLinear", ["xq", "s", "zero"], ["xd"], "x_dequantize"),
        helper.make_node("DequantizeLinear", ["w", "ws", "zero"], ["wd"], "w_dequantize"),
        helper.make_node(request.param, ["xd", "wd"], ["p"], "product"),
        helper.make_node("QuantizeLinear", ["p", "s", "zero"], ["y"], "y_quantize"),
        helper.make_node("DequantizeLinear", ["y", "s", "zero"], ["yd"], "y_dequantize"),
    ]
    model = tiny_model(nodes, {"x": list(X.shape)}, ["yd"], s=STEP, ws=SCALE, zero=np.int8(0), w=W)
    onnx.save(model, folder / "m.onnx")
    return run_reference(folder / "m.onnx", {"x": X}, folder / "reference")


def product(x: Array) -> Array:
    return np.rint(x @ (W * float(SCALE)) / float(STEP)).clip(-128, 127).astype(np.int8)


def quantized_again(x: Array, group: int) -> Array:
    groups = x.reshape(-1, group)
    step = np.abs(groups).max(axis=1, keepdims=True) / 127
    return (np.rint(groups / step) * step).reshape(x.shape)


def judged(folder: Path, reference: Reference, board: Array) -> Comparison:
    stored = np.array(reference.tensors["x"].load())
    np.save(folder / "x.npy", stored)
    np.save(folder / "yd.npy", board)
    return compare(reference, read_dumps(folder))


def test_inputs_that_are_quantized_once_more_are_the_runtimes_kernel(reference: Reference, tmp_path: Path) -> None:
    x = (np.rint(X / STEP).clip(-128, 127) * STEP).astype(np.float64)
    board = product(quantized_again(x, GROUP))
    off = board.astype(int) - product(x)
    assert np.abs(off).max() == 1 and np.mean(off != 0) > 0.02
    comparison = judged(tmp_path, reference, board)
    assert comparison.verdict.exit_code == 0 and any("dynamically" in note for note in comparison.notes)


@pytest.mark.parametrize("fault", ["cut", "random", "one step"])
def test_other_integers_one_step_off_are_a_fault(fault: str, reference: Reference, tmp_path: Path) -> None:
    x = (np.rint(X / STEP).clip(-128, 127) * STEP).astype(np.float64)
    board = product(x)
    if fault == "cut":
        board = np.floor(x @ (W * float(SCALE)) / float(STEP)).clip(-128, 127).astype(np.int8)
    elif fault == "random":
        board = board + RNG.integers(-1, 2, board.shape).astype(np.int8)
    else:
        board = board + np.int8(1)
    assert judged(tmp_path, reference, board).verdict.exit_code == 1
