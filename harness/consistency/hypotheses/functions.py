"""Activations and other functions of each element: left out, approximated, or with another parameter."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from harness.consistency.hypotheses.bench import DEQUANTIZE, QUANTIZE, NodeScene
from harness.consistency.hypotheses.variant import Variant, Variants
from harness.consistency.reading.tensor_files import Array

Function = Callable[[Array], Array]
ACTIVATIONS = frozenset(
    ("Relu", "Clip", "LeakyRelu", "PRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Elu", "Selu", "Celu")
    + ("Mish", "Softplus", "Softsign", "Gelu", "ThresholdedRelu", "Swish")
)
SLOPES = (0.01, 0.1, 0.2, 0.125, 0.25, 0.3, 0.05, 0.02, 26 / 256)


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x), without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


def hard_sigmoid(x: Array, alpha: float, beta: float = 0.5) -> Array:
    """Straight between 0 and 1."""
    return np.clip(alpha * x + beta, 0, 1)


def gelu_tanh(x: Array) -> Array:
    """GELU by tanh."""
    return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))


def _leaky(alpha: float) -> Function:
    return lambda x: np.where(x < 0, alpha * x, x)


# What may be computed in place of an activation, or of none.
FUNCTIONS: dict[str, Function] = {
    "Relu": lambda x: np.maximum(x, 0),
    "Relu6": lambda x: np.clip(x, 0, 6),
    "LeakyRelu of 0.01": _leaky(0.01),
    "LeakyRelu of 0.1": _leaky(0.1),
    "LeakyRelu of 0.2": _leaky(0.2),
    "Sigmoid": sigmoid,
    "HardSigmoid (x / 6 + 0.5)": lambda x: hard_sigmoid(x, 1 / 6),
    "HardSigmoid (0.2 x + 0.5)": lambda x: hard_sigmoid(x, 0.2),
    "Tanh": np.tanh,
    "a clip to -1 to 1": lambda x: np.clip(x, -1, 1),
    "SiLU (x sigmoid(x))": lambda x: x * sigmoid(x),
    "HardSwish": lambda x: x * hard_sigmoid(x, 1 / 6),
    "HardSwish with 0.2 x": lambda x: x * hard_sigmoid(x, 0.2),
    "GELU by tanh": gelu_tanh,
    "GELU by sigmoid(1.702 x)": lambda x: x * sigmoid(1.702 * x),
    "Elu": lambda x: np.where(x < 0, np.expm1(np.minimum(x, 0)), x),
    "Softplus": lambda x: np.logaddexp(0, x),
}
ROUNDINGS: dict[str, Function] = {
    "Round": np.rint,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "rounding towards zero": np.trunc,
    "rounding halves away from zero": lambda x: np.trunc(x + np.copysign(0.5, x)),
}
ADDED = (
    "Relu",
    "Relu6",
    "LeakyRelu of 0.1",
    "LeakyRelu of 0.01",
    "Sigmoid",
    "Tanh",
    "SiLU (x sigmoid(x))",
    "HardSwish",
)


def activations(op: NodeScene) -> Variants:
    """Left out, or another one in its place."""
    if op.kind not in ACTIVATIONS:
        return
    x = op.given(0)
    yield Variant("activation", f"{op.kind} left out", x)
    if x.dtype.kind != "f":
        return
    wide = x.astype(np.float64)
    for name, function in FUNCTIONS.items():
        if name.startswith(op.kind) and op.kind != "Relu":
            continue  # told with its parameter
        kind = "function" if _alike(name, op.kind) else "activation"
        yield Variant(kind, f"{name} instead of {op.kind}", function(wide).astype(op.y.dtype))
    yield from _parameters(op, wide)


# One function, exact and approximated.
_FAMILIES = (("Sigmoid", "HardSigmoid"), ("SiLU", "HardSwish", "Swish"), ("GELU", "Gelu"), ("Tanh", "a clip to -1"))


def _alike(name: str, kind: str) -> bool:
    return any(name.startswith(family) and kind.startswith(family) for family in _FAMILIES)


def _parameters(op: NodeScene, x: Array) -> Variants:
    for words, value in _other_parameters(op, x):
        yield Variant("parameter", words, value.astype(op.y.dtype))


def _other_parameters(op: NodeScene, x: Array) -> Iterator[tuple[str, Array]]:
    if op.kind == "LeakyRelu":
        for alpha in SLOPES:
            yield f"alpha {alpha:.4g}", _leaky(alpha)(x)
    elif op.kind == "PRelu":
        slopes = op.given(1)
        yield "the slope of channel 0 for all channels", np.where(x < 0, slopes.reshape(-1)[0] * x, x)
        yield "the mean slope for all channels", np.where(x < 0, slopes.mean() * x, x)
    elif op.kind == "Clip":
        yield from _clips(op, x)
    elif op.kind in ("Elu", "Celu"):
        for alpha in (1.0, 0.1, 0.2, 0.5, 1.67326):
            yield f"alpha {alpha:g}", np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)
    elif op.kind == "HardSwish":
        yield "0.2 x + 0.5 instead of x / 6 + 0.5", FUNCTIONS["HardSwish with 0.2 x"](x)
    elif op.kind == "HardSigmoid":
        for alpha in (0.2, 1 / 6, 0.25, 0.5):
            yield f"alpha {alpha:.4g}, beta 0.5", hard_sigmoid(x, alpha)


def _clips(op: NodeScene, x: Array) -> Iterator[tuple[str, Array]]:
    low, high = (op.attribute(name) for name in ("min", "max"))
    low = low if op.x(1) is None else float(op.given(1))
    high = high if op.x(2) is None else float(op.given(2))
    if low is not None:
        yield f"no lower limit of {low:g}", np.minimum(x, math.inf if high is None else high)
    if high is not None:
        yield f"no upper limit of {high:g}", np.maximum(x, -math.inf if low is None else low)
    for other in (1.0, 4.0, 6.0, 8.0, 20.0):
        if other != high:
            yield f"an upper limit of {other:g}", np.clip(x, -math.inf if low is None else low, other)


def added(op: NodeScene) -> Variants:
    """An activation where the reference has none."""
    if op.kind in ACTIVATIONS or not _is_last(op):
        return
    if op.y.dtype.kind == "f":
        wide = op.y.astype(np.float64)
        for name in ADDED:
            yield Variant("activation", f"{name} behind it", FUNCTIONS[name](wide).astype(op.y.dtype))
    elif op.y.dtype.itemsize == 1 and op.kind.startswith("QLinear"):
        zero = _output_zero(op)
        if zero is not None:
            yield Variant("activation", "Relu behind it", np.maximum(op.y, zero))


def _output_zero(op: NodeScene) -> Array | None:
    at = {"QLinearConv": 7, "QLinearMatMul": 7, "QLinearAdd": 7, "QLinearMul": 7}.get(op.kind)
    return None if at is None else op.x(at)


def _is_last(op: NodeScene) -> bool:
    """No other op than quantizers comes behind it."""
    behind = [node for node in op.bench.part.nodes[op.index + 1 :] if op.bench.moving & set(node.input)]
    return all(node.op_type in (QUANTIZE, DEQUANTIZE) for node in behind) and op.kind not in (QUANTIZE, DEQUANTIZE)


def formulas(op: NodeScene) -> Variants:
    """The exact form and its approximations, in an op or in the steps that it was taken apart into."""
    x = op.x(0)
    if x is None or x.dtype.kind != "f":
        return
    wide = x.astype(np.float64)
    for words, value in _formulas(op, wide):
        yield Variant("function", words, None if value is None else value.astype(op.y.dtype))


def _formulas(op: NodeScene, x: Array) -> Iterator[tuple[str, Array | None]]:
    root = math.sqrt(2.0)
    if op.kind == "Erf":
        yield "GELU by tanh instead of erf", gelu_gate(root * x)
        yield "GELU by sigmoid(1.702 x)", 2 * sigmoid(1.702 * root * x) - 1
    elif op.kind == "Tanh":
        error = op.compute("Erf", [(_undone(x) / root).astype(np.float32)])
        yield "GELU by erf instead of tanh", error
        yield "GELU by sigmoid(1.702 x) instead of tanh", 2 * sigmoid(1.702 * _undone(x)) - 1
    elif op.kind == "Sigmoid":
        yield from _of_gate(op, x)
    elif op.kind == "Gelu":
        now = op.attribute("approximate", "none")
        other = "tanh" if now == "none" else "none"
        yield f"approximate {other}", op.again(approximate=other)
    elif op.kind in ("Softmax", "LogSoftmax"):
        other = "LogSoftmax" if op.kind == "Softmax" else "Softmax"
        axis = int(op.attribute("axis", -1))
        yield f"{other} instead of {op.kind}", op.compute(other, [x.astype(np.float32)], axis=axis)
    elif op.kind in ROUNDINGS:
        for words, function in ROUNDINGS.items():
            if words != op.kind:
                yield f"{words} instead of {op.kind}", function(x)
    elif op.kind in ("Exp", "Log"):
        with np.errstate(all="ignore"):
            yield ("2^x", np.exp2(x)) if op.kind == "Exp" else ("the logarithm to base 2", np.log2(x))


def _of_gate(op: NodeScene, x: Array) -> Iterator[tuple[str, Array | None]]:
    """x sigmoid(k x) is SiLU, or GELU's approximation: what else may stand in the place of the sigmoid."""
    for words, inner in (("instead of sigmoid(1.702 x)", x / 1.702), ("instead of SiLU", x)):
        yield f"GELU by tanh {words}", 0.5 * (1 + gelu_gate(inner))
        error = op.compute("Erf", [(inner / math.sqrt(2)).astype(np.float32)])
        yield f"GELU by erf {words}", None if error is None else 0.5 * (1 + error)


def gelu_gate(x: Array) -> Array:
    """What stands for erf(x / sqrt 2) in GELU by tanh."""
    return np.asarray(np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _undone(v: Array) -> Array:
    """x of v = sqrt(2 / pi) (x + 0.044715 x^3): the real root of the cubic (Cardano)."""
    p, q = 1 / 0.044715, v / math.sqrt(2 / math.pi) / 0.044715
    root = np.sqrt(q**2 / 4 + p**3 / 27)
    return np.asarray(np.cbrt(q / 2 + root) + np.cbrt(q / 2 - root))
