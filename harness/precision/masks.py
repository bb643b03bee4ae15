"""Constants of attention masks that set a scale: where they are, and to what they can be clipped.

A mask adds a large negative constant to the scores in front of a Softmax; all that matters is that nothing is left of
it behind. A scale that has to hold -10000 has a step of 80 in int8, and every score becomes one value. A constant just
below the scores masks as well, and leaves the scores their steps. This is a change of the model, not of its types:
`edited.py` writes it and proves that the float outputs stay what they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from harness.emulator.compiler.operands import moves_data
from harness.emulator.model.nodes import ModelGraph

Range = tuple[float, float]
Ranges = Mapping[str, Range]
_SOFTMAX = ("Softmax", "LogSoftmax")
LEAST_LEFT = 12.0  # exp(-12) is 6e-6: what a masked place keeps of the weight of the least score that is not masked
WORTH = 2.0  # a constant that is not even so many times too large is left as it is


@dataclass(frozen=True)
class MaskEdit:
    """One constant of one op: values below `after` become `after`. `before` is the lowest that it holds."""

    op: str
    kind: str
    constant: str
    output: str  # of the op: by it the op is known in the file that the user gave
    before: float
    after: float

    @property
    def why(self) -> str:
        """For the comment beside it."""
        return (
            f"{self.kind} {self.op}: the mask's constant {self.before:g} sets the scale of {self.output}; "
            f"{self.after:g} masks as well"
        )


@dataclass(frozen=True)
class MaskedScores:
    """A constant on the way to one Softmax, and the highest value that still masks the scores there."""

    node: onnx.NodeProto
    constant: str
    after: float


def mask_edits(network: ModelGraph, ranges: Ranges) -> tuple[MaskEdit, ...]:
    """Every constant that masks scores on their way to a Softmax, and to nothing else. One that serves several keeps
    what the widest scores need. `ranges` are those of the float model."""
    places: dict[str, list[MaskedScores]] = {}
    for node in network.nodes:
        if node.op_type in _SOFTMAX:
            for place in _behind(network, node.input[0], ranges, None):
                places.setdefault(place.node.name, []).append(place)
    made = (_edit(network, [*of_op]) for of_op in places.values())
    return tuple(edit for edit in made if edit is not None)


def _behind(network: ModelGraph, tensor: str, ranges: Ranges, scores: Range | None) -> Iterator[MaskedScores]:
    """Masks on the way to a tensor. `scores` is the range of what is masked, known once the way has passed an Add."""
    node = network.producer.get(tensor)
    if node is None or not _only_to_softmax(network, tensor):
        return
    constants, data = [name for name in node.input if name in network.constants], network.data_inputs(node)
    if moves_data(node):
        yield from _behind(network, node.input[0], ranges, scores)
    elif node.op_type == "Add" and constants and data:
        yield from _place(node, constants[0], ranges.get(data[0]))
        yield from _behind(network, data[0], ranges, scores)
    elif node.op_type == "Add" and len(data) == 2:
        for own, other in (data, data[::-1]):
            yield from _behind(network, own, ranges, ranges.get(other))
    elif node.op_type == "Where" and len(node.input) == 3:
        yield from _chosen(network, node, ranges, scores)
    elif node.op_type == "Mul" and constants:
        yield from _place(node, constants[0], scores)


def _chosen(network: ModelGraph, node: onnx.NodeProto, ranges: Ranges, scores: Range | None) -> Iterator[MaskedScores]:
    """Of a Where: its constant takes the place of a score, or both of its values are added to one later."""
    constants = [name for name in node.input[1:] if name in network.constants]
    if len(constants) == 2:
        lowest = min(constants, key=lambda name: float(np.min(network.constant(name), initial=0.0)))
        yield from _place(node, lowest, scores)
    elif constants:
        other = next(name for name in node.input[1:] if name not in network.constants)
        own = ranges.get(other)
        if own is not None and math.isfinite(own[0]):
            yield MaskedScores(node, constants[0], float(math.floor(own[0] - LEAST_LEFT)))


def _place(node: onnx.NodeProto, constant: str, scores: Range | None) -> Iterator[MaskedScores]:
    """Of a constant that is added to scores of a range."""
    if scores is not None and all(map(math.isfinite, scores)):
        yield MaskedScores(node, constant, -float(math.ceil(scores[1] - scores[0] + LEAST_LEFT)))


def _only_to_softmax(network: ModelGraph, tensor: str) -> bool:
    """Whether every way from a tensor ends in a Softmax, past ops that mask or only move."""
    readers = network.consumers.get(tensor, ())
    if not readers or tensor in network.output_names:
        return False
    return all(
        node.op_type in _SOFTMAX
        or ((moves_data(node) or node.op_type in ("Add", "Where")) and _only_to_softmax(network, node.output[0]))
        for node in readers
    )


def _edit(network: ModelGraph, places: Sequence[MaskedScores]) -> MaskEdit | None:
    """None where the constant is no mask, or none that is worth a change."""
    node, constant, after = places[0].node, places[0].constant, min(place.after for place in places)
    value = network.constant(constant)
    if value.dtype.kind != "f" or not value.size or bool(np.isnan(value).any()):
        return None
    before = float(np.min(value))
    is_scale = node.op_type == "Mul" and float(np.max(value)) > after  # of some places a factor: no mask
    if before >= WORTH * after or is_scale:
        return None
    return MaskEdit(node.name, node.op_type, constant, node.output[0], before, after)
