"""The logical graph: what an op is, what a tensor is called, and what is left out."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from harness.errors import InputError
from harness.reference.graph import logical_tensors, read_graph, read_logical
from tests.support.nets import float_model, quantized_model, tiny_model

SCALE = np.array(0.5, np.float32)
ZERO = np.array(3, np.int8)


def q(x: str, y: str, scale: str = "s", zero: str = "z") -> onnx.NodeProto:
    return helper.make_node("QuantizeLinear", [x, scale, zero], [y], name=f"q_{y}")


def dq(x: str, y: str, scale: str = "s", zero: str = "z") -> onnx.NodeProto:
    return helper.make_node("DequantizeLinear", [x, scale, zero], [y], name=f"dq_{y}")


def node(kind: str, inputs: list[str], output: str, name: str = "") -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [output], name=name or output.removesuffix("_out"))


def test_a_qdq_sandwich_is_one_op_with_the_integer_data_and_the_float_name() -> None:
    nodes = [
        q("x", "xq"),
        dq("xq", "xd"),
        node("Conv", ["xd", "w"], "conv_out"),
        node("Relu", ["conv_out"], "relu_out"),
    ]
    nodes += [q("relu_out", "rq"), dq("rq", "y")]
    weights = {"s": SCALE, "z": ZERO, "w": np.ones((2, 3, 1, 1), np.float32)}
    model = read_logical(tiny_model(nodes, {"x": [1, 3, 4, 4]}, ["y"], **weights))
    assert [(o.name, o.kind, o.inputs, o.outputs) for o in model.graph.ops] == [("conv", "Conv", ("x",), ("y",))]
    assert set(model.graph.ops[0].covers) == {"dq_xd", "conv", "relu", "q_rq"}
    y = model.tensors[-1]
    assert (y.name, y.onnx_name, y.spec.dtype, y.spec.shape) == ("y", "rq", "s8", (1, 2, 4, 4))
    assert y.spec.quantization is not None and y.spec.quantization.scales == (0.5,)
    assert y.spec.quantization.zero_points == (3,) and y.is_output and "relu_out" in y.aliases


def test_the_logical_tensor_inside_the_network_keeps_the_name_that_enters_the_quantizer() -> None:
    nodes = [q("x", "xq"), dq("xq", "xd"), node("MaxPool", ["xd"], "pool_out")]
    nodes[-1].attribute.append(helper.make_attribute("kernel_shape", [2, 2]))
    nodes += [q("pool_out", "pq"), dq("pq", "pd"), node("Sigmoid", ["pd"], "y")]
    model = read_logical(tiny_model(nodes, {"x": [1, 1, 4, 4]}, ["y"], s=SCALE, z=ZERO))
    assert [t.name for t in model.tensors] == ["x", "pool_out", "y"]
    assert [t.spec.dtype for t in model.tensors] == ["s8", "s8", "f32"]


def test_constants_and_dequantized_weights_are_left_out() -> None:
    nodes = [dq("wq", "w"), node("Conv", ["x", "w", "b"], "y", "conv")]
    weights = {"wq": np.ones((2, 1, 1, 1), np.int8), "b": np.zeros(2, np.float32), "s": SCALE, "z": ZERO}
    graph = read_graph(tiny_model(nodes, {"x": [1, 1, 4, 4]}, ["y"], **weights))
    assert [(o.name, o.inputs) for o in graph.ops] == [("conv", ("x",))]


def test_a_float_value_read_by_others_besides_its_quantizer_stays_a_tensor_of_its_own() -> None:
    nodes = [node("Relu", ["x"], "r"), q("r", "rq"), dq("rq", "rd"), node("Add", ["r", "rd"], "y", "add")]
    model = read_logical(tiny_model(nodes, {"x": [4]}, ["y"], s=SCALE, z=ZERO))
    assert [o.name for o in model.graph.ops] == ["r", "q_rq", "add"]
    assert model.graph.ops[2].inputs == ("r", "rq")


def test_where_a_float_op_meets_a_quantizer_both_sides_are_known() -> None:
    nodes = [node("Sigmoid", ["x"], "sig_out"), q("sig_out", "sq"), dq("sq", "sd"), node("Relu", ["sd"], "y")]
    tensors = {t.name: t for t in logical_tensors(tiny_model(nodes, {"x": [4]}, ["y"], s=SCALE, z=ZERO))}
    assert tensors["sig_out"].float_name == "sig_out" and tensors["sig_out"].onnx_name == "sq"
    assert tensors["x"].float_name == ""


def test_a_swish_in_front_of_a_quantizer_belongs_to_the_convolution() -> None:
    nodes = [q("x", "xq"), dq("xq", "xd"), node("Conv", ["xd", "w"], "c"), node("Sigmoid", ["c"], "g")]
    nodes += [node("Mul", ["c", "g"], "m"), q("m", "mq"), dq("mq", "md"), node("Relu", ["md"], "y")]
    weights = {"s": SCALE, "z": ZERO, "w": np.ones((1, 1, 1, 1), np.float32)}
    graph = read_graph(tiny_model(nodes, {"x": [1, 1, 4, 4]}, ["y"], **weights))
    assert [(o.name, o.outputs) for o in graph.ops] == [("c", ("m",)), ("y", ("y",))]


def test_two_float_ops_in_a_row_that_are_no_activation_stay_two() -> None:
    nodes = [q("x", "xq"), dq("xq", "xd"), node("Softmax", ["xd"], "s1"), node("Erf", ["s1"], "e"), q("e", "eq")]
    nodes += [dq("eq", "y")]
    graph = read_graph(tiny_model(nodes, {"x": [1, 8]}, ["y"], s=SCALE, z=ZERO))
    assert [o.name for o in graph.ops] == ["s1", "e"]


def test_a_requantization_to_another_scale_is_an_op() -> None:
    nodes = [q("x", "xq"), dq("xq", "xd"), q("xd", "x2", "s2"), dq("x2", "y", "s2")]
    graph = read_graph(tiny_model(nodes, {"x": [4]}, ["y"], s=SCALE, z=ZERO, s2=np.array(0.25, np.float32)))
    assert [o.kind for o in graph.ops] == ["QuantizeLinear"]


def test_integer_ops_tell_their_scale_and_passing_ops_inherit_it() -> None:
    conv = helper.make_node("QLinearConv", ["x", "s", "z", "w", "s", "z", "s2", "z"], ["c"], name="qconv")
    nodes = [conv, helper.make_node("Reshape", ["c", "shape"], ["r"], name="reshape"), dq("r", "y", "s2")]
    weights = {"s": SCALE, "z": ZERO, "s2": np.array(0.25, np.float32), "shape": np.array([1, -1])}
    weights["w"] = np.ones((1, 1, 1, 1), np.int8)
    model = tiny_model(nodes, {"x": (onnx.TensorProto.INT8, [1, 1, 4, 4])}, ["y"], **weights)
    tensors = {t.name: t for t in logical_tensors(model)}
    assert tensors["c"].spec.quantization == tensors["y"].spec.quantization
    assert tensors["c"].spec.quantization is not None and tensors["c"].spec.quantization.scales == (0.25,)


def test_names_written_captured_by_a_subgraph_are_inputs_of_the_op() -> None:
    inner = helper.make_graph([helper.make_node("Add", ["x", "x"], ["t"])], "then", [], [onnx.ValueInfoProto(name="t")])
    other = helper.make_graph([helper.make_node("Neg", ["x"], ["e"])], "else", [], [onnx.ValueInfoProto(name="e")])
    choose = helper.make_node("If", ["c"], ["y"], name="if", then_branch=inner, else_branch=other)
    model = tiny_model([choose], {"x": [2], "c": (onnx.TensorProto.BOOL, [1])}, ["y"])
    assert read_graph(model).ops[0].inputs == ("c", "x")


def test_equal_node_names_are_told_apart_by_their_tensor() -> None:
    nodes = [node("Relu", ["x"], "a", "same"), node("Relu", ["a"], "b", "same")]
    assert [o.name for o in read_graph(tiny_model(nodes, {"x": [2]}, ["b"])).ops] == ["same:a", "same:b"]


@pytest.mark.parametrize("name", ["cnn", "mobilenet", "pyramid", "transformer", "two_inputs"])
def test_every_op_of_a_quantized_network_carries_integers_only(name: str, tmp_path: Path) -> None:
    model = read_logical(quantized_model(name, tmp_path))
    assert {t.spec.dtype for t in model.tensors} == {"s8"}
    assert all(t.spec.quantization is not None for t in model.tensors)
    made = set(model.graph.inputs)
    for op in model.graph.ops:  # topological, and every name is known
        assert set(op.inputs) <= made
        made |= set(op.outputs)
    assert set(model.graph.outputs) <= made
    assert set(model.graph.outputs) == {o.name for o in float_model(name).graph.output}


def test_unsigned_activations_keep_their_dtype(tmp_path: Path) -> None:
    model = read_logical(quantized_model("cnn", tmp_path, activations="u8"))
    assert {t.spec.dtype for t in model.tensors} == {"u8"}


def test_a_float_network_keeps_every_node() -> None:
    model = float_model("cnn")
    assert len(read_graph(model).ops) == len(model.graph.node)


@pytest.mark.parametrize("content", [b"", b"not a model at all", bytes(range(256)) * 8])
def test_a_file_that_is_no_onnx_is_said_to_be_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"m\.onnx"):
        read_graph(path)


def test_real_topologies_are_read_whole() -> None:
    import os

    samples = Path(os.environ.get("HARNESS_SAMPLES", Path(__file__).parents[3] / "shared" / "samples")) / "topologies"
    files = sorted(samples.glob("*.onnx.gz"))[:6]
    if not files:
        pytest.skip(f"published graphs are not here: {samples} (set HARNESS_SAMPLES)")
    for file in files:
        model = onnx.load_model_from_string(gzip.decompress(file.read_bytes()))
        logical = read_logical(model)
        made = set(logical.graph.inputs)
        for op in logical.graph.ops:
            assert set(op.inputs) <= made, (file.name, op)
            made |= set(op.outputs)
        assert logical.graph.outputs
