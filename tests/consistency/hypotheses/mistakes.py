"""Small networks with one mistake each, and the kinds and words that name it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, helper

from tests.consistency.hypotheses import mutations as m
from tests.consistency.hypotheses.mutations import Array, Change

IMAGE, MAP, ROWS = (1, 3, 12, 12), (1, 8, 12, 12), (4, 16)
node = helper.make_node


@dataclass(frozen=True)
class Mistake:
    """A network, what is wrong in it, and the kinds that name it; `words` stand in the evidence."""

    model: onnx.ModelProto
    change: Change
    kinds: tuple[str, ...]
    words: str
    shape: tuple[int, ...] = MAP


def convolutions(**attributes: Any) -> onnx.ModelProto:
    given = {"pads": [1, 1, 1, 1], **attributes}
    nodes = [
        node("Conv", ["x", "w0", "b0"], ["c0"], "first", pads=[1, 1, 1, 1]),
        node("Relu", ["c0"], ["r0"], "relu0"),
        node("Conv", ["r0", "w1", "b1"], ["c1"], "op", **{k: v for k, v in given.items() if v is not None}),
        node("Relu", ["c1"], ["r1"], "relu1"),
        node("GlobalAveragePool", ["r1"], ["y"], "pool"),
    ]
    weights = {
        "w0": m.values(8, 3, 3, 3, seed=1, scale=0.3),
        "b0": m.values(8, seed=2),
        "w1": m.values(8, 8 // given.get("group", 1), 3, 3, seed=3, scale=0.2),
        "b1": m.values(8, seed=4),
    }
    return m.network(nodes, IMAGE, "y", **weights)


def one(*nodes: NodeProto, shape: Sequence[int] = MAP, **weights: Any) -> onnx.ModelProto:
    """Nodes from `r` to `o`, with something before and behind them."""
    around = [node("Relu", ["x"], ["r"], "before"), *nodes, node("Abs", ["o"], ["y"], "behind")]
    return m.network(around, shape, "y", **weights)


def conv(change: Change, kind: str, words: str, **attributes: Any) -> Mistake:
    return Mistake(convolutions(**attributes), change, (kind,), words, IMAGE)


def fewer_bits(w: Array) -> Array:
    if w.dtype.kind == "i":
        return w // 16 * 16
    step = np.abs(w).max() / 7
    return np.rint(w / step) * step


NORM = {"g": m.values(12, seed=1), "b": m.values(12, seed=2)}
BATCH = {**{name: m.values(8, seed=k) for k, name in enumerate("gbm")}, "v": np.abs(m.values(8, seed=4)) * 0.01}
SIZES = {"sizes": np.array([1, 1, 2, 2], np.float32)}
GEMM = {"w": m.values(16, 16, seed=3), "b": m.values(16, seed=5)}

# Mistakes that a quantized network has, too.
BOTH = {
    "kernel flipped": conv(m.weight("w1", lambda w: w[:, :, ::-1, ::-1]), "weight_order", "kernel flipped"),
    "channels exchanged": conv(m.weight("w1", lambda w: w.swapaxes(0, 1)), "weight_order", "channels exchanged"),
    "weights stored OHWI": conv(
        m.weight("w1", lambda w: w.transpose(0, 2, 3, 1).reshape(w.shape)), "weight_order", "stored OHWI"
    ),
    "kernel transposed": conv(m.weight("w1", lambda w: w.swapaxes(2, 3)), "weight_order", "kernel transposed"),
    "no bias": conv(m.weight("b1", lambda b: b * 0), "bias", "the bias left out"),
    "weights of 4 bits": conv(m.weight("w1", fewer_bits), "weight_bits", "4 bits"),
    "SAME_LOWER": conv(
        m.attributes("op", auto_pad="SAME_LOWER"),
        "padding",
        "SAME_LOWER instead of SAME_UPPER",
        auto_pad="SAME_UPPER",
        pads=None,
        strides=[2, 2],
    ),
    "pads moved": conv(m.attributes("op", pads=[0, 0, 2, 2]), "padding", "0 0 2 2 instead of 1 1 1 1", strides=[2, 2]),
    "no dilation": conv(
        m.attributes("op", pads=[1, 1, 1, 1], dilations=[1, 1]),
        "window",
        "dilations ignored",
        pads=[2, 2, 2, 2],
        dilations=[2, 2],
    ),
    "softmax axis": Mistake(
        one(node("Softmax", ["r"], ["o"], "op", axis=-1)), m.attributes("op", axis=1), ("axis",), "axis 1 instead of 3"
    ),
    "no softmax": Mistake(
        one(node("Softmax", ["r"], ["o"], "op", axis=1)), m.kind("op", "Identity"), ("skipped_op",), "left out"
    ),
    "epsilon of a layer norm": Mistake(
        one(node("LayerNormalization", ["r", "g", "b"], ["o"], "op", epsilon=1e-5), **NORM),
        m.attributes("op", epsilon=1e-3),
        ("epsilon",),
        "epsilon 0.001 instead of 1e-05",
    ),
    "epsilon of a batch norm": Mistake(
        one(node("BatchNormalization", ["r", *"gbmv"], ["o"], "op", epsilon=1e-5), **BATCH),
        m.attributes("op", epsilon=1e-3),
        ("epsilon",),
        "epsilon 0.001 instead of 1e-05",
    ),
    "transB ignored": Mistake(
        one(node("Gemm", ["r", "w", "b"], ["o"], "op", transB=1), shape=ROWS, **GEMM),
        m.attributes("op", transB=0),
        ("weight_order",),
        "transposed",
        ROWS,
    ),
    "flattened NHWC": Mistake(
        one(
            node("Flatten", ["r"], ["f"], "flat"),
            node("Gemm", ["f", "w", "b"], ["o"], "op"),
            shape=(2, 8, 4, 4),
            w=m.values(128, 16, seed=3),
            b=m.values(16, seed=5),
        ),
        m.weight("w", lambda w: w.reshape(8, 16, 16).transpose(1, 0, 2).reshape(128, 16)),
        ("axis",),
        "flattened NHWC",
        (2, 8, 4, 4),
    ),
}
FLOAT = {
    "no Relu": conv(m.kind("relu1", "Identity"), "activation", "Relu left out"),
    "a leaky Relu": conv(m.kind("relu1", "LeakyRelu", alpha=0.1), "activation", "LeakyRelu of 0.1"),
    "concat order": Mistake(
        one(node("Sigmoid", ["r"], ["s"], "s"), node("Concat", ["r", "s"], ["o"], "op", axis=1)),
        m.inputs("op", lambda names: names[::-1]),
        ("axis",),
        "operands in the order 1 0",
    ),
    "sum for mean": Mistake(
        one(node("ReduceMean", ["r", "axes"], ["o"], "op", keepdims=1), axes=np.array([2, 3])),
        m.kind("op", "ReduceSum", keepdims=1),
        ("function",),
        "ReduceSum instead of ReduceMean",
    ),
    "transpose": Mistake(
        one(node("Transpose", ["r"], ["o"], "op", perm=[0, 2, 3, 1])),
        m.attributes("op", perm=[0, 3, 2, 1]),
        ("axis",),
        "perm 0 3 2 1 instead of 0 2 3 1",
    ),
    "align_corners": Mistake(
        one(node("Resize", ["r", "", "sizes"], ["o"], "op", mode="linear"), **SIZES),
        m.attributes("op", coordinate_transformation_mode="align_corners"),
        ("resampling",),
        "align_corners instead of half_pixel",
    ),
    "scale of a norm": Mistake(
        one(node("LayerNormalization", ["r", "g", "b"], ["o"], "op"), **NORM),
        m.weight("g", lambda g: g * 0 + 1),
        ("normalization",),
        "its scale left out",
    ),
    "slope": Mistake(
        one(
            node("Sub", ["r", "half"], ["t"], "minus"),
            node("LeakyRelu", ["t"], ["o"], "op", alpha=0.1),
            half=np.array(0.5, np.float32),
        ),
        m.attributes("op", alpha=0.2),
        ("parameter",),
        "alpha 0.2",
    ),
    "hard sigmoid": Mistake(
        one(node("HardSigmoid", ["r"], ["o"], "op", alpha=1 / 6)),
        m.attributes("op", alpha=0.2),
        ("parameter",),
        "alpha 0.2",
    ),
    "count_include_pad": Mistake(
        one(node("AveragePool", ["r"], ["o"], "op", kernel_shape=[3, 3], pads=[1, 1, 1, 1])),
        m.attributes("op", count_include_pad=1),
        ("padding",),
        "count_include_pad 1",
    ),
}
