"""Quantized arithmetic: zero points ignored, scales of another tensor, sums that overflow, other roundings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from harness.consistency.hypotheses.bench import DEQUANTIZE, QUANTIZE, NodeScene, stored_integers
from harness.consistency.hypotheses.variant import Variant, Variants
from harness.consistency.hypotheses.weights import INTEGER_PLACES, weights_of
from harness.consistency.reading.tensor_files import Array

WIDTHS = (16, 24, 18, 20)  # bits of an accumulator
ZEROS = {  # inputs of integer ops that hold zero points: of operands, then of the result
    "QLinearConv": (2, 5, 7),
    "QLinearMatMul": (2, 5, 7),
    "QLinearAdd": (2, 5, 7),
    "QLinearMul": (2, 5, 7),
    "QGemm": (2, 5, 8),
    "QLinearSigmoid": (2, 4),
    "QLinearLeakyRelu": (2, 4),
    "QLinearAveragePool": (2, 4),
    "QLinearGlobalAveragePool": (2, 4),
    "QLinearSoftmax": (2, 4),
}


def zero_points(op: NodeScene) -> Variants:
    """A zero point taken as 0."""
    places = (2,) if op.kind in (DEQUANTIZE, QUANTIZE) else ZEROS.get(op.kind, ())
    for at in places:
        zero = op.x(at)
        if zero is not None and zero.any():
            which = (
                f"of {op.node.input[max(0, at - 2)]}" if op.kind != QUANTIZE and at != places[-1] else "of its output"
            )
            which = which if op.kind != DEQUANTIZE else f"of its input {op.node.input[0]}"
            value = op.again({at: np.zeros_like(zero)})
            yield Variant("zero_point", f"the zero point {int(zero.reshape(-1)[0])} {which} ignored", value)


def other_scales(op: NodeScene) -> Variants:
    """Dequantized or quantized with scale and zero point of another tensor of the op."""
    if op.kind not in (DEQUANTIZE, QUANTIZE):
        yield from _exchanged(op)
        return
    mine = op.x(1)
    for scene in op.bench.scenes():
        if scene.kind in (DEQUANTIZE, QUANTIZE) and scene.index != op.index and mine is not None:
            scale, zero = scene.x(1), scene.x(2)
            if scale is None or scale.shape != mine.shape or np.array_equal(scale, mine):
                continue
            what = "its output" if op.kind == QUANTIZE else f"its input {op.node.input[0]}"
            whose = "the output" if scene.kind == QUANTIZE else f"input {scene.node.input[0]}"
            yield Variant("scale", f"{what} scaled as {whose} ({float(scale.reshape(-1)[0]):.6g} instead of "
                          f"{float(mine.reshape(-1)[0]):.6g})", _scaled(op, scale, zero))  # fmt: skip


def _scaled(op: NodeScene, scale: Array, zero: Array | None) -> Array | None:
    own = op.x(2)
    fits = zero is not None and own is not None and zero.dtype == own.dtype and zero.shape == own.shape
    return op.again({1: scale, 2: zero}) if fits else op.again({1: scale})


def _exchanged(op: NodeScene) -> Variants:
    """Scale and zero point of one operand of an integer op used for the other, or for both."""
    if op.kind not in ("QLinearAdd", "QLinearMul", "QLinearMatMul"):
        return
    first = {1: op.x(1), 2: op.x(2)}
    second = {1: op.x(4), 2: op.x(5)}
    both = {"the scale of the second operand for the first": second}
    for words, taken in both.items():
        yield Variant("scale", words, op.again(taken))
    yield Variant("scale", "the scale of the first operand for the second", op.again({4: first[1], 5: first[2]}))
    yield Variant("scale", "the scales of the operands exchanged", op.again({**second, 4: first[1], 5: first[2]}))


# --------------------------------------------------------------------------- sums


@dataclass(frozen=True)
class IntegerSums:
    """The integer sums of an op: what it gives is `finish(sums)`."""

    values: Array
    finish: Callable[[Array], Array]


def _sums(op: NodeScene) -> IntegerSums | None:
    if op.kind in INTEGER_PLACES:
        return _sums_of_integers(op)
    w, x = weights_of(op), stored_integers(op, 0)
    if w is None or x is None or not w.is_integer or x.scales.size != 1 or w.at == 0:
        return None
    step = float(x.scales.reshape(-1)[0]) * _by_output(w.scales.astype(np.float64), op)
    return IntegerSums(np.rint(op.y / step), lambda sums: (sums * step).astype(op.y.dtype))


def _by_output(values: Array, op: NodeScene) -> Array:
    flat = values.reshape(-1)
    axis = 1 if "Conv" in op.kind else op.y.ndim - 1
    return flat.reshape([-1 if k == axis else 1 for k in range(op.y.ndim)]) if flat.size > 1 else flat


def _sums_of_integers(op: NodeScene) -> IntegerSums | None:
    w = weights_of(op)
    if w is None or op.kind == "QGemm":
        return None
    x = (op.given(0).astype(np.float32) - op.given(2).astype(np.float32)).astype(np.float32)
    real = (w.stored.astype(np.float32) - w.zeros.astype(np.float32)).astype(np.float32)
    bias = op.x(8) if op.kind == "QLinearConv" else None
    if op.kind == "QLinearConv":
        names = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
        kept = {name: op.attribute(name) for name in names if op.attribute(name) is not None}
        inputs = [x, real] if bias is None else [x, real, bias.astype(np.float32)]
        given = op.compute("Conv", inputs, **kept)
    else:
        given = op.compute("MatMul", [x, real])
    if given is None:
        return None
    out_scale, out_zero = op.given(6), op.given(7)
    step = (
        float(op.given(1).reshape(-1)[0])
        * _by_output(w.scales.astype(np.float64), op)
        / float(out_scale.reshape(-1)[0])
    )
    info = np.iinfo(op.y.dtype)
    zero = int(out_zero.reshape(-1)[0])
    return IntegerSums(
        np.rint(given), lambda s: np.clip(np.rint(s * step) + zero, info.min, info.max).astype(op.y.dtype)
    )


def accumulators(op: NodeScene) -> Variants:
    """IntegerSums of fewer bits: wrapped, or cut at the ends."""
    sums = _sums(op)
    if sums is None:
        return
    for bits in WIDTHS:
        half = float(1 << (bits - 1))
        if np.abs(sums.values).max(initial=0) >= half:
            wrapped = np.mod(sums.values + half, 2 * half) - half
            yield Variant("accumulator", f"sums that wrap at {bits} bits", sums.finish(wrapped))
            cut = np.clip(sums.values, -half, half - 1)
            yield Variant("accumulator", f"sums that saturate at {bits} bits", sums.finish(cut))
    for bits in (4, 8):
        cut = np.floor(sums.values / 2**bits) * 2**bits
        yield Variant("accumulator", f"sums without their lowest {bits} bits", sums.finish(cut))


def roundings(op: NodeScene) -> Variants:
    """A quantizer that rounds in another way."""
    if op.kind != QUANTIZE or op.given(1).size != 1:
        return
    steps = op.given(0).astype(np.float32) / op.given(1).astype(np.float32)
    zero = int(op.given(2).reshape(-1)[0]) if op.x(2) is not None else 0
    info = np.iinfo(op.y.dtype)
    for kind, words, rounded in _rounded(steps):
        yield Variant(kind, words, np.clip(rounded + zero, info.min, info.max).astype(op.y.dtype))
    other = np.int8 if op.y.dtype == np.uint8 else np.uint8
    if op.y.dtype.itemsize == 1:
        kept = np.iinfo(other)
        low, high = max(info.min, kept.min), min(info.max, kept.max)
        words = f"results cut to {low} to {high}"
        yield Variant("saturation", words, np.clip(op.y.astype(np.int64), low, high).astype(op.y.dtype))


def _rounded(steps: Array) -> Iterator[tuple[str, str, Array]]:
    yield "truncation", "results rounded down", np.floor(steps)
    yield "truncation", "results rounded towards zero", np.trunc(steps)
    yield "rounding", "halves rounded up", np.floor(steps + np.float32(0.5))
    yield "rounding", "halves rounded away from zero", np.trunc(steps + np.copysign(np.float32(0.5), steps))
