"""How much work an op is: multiply-adds of the matrix ops, elements of all others."""

from __future__ import annotations

import math
from collections.abc import Iterable

import onnx

from harness.emulator.model.nodes import ModelGraph, attributes

ELEMENT_BYTES = {onnx.TensorProto.INT8: 1, onnx.TensorProto.UINT8: 1, onnx.TensorProto.INT32: 4}


def macs(network: ModelGraph, nodes: Iterable[onnx.NodeProto]) -> int:
    """Multiply-adds of the nodes' matrix ops; 0 when there is none."""
    return sum(_node_macs(network, node) for node in nodes)


def _node_macs(network: ModelGraph, node: onnx.NodeProto) -> int:
    made = math.prod(network.shape(node.output[0]) or (0,))
    if node.op_type == "Conv":
        return made * math.prod((network.shape(node.input[1]) or (0, 0))[1:])
    if node.op_type == "ConvTranspose":
        kernel = (network.shape(node.input[1]) or (0, 0, 0))[1:]
        return math.prod(network.shape(node.input[0]) or (0,)) * math.prod(kernel)
    if node.op_type == "MatMul":
        return made * ((network.shape(node.input[0]) or (0,))[-1])
    if node.op_type == "Gemm":
        shape = network.shape(node.input[0]) or (0, 0)
        return made * (shape[0] if attributes(node).get("transA", 0) else shape[1])
    return 0


def weight_bytes(network: ModelGraph, nodes: Iterable[onnx.NodeProto]) -> int:
    """Bytes of the constants that the nodes read."""
    names = {name for node in nodes for name in node.input if name in network.constants}
    return sum(
        math.prod(network.constants[n].dims) * ELEMENT_BYTES.get(network.constants[n].data_type, 4) for n in names
    )
