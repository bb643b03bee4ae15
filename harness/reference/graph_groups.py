"""Which nodes together are one op: the work, what is folded into it, and the Q and DQ around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from onnx import NodeProto

from harness.reference.graph_nodes import NodeIndex

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
# What compilers fold into the op in front of it, when nothing else reads the value in between.
FOLLOWERS = frozenset(
    ("Relu", "Clip", "LeakyRelu", "PRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Elu", "Mish")
    + ("Softplus", "BatchNormalization")
)
AFFINE = frozenset(("Add", "Sub", "Mul", "Div"))  # followers where one side is a constant


@dataclass
class Value:
    """A logical tensor in the making: one value and all ONNX names it goes by."""

    name: str
    onnx_name: str
    names: set[str] = field(default_factory=set)
    quantizer: NodeProto | None = None  # the Q, DQ or integer op that tells scale and zero point
    scale_inputs: tuple[int, int] = (1, 2)
    float_name: str = ""
    source: str = ""  # ONNX name of the value whose quantization it shares


class OpGroups:
    """Groups of nodes, by which values are quantized: `values` may still grow while it is asked."""

    def __init__(self, index: NodeIndex, values: dict[str, Value]) -> None:
        self.index, self.values = index, values

    def is_sandwich(self, name: str) -> bool:
        """Whether the float value `name`, about to enter a Q, is computed from dequantized values only."""
        head = self._group(name)[0] if name in self.index.producer else None
        return head is not None and self._all_quantized(self.index.nodes[head])

    def groups(self, absorbed: set[int]) -> Iterator[list[int]]:
        """Nodes of each op, in execution order; `absorbed` ones are none."""
        taken: dict[int, list[int]] = {}
        for value in {id(v): v for v in self.values.values()}.values():
            entering = self._entering(value)
            if entering in self.index.producer and len(self.index.nodes[self.index.producer[entering]].output) == 1:
                group = self._group(entering)
                taken.update(dict.fromkeys(group, group))
        for i in range(len(self.index.nodes)):
            group = taken.get(i, [i])
            if i not in absorbed and group[-1] == i:
                yield group

    def _all_quantized(self, node: NodeProto) -> bool:
        data = self.index.data(node)
        return bool(data) and all(name in self.values and self.values[name].quantizer is not None for name in data)

    def _group(self, name: str) -> list[int]:
        """Nodes that together make the float value `name`: the work, then what is folded into it."""
        group = [self.index.producer[name]]
        while (step := self._step_back(group)) is not None:
            group = step + group
        return group if self._all_quantized(self.index.nodes[group[0]]) else [self.index.producer[name]]

    def _step_back(self, group: Sequence[int]) -> list[int] | None:
        """The nodes in front of the group's first that belong to it, or None."""
        node = self.index.nodes[group[0]]
        data = self.index.data(node)
        gate = self._gate(node, data)
        if gate is not None:
            data = self.index.data(self.index.nodes[gate])
        elif not self._follows(node, data):
            return None
        before = data[0]
        if before in self.index.outputs or before not in self.index.producer:
            return None
        if self.values.get(before, Value("", "")).quantizer is not None:
            return None
        inside = {*group, gate}
        if not all(reader in inside for reader in self.index.readers[before]):
            return None
        middle = [] if gate is None else [gate]
        return [self.index.producer[before], *middle]

    def _follows(self, node: NodeProto, data: Sequence[str]) -> bool:
        return len(data) == 1 and (node.op_type in FOLLOWERS or node.op_type in AFFINE)

    def _gate(self, node: NodeProto, data: Sequence[str]) -> int | None:
        """x * sigmoid(x): index of the sigmoid, where nothing else reads it."""
        if node.op_type != "Mul" or len(data) != 2:
            return None
        for name, other in (data, data[::-1]):
            i = self.index.producer.get(name, -1)
            gate = self.index.nodes[i] if i >= 0 else None
            if gate is not None and gate.op_type in ("Sigmoid", "HardSigmoid") and list(gate.input) == [other]:
                return i if len(self.index.readers[name]) == 1 and name not in self.index.outputs else None
        return None

    def _entering(self, value: Value) -> str:
        """The float value that an absorbed Q takes; "" where there is none."""
        q = value.quantizer
        return q.input[0] if q is not None and q.op_type == QUANTIZE and q.input[0] in value.names else ""
