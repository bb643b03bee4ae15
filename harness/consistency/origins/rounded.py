"""A cut-out graph that rounds as a narrower float arithmetic does: what an op gives alone on a board of half precision.

Values are rounded by splitting (x * (2^k + 1) minus itself minus x), which needs ops of every opset and no narrow type;
the range stays that of float32. With `narrow_range` they pass through float16 itself, overflow and all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

WEIGHTED = frozenset(("Conv", "ConvTranspose", "Gemm", "MatMul"))
RECURRENT = frozenset(("LSTM", "GRU", "RNN"))  # their sums are inside
OPERANDS = 2  # what is multiplied; a bias is added to the sum
RECURRENT_OPERANDS = 3  # the values, their weights, and those of the state
STYLES = ("weights", "operands", "everything")


@dataclass(frozen=True)
class Rounding:
    """What is rounded to `significant_bits`: the weights (and bias) of ops with weights, both their operands (sums stay
    wide), or what every op reads and makes."""

    significant_bits: int
    style: str
    narrow_range: bool = False


def round_nodes(
    nodes: Sequence[NodeProto], rounding: Rounding, constants: Mapping[str, object], is_float: Callable[[str], bool]
) -> tuple[list[NodeProto], dict[str, TensorProto]]:
    """The nodes with roundings between them, and the constants that these need. `constants` are the weights' names."""
    writer = _Writer(rounding)
    made: list[NodeProto] = []
    for node in nodes:
        copy = NodeProto()
        copy.CopyFrom(node)
        if rounding.style == "everything":
            _round_all(copy, writer, constants, is_float, made)
        elif node.op_type in WEIGHTED | RECURRENT:
            multiplied = RECURRENT_OPERANDS if node.op_type in RECURRENT else OPERANDS
            for index, name in enumerate(node.input):
                operand = rounding.style == "operands" and index < multiplied
                if name and is_float(name) and (operand or (rounding.style == "weights" and name in constants)):
                    copy.input[index] = writer.rounded(name, made)
            made.append(copy)
        else:
            made.append(copy)
    return made, writer.constants


def _round_all(
    node: NodeProto,
    writer: _Writer,
    constants: Mapping[str, object],
    is_float: Callable[[str], bool],
    made: list[NodeProto],
) -> None:
    """Constants and fed values on their way in, results on their way out."""
    for index, name in enumerate(node.input):
        if name and is_float(name) and (name in constants or name not in writer.results):
            node.input[index] = writer.rounded(name, made)
    made.append(node)
    for index, name in enumerate(node.output):
        if name and is_float(name):
            node.output[index] = f"{name}|wide"
            writer.write(node.output[index], name, made)
            writer.results.add(name)


class _Writer:
    """Writes the nodes of roundings; each value is rounded once."""

    def __init__(self, rounding: Rounding) -> None:
        self.rounding = rounding
        self.names: dict[str, str] = {}
        self.results: set[str] = set()
        bits = 24 - rounding.significant_bits
        self.factor = f"|2^{bits}+1"
        value = numpy_helper.from_array(np.asarray(2.0**bits + 1, np.float32), self.factor)
        self.constants: dict[str, TensorProto] = {} if rounding.narrow_range else {self.factor: value}

    def rounded(self, name: str, made: list[NodeProto]) -> str:
        if name not in self.names:
            self.names[name] = f"{name}|rounded"
            self.write(name, self.names[name], made)
        return self.names[name]

    def write(self, name: str, target: str, made: list[NodeProto]) -> None:
        """target = name, rounded."""
        if self.rounding.narrow_range:
            made.append(helper.make_node("Cast", [name], [f"{target}|f16"], to=TensorProto.FLOAT16))
            made.append(helper.make_node("Cast", [f"{target}|f16"], [target], to=TensorProto.FLOAT))
            return
        scaled, rest = f"{target}|scaled", f"{target}|rest"
        made.append(helper.make_node("Mul", [name, self.factor], [scaled]))
        made.append(helper.make_node("Sub", [scaled, name], [rest]))
        made.append(helper.make_node("Sub", [scaled, rest], [target]))
