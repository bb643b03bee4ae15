"""Where a Gemm runs as a convolution its result is 4-D: a Reshape behind the subgraph's last op makes it 2-D again."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx import helper

from harness.emulator.compiler.placement import CPU, Placement
from harness.emulator.model.nodes import ModelGraph

BEHIND = ("Relu", "Clip", "Sigmoid", "Tanh", "LeakyRelu")  # ops that keep the shape of the Gemm in front of them


def with_tail_reshapes(
    model: onnx.ModelProto, placements: Mapping[str, Placement]
) -> tuple[onnx.ModelProto, dict[str, Placement]]:
    """The model with a Reshape `<node>_reshape_0` on the CPU behind every Gemm result that leaves the accelerator."""
    network, placed = ModelGraph(model), dict(placements)
    leaving = [node for node in network.nodes if _is_gemm_result(network, node) and _leaves(network, node, placed)]
    if not leaving:
        return model, placed
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for node in leaving:
        _insert(result, network, node, placed)
    return onnx.shape_inference.infer_shapes(result, data_prop=True), placed


def _is_gemm_result(network: ModelGraph, node: onnx.NodeProto | None) -> bool:
    while node is not None and node.op_type in BEHIND:
        node = network.producer.get(node.input[0])
    return node is not None and node.op_type == "Gemm"


def _leaves(network: ModelGraph, node: onnx.NodeProto, placed: Mapping[str, Placement]) -> bool:
    readers = network.consumers.get(node.output[0], [])
    is_read_off = any(placed[reader.name].unit == CPU for reader in readers)
    return placed[node.name].unit != CPU and (is_read_off or node.output[0] in network.output_names)


def _insert(model: onnx.ModelProto, network: ModelGraph, node: onnx.NodeProto, placed: dict[str, Placement]) -> None:
    """The tensor keeps its name behind the Reshape; what runs on the accelerator reads it in front of it."""
    name, tensor = f"{node.name}_reshape_0", node.output[0]
    before, shape = f"{tensor}_before_reshape", f"{name}_shape"
    sizes = network.shape(tensor) or ()
    nodes = list(model.graph.node)
    place = next(index for index, one in enumerate(nodes) if one.name == node.name)
    nodes[place].output[0] = before
    for one in nodes[place + 1 :]:
        if placed.get(one.name, Placement(CPU, "")).unit != CPU:
            for index, read in enumerate(one.input):
                one.input[index] = before if read == tensor else read
    model.graph.initializer.append(helper.make_tensor(shape, onnx.TensorProto.INT64, [len(sizes)], sizes))
    model.graph.node.insert(place + 1, helper.make_node("Reshape", [before, shape], [tensor], name=name))
    placed[name] = Placement(CPU, "makes the result of a Gemm that runs as a convolution 2-D")
