"""Small ONNX models cut out of the quantized one: what the CPU's share is measured with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from harness.records import TensorSpec
from harness.reference.graph import LogicalModel
from harness.reference.onnx_file import DTYPES

ELEMENTS = {dtype: int(element) for element, dtype in DTYPES.items()}


def value_info(spec: TensorSpec, name: str) -> onnx.ValueInfoProto:
    """What ONNX wants to know of an input or output: its name, element type and shape."""
    return helper.make_tensor_value_info(name, ELEMENTS[spec.dtype], spec.shape)


def with_all_outputs(model: onnx.ModelProto, logical: LogicalModel) -> onnx.ModelProto:
    """The model with every logical tensor as an output, so that one session serves release and debug."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    present = {value.name for value in (*result.graph.output, *result.graph.input)}
    for tensor in logical.tensors:
        if tensor.onnx_name not in present:
            present.add(tensor.onnx_name)
            result.graph.output.append(value_info(tensor.spec, tensor.onnx_name))
    return result


def extract(
    model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], types: Mapping[str, TensorSpec]
) -> onnx.ModelProto:
    """A model of these nodes alone; what they read from others becomes an input."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    made = {name for node in nodes for name in node.output if name}
    read = list(dict.fromkeys(name for node in nodes for name in node.input if name and name not in made))
    inputs = [value_info(types[name], name) for name in read if name not in constants]
    outputs = [value_info(types[name], name) for name in made if name in types]
    graph = helper.make_graph(
        list(nodes), "piece", inputs, outputs, initializer=[constants[name] for name in read if name in constants]
    )
    return helper.make_model(
        graph, functions=model.functions, opset_imports=model.opset_import, ir_version=model.ir_version
    )


def dequantize(shape: Sequence[int], scale: float) -> onnx.ModelProto:
    """int8 to float, one scale: what the CPU does at a border."""
    return _dequantize(shape, TensorProto.INT8, scale)


def dequantize_accumulators(shape: Sequence[int]) -> onnx.ModelProto:
    """int32 to float: what the CPU does with the accumulators of a subgraph's last convolution."""
    return _dequantize(shape, TensorProto.INT32, 1.0)


def _dequantize(shape: Sequence[int], element: int, scale: float) -> onnx.ModelProto:
    scales = numpy_helper.from_array(np.array(scale, np.float32), "scale")
    graph = helper.make_graph(
        [helper.make_node("DequantizeLinear", ["stored", "scale"], ["real"])],
        "dequantize",
        [helper.make_tensor_value_info("stored", element, shape)],
        [helper.make_tensor_value_info("real", TensorProto.FLOAT, shape)],
        initializer=[scales],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
