"""All ops of one type in another way at once: what a converter does, it does to every op of that type.

Of a long interval, and of a network of which only the outputs were dumped, no single op explains the difference then.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from harness.consistency.hypotheses.bench import Bench, changed
from harness.consistency.origins.isolate import CannotIsolate, Isolator
from harness.consistency.reading.tensor_files import Array
from harness.errors import InputError

COORDINATES = "coordinate_transformation_mode"
# Op type -> (kind, attribute, what else it may be).
ATTRIBUTES: Mapping[str, tuple[str, str, Sequence[int | float | str]]] = {
    "Resize": ("resampling", COORDINATES, ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel")),
    "AveragePool": ("window", "count_include_pad", (0, 1)),
    "BatchNormalization": ("epsilon", "epsilon", (1e-5, 1e-3, 1e-6, 1e-4, 1e-12)),
    "InstanceNormalization": ("epsilon", "epsilon", (1e-5, 1e-3, 1e-6, 1e-4, 1e-12)),
    "LayerNormalization": ("epsilon", "epsilon", (1e-5, 1e-6, 1e-12, 1e-3)),
    "Gelu": ("function", "approximate", ("none", "tanh")),
    "LeakyRelu": ("parameter", "alpha", (0.01, 0.1, 0.2)),
}
LEAST = 2  # ops of a type: one alone is tried by itself
Changed = Iterator[tuple[str, str, list[NodeProto], dict[str, TensorProto]]]


def everywhere(bench: Bench, isolator: Isolator) -> Iterator[tuple[str, str, Array]]:
    """(kind, words, what the ops give) of each way to change all ops of one type. Errors: what `bench.check` raises."""
    for kind, words, nodes, constants in _all_changed(bench):
        bench.check()
        part = replace(bench.part, nodes=nodes, weights={**bench.part.weights, **constants})
        with suppress(CannotIsolate, InputError):
            yield kind, words, isolator.compute(part, [part.output])[0]


def _all_changed(bench: Bench) -> Changed:
    nodes = bench.part.nodes
    moving = [nodes[i] for i in bench.moving_nodes]
    for op_type in sorted({node.op_type for node in moving}):
        same = [node for node in moving if node.op_type == op_type]
        if (len(same) < LEAST and not bench.left_out) or not all(node.input and node.output for node in same):
            continue
        each = "all " + (f"{len(same)} {op_type}" if len(same) > 1 else op_type)
        if op_type == "Erf":
            yield "function", f"GELU by tanh instead of erf in {each}", *_all_by_tanh(nodes)
        kind, attribute, values = ATTRIBUTES.get(op_type, ("", "", ()))
        for value in values:
            words = f"{attribute} {value if isinstance(value, str) else f'{value:g}'} in {each}"
            yield kind, words, [changed(n, {attribute: value}) if n.op_type == op_type else n for n in nodes], {}


def _all_by_tanh(nodes: Sequence[NodeProto]) -> tuple[list[NodeProto], dict[str, TensorProto]]:
    made: list[NodeProto] = []
    constants: dict[str, TensorProto] = {}
    for node in nodes:
        steps, more = _by_tanh(node) if node.op_type == "Erf" else ([node], {})
        made, constants = [*made, *steps], constants | more
    return made, constants


def _by_tanh(node: NodeProto) -> tuple[list[NodeProto], dict[str, TensorProto]]:
    """erf(x) as GELU by tanh has it: tanh(sqrt(2 / pi) (z + 0.044715 z^3)) with z = sqrt(2) x, and its constants."""
    x, y = node.input[0], node.output[0]
    values = {"cubic": 2 * 0.044715, "factor": 2 / math.sqrt(math.pi)}
    constants = {f"{y}|{k}": numpy_helper.from_array(np.asarray(v, np.float32), f"{y}|{k}") for k, v in values.items()}
    steps = [
        ("Mul", (x, x), "square"),
        ("Mul", (f"{y}|square", x), "cube"),
        ("Mul", (f"{y}|cube", f"{y}|cubic"), "bent"),
        ("Add", (x, f"{y}|bent"), "sum"),
        ("Mul", (f"{y}|sum", f"{y}|factor"), "inner"),
    ]
    made = [helper.make_node(op, given, [f"{y}|{name}"]) for op, given, name in steps]
    return [*made, helper.make_node("Tanh", [f"{y}|inner"], [y])], constants
