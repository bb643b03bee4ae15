"""Graph surgery for planted faults: a tensor that was changed becomes an input of the rest."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import onnx

from harness.emulator.model.compiled import CompiledModel
from harness.emulator.model.op_graph import Change, OpGraph
from harness.emulator.model.pieces import value_info


def order_of(model: CompiledModel) -> dict[str, int]:
    """Logical tensor -> its place in execution order."""
    return {tensor.name: i for i, tensor in enumerate(model.tensors)}


def cut_at(graph: bytes, model: CompiledModel, known: Collection[str]) -> bytes:
    """The graph with the tensors of `known` as inputs, and without what only made them."""
    if not known:
        return graph
    result = onnx.load_from_string(graph)
    cuts = {model.tensor(name).onnx_name: model.tensor(name) for name in known}
    for node in result.graph.node:
        for i, name in enumerate(node.output):
            if name in cuts:
                node.output[i] = f"{name}__unchanged"
    result.graph.input.extend(value_info(tensor.spec, name) for name, tensor in cuts.items())
    outputs = [value for value in result.graph.output if value.name not in cuts]
    del result.graph.output[:]
    result.graph.output.extend(outputs)
    return bytes(result.SerializeToString())


def changed_at(graph: bytes, model: CompiledModel, tensor: str, changes: Sequence[Change]) -> bytes:
    """The graph with changes in the op that makes a tensor. Errors: CannotApply."""
    result = onnx.load_from_string(graph)
    others = [other.onnx_name for other in model.tensors]
    for change in changes:
        change(OpGraph(result, model.tensor(tensor).onnx_name, others))
    return bytes(result.SerializeToString())
