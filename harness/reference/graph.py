"""The logical graph of an ONNX model: what a comparison calls an op and a tensor.

Rules (docs/architecture.md): constants are left out; `DQ* -> work [-> activation] -> Q` is one op; the logical
tensor carries the name of the float tensor that enters Q (or of the graph output, where the dequantized side is
one) and the data of the integer Q output. Float tensors stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto

from harness.records import Graph, Op, Quantization, TensorSpec
from harness.reference.onnx_file import constant, infer_types, load_model

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
# What compilers fold into the op in front of it, when nothing else reads the value in between.
FOLLOWERS = frozenset(
    ("Relu", "Clip", "LeakyRelu", "PRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Elu", "Mish")
    + ("Softplus", "BatchNormalization")
)
AFFINE = frozenset(("Add", "Sub", "Mul", "Div"))  # followers where one side is a constant
# Ops on integers that leave scale and zero point alone.
PASSING = frozenset(
    ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "MaxPool", "Identity", "Slice", "Gather", "Expand", "Transpose")
)
# Index of the output's (scale, zero point) among the inputs of integer ops.
INTEGER_OPS = {
    "QLinearConv": (6, 7),
    "QLinearMatMul": (6, 7),
    "QLinearAdd": (6, 7),
    "QLinearMul": (6, 7),
    "QGemm": (7, 8),
    "QLinearSigmoid": (3, 4),
    "QLinearLeakyRelu": (3, 4),
    "QLinearGlobalAveragePool": (3, 4),
    "QLinearAveragePool": (3, 4),
    "QLinearSoftmax": (3, 4),
    "QLinearConcat": (0, 1),
}


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


@dataclass
class _Value:
    """A logical tensor in the making: one value and all ONNX names it goes by."""

    name: str
    onnx_name: str
    names: set[str] = field(default_factory=set)
    quantizer: NodeProto | None = None  # the Q, DQ or integer op that tells scale and zero point
    scale_inputs: tuple[int, int] = (1, 2)
    float_name: str = ""
    source: str = ""  # ONNX name of the value whose quantization it shares


class _Collapse:
    """One pass over the nodes: constants, then values (Q and DQ vanish into them), then ops."""

    def __init__(self, model: onnx.ModelProto, folder: Path, source: str) -> None:
        graph = model.graph
        self.model, self.folder, self.source = model, folder, source
        self.nodes = list(graph.node)
        self.initializers = {tensor.name: tensor for tensor in graph.initializer}
        self.inputs = [value.name for value in graph.input if value.name not in self.initializers]
        self.outputs = [value.name for value in graph.output]
        self.producer = {name: i for i, node in enumerate(self.nodes) for name in node.output if name}
        self.readers: dict[str, list[int]] = {}
        for i, node in enumerate(self.nodes):
            for name in node_inputs(node):
                self.readers.setdefault(name, []).append(i)
        self.constants = self._find_constants()
        self.values: dict[str, _Value] = {}  # by every ONNX name
        self.absorbed: set[int] = set()  # Q and DQ nodes that are no ops
        self._find_values()

    # ---------------------------------------------------------------- constants and values

    def _find_constants(self) -> set[str]:
        names = set(self.initializers) | {t.values.name for t in self.model.graph.sparse_initializer}
        for node in self.nodes:
            inputs = node_inputs(node)
            generator = node.op_type.startswith("Random") or node.op_type in ("Multinomial", "Bernoulli")
            if not generator and all(name in names for name in inputs):
                names.update(name for name in node.output if name)
        return names - set(self.outputs)

    def _data(self, node: NodeProto) -> list[str]:
        return [name for name in node_inputs(node) if name not in self.constants]

    def _find_values(self) -> None:
        for name in self.inputs:
            self._new(name)
        for i, node in enumerate(self.nodes):
            if all(name in self.constants for name in node.output if name):
                self.absorbed.add(i)
            elif node.op_type == DEQUANTIZE and node.input[0] in self.values:
                self._dequantize(i, node)
            elif node.op_type == QUANTIZE and node.input[0] in self.values:
                self._quantize(i, node)
            else:
                self._compute(node)

    def _new(self, name: str) -> _Value:
        value = self.values[name] = _Value(name, name, {name})
        return value

    def _compute(self, node: NodeProto) -> None:
        for name in node.output:
            if name and (name in self.readers or name in self.outputs):
                value = self._new(name)
                if node.op_type in INTEGER_OPS:
                    value.quantizer, value.scale_inputs = node, INTEGER_OPS[node.op_type]
                elif node.op_type in PASSING:
                    value.source = node.input[0]

    def _dequantize(self, i: int, node: NodeProto) -> None:
        value, name = self.values[node.input[0]], node.output[0]
        if value.quantizer is not None and not self._same_scale(node, value):
            self._new(name)
            return
        if value.quantizer is None:
            value.quantizer = node
        value.names.add(name)
        self.values[name] = value
        self.absorbed.add(i)
        if name in self.outputs and value.name not in self.outputs:
            value.name = name

    def _quantize(self, i: int, node: NodeProto) -> None:
        entering, name = node.input[0], node.output[0]
        value = self.values[entering]
        alone = self.readers[entering] == [i] and entering not in self.outputs
        if not alone or value.quantizer is not None or value.onnx_name != entering:
            self._new(name).quantizer = node
            return
        value.onnx_name, value.quantizer = name, node
        value.names.add(name)
        self.values[name] = value
        self.absorbed.add(i)
        if entering in self.inputs or not self._is_sandwich(entering):
            value.float_name = entering

    def _same_scale(self, node: NodeProto, value: _Value) -> bool:
        other = value.quantizer
        assert other is not None
        scale, zero = value.scale_inputs
        mine = [*list(node.input[1:3]), ""][:2]
        theirs = [other.input[k] if k < len(other.input) else "" for k in (scale, zero)]
        return mine == theirs or all(self._equal(a, b) for a, b in zip(mine, theirs, strict=True))

    def _equal(self, first: str, second: str) -> bool:
        a, b = self._constant(first), self._constant(second)
        if a is None or b is None:
            given = b if a is None else a
            return given is None or not np.any(given)
        return bool(np.array_equal(a, b))

    def _constant(self, name: str) -> np.ndarray[Any, Any] | None:
        """Value of a scale or zero point: an initializer or a Constant node; None where it is computed."""
        if name in self.initializers:
            return constant(self.initializers[name], self.folder / self.source)
        node = self.nodes[self.producer[name]] if name in self.producer else None
        if node is not None and node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    return constant(attribute.t, self.folder / self.source)
        return None

    # ---------------------------------------------------------------- sandwiches

    def _is_sandwich(self, name: str) -> bool:
        """Whether the float value `name`, about to enter a Q, is computed from dequantized values only."""
        head = self._group(name)[0] if name in self.producer else None
        return head is not None and self._all_quantized(self.nodes[head])

    def _all_quantized(self, node: NodeProto) -> bool:
        data = self._data(node)
        return bool(data) and all(name in self.values and self.values[name].quantizer is not None for name in data)

    def _group(self, name: str) -> list[int]:
        """Nodes that together make the float value `name`: the work, then what is folded into it."""
        group = [self.producer[name]]
        while (step := self._step_back(group)) is not None:
            group = step + group
        return group if self._all_quantized(self.nodes[group[0]]) else [self.producer[name]]

    def _step_back(self, group: Sequence[int]) -> list[int] | None:
        """The nodes in front of the group's first that belong to it, or None."""
        node = self.nodes[group[0]]
        data = self._data(node)
        gate = self._gate(node, data)
        if gate is not None:
            data = self._data(self.nodes[gate])
        elif not self._follows(node, data):
            return None
        before = data[0]
        if before in self.outputs or before not in self.producer:
            return None
        if self.values.get(before, _Value("", "")).quantizer is not None:
            return None
        inside = {*group, gate}
        if not all(reader in inside for reader in self.readers[before]):
            return None
        middle = [] if gate is None else [gate]
        return [self.producer[before], *middle]

    def _follows(self, node: NodeProto, data: Sequence[str]) -> bool:
        return len(data) == 1 and (node.op_type in FOLLOWERS or node.op_type in AFFINE)

    def _gate(self, node: NodeProto, data: Sequence[str]) -> int | None:
        """x * sigmoid(x): index of the sigmoid, where nothing else reads it."""
        if node.op_type != "Mul" or len(data) != 2:
            return None
        for name, other in (data, data[::-1]):
            i = self.producer.get(name, -1)
            gate = self.nodes[i] if i >= 0 else None
            if gate is not None and gate.op_type in ("Sigmoid", "HardSigmoid") and list(gate.input) == [other]:
                return i if len(self.readers[name]) == 1 and name not in self.outputs else None
        return None

    # ---------------------------------------------------------------- ops

    def _groups(self) -> Iterator[list[int]]:
        """Nodes of each op, in execution order."""
        taken: dict[int, list[int]] = {}
        for value in {id(v): v for v in self.values.values()}.values():
            entering = self._entering(value)
            if entering in self.producer and len(self.nodes[self.producer[entering]].output) == 1:
                group = self._group(entering)
                taken.update(dict.fromkeys(group, group))
        for i in range(len(self.nodes)):
            group = taken.get(i, [i])
            if i not in self.absorbed and group[-1] == i:
                yield group

    def _entering(self, value: _Value) -> str:
        """The float value that an absorbed Q takes; "" where there is none."""
        q = value.quantizer
        return q.input[0] if q is not None and q.op_type == QUANTIZE and q.input[0] in value.names else ""

    def _op(self, group: Sequence[int]) -> Op:
        nodes = [self.nodes[i] for i in group]
        made = {name for node in nodes for name in node.output}
        read = [name for node in nodes for name in self._data(node) if name not in made]
        outputs = [name for name in nodes[-1].output if name in self.values]
        around = [self.producer[n] for n in read if n in self.producer and self.producer[n] in self.absorbed]
        after = [i for n in outputs for i in self.readers.get(n, []) if i in self.absorbed]
        covers = [self.node_name(i) for i in dict.fromkeys([*around, *group, *after])]
        return Op(
            name=self.node_name(group[0]),
            kind=nodes[0].op_type,
            inputs=self._logical(read),
            outputs=self._logical(outputs),
            covers=tuple(covers),
        )

    def node_name(self, i: int) -> str:
        return self.nodes[i].name or f"{self.nodes[i].op_type}_{next(n for n in self.nodes[i].output if n)}"

    def _logical(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.values[name].name for name in names if name in self.values))

    # ---------------------------------------------------------------- result

    def result(self) -> LogicalModel:
        ops = _unique_names([op for op in map(self._op, self._groups()) if op.outputs])
        graph = Graph(tuple(ops), self._logical(self.inputs), self._logical(self.outputs), self.source)
        types = infer_types(self.model)
        made_by = {name: (op, order) for order, op in enumerate(ops, 1) for name in op.outputs}
        by_name = {value.name: value for value in self.values.values()}
        names = [*graph.inputs, *made_by]
        return LogicalModel(graph, tuple(self._tensor(by_name[n], graph, made_by.get(n), types) for n in names))

    def _tensor(
        self, value: _Value, graph: Graph, made_by: tuple[Op, int] | None, types: dict[str, TensorSpec]
    ) -> LogicalTensor:
        spec = types.get(value.onnx_name) or TensorSpec(value.onnx_name, "", ())
        quantization = self._quantization(value, len(spec.shape)) if spec.dtype[:1] in ("s", "u") else None
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

    def _quantization(self, value: _Value, rank: int) -> Quantization | None:
        for _ in range(len(self.nodes)):  # bounded walk to the value that tells it
            if value.quantizer is not None or not value.source or value.source not in self.values:
                break
            value = self.values[value.source]
        node = value.quantizer
        if node is None:
            return None
        scale_at, zero_at = value.scale_inputs
        scale = self._constant(node.input[scale_at])
        zero = self._constant(node.input[zero_at]) if len(node.input) > zero_at else None
        if scale is None:
            return None
        points = (0,) * scale.size if zero is None else tuple(int(z) for z in zero.reshape(-1))
        axis = next((a.i for a in node.attribute if a.name == "axis"), 1) if scale.size > 1 else None
        return Quantization(
            scales=tuple(float(s) for s in scale.reshape(-1)),
            zero_points=points,
            axis=axis + rank if axis is not None and axis < 0 else axis,
        )


def _unique_names(ops: Sequence[Op]) -> list[Op]:
    """Exporters do write the same node name twice; the tensor then tells them apart."""
    seen: dict[str, int] = {}
    for op in ops:
        seen[op.name] = seen.get(op.name, 0) + 1
    return [replace(op, name=f"{op.name}:{op.outputs[0]}") if seen[op.name] > 1 else op for op in ops]
