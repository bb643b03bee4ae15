"""Weights of an ONNX that lie in other files: read beside the model, refused anywhere else, never a bug."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from harness.errors import InputError
from harness.reference.graph import read_logical
from harness.reference.onnx_file import load_model, load_whole
from harness.reference.open import run_reference
from tests.support.builds import harness


def external(name: str, location: str, **more: int) -> onnx.TensorProto:
    """A float32 vector of 8 elements, zeros, in another file."""
    tensor = numpy_helper.from_array(np.zeros(8, np.float32), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **{key: str(value) for key, value in more.items()}}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def as_weight(tensor: onnx.TensorProto) -> onnx.ModelProto:
    return model_of([helper.make_node("Add", ["x", tensor.name], ["y"])], [tensor])


def as_constant(tensor: onnx.TensorProto) -> onnx.ModelProto:
    nodes = [helper.make_node("Constant", [], ["c"], value=tensor), helper.make_node("Add", ["x", "c"], ["y"])]
    return model_of(nodes, [])


def in_a_branch(tensor: onnx.TensorProto) -> onnx.ModelProto:
    out = helper.make_tensor_value_info("b", TensorProto.FLOAT, [8])
    branch = helper.make_graph([helper.make_node("Identity", [tensor.name], ["b"])], "branch", [], [out], [tensor])
    flag = numpy_helper.from_array(np.array(True), "flag")
    return model_of([helper.make_node("If", ["flag"], ["y"], then_branch=branch, else_branch=branch)], [flag])


def as_scale(tensor: onnx.TensorProto) -> onnx.ModelProto:
    zero = numpy_helper.from_array(np.zeros(8, np.int8), "zero")
    nodes = [
        helper.make_node("QuantizeLinear", ["x", tensor.name, "zero"], ["q"], axis=0),
        helper.make_node("DequantizeLinear", ["q", tensor.name, "zero"], ["y"], axis=0),
    ]
    return model_of(nodes, [tensor, zero])


def model_of(nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto]) -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [8]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=9)


SHAPES: dict[str, Callable[[onnx.TensorProto], onnx.ModelProto]] = {
    "weight": as_weight,
    "constant": as_constant,
    "branch": in_a_branch,
    "scale": as_scale,
}
X = {"x": np.ones(8, np.float32)}


def saved(model: onnx.ModelProto, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    "location", ["../secret.bin", "/etc/passwd", "a/../../secret.bin", "", "linked.bin", "..\\secret"]
)
@pytest.mark.parametrize("shape", SHAPES)
def test_weights_outside_the_models_folder_are_an_input_error(shape: str, location: str, tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(32))
    path = saved(SHAPES[shape](external("w", location)), tmp_path / "model")
    (path.parent / "linked.bin").symlink_to(tmp_path / "secret.bin")
    for read in (load_model, load_whole, read_logical):
        with pytest.raises(InputError, match=r"outside the model's folder|is a link to") as refused:
            read(path)
        assert str(path) in refused.value.message


@pytest.mark.parametrize("more", [{}, {"offset": 16}, {"offset": 64}, {"length": 1 << 40}, {"offset": -4}])
@pytest.mark.parametrize("shape", SHAPES)
def test_weights_that_are_not_there_or_cut_short_are_an_input_error(
    shape: str, more: dict[str, int], tmp_path: Path
) -> None:
    path = saved(SHAPES[shape](external("w", "weights.bin", **more)), tmp_path / "model")
    if more:
        (path.parent / "weights.bin").write_bytes(bytes(24))
    with pytest.raises(InputError, match=r"data of 'w'"):
        run_reference(path, X, tmp_path / "out")


def test_weights_beside_the_model_are_read(tmp_path: Path) -> None:
    path = saved(as_weight(external("w", "weights.bin")), tmp_path / "model")
    (path.parent / "weights.bin").write_bytes(np.arange(8, dtype=np.float32).tobytes())
    reference = run_reference(path, X, tmp_path / "out")
    assert reference.tensors["y"].load().tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert not list(load_whole(path).graph.initializer[0].external_data)


def test_the_command_calls_it_no_bug(tmp_path: Path) -> None:
    path = saved(as_weight(external("w", "../weights.bin")), tmp_path / "model")
    np.save(tmp_path / "x.npy", X["x"])
    result = harness("reference", path, "--input", "x.npy", "-o", "out", cwd=tmp_path)
    assert result.returncode == 2 and "'../weights.bin', outside the model's folder" in result.stderr
    assert "bug" not in result.stderr and not (tmp_path / "out").exists()
