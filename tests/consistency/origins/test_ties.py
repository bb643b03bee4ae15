"""What right arithmetic may do: either step at an edge, either neighbour of an interpolation, noise of floats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from harness.consistency.compare import compare
from harness.consistency.origins.isolate import Isolator, Request
from harness.consistency.origins.ties import by_integer_kernel, on_edges
from harness.dumps.folders import read_dumps
from harness.records import Comparison, Quantization
from harness.reference.open import Reference, run_reference
from tests.support.nets import tiny_model

Array = np.ndarray[Any, Any]
STEPS = Quantization((0.5,), (3,), None)
REAL = np.array([0.25, 0.75, -0.25, 0.6, 1.0], np.float32)  # 3.5, 4.5, 2.5, 4.2 and 5 steps from the stored zero
NEAREST = np.array([4, 4, 2, 4, 5], np.int8)


@pytest.mark.parametrize(
    ("change", "right"),
    [
        ({0: 3}, True),
        ({0: 3, 1: 5, 2: 3}, True),
        ({0: 3, 3: 5}, False),  # the second is nowhere near an edge
        ({1: 6}, False),  # two steps
        ({0: 5}, False),  # 3.5 lies on an edge, but not on that between 4 and 5
        ({}, False),  # nothing differs: nothing to clear
    ],
)
def test_one_step_is_right_on_an_edge_only(change: dict[int, int], right: bool) -> None:
    board = NEAREST.copy()
    for at, value in change.items():
        board[at] = value
    assert on_edges(board, NEAREST, REAL, STEPS) is right


def test_an_interpolation_may_take_either_step_on_an_edge() -> None:
    assert by_integer_kernel(np.floor(REAL / 0.5 + 3).astype(np.int8)[:3], REAL[:3], STEPS)
    assert not by_integer_kernel(NEAREST + np.int8(1), REAL, STEPS)
    assert not by_integer_kernel(NEAREST[:3] - np.int8(1), REAL[:3], None)


MOVED = np.random.default_rng(1).uniform(-0.06, 0.06, 4000)  # steps: weights of few bits


@pytest.mark.parametrize(
    ("kernel", "right"),
    [
        (lambda real: np.rint(real + MOVED), True),
        (lambda real: np.rint(real + 0.05), False),  # to one side only
        (lambda real: np.rint(real + 4 * MOVED), False),  # far from the edges
        (np.floor, False),
        (np.ceil, False),
        (np.trunc, False),
        (lambda real: np.floor(real + np.random.default_rng(2).uniform(0, 1, 4000)), False),
    ],
)
def test_an_integer_kernel_moves_values_near_an_edge_to_either_side(
    kernel: Callable[[Array], Array], right: bool
) -> None:
    real = np.random.default_rng(0).uniform(-90, 90, 4000)
    quantization = Quantization((1.0,), (0,), None)
    assert by_integer_kernel(kernel(real).astype(np.int8), real, quantization) is right


def resized(folder: Path) -> tuple[Reference, Array]:
    """A quantized Resize, and what it makes before it is rounded, in steps."""
    values = {"s": np.float32(1), "zero": np.int8(0), "by": np.array([1, 1, 2, 2], np.float32)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "zero"], ["xq"], "q"),
        helper.make_node("DequantizeLinear", ["xq", "s", "zero"], ["xd"], "d"),
        helper.make_node("Resize", ["xd", "", "by"], ["real"], "resize", mode="linear"),
        helper.make_node("QuantizeLinear", ["real", "s", "zero"], ["yq"], "q2"),
        helper.make_node("DequantizeLinear", ["yq", "s", "zero"], ["y"], "d2"),
    ]
    onnx.save(tiny_model(nodes, {"x": [1, 2, 12, 12]}, ["y"], **values), folder / "m.onnx")
    x = np.rint(np.random.default_rng(0).normal(0, 40, (1, 2, 12, 12))).astype(np.float32)
    reference = run_reference(folder / "m.onnx", {"x": x}, folder / "reference")
    real = next(
        iter(Isolator(folder / "m.onnx").run([Request("y", {"x": reference.tensors["x"].load()}, unrounded=True)]))
    )
    assert real[1] is not None
    return reference, np.asarray(real[1], np.float64)


def test_an_interpolation_that_cuts_or_rounds_at_random_is_a_fault_and_one_that_rounds_halves_up_is_none(
    tmp_path: Path,
) -> None:
    reference, real = resized(tmp_path)
    dice = np.random.default_rng(3).uniform(0, 1, real.shape)
    boards = {
        "floor": np.floor(real),
        "ceil": np.ceil(real),
        "random": np.floor(real + dice),
        "up": np.floor(real + 0.5),
    }
    for name, board in boards.items():
        comparison = judged(tmp_path / name, reference, {"y": np.clip(board, -128, 127).astype(np.int8)})
        kinds = [origin.fingerprint.kind for origin in comparison.origins if origin.fingerprint is not None]
        expected = {"floor": ["truncation"], "ceil": ["truncation"], "random": ["rounding"], "up": []}[name]
        assert kinds == expected and comparison.verdict.exit_code == bool(expected)


def mean_of_two(folder: Path) -> Reference:
    """x and its reverse, added and halved by the scale of the result: every other sum lies on an edge."""
    scales = {"sx": np.float32(0.1), "sy": np.float32(0.2), "zero": np.int8(0)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "sx", "zero"], ["xq"], "q"),
        helper.make_node("DequantizeLinear", ["xq", "sx", "zero"], ["xd"], "d"),
        helper.make_node("QuantizeLinear", ["b", "sx", "zero"], ["bq"], "qb"),
        helper.make_node("DequantizeLinear", ["bq", "sx", "zero"], ["bd"], "db"),
        helper.make_node("Add", ["xd", "bd"], ["sum"], "add"),
        helper.make_node("QuantizeLinear", ["sum", "sy", "zero"], ["yq"], "q2"),
        helper.make_node("DequantizeLinear", ["yq", "sy", "zero"], ["y"], "d2"),
    ]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [400]) for name in ("x", "b")]
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in scales.items()]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", infos, [output], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), folder / "m.onnx")
    rng = np.random.default_rng(0)
    feed = {name: rng.integers(-90, 90, 400).astype(np.float32) / 10 for name in ("x", "b")}
    return run_reference(folder / "m.onnx", feed, folder / "reference")


def judged(folder: Path, reference: Reference, changed: dict[str, Array]) -> Comparison:
    folder.mkdir()
    for name, tensor in reference.tensors.items():
        np.save(folder / f"{name}.npy", changed.get(name, tensor.load()))
    return compare(reference, read_dumps(folder))


def test_sums_rounded_the_other_way_are_cleared_and_one_more_step_is_not(tmp_path: Path) -> None:
    reference = mean_of_two(tmp_path)
    steps = (reference.tensors["x"].load().astype(np.int16) + reference.tensors["b"].load().astype(np.int16)) / 2
    away = np.trunc(steps + np.copysign(0.5, steps)).astype(np.int8)
    assert (away != reference.tensors["y"].load()).sum() > 50
    assert judged(tmp_path / "away", reference, {"y": away}).verdict.exit_code == 0
    whole = np.flatnonzero(steps == np.round(steps))[:3]
    away[whole] += 1
    wrong = judged(tmp_path / "wrong", reference, {"y": away})
    assert [origin.op for origin in wrong.origins] == ["add"]


def test_noise_that_unseen_ops_make_large_is_no_fault_and_more_than_that_is_one(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Add", ["x", "large"], ["up"], "up"),
        helper.make_node("Sub", ["up", "large"], ["y"], "down"),
    ]
    onnx.save(tiny_model(nodes, {"x": [64]}, ["y"], large=np.array(1000, np.float32)), tmp_path / "m.onnx")
    x = np.random.default_rng(0).normal(0, 1, 64).astype(np.float32)
    reference = run_reference(tmp_path / "m.onnx", {"x": x}, tmp_path / "reference")
    for name, y, code in (("exact", x, 0), ("off", x * np.float32(1.05), 1)):
        folder = tmp_path / name
        folder.mkdir()
        np.save(folder / "y.npy", y)
        comparison = compare(reference, read_dumps(folder))
        assert comparison.verdict.exit_code == code and len(comparison.origins) == code
        assert next(layer for layer in comparison.layers if layer.name == "y").verdict == "differs"


def test_a_weight_in_a_constant_node_is_a_weight(tmp_path: Path) -> None:
    weight = numpy_helper.from_array(np.eye(4, dtype=np.float32))
    nodes = [
        helper.make_node("Constant", [], ["w"], "w", value=weight),
        helper.make_node("MatMul", ["x", "w"], ["y"], "matmul"),
    ]
    onnx.save(tiny_model(nodes, {"x": [2, 4]}, ["y"]), tmp_path / "m.onnx")
    isolator = Isolator(tmp_path / "m.onnx")
    assert list(isolator.weights) == ["w"] and [node.name for node in isolator.nodes] == ["matmul"]
