"""A small index over an ONNX graph: who makes a tensor, who reads it, its shape and type."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Attributes of a node as plain values; strings decoded."""
    values = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    return {k: v.decode() if isinstance(v, bytes) else v for k, v in values.items()}


class ModelGraph:
    """Look-ups over a model that is not changed meanwhile. Every node must have a name (`name_nodes`)."""

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = model.graph
        self.model = model
        self.nodes: list[onnx.NodeProto] = list(graph.node)
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.producer = {name: node for node in self.nodes for name in node.output if name}
        self.consumers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                self.consumers[name].append(node)
        self.inputs = [value for value in graph.input if value.name not in self.constants]
        self.input_names = [value.name for value in self.inputs]
        self.output_names = [value.name for value in graph.output]
        self._values = {v.name: v for v in (*graph.value_info, *graph.input, *graph.output)}

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Shape of a tensor; None when unknown, 0 for a symbolic dimension."""
        if name in self.constants:
            return tuple(self.constants[name].dims)
        value = self._values.get(name)
        if value is None or not value.type.tensor_type.HasField("shape"):
            return None
        return tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)

    def element_type(self, name: str) -> int | None:
        """ONNX element type of a tensor; None when unknown."""
        if name in self.constants:
            return int(self.constants[name].data_type)
        value = self._values.get(name)
        return int(value.type.tensor_type.elem_type) if value is not None else None

    def constant(self, name: str) -> NDArray[Any]:
        """The values of a constant, in its own dtype and shape. Errors: KeyError."""
        return np.asarray(numpy_helper.to_array(self.constants[name]))

    def data_inputs(self, node: onnx.NodeProto) -> list[str]:
        """Inputs that carry data between ops: no constants, no absent ones."""
        return [name for name in node.input if name and name not in self.constants]


def name_nodes(nodes: Iterable[onnx.NodeProto]) -> None:
    """Give every node a name of its own; present unique names stay."""
    seen: set[str] = set()
    for index, node in enumerate(nodes):
        name = node.name or f"{node.op_type}_{index}"
        while name in seen:
            name = f"{name}_{index}"
        node.name = name
        seen.add(name)
