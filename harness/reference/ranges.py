"""Ranges that ops bound their outputs to: a Sigmoid's values lie in 0 to 1, and so do those of a Concat of Sigmoids."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx

from harness.errors import HarnessError
from harness.records import Graph
from harness.reference.graph import read_logical
from harness.reference.graph_nodes import NodeIndex
from harness.reference.onnx_file import load_model

Range = tuple[float, float]

BOUNDED: dict[str, Range] = {
    **dict.fromkeys(("Sigmoid", "HardSigmoid", "Softmax"), (0.0, 1.0)),
    **dict.fromkeys(("Tanh", "Erf", "Sin", "Cos", "Softsign"), (-1.0, 1.0)),
}
# What these give lies between values of their first input, or of all of them.
TRANSPARENT = frozenset(
    ("AveragePool", "DepthToSpace", "Dropout", "Expand", "Flatten", "Gather", "GlobalAveragePool", "GlobalMaxPool")
    + ("Identity", "MaxPool", "ReduceMax", "ReduceMean", "ReduceMin", "Reshape", "Slice", "SpaceToDepth", "Split")
    + ("Squeeze", "Tile", "Transpose", "Unsqueeze")
)
MOST_WIDTH = 16.0  # of a Clip; a wider one guards against overflow and bounds nothing
JOINING = frozenset(("Concat", "Max", "Min"))


def known_ranges(model: Path | None, graph: Graph | None) -> dict[str, float]:
    """Logical tensor -> width of the range that its op bounds it to; of the ONNX, else of a graph without attributes.

    No width exceeds MOST_WIDTH: one that a large constant makes says nothing of small values. A model that cannot be
    read tells nothing: whoever needs more of it says so.
    """
    if model is not None:
        try:
            return _of_model(model)
        except HarnessError:
            return {}
    ranges: dict[str, Range] = {}
    for op in graph.ops if graph is not None else ():
        _follow(op.kind, op.inputs, op.outputs, ranges, BOUNDED.get(op.kind))
    return {name: min(high - low, MOST_WIDTH) for name, (low, high) in ranges.items()}


def _of_model(path: Path) -> dict[str, float]:
    model = load_model(path)
    index = NodeIndex(model.graph, path)
    ranges: dict[str, Range] = {}
    for node in index.nodes:
        data = list(node.input) if node.op_type in ("Mul", "Add", "Sub", *JOINING) else list(node.input[:1])
        for name in data:
            if name in index.constants and name not in ranges:
                ranges |= _of_constant(index, name)
        own = _clipped(index, node, ranges) if node.op_type == "Clip" else BOUNDED.get(node.op_type)
        if node.op_type not in ("Resize", "Upsample") or _mode(node) in (b"nearest", b"linear"):
            _follow(node.op_type, data, list(node.output), ranges, own)
    spans = {name: min(high - low, MOST_WIDTH) for name, (low, high) in ranges.items() if name not in index.constants}
    names = ((tensor, (tensor.onnx_name, *tensor.aliases)) for tensor in read_logical(model).tensors)
    return {tensor.name: spans[name] for tensor, known in names for name in known if name in spans}


def _mode(node: onnx.NodeProto) -> bytes:
    return next((a.s for a in node.attribute if a.name == "mode"), b"nearest")


def _of_constant(index: NodeIndex, name: str) -> Mapping[str, Range]:
    value = index.constant(name)
    if value is None or value.dtype.kind != "f" or not value.size:
        return {}
    low, high = float(value.min()), float(value.max())
    return {name: (low, high)} if math.isfinite(low) and math.isfinite(high) else {}


def _clipped(index: NodeIndex, node: onnx.NodeProto, ranges: Mapping[str, Range]) -> Range | None:
    given: dict[str, float] = {a.name: a.f for a in node.attribute}
    for name, place in (("min", 1), ("max", 2)):
        value = index.constant(node.input[place]) if len(node.input) > place and node.input[place] else None
        if value is not None and value.size == 1:
            given[name] = float(value.reshape(-1)[0])
    low, high = ranges.get(node.input[0], (-math.inf, math.inf))
    low, high = max(low, given.get("min", -math.inf)), min(high, given.get("max", math.inf))
    return (low, high) if low <= high and high - low <= MOST_WIDTH else None


def _follow(
    kind: str, inputs: Sequence[str], outputs: Sequence[str], ranges: dict[str, Range], own: Range | None
) -> None:
    """Add the outputs of one op where its range is known."""
    before = [ranges[name] for name in inputs if name in ranges]
    all_known = bool(before) and len(before) == len(inputs)
    if own is None and kind in ("Resize", "Upsample", *TRANSPARENT) and inputs and inputs[0] in ranges:
        own = ranges[inputs[0]]
    elif own is None and kind in JOINING and all_known:
        own = min(low for low, _ in before), max(high for _, high in before)
    elif own is None and kind in _ARITHMETIC and all_known and len(before) == 2:
        own = _arithmetic(kind, *before)
    elif own is None and kind == "Relu" and all_known:
        own = max(0.0, before[0][0]), max(0.0, before[0][1])
    if own is not None:
        ranges.update(dict.fromkeys((name for name in outputs if name), own))


_ARITHMETIC = ("Mul", "Add", "Sub")


def _arithmetic(kind: str, a: Range, b: Range) -> Range:
    """The range of a product, a sum or a difference of values of two ranges."""
    if kind == "Mul":
        products = [x * y for x in a for y in b]
        return min(products), max(products)
    if kind == "Add":
        return a[0] + b[0], a[1] + b[1]
    return a[0] - b[1], a[1] - b[0]
