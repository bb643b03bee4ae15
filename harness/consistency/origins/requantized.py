"""A cut-out graph as integer runtimes compute it: without the quantizers between its ops, or with kernels that cast.

A runtime that fuses ops rounds once: a quantizer and the dequantizers behind it become one Clip to the range of its
integers. What was cut there (an activation that is part of the range) still is; what was rounded there is not. A Resize
may interpolate the stored integers and cast the result: its quantizer gets whole numbers, cut towards zero. Or it
goes one axis at a time, and stores integers in between. And what lies on the edge between two steps, up to what float
sums differ by, may go to either. A product with integer weights may quantize what it reads once more, group by group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
PRODUCTS = ("Gemm", "MatMul")
GROUP = 32  # inputs with a scale of their own: OpenVINO's default
RESAMPLING = frozenset(("Resize", "Upsample"))
EDGE = 2.0**-12  # of a step: float sums leave a whole number, and so an edge, so near
NEARLY = 1 + 2.0**-18  # float sums leave a whole number a little below itself


def without_quantizers(
    nodes: Sequence[NodeProto], output: str, weights: Mapping[str, TensorProto]
) -> tuple[list[NodeProto], dict[str, TensorProto]]:
    """The nodes with no rounding between them, and the constants that these need. The quantizer of `output`, those per
    channel, and those whose integers something else reads stay."""
    left_out = {
        node.output[0]: node for node in nodes if node.op_type == QUANTIZE and _may_go(node, output, nodes, weights)
    }
    made: list[NodeProto] = []
    constants: dict[str, TensorProto] = {}
    for node in nodes:
        if node.op_type == QUANTIZE and node.output[0] in left_out:
            continue
        quantizer = left_out.get(node.input[0]) if node.op_type == DEQUANTIZE else None
        if quantizer is None:
            made.append(node)
            continue
        limits = {f"{node.output[0]}|{i}": value for i, value in enumerate(_limits(quantizer, weights))}
        constants |= {name: numpy_helper.from_array(np.asarray(v, np.float32), name) for name, v in limits.items()}
        made.append(helper.make_node("Clip", [quantizer.input[0], *limits], [node.output[0]]))
    return made, constants


def with_casts(
    nodes: Sequence[NodeProto], weights: Mapping[str, TensorProto]
) -> tuple[list[NodeProto], dict[str, TensorProto]]:
    """The nodes with every quantized Resize cut towards zero, and the constants that these need."""
    resized = {node.output[0] for node in nodes if node.op_type in RESAMPLING}
    made: list[NodeProto] = []
    constants: dict[str, TensorProto] = {}
    for node in nodes:
        if node.op_type == QUANTIZE and node.input[0] in resized and _has_one_scale(node, weights):
            more, values = _cast(node, weights)
            made, constants = [*made, *more], constants | values
        else:
            made.append(node)
    return made, constants


def with_ties(
    nodes: Sequence[NodeProto], weights: Mapping[str, TensorProto], side: int
) -> tuple[list[NodeProto], dict[str, TensorProto]]:
    """The nodes with what lies on the edge between two steps rounded up (`side` 1) or down (-1), and the constants that
    these need: every quantizer is given that much more, or less."""
    made: list[NodeProto] = []
    constants: dict[str, TensorProto] = {}
    for node in nodes:
        if node.op_type != QUANTIZE or not _has_one_scale(node, weights):
            made.append(node)
            continue
        scale = numpy_helper.to_array(weights[node.input[1]]).reshape(())
        more, moved = f"{node.output[0]}|edge", f"{node.output[0]}|moved"
        constants[more] = numpy_helper.from_array(np.asarray(scale * np.float32(side * EDGE), np.float32), more)
        made.append(helper.make_node("Add", [node.input[0], more], [moved]))
        made.append(helper.make_node(QUANTIZE, [moved, *node.input[1:]], list(node.output)))
    return made, constants


def with_dynamic_inputs(
    nodes: Sequence[NodeProto], weights: Mapping[str, TensorProto]
) -> tuple[list[NodeProto], dict[str, TensorProto]]:
    """The nodes with what a product with dequantized constant weights reads quantized once more, to 8 bits and by the
    largest value of each GROUP in a row, and the constants that these need. Unchanged where no product is such."""
    constant = {n.output[0]: n.input[0] for n in nodes if n.op_type == DEQUANTIZE and n.input[0] in weights}
    made: list[NodeProto] = []
    constants: dict[str, TensorProto] = {}
    for node in nodes:
        name = constant.get(node.input[1]) if node.op_type in PRODUCTS and len(node.input) > 1 else None
        depth = 0 if name is None else _depth(node, weights[name].dims)
        if not depth or depth % GROUP:
            made.append(node)
            continue
        more, values, given = _in_groups(node)
        copy = NodeProto()
        copy.CopyFrom(node)
        copy.input[0] = given
        made, constants = [*made, *more, copy], constants | values
    return made, constants


def _depth(node: NodeProto, weights_shape: Sequence[int]) -> int:
    """How many products are added for each element; 0 where the rows of what is read do not lie in a row."""
    flags = {a.name: a.i for a in node.attribute}
    if len(weights_shape) != 2 or flags.get("transA"):
        return 0
    return int(weights_shape[1] if flags.get("transB") else weights_shape[0])


def _in_groups(node: NodeProto) -> tuple[list[NodeProto], dict[str, TensorProto], str]:
    x, y = node.input[0], f"{node.output[0]}|dynamic"
    values = {"rows": np.array([-1, 1, GROUP]), "levels": np.float32(127), "least": np.float32(1e-30)}
    steps = [
        ("Shape", (x,), "shape"),
        ("Reshape", (x, f"{y}|rows"), "groups"),
        ("Abs", (f"{y}|groups",), "sizes"),
        ("MaxPool", (f"{y}|sizes",), "largest"),
        ("Div", (f"{y}|largest", f"{y}|levels"), "scale"),
        ("Max", (f"{y}|scale", f"{y}|least"), "step"),
        ("Div", (f"{y}|groups", f"{y}|step"), "steps"),
        ("Round", (f"{y}|steps",), "whole"),
        ("Mul", (f"{y}|whole", f"{y}|step"), "values"),
        ("Reshape", (f"{y}|values", f"{y}|shape"), "given"),
    ]
    pooled = {"kernel_shape": [GROUP]}
    made = [helper.make_node(op, given, [f"{y}|{n}"], **(pooled if op == "MaxPool" else {})) for op, given, n in steps]
    return (
        made,
        {f"{y}|{n}": numpy_helper.from_array(np.asarray(v), f"{y}|{n}") for n, v in values.items()},
        f"{y}|given",
    )


def in_two_passes(
    nodes: Sequence[NodeProto], weights: Mapping[str, TensorProto], shape: Sequence[int], first: int
) -> tuple[list[NodeProto], dict[str, TensorProto]]:
    """The nodes with a Resize of both last axes done axis `first` (-2 or -1) first and quantized in between, and the
    constants that these need. `shape`: of what it resizes. Unchanged where there is no such Resize."""
    resize = next((node for node in nodes if node.op_type in RESAMPLING), None)
    if resize is None:
        return list(nodes), {}
    stored = next((n for n in nodes if n.op_type == DEQUANTIZE and n.output[0] == resize.input[0]), None)
    at = next((i for i, name in enumerate(resize.input) if i and _sizes(name, weights, shape)), None)
    if stored is None or at is None:
        return list(nodes), {}
    whole = numpy_helper.to_array(weights[resize.input[at]])
    kept = np.asarray(shape, whole.dtype) if whole.dtype.kind == "i" else np.ones_like(whole)
    halfway = np.where(np.arange(len(shape)) == len(shape) + first, whole, kept)
    rest = whole if whole.dtype.kind == "i" else np.where(np.arange(len(shape)) == len(shape) + first, kept, whole)
    name = f"{resize.output[0]}|"
    constants = {f"{name}first": halfway, f"{name}rest": rest}
    one, two = NodeProto(), NodeProto()
    for copy, size, given, made in ((one, "first", resize.input[0], "half"), (two, "rest", f"{name}halfd", "")):
        copy.CopyFrom(resize)
        copy.name = f"{resize.name}|{size}"
        copy.input[0], copy.input[at] = given, f"{name}{size}"
        copy.output[0] = f"{name}{made}" if made else resize.output[0]
    between = [
        helper.make_node(QUANTIZE, [f"{name}half", *stored.input[1:]], [f"{name}halfq"]),
        helper.make_node(DEQUANTIZE, [f"{name}halfq", *stored.input[1:]], [f"{name}halfd"]),
    ]
    made_nodes = [part for node in nodes for part in ([one, *between, two] if node is resize else [node])]
    return made_nodes, {n: numpy_helper.from_array(np.ascontiguousarray(v), n) for n, v in constants.items()}


def _sizes(name: str, weights: Mapping[str, TensorProto], shape: Sequence[int]) -> bool:
    """Whether an input holds one scale, or size, of each axis."""
    return name in weights and len(shape) > 2 and numpy_helper.to_array(weights[name]).shape == (len(shape),)


def _cast(node: NodeProto, weights: Mapping[str, TensorProto]) -> tuple[list[NodeProto], dict[str, TensorProto]]:
    """A quantizer of what is cut: x / scale + point without its fraction, as a real value again."""
    scale, point = (numpy_helper.to_array(weights[name]).reshape(()) for name in node.input[1:3])
    x, y = node.input[0], f"{node.output[0]}|cast"
    values = {f"{y}|scale": scale, f"{y}|point": point, f"{y}|nearly": NEARLY}
    names = [f"{y}{i}" for i in range(6)]
    made = [
        helper.make_node("Div", [x, f"{y}|scale"], [names[0]]),
        helper.make_node("Add", [names[0], f"{y}|point"], [names[1]]),
        helper.make_node("Mul", [names[1], f"{y}|nearly"], [names[2]]),
        helper.make_node("Cast", [names[2]], [names[3]], to=TensorProto.INT32),
        helper.make_node("Cast", [names[3]], [names[4]], to=TensorProto.FLOAT),
        helper.make_node("Sub", [names[4], f"{y}|point"], [names[5]]),
        helper.make_node("Mul", [names[5], f"{y}|scale"], [y]),
        helper.make_node(QUANTIZE, [y, *node.input[1:]], list(node.output)),
    ]
    return made, {name: numpy_helper.from_array(np.asarray(v, np.float32), name) for name, v in values.items()}


def _has_one_scale(node: NodeProto, weights: Mapping[str, TensorProto]) -> bool:
    known = len(node.input) > 2 and all(given in weights for given in node.input[1:3])
    return known and numpy_helper.to_array(weights[node.input[1]]).size == 1


def _may_go(node: NodeProto, output: str, nodes: Sequence[NodeProto], weights: Mapping[str, TensorProto]) -> bool:
    name = node.output[0]
    if name == output or not _has_one_scale(node, weights):
        return False
    readers = [other for other in nodes if name in other.input]
    return bool(readers) and all(other.op_type == DEQUANTIZE for other in readers)


def _limits(node: NodeProto, weights: Mapping[str, TensorProto]) -> tuple[float, float]:
    """The least and the largest real value that a quantizer can give."""
    scale = float(numpy_helper.to_array(weights[node.input[1]]).reshape(()))
    point = numpy_helper.to_array(weights[node.input[2]]).reshape(())
    integers = np.iinfo(point.dtype)
    return scale * (integers.min - int(point)), scale * (integers.max - int(point))
