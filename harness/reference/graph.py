"""The logical graph of an ONNX model: what a comparison calls an op and a tensor.

Rules (docs/architecture.md): constants are left out; `DQ* -> work [-> activation] -> Q` is one op; the logical
tensor carries the name of the float tensor that enters Q (or of the graph output, where the dequantized side is
one) and the data of the integer Q output. Float tensors stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from harness.records import Graph, Op, TensorSpec
from harness.reference.graph_groups import Value
from harness.reference.graph_nodes import NodeIndex
from harness.reference.graph_values import GraphValues
from harness.reference.onnx_file import infer_types, load_model


@dataclass(frozen=True)
class LogicalTensor:
    """One tensor of the logical graph. Unknown sizes in `spec.shape` are -1; `spec.dtype` is "" where unknown."""

    name: str
    onnx_name: str  # the ONNX tensor that holds the data
    spec: TensorSpec
    op: str = ""  # "" for graph inputs
    op_kind: str = ""
    order: int = 0
    is_input: bool = False
    is_output: bool = False
    float_name: str = ""  # ONNX tensor of the float side, where a float op or input meets a Q
    aliases: tuple[str, ...] = ()  # other ONNX names of the same value


@dataclass(frozen=True)
class LogicalModel:
    """A network as the comparison sees it: the graph, and the tensors between its ops."""

    graph: Graph
    tensors: tuple[LogicalTensor, ...]


def read_graph(model: Path | onnx.ModelProto) -> Graph:
    """The logical graph. Errors: InputError for a file that is no ONNX."""
    return read_logical(model).graph


def logical_tensors(model: Path | onnx.ModelProto) -> tuple[LogicalTensor, ...]:
    """Every logical tensor with its dtype, shape and quantization: inputs first, then in execution order."""
    return read_logical(model).tensors


def read_logical(model: Path | onnx.ModelProto) -> LogicalModel:
    """Graph and tensors together."""
    if isinstance(model, onnx.ModelProto):
        return _Collapse(model, Path(), "onnx").result()
    return _Collapse(load_model(model), model.parent, model.name).result()


class _Collapse:
    """Constants are left out, Q and DQ vanish into values (graph_values.py), nodes become ops (graph_groups.py)."""

    def __init__(self, model: onnx.ModelProto, folder: Path, source: str) -> None:
        self.model, self.source = model, source
        self.index = NodeIndex(model.graph, folder / source)
        self.values = GraphValues(self.index)

    def result(self) -> LogicalModel:
        ops = _unique_names([op for op in map(self._op, self.values.groups.groups(self.values.absorbed)) if op.outputs])
        graph = Graph(tuple(ops), self._logical(self.index.inputs), self._logical(self.index.outputs), self.source)
        types = infer_types(self.model)
        made_by = {name: (op, order) for order, op in enumerate(ops, 1) for name in op.outputs}
        by_name = {value.name: value for value in self.values.by_name.values()}
        names = [*graph.inputs, *made_by]
        return LogicalModel(graph, tuple(self._tensor(by_name[n], graph, made_by.get(n), types) for n in names))

    def _op(self, group: Sequence[int]) -> Op:
        nodes = [self.index.nodes[i] for i in group]
        made = {name for node in nodes for name in node.output}
        read = [name for node in nodes for name in self.index.data(node) if name not in made]
        outputs = [name for name in nodes[-1].output if name in self.values.by_name]
        around = [
            self.index.producer[n]
            for n in read
            if n in self.index.producer and self.index.producer[n] in self.values.absorbed
        ]
        after = [i for n in outputs for i in self.index.readers.get(n, []) if i in self.values.absorbed]
        covers = [self.index.node_name(i) for i in dict.fromkeys([*around, *group, *after])]
        return Op(
            name=self.index.node_name(group[0]),
            kind=nodes[0].op_type,
            inputs=self._logical(read),
            outputs=self._logical(outputs),
            covers=tuple(covers),
        )

    def _logical(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.values.by_name[name].name for name in names if name in self.values.by_name))

    def _tensor(
        self, value: Value, graph: Graph, made_by: tuple[Op, int] | None, types: dict[str, TensorSpec]
    ) -> LogicalTensor:
        spec = types.get(value.onnx_name) or TensorSpec(value.onnx_name, "", ())
        quantization = self.values.quantization(value, len(spec.shape)) if spec.dtype[:1] in ("s", "u") else None
        op, order = made_by or (None, 0)
        return LogicalTensor(
            name=value.name,
            onnx_name=value.onnx_name,
            spec=replace(spec, name=value.name, quantization=quantization),
            op=op.name if op else "",
            op_kind=op.kind if op else "",
            order=order,
            is_input=value.name in graph.inputs,
            is_output=value.name in graph.outputs,
            float_name=value.float_name,
            aliases=tuple(sorted(value.names - {value.name})),
        )


def _unique_names(ops: Sequence[Op]) -> list[Op]:
    """Exporters do write the same node name twice; the tensor then tells them apart."""
    seen: dict[str, int] = {}
    for op in ops:
        seen[op.name] = seen.get(op.name, 0) + 1
    return [replace(op, name=f"{op.name}:{op.outputs[0]}") if seen[op.name] > 1 else op for op in ops]
