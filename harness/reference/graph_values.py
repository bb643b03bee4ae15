"""The values of an ONNX graph as logical tensors in the making: Q and DQ vanish into them."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from harness.records import Quantization
from harness.reference.graph_groups import DEQUANTIZE, QUANTIZE, OpGroups, Value
from harness.reference.graph_nodes import NodeIndex

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


class GraphValues:
    """One pass over the nodes: every value that an op or a person reads."""

    def __init__(self, index: NodeIndex) -> None:
        self.index = index
        self.by_name: dict[str, Value] = {}  # by every ONNX name
        self.absorbed: set[int] = set()  # Q and DQ nodes that are no ops
        self.groups = OpGroups(index, self.by_name)
        self._find_values()

    def quantization(self, value: Value, rank: int) -> Quantization | None:
        """Scales and zero points of a value; None where they are computed, or there are none."""
        for _ in range(len(self.index.nodes)):  # bounded walk to the value that tells it
            if value.quantizer is not None or not value.source or value.source not in self.by_name:
                break
            value = self.by_name[value.source]
        node = value.quantizer
        if node is None:
            return None
        scale_at, zero_at = value.scale_inputs
        scale = self.index.constant(node.input[scale_at])
        zero = self.index.constant(node.input[zero_at]) if len(node.input) > zero_at else None
        if scale is None:
            return None
        points = (0,) * scale.size if zero is None else tuple(int(z) for z in zero.reshape(-1))
        axis = next((a.i for a in node.attribute if a.name == "axis"), 1) if scale.size > 1 else None
        return Quantization(
            scales=tuple(float(s) for s in scale.reshape(-1)),
            zero_points=points,
            axis=axis + rank if axis is not None and axis < 0 else axis,
        )

    def _find_values(self) -> None:
        for name in self.index.inputs:
            self._new(name)
        for i, node in enumerate(self.index.nodes):
            if all(name in self.index.constants for name in node.output if name):
                self.absorbed.add(i)
            elif node.op_type == DEQUANTIZE and node.input[0] in self.by_name:
                self._dequantize(i, node)
            elif node.op_type == QUANTIZE and node.input[0] in self.by_name:
                self._quantize(i, node)
            else:
                self._compute(node)

    def _new(self, name: str) -> Value:
        value = self.by_name[name] = Value(name, name, {name})
        return value

    def _compute(self, node: NodeProto) -> None:
        for name in node.output:
            if name and (name in self.index.readers or name in self.index.outputs):
                value = self._new(name)
                if node.op_type in INTEGER_OPS:
                    value.quantizer, value.scale_inputs = node, INTEGER_OPS[node.op_type]
                elif node.op_type in PASSING:
                    value.source = node.input[0]

    def _dequantize(self, i: int, node: NodeProto) -> None:
        value, name = self.by_name[node.input[0]], node.output[0]
        if value.quantizer is not None and not self._same_scale(node, value):
            self._new(name)
            return
        if value.quantizer is None:
            value.quantizer = node
        value.names.add(name)
        self.by_name[name] = value
        self.absorbed.add(i)
        if name in self.index.outputs and value.name not in self.index.outputs:
            value.name = name

    def _quantize(self, i: int, node: NodeProto) -> None:
        entering, name = node.input[0], node.output[0]
        value = self.by_name[entering]
        alone = self.index.readers[entering] == [i] and entering not in self.index.outputs
        if not alone or value.quantizer is not None or value.onnx_name != entering:
            self._new(name).quantizer = node
            return
        value.onnx_name, value.quantizer = name, node
        value.names.add(name)
        self.by_name[name] = value
        self.absorbed.add(i)
        if entering in self.index.inputs or not self.groups.is_sandwich(entering):
            value.float_name = entering

    def _same_scale(self, node: NodeProto, value: Value) -> bool:
        other = value.quantizer
        assert other is not None
        scale, zero = value.scale_inputs
        mine = [*list(node.input[1:3]), ""][:2]
        theirs = [other.input[k] if k < len(other.input) else "" for k in (scale, zero)]
        return mine == theirs or all(self._equal(a, b) for a, b in zip(mine, theirs, strict=True))

    def _equal(self, first: str, second: str) -> bool:
        a, b = self.index.constant(first), self.index.constant(second)
        if a is None or b is None:
            given = b if a is None else a
            return given is None or not np.any(given)
        return bool(np.array_equal(a, b))
