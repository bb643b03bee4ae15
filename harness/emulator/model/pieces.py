"""The quantized model as a compiled one keeps it: every logical tensor is an output."""

from __future__ import annotations

import onnx
from onnx import helper

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
