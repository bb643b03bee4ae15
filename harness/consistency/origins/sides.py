"""An op as the PC's model has it beside what the board's files tell of it: attributes, dtypes, scales, layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import onnx

from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.pairs import Pair
from harness.errors import HarnessError
from harness.records import Graph, Layer, Op, OpSide, Origin, Quantization, TensorSpec
from harness.reference.onnx_file import load_model

MOST_ATTRIBUTES = 16
MOST_INPUTS = 6


def op_sides(
    origin: Origin,
    graph: Graph | None,
    models: tuple[Path | None, Path | None],
    layers: Sequence[Layer],
    pair: Callable[[str], Pair],
) -> tuple[OpSide, ...]:
    """Rows of one op: what it is, its attributes, what it reads and what it makes. A side that does not tell is "".

    `models`: the ONNX of the reference, and that which the board executed, where it executes one; compiled models of
    vendors do not tell the attributes of their ops.
    """
    layer = next((one for one in layers if one.name == origin.tensor), None)
    op = next((one for one in graph.ops if one.name == origin.op), None) if graph is not None else None
    own, board = (_attributes(op, model) for model in models)
    rows = [
        OpSide("kind", origin.op_kind, board.pop("kind", "")),
        OpSide("runs on", "", layer.unit if layer else ""),
    ]
    own.pop("kind", "")
    rows += [OpSide(name, own.get(name, ""), board.get(name, "")) for name in {**own, **board}]
    names = {one.name for one in layers if one.verdict != "not_compared"}
    for name in [one for one in (op.inputs if op else ()) if one in names][:MOST_INPUTS]:
        rows += _tensor(f"reads {name}", name, pair)
    rows += _tensor("makes", origin.tensor, pair)
    return tuple(row for row in rows if row.reference or row.board)


def _tensor(what: str, name: str, pair: Callable[[str], Pair]) -> Iterator[OpSide]:
    try:
        both = pair(name)
    except TensorError:
        return
    yield OpSide(f"{what}: dtype", both.spec_reference.dtype, both.stored.dtype)
    yield OpSide(f"{what}: shape", _shape(both.spec_reference), _shape(both.stored))
    yield OpSide(f"{what}: scale", _scale(both.spec_reference.quantization), _scale(both.stored.quantization))


def _shape(spec: TensorSpec) -> str:
    """`1x64x40x40 NCHW, in 1x64x40x48`."""
    own = "x".join(map(str, spec.shape))
    padded = "x".join(map(str, spec.aligned_shape)) if spec.aligned_shape not in ((), spec.shape) else ""
    return " ".join(part for part in (own, spec.layout, f"in {padded}" if padded else "") if part)


def _scale(quantization: Quantization | None) -> str:
    """`0.0174, zero point 0`; of many: how many, the least and the largest."""
    if quantization is None or not quantization.scales:
        return ""
    scales, zeros = quantization.scales, sorted(set(quantization.zero_points))
    shown = f"{scales[0]:.6g}" if len(scales) == 1 else f"{len(scales)}: {min(scales):.6g} to {max(scales):.6g}"
    zero = "" if not zeros else f", zero point {zeros[0]}" if len(zeros) == 1 else f", {len(zeros)} zero points"
    return shown + zero


def _attributes(op: Op | None, model: Path | None) -> dict[str, str]:
    """Of the node that does the work, its kind first, then the kinds of nodes that are one op with it."""
    if op is None or model is None:
        return {}
    try:
        nodes = [node for node in load_model(model).graph.node if _is_of(node, op)]
    except HarnessError:
        return {}
    own = next((node for node in nodes if node.op_type == op.kind), None)
    rows = {one.name: _value(one) for one in own.attribute[:MOST_ATTRIBUTES]} if own is not None else {}
    kinds = [node.op_type for node in nodes]
    rows = {"kind": own.op_type} | rows if own is not None else rows
    return rows | ({"made of": ", ".join(kinds)} if len(kinds) > 1 else {})


def _is_of(node: onnx.NodeProto, op: Op) -> bool:
    """By name; a node without one by what it makes."""
    return node.name in (op.name, *op.covers) if node.name else bool(set(node.output) & set(op.outputs))


def _value(attribute: onnx.AttributeProto) -> str:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")[:80]
    if isinstance(value, int | float):
        return f"{value:.6g}" if isinstance(value, float) else str(value)
    if isinstance(value, list | tuple) or hasattr(value, "__len__"):
        shown = ", ".join(f"{one:.6g}" if isinstance(one, float) else str(one) for one in list(value)[:16])
        return f"{shown}{', ...' if len(value) > 16 else ''}"[:200]
    return type(value).__name__
