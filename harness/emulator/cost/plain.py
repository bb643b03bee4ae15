"""A quantized graph as the one that it computes: Q and DQ left out, QLinear ops by their plain kinds."""

from __future__ import annotations

import onnx

from harness.emulator.model.nodes import ModelGraph

PASSED = ("QuantizeLinear", "DequantizeLinear")
# Of ops that take a scale and a zero point for each operand: where operands and weights are among the inputs.
_OPERANDS = {
    "QLinearConv": (0, 3),
    "QLinearMatMul": (0, 3),
    "QGemm": (0, 3),
    "QLinearAdd": (0, 3),
    "QLinearMul": (0, 3),
}
SMALL = 64  # elements of a constant whose values are kept: axes, shapes


def plain(model: onnx.ModelProto) -> ModelGraph:
    """The graph without quantizing ops. Constants keep their sizes, small ones their values too."""
    source = _sources(model)
    result = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    graph = result.graph
    graph.node.extend(_plain_node(node, source) for node in model.graph.node if node.op_type not in PASSED)
    graph.input.extend(model.graph.input)
    graph.initializer.extend(_stub(tensor) for tensor in model.graph.initializer)
    graph.value_info.extend(model.graph.value_info)
    for value in model.graph.output:
        value_of = onnx.ValueInfoProto()
        value_of.CopyFrom(value)
        value_of.name = source.get(value.name, value.name)
        graph.output.append(value_of)
    return ModelGraph(result)


def _sources(model: onnx.ModelProto) -> dict[str, str]:
    """What a quantizing op hands out -> the tensor that it came from."""
    source: dict[str, str] = {}
    for node in model.graph.node:  # in execution order
        if node.op_type in PASSED:
            source[node.output[0]] = source.get(node.input[0], node.input[0])
    return source


def _plain_node(node: onnx.NodeProto, source: dict[str, str]) -> onnx.NodeProto:
    result = onnx.NodeProto()
    result.CopyFrom(node)
    if node.op_type in _OPERANDS:
        kept = [node.input[place] for place in _OPERANDS[node.op_type] if place < len(node.input)]
        del result.input[:]
        result.input.extend(kept)
    result.op_type = "Gemm" if node.op_type == "QGemm" else node.op_type.removeprefix("QLinear")
    for place, name in enumerate(result.input):
        result.input[place] = source.get(name, name)
    return result


def _stub(tensor: onnx.TensorProto) -> onnx.TensorProto:
    size = 1
    for dim in tensor.dims:
        size *= dim
    return tensor if size <= SMALL else onnx.TensorProto(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type)
