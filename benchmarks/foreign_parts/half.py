"""A float model as half precision computes it: weights, inputs and every result are f16."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

LARGEST = 65504.0


def to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph on f16. ONNX Runtime computes its ops in f32 and stores each result as f16.

    Errors: ValueError for a weight that f16 cannot hold: such a network overflows, and is no correct one.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.value_info[:]
    for tensor in _tensors(made):
        if tensor.data_type == TensorProto.FLOAT:
            wide = numpy_helper.to_array(tensor)
            if np.isfinite(wide).all() and np.abs(wide).max(initial=0) > LARGEST:
                raise ValueError(f"{tensor.name} holds {np.abs(wide).max():.3g}, more than half precision can")
            value = wide.clip(-LARGEST, LARGEST).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    for node in made.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.FLOAT16
        _scales_stay_float(made, node)
    for value in (*made.graph.input, *made.graph.output):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.FLOAT16
    return made


def _tensors(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    inner = [a.t for n in model.graph.node for a in n.attribute if a.type == onnx.AttributeProto.TENSOR]
    return [*model.graph.initializer, *inner]


def _scales_stay_float(model: onnx.ModelProto, node: onnx.NodeProto) -> None:
    """Resize and Upsample take their scales (and region) as f32 whatever they resize."""
    wanted = {"Resize": node.input[2:3], "Upsample": node.input[1:2]}.get(node.op_type, ())
    for tensor in _tensors(model):
        if tensor.name in wanted and tensor.data_type == TensorProto.FLOAT16:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
