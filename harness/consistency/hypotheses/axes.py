"""Another axis, another order of axes or operands, another mode of moving data."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from harness.consistency.hypotheses.bench import NodeScene
from harness.consistency.hypotheses.variant import Variant, Variants, listed
from harness.consistency.reading.tensor_files import Array

MOST_ORDERS = 64
BINARY = ("Add", "Sub", "Mul", "Div", "Pow", "PRelu", "Max", "Min")
ARITHMETIC = ("Add", "Sub", "Mul", "Div")
SOFT = ("Softmax", "LogSoftmax", "Hardmax")


def along(op: NodeScene) -> Variants:
    """The attribute `axis`, and what old opsets meant by it."""
    x = op.x(op.data[0]) if op.data else None
    if x is None:
        return
    given = op.attribute("axis", {"Concat": 0}.get(op.kind, -1))
    if op.kind in (*SOFT, "ArgMax", "ArgMin", "LayerNormalization", "QLinearSoftmax", "LpNormalization", "Concat"):
        now = int(given) % x.ndim
        for axis in range(x.ndim):
            if axis != now and (x.shape[axis] > 1 or op.kind != "Concat"):
                value = op.again(axis=axis)
                yield Variant("axis", f"axis {axis} instead of {now}", value, reshaped=op.kind == "Concat")
    if op.kind in SOFT:
        for start in range(x.ndim - 1):
            flat = x.reshape(int(np.prod(x.shape[:start], dtype=int)), -1)
            value = op.compute(op.kind, [flat], axis=1)
            words = f"all axes from {start} on taken together (as before opset 13)"
            yield Variant("axis", words, None if value is None else value.reshape(op.y.shape))


def reduced(op: NodeScene) -> Variants:
    """Reductions along other axes, or of another kind."""
    if not op.kind.startswith("Reduce"):
        return
    x = op.given(0)
    axes = [int(a) % x.ndim for a in (op.attribute("axes") or op.given(1).reshape(-1).astype(int))] or list(
        range(x.ndim)
    )
    for other in itertools.combinations(range(x.ndim), len(axes)):
        if set(other) != set(axes):
            value = _reduced(op, list(other))
            yield Variant("axis", f"axes {listed(list(other))} instead of {listed(axes)}", value)
    functions = {"Mean": np.mean, "Sum": np.sum, "Max": np.max, "Min": np.min, "L2": _l2, "SumSquare": _squares}
    for name, function in functions.items():
        if f"Reduce{name}" != op.kind:
            value = np.asarray(function(x.astype(np.float64), axis=tuple(axes)))  # type: ignore[operator]
            words = f"Reduce{name} instead of {op.kind}"
            yield Variant("function", words, value.astype(op.y.dtype).reshape(op.y.shape))
    if op.kind == "ReduceMean":
        count = int(np.prod([x.shape[a] for a in axes]))
        if count > 1:
            value = (op.y * (count / (count - 1))).astype(op.y.dtype)
            yield Variant("normalization", "the sum divided by n - 1 instead of n", value)


def _reduced(op: NodeScene, axes: list[int]) -> Array | None:
    if op.attribute("axes"):
        return op.again(axes=axes)
    return op.again({1: np.asarray(axes, np.int64)}) if len(op.node.input) > 1 else None


def _l2(values: Array, axis: tuple[int, ...]) -> Array:
    return np.asarray(np.sqrt(np.square(values).sum(axis=axis)))


def _squares(values: Array, axis: tuple[int, ...]) -> Array:
    return np.asarray(np.square(values).sum(axis=axis))


def operands(op: NodeScene) -> Variants:
    """Operands in another order, or broadcast along another axis, or joined by another op."""
    inputs = [op.x(k) for k in range(len(op.node.input))]
    if op.kind == "Concat" and len(inputs) <= 4:
        for order in itertools.permutations(range(len(inputs))):
            if list(order) != sorted(order):
                value = op.again({k: inputs[i] for k, i in enumerate(order)})
                yield Variant("axis", f"operands in the order {listed(list(order))}", value)
    if op.kind == "QLinearConcat" and len(inputs) <= 14:
        yield from _joined_integers(op, inputs)
    if op.kind in ("Sub", "Div", "Pow", "MatMul", "Less", "Greater") and len(inputs) == 2:
        yield Variant("axis", "its operands exchanged", op.again({0: inputs[1], 1: inputs[0]}))
    if op.kind == "Where":
        yield Variant("axis", "its branches exchanged", op.again({1: inputs[2], 2: inputs[1]}))
    if op.kind in BINARY:
        yield from _broadcast(op)


def _joined_integers(op: NodeScene, inputs: list[Array | None]) -> Variants:
    """The result's scale and zero point come first, then value, scale and zero point of each operand."""
    count = (len(inputs) - 2) // 3
    for order in itertools.permutations(range(count)):
        if list(order) != sorted(order):
            changed = {2 + 3 * k + part: inputs[2 + 3 * i + part] for k, i in enumerate(order) for part in range(3)}
            yield Variant("axis", f"operands in the order {listed(list(order))}", op.again(changed))
    for k in range(count):
        own = {3 + 3 * k: inputs[0], 4 + 3 * k: inputs[1]}
        yield Variant("scale", f"operand {k} taken as if it had the scale of the result", op.again(own))


def joined(op: NodeScene) -> Variants:
    """Two operands joined by another op, or one of them transposed before."""
    inputs = [op.given(k) for k in range(len(op.node.input))]
    if op.kind in ARITHMETIC and op.data == [0, 1]:
        for other in ARITHMETIC:
            if other != op.kind:
                yield Variant("function", f"{other} instead of {op.kind}", op.compute(other, inputs))
    if op.kind == "MatMul":
        for k, value in enumerate(inputs):
            if not op.is_constant(k) and value.ndim > 1 and value.shape[-1] == value.shape[-2]:
                turned = np.ascontiguousarray(value.swapaxes(-1, -2))
                yield Variant("axis", f"operand {k} transposed", op.again({k: turned}))


def _broadcast(op: NodeScene) -> Variants:
    for k in (0, 1):
        value = op.x(k)
        if value is None or value.size < 2 or value.size == op.y.size or max(value.shape) != value.size:
            continue
        own = op.y.ndim - value.ndim + int(np.argmax(value.shape))
        for axis, size in enumerate(op.y.shape):
            if size == value.size and axis != own:
                shape = [1] * op.y.ndim
                shape[axis] = size
                words = f"operand {k} along axis {axis} instead of {own}"
                yield Variant("axis", words, op.again({k: value.reshape(shape)}))


def moved(op: NodeScene) -> Variants:
    """Transposes, reshapes and depth to space in another way."""
    x = op.x(0)
    if x is None:
        return
    if op.kind == "Transpose":
        yield from _transposed(op, x)
    if op.kind in ("Reshape", "Flatten", "Squeeze"):
        for words, value in _flattened(x):
            yield Variant("axis", words, value, reshaped=True)
        for words, value in _unflattened(x, op.y):
            yield Variant("axis", words, value)
    if op.kind == "DepthToSpace":
        mode = "CRD" if op.attribute("mode", "DCR") == "DCR" else "DCR"
        yield Variant("axis", f"mode {mode}", op.again(mode=mode))


def cut(op: NodeScene) -> Variants:
    """Splits, slices, gathers and pads of another part."""
    x = op.x(0)
    if op.kind in ("Split", "Gather", "Slice") and x is not None:
        yield from _parts(op, x)
    if op.kind == "Pad":
        yield from _pad(op)


def _transposed(op: NodeScene, x: Array) -> Variants:
    now = list(op.attribute("perm") or range(x.ndim)[::-1])
    for order in itertools.islice(itertools.permutations(range(x.ndim)), MOST_ORDERS):
        if list(order) != now:
            words = f"perm {listed(list(order))} instead of {listed(now)}"
            yield Variant("axis", words, np.ascontiguousarray(x.transpose(order)), reshaped=True)


def _flattened(x: Array) -> Iterator[tuple[str, Array]]:
    if x.ndim == 4:
        yield "the map flattened in NHWC order", x.transpose(0, 2, 3, 1)
        yield "the map flattened with height and width exchanged", x.transpose(0, 1, 3, 2)
    if x.ndim == 3:
        yield "the last two axes exchanged before", x.transpose(0, 2, 1)


def _unflattened(x: Array, y: Array) -> Iterator[tuple[str, Array]]:
    if y.ndim == 4:
        n, c, h, w = y.shape
        yield "the result taken as NHWC", np.ascontiguousarray(x.reshape(n, h, w, c).transpose(0, 3, 1, 2))
    if y.ndim == 3:
        n, a, b = y.shape
        yield "the last two axes of the result exchanged", np.ascontiguousarray(x.reshape(n, b, a).transpose(0, 2, 1))


def _parts(op: NodeScene, x: Array) -> Variants:
    if op.kind == "Split":
        for name in op.node.output:
            value = op.bench.array(name)
            if name and name != op.output and value is not None:
                yield Variant("axis", f"another piece of the split ({name})", value)
    elif op.kind == "Slice" and len(op.node.input) > 2 and op.is_constant(1):
        for shift in (-1, 1):
            starts, ends = op.given(1) + shift, op.given(2) + shift
            if (starts >= 0).all():
                yield Variant("axis", f"the slice {shift:+d} of its start", op.again({1: starts, 2: ends}))
        yield Variant(
            "axis", "the start of the slice ignored", op.again({1: op.given(1) * 0, 2: op.given(2) - op.given(1)})
        )
    elif op.kind == "Gather" and op.is_constant(1):
        for shift in (-1, 1):
            index = (op.given(1) + shift) % x.shape[int(op.attribute("axis", 0))]
            yield Variant("axis", f"indices {shift:+d}", op.again({1: index.astype(op.given(1).dtype)}))


def _pad(op: NodeScene) -> Variants:
    now = op.attribute("mode", "constant")
    for mode in ("constant", "edge", "reflect"):
        if mode != now:
            yield Variant("padding", f"mode {mode} instead of {now}", op.again(mode=mode))
    if len(op.node.input) > 1 and op.is_constant(1):
        pads = op.given(1)
        half = len(pads) // 2
        turned = np.concatenate([pads[half:], pads[:half]])
        yield Variant("padding", "pads at the other ends", op.again({1: turned}))
    value = op.x(2)
    if value is not None and value.size == 1 and value.any():
        yield Variant("padding", "padded with 0", op.again({2: np.zeros_like(value)}))
