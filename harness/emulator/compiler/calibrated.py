"""The calibrated model: activations go through their quantizers, weights are floats on their grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper


def calibrated(quantized: onnx.ModelProto) -> onnx.ModelProto:
    """A QDQ model with its weights dequantized once and for all: what a toolchain keeps between calibrating and
    quantizing."""
    result = onnx.ModelProto()
    result.CopyFrom(quantized)
    graph = result.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    of_weights = [n for n in graph.node if n.op_type == "DequantizeLinear" and n.input[0] in constants]
    for node in of_weights:
        values = [numpy_helper.to_array(constants[name]) for name in node.input if name in constants]
        axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
        graph.initializer.append(numpy_helper.from_array(_real(values, axis), node.output[0]))
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return result


def _real(values: list[NDArray[Any]], axis: int) -> NDArray[np.float32]:
    """(stored - zero point) * scale, per channel of `axis` where there are several scales."""
    stored, scale = values[0].astype(np.float32), values[1].astype(np.float32)
    zero = values[2].astype(np.float32) if len(values) > 2 else np.zeros_like(scale)
    if scale.size > 1 and scale.ndim < 2:  # one that is spread over the weights already is taken as it is
        shape = [-1 if place == axis % stored.ndim else 1 for place in range(stored.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    return np.asarray((stored - zero) * scale, np.float32)
