"""The nodes of an ONNX graph, indexed: who makes a value, who reads it, what is constant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto

from harness.reference.onnx_file import constant


def node_inputs(node: NodeProto) -> list[str]:
    """Names that a node reads, those captured by its subgraphs included, empty ones left out."""
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            names += _free_names(attribute.g)
    return names


def _free_names(graph: onnx.GraphProto) -> list[str]:
    own = {value.name for value in (*graph.input, *graph.initializer)}
    for node in graph.node:
        own.update(node.output)
    return [name for node in graph.node for name in node_inputs(node) if name not in own]


class NodeIndex:
    """The nodes of one graph. `file` is named in errors."""

    def __init__(self, graph: onnx.GraphProto, file: Path) -> None:
        self.nodes = list(graph.node)
        self.file = file
        self.initializers = {tensor.name: tensor for tensor in graph.initializer}
        self.inputs = [value.name for value in graph.input if value.name not in self.initializers]
        self.outputs = [value.name for value in graph.output]
        self.producer = {name: i for i, node in enumerate(self.nodes) for name in node.output if name}
        self.readers: dict[str, list[int]] = {}
        for i, node in enumerate(self.nodes):
            for name in node_inputs(node):
                self.readers.setdefault(name, []).append(i)
        self.constants = self._find_constants({t.values.name for t in graph.sparse_initializer})

    def data(self, node: NodeProto) -> list[str]:
        """Names that a node reads and that are no constants."""
        return [name for name in node_inputs(node) if name not in self.constants]

    def constant(self, name: str) -> np.ndarray[Any, Any] | None:
        """Value of a scale or zero point: an initializer or a Constant node; None where it is computed."""
        if name in self.initializers:
            return constant(self.initializers[name], self.file)
        node = self.nodes[self.producer[name]] if name in self.producer else None
        if node is not None and node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    return constant(attribute.t, self.file)
        return None

    def node_name(self, i: int) -> str:
        """A node's name; one without is called by its kind and its first output."""
        return self.nodes[i].name or f"{self.nodes[i].op_type}_{next(n for n in self.nodes[i].output if n)}"

    def _find_constants(self, sparse: set[str]) -> set[str]:
        names = set(self.initializers) | sparse
        for node in self.nodes:
            inputs = node_inputs(node)
            generator = node.op_type.startswith("Random") or node.op_type in ("Multinomial", "Bernoulli")
            if not generator and all(name in names for name in inputs):
                names.update(name for name in node.output if name)
        return names - set(self.outputs)
