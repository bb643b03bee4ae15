"""Types of single nodes: what a toolchain's config sets beside int8, and which tensors become int16 by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from harness.emulator.compiler.operands import CONV_LIKE, LEVELS
from harness.emulator.model.nodes import ModelGraph
from harness.emulator.thresholds.settings import CalibrationSettings

INT8, INT16, EC = "int8", "int16", "ec"
WIDE = (INT16, EC)
INT16_LEVELS = 32767
# Error compensation computes the op once more on what int8 left: two int8 steps, the second 255 times finer.
EC_LEVELS = LEVELS * 255


@dataclass(frozen=True)
class NodeTypes:
    """Types of one node on the accelerator; what is not set is int8. Its own layout, no vendor's."""

    features: str = ""  # of every feature map that it reads: int16, or ec
    inputs: Mapping[int, str] = field(default_factory=dict)  # by place, weights too: before `features`
    output: str = ""  # int16: what it makes is kept in int16

    def of_feature(self, place: int) -> str:
        """The type of the feature map at that place of the node's inputs."""
        return self.inputs.get(place, self.features) or INT8

    def of_weight(self, place: int) -> str:
        """The type of the constant at that place: wide where the place itself is set."""
        return self.inputs.get(place, INT8)

    @property
    def passes(self) -> float:
        """How often its products pass an int8 array: twice for each operand that is wide."""
        wide_weight = self.inputs.get(1) in WIDE
        wide_feature = self.features in WIDE or self.inputs.get(0) in WIDE
        return (2.0 if wide_feature else 1.0) * (2.0 if wide_weight else 1.0)

    @property
    def is_plain(self) -> bool:
        """Whether nothing of it is wider than int8."""
        return not any(kind in WIDE for kind in (self.features, self.output, *self.inputs.values()))


PLAIN = NodeTypes()


def levels_of(kind: str) -> int:
    """Steps from zero to the largest value of a symmetric type."""
    return {INT16: INT16_LEVELS, EC: EC_LEVELS}.get(kind, LEVELS)


def stored(value: NDArray[Any], scale: NDArray[Any], kind: str) -> NDArray[Any]:
    """A constant on the grid of its type: int8, or int16; `scale` broadcasts against it."""
    levels = levels_of(kind)
    dtype = np.int8 if levels == LEVELS else np.int16
    return np.asarray(np.clip(np.rint(value / scale), -levels, levels), dtype)


@dataclass(frozen=True)
class TypeWishes:
    """What a config asks for: of single nodes, of types of ops, of every node, of the model's outputs."""

    nodes: Mapping[str, NodeTypes] = field(default_factory=dict)
    kinds: Mapping[str, NodeTypes] = field(default_factory=dict)
    every: NodeTypes = PLAIN
    outputs: str = ""  # int16: what makes an output keeps it in int16

    def of(self, network: ModelGraph) -> dict[str, NodeTypes]:
        """Node -> its types, where they are not all int8; a node's own are before those of its kind."""
        types = {
            node.name: self.nodes.get(node.name, self.kinds.get(node.op_type, self.every)) for node in network.nodes
        }
        if self.outputs in WIDE:
            makers = [network.producer[name].name for name in network.output_names if name in network.producer]
            types |= {name: replace(types[name], output=types[name].output or self.outputs) for name in makers}
        return {name: one for name, one in types.items() if not one.is_plain}


@dataclass(frozen=True)
class NodeSettings:
    """What a toolchain's config sets for single nodes, in the emulator's words."""

    types: TypeWishes = TypeWishes()
    on_cpu: tuple[str, ...] = ()
    on_accelerator: tuple[str, ...] = ()
    calibrating: CalibrationSettings | None = None  # None: it sets no method


TakesType = Callable[[str, int, str], bool]  # op type, place of an input (-1: the output), type


def offered(
    network: ModelGraph, wished: Mapping[str, NodeTypes], takes: TakesType
) -> tuple[dict[str, NodeTypes], tuple[str, ...]]:
    """What the chip offers of what was wished, and what it refuses, a line each: such an input stays int8."""
    kept: dict[str, NodeTypes] = {}
    refused: list[str] = []
    for node in network.nodes:
        if node.name in wished:
            kept[node.name], lines = _offered(node, wished[node.name], network, takes)
            refused += lines
    return {name: one for name, one in kept.items() if not one.is_plain}, tuple(refused)


def _offered(
    node: onnx.NodeProto, wished: NodeTypes, network: ModelGraph, takes: TakesType
) -> tuple[NodeTypes, list[str]]:
    """Weights have a type of their own; the constant of an Add or a Mul is as wide as its feature map."""
    has_weights = node.op_type in CONV_LIKE
    constant = {p for p, name in enumerate(node.input) if has_weights and name in network.constants}
    wanted = {place: wished.of_feature(place) for place in range(len(node.input)) if place not in constant}
    wanted |= {place: wished.of_weight(place) for place in constant}
    inputs = {p: kind if kind not in WIDE or takes(node.op_type, p, kind) else INT8 for p, kind in wanted.items()}
    output = wished.output if wished.output not in WIDE or takes(node.op_type, -1, wished.output) else ""
    lines = [
        f"The input{place} of Node(name:{node.name}, type:{node.op_type}) does not support data type: {kind}"
        for place, kind in wanted.items()
        if inputs[place] != kind
    ]
    if output != wished.output:
        lines.append(f"The output of Node(name:{node.name}, type:{node.op_type}) does not support data type: int16")
    return NodeTypes("", inputs, output), lines
