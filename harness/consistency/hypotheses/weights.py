"""Weights in another order, of fewer bits, with other scales; biases left out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.consistency.hypotheses.bench import NodeScene, stored_integers
from harness.consistency.hypotheses.variant import Variant, Variants
from harness.consistency.reading.tensor_files import Array

# Inputs that hold weights and bias; of ops on integers the next two inputs are scale and zero point of the weights.
PLACES = {"Conv": (1, 2), "ConvTranspose": (1, 2), "Gemm": (1, 2), "MatMul": (1, -1), "ConvInteger": (1, -1)}
INTEGER_PLACES = {"QLinearConv": (3, 8), "QLinearMatMul": (3, -1), "QGemm": (3, 6)}
FEWER_BITS = (8, 7, 6, 5, 4, 3, 2)


@dataclass(frozen=True)
class Weights:
    """Weights as they are stored: real = (stored - zeros) * scales; floats have the scale 1."""

    op: NodeScene
    at: int
    stored: Array
    scales: Array
    zeros: Array
    outputs: int  # axis of the output channels

    @property
    def is_integer(self) -> bool:
        """Whether they are quantized."""
        return self.stored.dtype.kind in "iu"

    @property
    def real(self) -> Array:
        """What they stand for."""
        return self.to_real(self.stored, self.scales)

    def to_real(self, stored: Array, scales: Array, zeros: Array | None = None) -> Array:
        """Other stored weights as real values, float32."""
        if not self.is_integer:
            return stored
        zero = self.zeros if zeros is None else zeros
        return np.asarray((stored.astype(np.float32) - zero.astype(np.float32)) * scales, np.float32)

    def put(self, stored: Array, scales: Array | None = None, zeros: Array | None = None) -> Array | None:
        """What the op gives with other stored weights."""
        if self.op.kind not in INTEGER_PLACES:
            real = self.to_real(stored, self.scales if scales is None else scales, zeros)
            return self.op.again({self.at: np.ascontiguousarray(real.astype(self.op.given(self.at).dtype))})
        inputs: dict[int, Array | None] = {self.at: np.ascontiguousarray(stored.astype(self.stored.dtype))}
        if scales is not None:
            inputs[self.at + 1] = _like(scales, self.op.given(self.at + 1))
        if zeros is not None:
            inputs[self.at + 2] = _like(zeros, self.op.given(self.at + 2))
        return self.op.again(inputs)


def _like(values: Array, place: Array) -> Array:
    return np.asarray(np.broadcast_to(values.reshape(-1), place.shape), place.dtype)


def weights_of(op: NodeScene) -> Weights | None:
    """The constant weights of an op; None for an op without."""
    places = PLACES.get(op.kind) or INTEGER_PLACES.get(op.kind)
    if places is None:
        return None
    at = places[0]
    if op.kind == "MatMul" and not op.is_constant(1):
        at = 0
    if not op.is_constant(at) or op.given(at).ndim < 2:
        return None
    value = op.given(at)
    outputs = {"Conv": 0, "QLinearConv": 0, "ConvInteger": 0, "ConvTranspose": 1}.get(op.kind, value.ndim - 1)
    if op.kind in ("Gemm", "QGemm") and op.attribute("transB", 0):
        outputs = 0
    one = np.ones((1,) * value.ndim, np.float32)
    if op.kind in INTEGER_PLACES:
        shape = [1] * value.ndim
        shape[outputs] = -1
        scales, zeros = (op.given(at + k).reshape(shape) for k in (1, 2))
        return Weights(op, at, value, scales, zeros, outputs)
    stored = stored_integers(op, at)
    if stored is not None and stored.values.shape == value.shape:
        return Weights(op, at, stored.values, stored.scales, stored.zeros, outputs)
    return Weights(op, at, value, one, np.zeros_like(one), outputs)


def orders(op: NodeScene) -> Variants:
    """Weights transposed, flipped, or laid out for another op."""
    w = weights_of(op)
    if w is None:
        return
    seen = {w.stored.tobytes()}
    for words, stored in _turned(w.stored):
        if stored.shape == w.stored.shape and (key := np.ascontiguousarray(stored).tobytes()) not in seen:
            seen.add(key)
            yield Variant("weight_order", words, w.put(stored))
    if w.is_integer and w.scales.size > 1 and op.kind not in INTEGER_PLACES:
        for words, real in _turned(w.real):
            if real.shape == w.stored.shape:
                value = op.again({w.at: np.ascontiguousarray(real)})
                yield Variant("weight_order", f"{words}, their scales with them", value)


def _turned(w: Array) -> Iterator[tuple[str, Array]]:
    if w.ndim == 2:
        yield "the weights transposed", w.T
        yield "the weights' memory read as transposed", np.ascontiguousarray(w.T).reshape(w.shape)
        yield "the weights' memory read as transposed (the other way)", w.reshape(w.shape[::-1]).T
        yield "the weights' rows in reverse order", w[::-1]
        return
    spatial = tuple(range(2, w.ndim))
    yield "the kernel flipped", np.flip(w, spatial)
    for axis in spatial if len(spatial) > 1 else ():
        yield f"the kernel flipped along {'height' if axis == w.ndim - 2 else 'width'}", np.flip(w, axis)
    if w.ndim == 4:
        yield "the kernel transposed (height and width exchanged)", w.swapaxes(2, 3)
    yield "the weights' input and output channels exchanged", w.swapaxes(0, 1)
    yield "the weights' input channels in reverse order", w[:, ::-1]
    yield "the weights' output channels in reverse order", w[::-1]
    yield from _relaid(w)


def _relaid(w: Array) -> Iterator[tuple[str, Array]]:
    names = "OIHW" if w.ndim == 4 else "OIDHW" if w.ndim == 5 else "OIW"
    last = "O" + names[2:] + "I"
    first = names[2:] + "IO"
    for other in dict.fromkeys((last, first, "IO" + names[2:])):
        if len(other) != w.ndim:
            continue
        order = [names.index(axis) for axis in other]
        yield f"the weights stored {other} and read {names}", w.transpose(order).reshape(w.shape)
        back = np.argsort(order)
        yield f"the weights stored {names} and read {other}", w.reshape([w.shape[a] for a in order]).transpose(back)


def features(op: NodeScene) -> Variants:
    """The features of a flattened map in another order than the weights' rows."""
    w = weights_of(op)
    x = op.x(0)
    if w is None or x is None or w.stored.ndim != 2 or w.at == 0 or x.ndim < 2:
        return
    k = x.shape[-1]
    for channels in [d for d in range(2, min(k, 4096)) if k % d == 0 and d < k][:24]:
        turned = x.reshape(*x.shape[:-1], channels, k // channels).swapaxes(-1, -2).reshape(x.shape)
        words = f"its {k} inputs read as {channels} x {k // channels} in the other order (flattened NHWC, not NCHW)"
        yield Variant("axis", words, op.again({0: np.ascontiguousarray(turned)}))


def bits(op: NodeScene) -> Variants:
    """Weights rounded to fewer bits, or cut."""
    w = weights_of(op)
    if w is None or w.stored.dtype.kind not in "fiu":
        return
    for bit_count in FEWER_BITS[1:] if w.is_integer else FEWER_BITS:
        for words, value in _of_fewer_bits(w, bit_count):
            yield Variant("weight_bits", words, value)
    if w.stored.dtype == np.float32:
        half = w.stored.astype(np.float16).astype(np.float32)
        yield Variant("precision", "the weights rounded to float16", w.put(half))
        yield Variant("precision", "the weights rounded to bfloat16", w.put(as_bfloat16(w.stored)))


def as_bfloat16(values: Array) -> Array:
    """float32 rounded to the nearest bfloat16, ties to even."""
    raw = np.ascontiguousarray(values).view(np.uint32)
    return np.asarray(((raw + 0x7FFF + ((raw >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32))


def _of_fewer_bits(w: Weights, bit_count: int) -> Iterator[tuple[str, Array | None]]:
    others = tuple(axis for axis in range(w.stored.ndim) if axis != w.outputs)
    real = w.real
    if w.op.kind not in INTEGER_PLACES:
        for words, axes in (("per channel", others), ("per tensor", None)):
            top = np.abs(real).max(axis=axes, keepdims=True) / (2 ** (bit_count - 1) - 1)
            step = np.where(top > 0, top, 1).astype(np.float32)
            rounded = (np.rint(real / step) * step).astype(np.float32)
            yield f"weights of {bit_count} bits {words}", w.op.again({w.at: rounded})
    if w.is_integer and w.stored.dtype.itemsize == 1:
        lost = 8 - bit_count
        yield f"only the upper {bit_count} bits of the weights", w.put((w.stored >> lost) << lost)
        steps = np.rint(w.stored.astype(np.float32) / 2**lost) * 2**lost
        info = np.iinfo(w.stored.dtype)
        yield f"weights rounded to {bit_count} bits", w.put(np.clip(steps, info.min, info.max))
        limit = 2 ** (bit_count - 1)
        yield f"weights clipped to {bit_count} bits", w.put(np.clip(w.stored, -limit, limit - 1))


def scales(op: NodeScene) -> Variants:
    """Weights dequantized with other scales or without their zero points."""
    w = weights_of(op)
    if w is None or not w.is_integer:
        return
    if w.zeros.any():
        yield Variant("weight_scale", "the weights' zero point ignored", w.put(w.stored, zeros=np.zeros_like(w.zeros)))
    if w.scales.size < 2 or np.ptp(w.scales) == 0:
        return
    flat = w.scales.reshape(-1)
    named = [("channel 0", flat[0]), ("the last channel", flat[-1]), ("the largest channel", flat.max())]
    for words, one in [*named, ("the mean of all channels", flat.mean(dtype=np.float64))]:
        every = np.full_like(w.scales, one)
        yield Variant("weight_scale", f"the weight scale of {words} for all channels", w.put(w.stored, every))
    for words, order in (("in reverse order", flat[::-1]), ("one channel on", np.roll(flat, 1)),
                         ("one channel back", np.roll(flat, -1))):  # fmt: skip
        yield Variant("weight_scale", f"the weight scales {words}", w.put(w.stored, order.reshape(w.scales.shape)))
    if op.kind not in INTEGER_PLACES:
        step = np.abs(w.real).max() / 127
        one_step = np.clip(np.rint(w.real / step), -128, 127) * step
        words = "one weight scale per tensor instead of one per channel"
        yield Variant("weight_scale", words, op.again({w.at: one_step.astype(np.float32)}))


def biases(op: NodeScene) -> Variants:
    """The bias left out, added twice, negative, cut."""
    at = (PLACES.get(op.kind) or INTEGER_PLACES.get(op.kind) or (-1, -1))[1]
    if at >= 0 and op.is_constant(at) and op.given(at).size:
        bias = op.given(at)
        for words, value in _other_biases(bias, op, at):
            yield Variant("bias", words, op.again({at: np.asarray(value, bias.dtype)}))
    elif op.kind == "Add" and any(op.is_constant(k) and op.given(k).size > 1 for k in (0, 1)):
        constant = 0 if op.is_constant(0) else 1
        bias = op.given(constant)
        for words, value in _other_biases(bias, op, constant):
            yield Variant("bias", words, op.again({constant: np.asarray(value, bias.dtype)}))


def _other_biases(bias: Array, op: NodeScene, at: int) -> Iterator[tuple[str, Array]]:
    yield "the bias left out", np.zeros_like(bias)
    yield "the bias added twice", bias * 2
    yield "the bias of the other sign", -bias
    if bias.size > 1:
        yield "the bias of channel 0 for all channels", np.full_like(bias, bias.reshape(-1)[0])
        yield "the biases in reverse order", np.flip(bias)
    stored = stored_integers(op, at)
    whole = stored.values if stored is not None else bias if bias.dtype == np.int32 else None
    if whole is None:
        return
    scale = stored.scales if stored is not None else 1
    for bit_count in (8, 16):
        half = 1 << (bit_count - 1)
        yield f"the bias cut to {bit_count} bits (saturated)", np.clip(whole, -half, half - 1) * scale
        yield (
            f"the bias cut to {bit_count} bits (wrapped)",
            ((whole.astype(np.int64) + half) % (2 * half) - half) * scale,
        )


RECURRENT = {"LSTM": (4, "iofc"), "GRU": (3, "zrh")}


def gates(op: NodeScene) -> Variants:
    """Recurrent ops whose gates lie in another order."""
    if op.kind not in RECURRENT:
        return
    count, names = RECURRENT[op.kind]
    for order in itertools.permutations(range(count)):
        if list(order) != sorted(order):
            inputs = {at: _by_gate(op.given(at), order) for at in (1, 2, 3) if op.is_constant(at)}
            words = f"gates in the order {''.join(names[i] for i in order)} instead of {names}"
            yield Variant("weight_order", words, op.again(inputs))
    if op.kind == "GRU":
        other = 1 - int(op.attribute("linear_before_reset", 0))
        yield Variant("function", f"linear_before_reset {other}", op.again(linear_before_reset=other))


def _by_gate(values: Array, order: tuple[int, ...]) -> Array:
    """Pieces of axis 1 in another order; a bias holds two sets of them."""
    pieces = np.split(values, len(order) * (2 if values.ndim == 2 else 1), axis=1)
    sets = [pieces[i : i + len(order)] for i in range(0, len(pieces), len(order))]
    return np.concatenate([one[i] for one in sets for i in order], axis=1)
