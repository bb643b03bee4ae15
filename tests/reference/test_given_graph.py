"""The graph of an ONNX beside tensors that a vendor's tool kept: names that meet, tensors that it does not hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from harness.consistency.compare import CompareSettings, compare
from harness.dumps.folders import read_dumps
from harness.records import Comparison
from harness.reference.given_graph import INSERTED
from harness.reference.onnx_runtime import onnxruntime
from harness.reference.open import open_reference

Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Arrays]:
    """x -> Conv c1 -> Relu r1 -> Conv y, all values kept."""
    random = np.random.default_rng(14)
    weights = [
        numpy_helper.from_array(random.normal(0, 0.3, shape).astype(np.float32), name)
        for name, shape in (("w1", (8, 3, 3, 3)), ("w2", (6, 8, 1, 1)))
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c1"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("Conv", ["r1", "w2"], ["y"], "conv2"),
    ]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("c1", "r1", "y")]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])]
    graph = helper.make_graph(nodes, "n", inputs, outputs, weights)
    path = tmp_path_factory.mktemp("model") / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    x = random.normal(0, 1, (1, 3, 16, 16)).astype(np.float32)
    values = dict(zip(("c1", "r1", "y"), onnxruntime.InferenceSession(path).run(None, {"x": x}), strict=True))
    return path, {"x": x, **values}


def quantized(values: np.ndarray) -> np.ndarray:
    step = np.float32(np.abs(values).max() / 127)
    return np.round(values / step).astype(np.float32) * step


def held_against(folder: Path, model: Path, reference: Arrays, board: Arrays) -> Comparison:
    np.savez(folder / "ref.npz", **reference)
    np.savez(folder / "board.npz", **board)
    return compare(
        open_reference(folder / "ref.npz", graph=model),
        read_dumps(folder / "board.npz"),
        CompareSettings(isolate=False),
    )


def test_names_with_the_kind_of_their_op_meet_the_graph(tmp_path: Path, model: tuple[Path, Arrays]) -> None:
    path, v = model
    own = {"x": v["x"], "r1_Relu": v["r1"], "y_Conv": v["y"]}
    wrong = v["y"].copy()
    wrong[:, :, 5] = 0
    comparison = held_against(tmp_path, path, own, {**own, "y_Conv": wrong})
    assert [origin.op for origin in comparison.origins] == ["conv2"] and comparison.graph_source == "m.onnx"
    assert {layer.name for layer in comparison.layers} == {"x", "r1", "y"}


def test_an_inserted_quantizer_is_an_op_that_can_be_blamed(tmp_path: Path, model: tuple[Path, Arrays]) -> None:
    path, v = model
    own = {"x": v["x"], "x_int8": quantized(v["x"]), "r1": v["r1"], "y": v["y"]}
    board = {**own, "x_int8": np.clip(own["x_int8"], -1, 1), "r1": v["r1"] * 0.8, "y": v["y"] * 0.7}
    comparison = held_against(tmp_path, path, own, board)
    assert [(origin.op, origin.op_kind) for origin in comparison.origins] == [("x_int8", INSERTED)]
    roles = {layer.name: layer.role for layer in comparison.layers}
    assert roles == {"x": "", "x_int8": "origin", "r1": "propagated", "y": "propagated"}


def test_a_copy_behind_an_op_is_no_origin_of_its_own(tmp_path: Path, model: tuple[Path, Arrays]) -> None:
    path, v = model
    own = {"x": v["x"], "r1": v["r1"], "r1_reshape": v["r1"].reshape(8, -1), "y": v["y"]}
    board = {name: value if name == "x" else value * 0.5 for name, value in own.items()}
    assert [origin.tensor for origin in held_against(tmp_path, path, own, board).origins] == ["r1"]


def test_a_graph_that_knows_one_name_of_many_is_not_used(tmp_path: Path, model: tuple[Path, Arrays]) -> None:
    path, v = model
    random = np.random.default_rng(3)
    own = {"x": v["x"], "y": v["y"]} | {f"blob{i}z": random.normal(size=(1, 4, 5)).astype(np.float32) for i in range(6)}
    comparison = held_against(tmp_path, path, own, {**own, "blob3z": own["blob3z"] + 1})
    assert comparison.graph_source == "" and comparison.origins[0].tensor == "blob3z"
    assert any("m.onnx knows 1 of 7 compared tensors" in note for note in comparison.notes)


def test_two_archives_have_no_log_that_lists_a_layer(tmp_path: Path, model: tuple[Path, Arrays]) -> None:
    path, v = model
    own = {"x": v["x"], "c1_Conv": v["c1"], "r1_Relu": v["r1"], "y_Conv": v["y"]}
    comparison = held_against(tmp_path, path, own, {name: own[name] for name in own if name != "r1_Relu"})
    assert not any("log" in row.note for row in comparison.layers)
    assert [row.reason for row in comparison.layers if row.verdict == "not_compared"] == ["missing"]  # an output


@pytest.fixture(scope="module")
def quantizing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """x -> QuantizeLinear xq -> DequantizeLinear xd -> Relu y: the graph calls all of x, xq and xd one tensor, x."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"], "q"),
        helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"], "dq"),
        helper.make_node("Relu", ["xd"], ["y"], "relu"),
    ]
    given = [numpy_helper.from_array(np.float32(0.25), "s"), numpy_helper.from_array(np.int8(3), "z")]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2, 4, 4]) for name in "xy")
    path = tmp_path_factory.mktemp("quantizing") / "m.onnx"
    graph = helper.make_graph(nodes, "n", [x], [y], given)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.mark.parametrize("held", [("x", "xq", "xd", "y"), ("xq", "xd", "y"), ("xd", "xq", "y"), ("xd", "y")])
def test_one_of_several_names_of_a_tensor_is_its_and_the_others_are_copies(
    tmp_path: Path, quantizing: Path, held: tuple[str, ...]
) -> None:
    x = np.random.default_rng(5).normal(0, 3, (1, 2, 4, 4)).astype(np.float32)
    xq = np.clip(np.rint(x / 0.25) + 3, -128, 127).astype(np.int8)
    xd = (xq.astype(np.float32) - 3) * np.float32(0.25)
    values = {"x": x, "xq": xq, "xd": xd, "y": np.maximum(xd, 0)}
    np.savez(tmp_path / "ref.npz", **{name: values[name] for name in held})
    reference = open_reference(tmp_path / "ref.npz", graph=quantizing)
    own = next(name for name in ("x", "xq", "xd") if name in held)
    assert set(reference.tensors) == {"x", "y", *held} - {own} | {"x"}
    assert own == "x" or own in reference.tensors["x"].aliases
    copies = [tensor for name, tensor in reference.tensors.items() if name not in ("x", "y")]
    assert all((tensor.op_kind, tensor.repeats) == (INSERTED, "x") for tensor in copies)
    assert max(reference.tensors.values(), key=lambda tensor: tensor.order).name == "y"


def test_a_name_that_two_may_claim_is_no_beginning_of_itself(tmp_path: Path, model: tuple[Path, Arrays]) -> None:
    path, v = model
    np.savez(tmp_path / "ref.npz", **{"r1:0": v["r1"], "r1_Relu": v["r1"], "y": v["y"]})
    assert "y" in open_reference(tmp_path / "ref.npz", graph=path).tensors


@pytest.mark.parametrize(("factor", "kind"), [(0.5, "shift"), (1.3, "scale")])
def test_integers_of_an_archive_have_the_scales_of_the_graph(factor: float, kind: str, tmp_path: Path) -> None:
    """An .npz tells no scale; without the zero point a factor before rounding is no factor of the integers."""
    steps = {"s": np.float32(0.05), "z": np.int8(-96)}
    nodes = [
        helper.make_node("Neg", ["x"], ["n"], "neg"),
        helper.make_node("QuantizeLinear", ["n", "s", "z"], ["nq"], "quantize"),
        helper.make_node("DequantizeLinear", ["nq", "s", "z"], ["y"], "dequantize"),
    ]
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in steps.items()]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 16, 16])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "n", inputs, outputs, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), tmp_path / "m.onnx")
    x = np.abs(np.random.default_rng(0).normal(0, 2, (1, 8, 16, 16))).astype(np.float32) * -1

    def integers(by: float) -> np.ndarray:
        return np.rint(-x * by / 0.05 - 96).clip(-128, 127).astype(np.int8)

    comparison = held_against(
        tmp_path, tmp_path / "m.onnx", {"x": x, "nq": integers(1)}, {"x": x, "nq": integers(factor)}
    )
    assert [origin.fingerprint and origin.fingerprint.kind for origin in comparison.origins] == [kind]
