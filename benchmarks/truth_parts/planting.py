"""Plants a fault into a quantized ONNX: one layer's integers are changed on their way to whoever reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from harness.reference.graph import LogicalTensor

CLEAN = "_before_fault"  # the same tensor before the fault, dumped beside it
RANGES = {"s8": (-128, 127, 0), "u8": (0, 255, 128)}  # lowest, highest, middle
TYPES = {"s8": TensorProto.INT8, "u8": TensorProto.UINT8}


class Surgery:
    """Nodes that turn the integers of one tensor, as int32, into others."""

    def __init__(self, tensor: LogicalTensor, rng: np.random.Generator) -> None:
        self.tensor, self.rng = tensor, rng
        self.low, self.high, self.middle = RANGES[tensor.spec.dtype]
        self.shape = tensor.spec.shape
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def constant(self, value: NDArray[Any]) -> str:
        name = f"fault_constant{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def whole(self, value: int) -> str:
        return self.constant(np.array(value, np.int32))

    def op(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        name = f"fault{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output or f"{name}_out"], name=name, **attributes))
        return output or f"{name}_out"

    def towards_middle(self, x: str, steps: NDArray[np.int32]) -> str:
        """Moves elements by `steps`, away from the nearer end of the range."""
        above = self.op("Greater", x, self.whole(self.middle))
        return self.op("Add", x, self.op("Where", above, self.constant(-steps), self.constant(steps)))

    def scattered(self, steps: int, share: float) -> NDArray[np.int32]:
        size = int(np.prod(self.shape))
        moved = np.zeros(size, np.int32)
        moved[self.rng.choice(size, max(1, int(np.ceil(size * share))), replace=False)] = steps
        return moved.reshape(self.shape)


def two_steps(s: Surgery, x: str) -> str:
    """2 steps on 0.1 % of the elements: the least that must be found."""
    return s.towards_middle(x, s.scattered(2, 1e-3))


def some_steps(s: Surgery, x: str) -> str:
    return s.towards_middle(x, s.scattered(7, 1e-2))


def offset(s: Surgery, x: str) -> str:
    """Every element 2 steps higher: a wrong zero point."""
    return s.op("Add", x, s.whole(2))


def halved(s: Surgery, x: str) -> str:
    return s.op("Div", x, s.whole(2))


def dead_part(s: Surgery, x: str) -> str:
    """One channel, or one row of what has none, is zero."""
    mask = np.ones(s.shape, np.int32)
    axis = 1 if len(s.shape) > 1 and s.shape[1] > 1 else len(s.shape) - 1
    index: list[Any] = [slice(None)] * len(s.shape)
    index[axis] = int(s.rng.integers(s.shape[axis]))
    mask[tuple(index)] = 0
    return s.op("Mul", x, s.constant(mask))


def clipped(s: Surgery, x: str) -> str:
    """Saturation at half of the range."""
    half = (s.high - s.low) // 4
    return s.op("Clip", x, s.whole(s.middle - half), s.whole(s.middle + half))


Fault = Callable[[Surgery, str], str]
FAULTS: dict[str, Fault] = {
    "two_steps": two_steps,
    "some_steps": some_steps,
    "offset": offset,
    "halved": halved,
    "dead_part": dead_part,
    "clipped": clipped,
}


def plantable(tensors: Sequence[LogicalTensor]) -> list[LogicalTensor]:
    """Tensors that ops compute and a fault can be planted in: 8-bit, of known shape."""
    return [t for t in tensors if t.op and t.spec.dtype in RANGES and t.spec.shape and min(t.spec.shape) > 0]


def plant(model: Path, tensor: LogicalTensor, fault: str, seed: int, target: Path) -> Path:
    """Write `model` with that fault in `tensor` to `target`. The tensor's name carries the faulty values."""
    proto = onnx.load(str(model))
    name = tensor.onnx_name
    maker = next(node for node in proto.graph.node if name in node.output)
    maker.output[list(maker.output).index(name)] = name + CLEAN
    surgery = Surgery(tensor, np.random.default_rng(seed))
    x = FAULTS[fault](surgery, surgery.op("Cast", name + CLEAN, to=TensorProto.INT32))
    kept = surgery.op("Clip", x, surgery.whole(surgery.low), surgery.whole(surgery.high))
    surgery.op("Cast", kept, output=name, to=TYPES[tensor.spec.dtype])
    at = list(proto.graph.node).index(maker) + 1
    for i, node in enumerate(surgery.nodes):
        proto.graph.node.insert(at + i, node)
    proto.graph.initializer.extend(surgery.weights)
    onnx.save(proto, str(target))
    return target


def effect(before: NDArray[Any], after: NDArray[Any]) -> float:
    """Share of elements that the fault moved by 2 steps or more."""
    return float(np.mean(np.abs(before.astype(np.int32) - after.astype(np.int32)) >= 2))
