"""The nodes that make one tensor, open to changes: what a fault inside an op is made of, before anything is rounded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Array = NDArray[Any]
Change = Callable[["OpGraph"], None]


class CannotApply(ValueError):
    """This fault makes no sense for this tensor; the message says why."""


class NotRounded(CannotApply):
    """The tensor is not quantized: nothing is rounded on its way out of the op."""


class OpGraph:
    """A graph and the nodes between one tensor and those that it is computed from (`others`, names in the ONNX)."""

    def __init__(self, model: onnx.ModelProto, tensor: str, others: Collection[str]) -> None:
        self.model, self.graph, self.tensor = model, model.graph, tensor
        self._constants = {item.name: item for item in model.graph.initializer}
        self._producer = {name: node for node in model.graph.node for name in node.output if name}
        self.nodes = list(self._reached(frozenset(others) - {tensor}))

    def _reached(self, others: Collection[str]) -> Iterator[onnx.NodeProto]:
        waiting, seen = [self.tensor], {self.tensor}
        while waiting:
            node = self._producer.get(waiting.pop(0))
            if node is None:
                continue
            yield node
            fresh = [name for name in node.input if name and name not in seen and name not in others]
            seen.update(fresh)
            waiting += fresh

    def node(self, *kinds: str) -> onnx.NodeProto:
        """The nearest node of one of these kinds. Errors: CannotApply."""
        node = next((node for node in self.nodes if node.op_type in kinds), None)
        if node is None:
            raise CannotApply(f"no {' or '.join(kinds)} makes it")
        return node

    def constant(self, name: str) -> Array:
        """Values of a constant, real ones where it is quantized. Errors: CannotApply for what is computed."""
        if name in self._constants:
            return np.asarray(numpy_helper.to_array(self._constants[name]))
        node = self._producer.get(name)
        if node is None or node.op_type != "DequantizeLinear":
            raise CannotApply(f"{name} is computed")
        stored = self.constant(node.input[0])
        scale, zero = self._quantization(node, stored)
        return np.asarray((stored.astype(np.float32) - zero) * scale, np.float32)

    def scales(self, name: str) -> Array | None:
        """Scales per channel of a quantized constant, shaped to multiply it; None where it has one or none."""
        node = self._producer.get(name)
        if node is None or node.op_type != "DequantizeLinear":
            return None
        scale, _ = self._quantization(node, self.constant(node.input[0]))
        return scale if scale.size > 1 else None

    def _quantization(self, node: onnx.NodeProto, stored: Array) -> tuple[Array, Array]:
        scale = self.constant(node.input[1]).astype(np.float32)
        zero = self.constant(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1, np.int8)
        axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
        shape = [-1 if i == axis % max(1, stored.ndim) and scale.size > 1 else 1 for i in range(stored.ndim)]
        return scale.reshape(shape), zero.astype(np.float32).reshape(shape if zero.size > 1 else [1] * stored.ndim)

    def give(self, node: onnx.NodeProto, index: int, values: Array) -> None:
        """Another constant as that input of a node."""
        node.input[index] = self._add_constant(values)

    def _add_constant(self, values: Array) -> str:
        name = f"{self.tensor}__changed{len(self.graph.initializer)}"
        self.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def before_rounding(self, *ops: tuple[str, float | None]) -> None:
        """Put ops between the real values and the quantizer that makes the tensor: (kind, its constant or none).

        Errors: NotRounded.
        """
        quantizer = self._quantizer()
        name = quantizer.input[0]
        at = next(i for i, node in enumerate(self.graph.node) if node.output[0] == self.tensor)
        for number, (kind, value) in enumerate(ops):
            more = [] if value is None else [self._add_constant(np.array(value, np.float32))]
            made = f"{self.tensor}__before_rounding{number}"
            self.graph.node.insert(at + number, helper.make_node(kind, [name, *more], [made], name=made))
            name = made
        self._quantizer().input[0] = name

    def step(self) -> float:
        """One step of the quantizer that makes the tensor. Errors: NotRounded; CannotApply for several scales."""
        scale = self.constant(self._quantizer().input[1])
        if scale.size != 1:
            raise CannotApply("it has a scale per channel")
        return float(scale.reshape(-1)[0])

    def _quantizer(self) -> onnx.NodeProto:
        node = next((node for node in self.graph.node if self.tensor in node.output), None)
        if node is None or node.op_type != "QuantizeLinear":
            raise NotRounded("it is not quantized")
        return node
