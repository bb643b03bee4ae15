"""Edits of a graph while it is quantized: outputs renamed, nodes exchanged and put in order."""

from __future__ import annotations

import heapq

import onnx


def rename_output(model: onnx.ModelProto, old: str, new: str) -> None:
    """Let the node that makes `old` make `new`."""
    for node in model.graph.node:
        for i, name in enumerate(node.output):
            if name == old:
                node.output[i] = new


def retype_output(model: onnx.ModelProto, old: str, new: str, element: int) -> None:
    """Hand `new` out instead of `old`, as that element type."""
    for value in model.graph.output:
        if value.name == old:
            value.name = new
            value.type.tensor_type.elem_type = element


def replace_nodes(model: onnx.ModelProto, nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto]) -> None:
    """Put `nodes` in execution order and drop constants that nothing reads any more."""
    graph = model.graph
    graph.initializer.extend(constants)
    known = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer} | {""}
    ordered = sorted_nodes(nodes, known)
    del graph.node[:]
    graph.node.extend(ordered)
    used = {name for node in ordered for name in node.input} | {value.name for value in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    del graph.value_info[:]


def sorted_nodes(nodes: list[onnx.NodeProto], known: set[str]) -> list[onnx.NodeProto]:
    """Nodes in an order in which every input is made before it is read; the given order breaks ties."""
    producer = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    waiting = [{producer[n] for n in node.input if n in producer and n not in known} for node in nodes]
    readers: dict[int, list[int]] = {}
    for i, needs in enumerate(waiting):
        for j in needs:
            readers.setdefault(j, []).append(i)
    ready = [i for i, needs in enumerate(waiting) if not needs]
    heapq.heapify(ready)
    order: list[onnx.NodeProto] = []
    while ready:
        i = heapq.heappop(ready)
        order.append(nodes[i])
        for j in readers.get(i, []):
            waiting[j].discard(i)
            if not waiting[j]:
                heapq.heappush(ready, j)
    return order
