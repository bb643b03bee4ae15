"""Mistakes in float networks: weights, attributes and ops that are wrong in the model that the board was built from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from benchmarks.foreign_parts.surgery import Mistake, Patient, attribute

WEIGHTED = ("Conv", "Gemm")
LEAST_PER_CHANNEL = 8  # elements a channel: of fewer, no offset can be told from a factor


def _weighted(p: Patient, *kinds: str) -> Iterator[tuple[onnx.NodeProto, NDArray[Any]]]:
    """Convolutions and the like with a channel that has enough elements."""
    for node in p.nodes(*(kinds or WEIGHTED)):
        weight, value = p.weight(node.input[1]), p.values[node.output[0]]
        if weight is not None and weight.ndim > 1 and value.ndim > 2 and value[0, 0].size >= LEAST_PER_CHANNEL:
            yield node, weight


def bias_dropped(p: Patient) -> Iterator[str]:
    for node, _ in _weighted(p):
        if len(node.input) > 2 and (bias := p.weight(node.input[2])) is not None:
            p.give(node, 2, np.zeros_like(bias))
            yield node.output[0]
            return


def bias_of_other_channels(p: Patient) -> Iterator[str]:
    for node, _ in _weighted(p):
        if len(node.input) > 2 and (bias := p.weight(node.input[2])) is not None and bias.size > 3:
            p.give(node, 2, np.roll(bias, 1))
            yield node.output[0]
            return


def matmul_bias_dropped(p: Patient) -> Iterator[str]:
    """The Add of a constant row behind a MatMul: the MatMul's bias."""
    for node in p.nodes("Add"):
        for at in (0, 1):
            bias, maker = p.weight(node.input[at]), p.producer(node.input[1 - at])
            if (
                bias is not None
                and bias.ndim == 1
                and bias.size > 3
                and maker is not None
                and maker.op_type == "MatMul"
            ):
                p.give(node, at, np.zeros_like(bias))
                yield node.output[0]
                return


def one_channel_weights(p: Patient) -> Iterator[str]:
    for node, weight in _weighted(p, "Conv"):
        channel = int(p.rng.integers(weight.shape[0]))
        changed = weight.copy()
        changed[channel] = p.rng.permutation(changed[channel].reshape(-1)).reshape(changed[channel].shape) * 1.5
        if weight[channel].size > 4 and weight.shape[0] > 3:
            p.give(node, 1, changed)
            yield node.output[0]
            return


def one_channel_bias(p: Patient) -> Iterator[str]:
    for node, _ in _weighted(p):
        if len(node.input) > 2 and (bias := p.weight(node.input[2])) is not None and bias.size > 3:
            bias[int(p.rng.integers(bias.size))] += np.abs(p.values[node.output[0]]).max() / 4
            p.give(node, 2, bias)
            yield node.output[0]
            return


def channel_scales(p: Patient) -> Iterator[str]:
    """Every output channel's weights through another factor, as with the scales of another op."""
    for node, weight in _weighted(p, "Conv"):
        if weight.shape[0] > 3:
            factors = np.asarray(p.rng.uniform(0.7, 1.4, weight.shape[0]), weight.dtype)
            p.give(node, 1, weight * factors.reshape(-1, *[1] * (weight.ndim - 1)))
            yield node.output[0]
            return


def weights_transposed(p: Patient) -> Iterator[str]:
    for node in p.nodes("Conv", "MatMul", "Gemm"):
        weight = p.weight(node.input[1])
        if weight is None or weight.ndim < 2 or weight.shape[-1] != weight.shape[-2] or weight.shape[-1] < 2:
            continue
        p.give(node, 1, np.swapaxes(weight, -1, -2))
        yield node.output[0]
        return


def weights_flipped(p: Patient) -> Iterator[str]:
    """Convolution in the sense of mathematics, not of networks."""
    for node, weight in _weighted(p, "Conv"):
        if weight.ndim == 4 and weight.shape[-1] > 1:
            p.give(node, 1, weight[..., ::-1, ::-1])
            yield node.output[0]
            return


def weights_of_four_bits(p: Patient) -> Iterator[str]:
    for node in p.nodes("Conv", "MatMul", "Gemm"):
        weight = p.weight(node.input[1])
        if weight is not None and weight.ndim > 1 and weight.size > 100:
            step = np.abs(weight).max() / 7
            p.give(node, 1, (np.round(weight / step) * step).astype(weight.dtype))
            yield node.output[0]
            return


def batch_norm_epsilon(p: Patient) -> Iterator[str]:
    for node in p.nodes("BatchNormalization"):
        right, variance = attribute(node, "epsilon", 1e-5), p.weight(node.input[4])
        if variance is not None and np.median(variance) < 10:
            p.set(node, "epsilon", 1e-2 if right < 1e-3 else 1e-5)
            yield node.output[0]
            return


def layer_norm_epsilon(p: Patient) -> Iterator[str]:
    for node in p.nodes("LayerNormalization"):
        p.set(node, "epsilon", 1e-1)
        yield node.output[0]
        return


def pads_at_the_other_end(p: Patient) -> Iterator[str]:
    """SAME_LOWER where SAME_UPPER is right: all of the padding at one end."""
    for node in p.nodes("Conv", "MaxPool", "AveragePool"):
        pads = list(attribute(node, "pads", []))
        if pads and max(pads) > 0:
            half = len(pads) // 2
            first = [0] * half
            p.set(node, "pads", first + [a + b for a, b in zip(pads[:half], pads[half:], strict=True)])
            yield node.output[0]
            return


def softmax_axis(p: Patient) -> Iterator[str]:
    for node in p.nodes("Softmax"):
        shape = p.values[node.output[0]].shape
        axis = attribute(node, "axis", -1) % len(shape)
        other = next((i for i in range(1, len(shape)) if i != axis and shape[i] > 1), None)
        if other is not None:
            p.set(node, "axis", other)
            yield node.output[0]
            return


def clip_left_out(p: Patient) -> Iterator[str]:
    for node in p.nodes("Relu", "Clip"):
        if np.abs(p.values[node.output[0]] - p.values.get(node.input[0], p.values[node.output[0]])).max() > 0:
            p.become(node, "Identity", [node.input[0]])
            yield node.output[0]
            return


def clip_added(p: Patient) -> Iterator[str]:
    """A limit (of ReLU6, or of a calibrated range) where the network has none."""
    for node in p.nodes("Relu", "Conv", "Add"):
        value = p.values[node.output[0]]
        if value.dtype == np.float32 and value.size > 100 and (limit := np.quantile(value, 0.97)) > 0:
            kind, inputs = node.op_type, list(node.input)
            made = p.before(node, kind, inputs, **{a.name: attribute(node, a.name) for a in node.attribute})
            p.become(node, "Clip", [made, "", p.constant(np.array(limit, np.float32))])
            yield node.output[0]
            return


def erf_by_tanh(p: Patient) -> Iterator[str]:
    """GELU's other form: erf(x / sqrt 2) as tanh(sqrt(2 / pi) (x + 0.044715 x^3))."""
    for node in p.nodes("Erf"):
        scaled = node.input[0]
        x = p.before(node, "Mul", [scaled, p.constant(np.array(2**0.5, np.float32))])
        cube = p.before(node, "Mul", [p.before(node, "Mul", [x, x]), x])
        part = p.before(node, "Mul", [cube, p.constant(np.array(0.044715, np.float32))])
        inner = p.before(node, "Add", [x, part])
        p.become(node, "Tanh", [p.before(node, "Mul", [inner, p.constant(np.array((2 / np.pi) ** 0.5, np.float32))])])
        yield node.output[0]
        return


def slope(p: Patient) -> Iterator[str]:
    """The default slope of an activation instead of the model's: HardSigmoid 0.2 for 1/6, LeakyRelu 0.01."""
    for node in p.nodes("HardSigmoid", "LeakyRelu"):
        p.set(node, "alpha", {"HardSigmoid": 0.2, "LeakyRelu": 0.01}[node.op_type])
        yield node.output[0]
        return


def resize_mode(p: Patient) -> Iterator[str]:
    for node in p.nodes("Resize", "Upsample"):
        linear = attribute(node, "mode", b"nearest") != b"nearest"
        p.set(node, "mode", "nearest" if linear else "linear")
        yield node.output[0]
        return


def resize_coordinates(p: Patient) -> Iterator[str]:
    for node in p.nodes("Resize"):
        right = attribute(node, "coordinate_transformation_mode", b"half_pixel")
        p.set(node, "coordinate_transformation_mode", "align_corners" if right != b"align_corners" else "asymmetric")
        yield node.output[0]
        return


def concat_order(p: Patient) -> Iterator[str]:
    for node in p.nodes("Concat"):
        given = [p.values.get(name) for name in node.input]
        if len(given) > 1 and all(v is not None and v.dtype == np.float32 and v.size > 8 for v in given):
            node.input[:] = [*node.input[1:], node.input[0]]
            yield node.output[0]
            return


def transpose_order(p: Patient) -> Iterator[str]:
    """Another order of axes that are equally long, or memory that is read in another order."""
    for node in p.nodes("Transpose"):
        value, order = p.values[node.output[0]], attribute(node, "perm")
        if value.dtype != np.float32 or value.size < 16 or not order or value.size == max(value.shape):
            continue
        shape = p.constant(np.array(value.shape, np.int64))
        p.become(node, "Reshape", [node.input[0], shape])
        yield node.output[0]
        return


def operands_exchanged(p: Patient) -> Iterator[str]:
    for node in p.nodes("Sub", "Div"):
        if all(name in p.values for name in node.input) and p.values[node.output[0]].size > 8:
            node.input[:] = list(node.input)[::-1]
            yield node.output[0]
            return


def addend_left_out(p: Patient) -> Iterator[str]:
    """A residual connection that is not there."""
    for node in p.nodes("Add"):
        if all(name in p.values and p.values[name].shape == p.values[node.output[0]].shape for name in node.input):
            p.become(node, "Identity", [node.input[int(p.rng.integers(2))]])
            yield node.output[0]
            return


def activation_twice(p: Patient) -> Iterator[str]:
    for node in p.nodes("Sigmoid", "HardSwish", "LeakyRelu", "HardSigmoid", "Softmax"):
        attributes = {a.name: attribute(node, a.name) for a in node.attribute}
        node.input[0] = p.before(node, node.op_type, [node.input[0]], **attributes)
        yield node.output[0]
        return


CHANNEL = ("channel",)
BIAS = ("channel_offset", "bias")
CLIP = ("saturation", "activation", "parameter", "skipped_op")  # a Relu that is left out gives its input
FLOAT_MISTAKES = (
    Mistake("bias dropped", "a Conv's or Gemm's bias is zero", BIAS, bias_dropped),
    Mistake("bias of other channels", "the bias is one channel off", BIAS, bias_of_other_channels),
    Mistake("bias of a MatMul dropped", "the Add behind it adds zero", (*BIAS, "skipped_op"), matmul_bias_dropped),
    Mistake("weights of one channel", "one output channel has other weights", CHANNEL, one_channel_weights),
    Mistake("bias of one channel", "one output channel has another bias", CHANNEL, one_channel_bias),
    Mistake(
        "scales per channel",
        "the weights are scaled by channel",
        ("channel_scale", "channel_affine", "weight_scale"),
        channel_scales,
    ),
    Mistake("weights transposed", "square kernels or matrices are transposed", ("weight_order",), weights_transposed),
    Mistake("weights flipped", "kernels are turned by 180 degrees", ("weight_order",), weights_flipped),
    Mistake("weights of four bits", "weights are rounded to 4 bits", ("weight_bits",), weights_of_four_bits),
    Mistake(
        "epsilon of a batch norm",
        "1e-2 for 1e-5",
        ("epsilon", "channel_affine", "channel_scale", "channel_offset"),
        batch_norm_epsilon,
    ),
    Mistake("epsilon of a layer norm", "1e-1 for 1e-5", ("epsilon",), layer_norm_epsilon),
    Mistake("pads at the other end", "all padding at the end", ("padding",), pads_at_the_other_end),
    Mistake("axis of a softmax", "another axis", ("axis",), softmax_axis),
    Mistake("clip left out", "a Relu or Clip passes everything", CLIP, clip_left_out),
    Mistake("clip added", "the upper 3 percent are cut", ("saturation", "activation"), clip_added),
    Mistake("GELU by tanh", "erf is approximated", ("function",), erf_by_tanh),
    Mistake("slope of an activation", "the default for the model's", ("parameter",), slope),
    Mistake("mode of a resize", "nearest for linear, or the reverse", ("resampling",), resize_mode),
    Mistake("coordinates of a resize", "align_corners for half_pixel", ("resampling",), resize_coordinates),
    Mistake("order of a concat", "the first input comes last", ("permutation", "axis"), concat_order),
    Mistake(
        "order of axes",
        "a Transpose only renames axes",
        ("layout", "permutation", "axis", "skipped_op"),
        transpose_order,
    ),
    Mistake(
        "operands exchanged", "b - a for a - b, b / a for a / b", ("axis", "input_order", "scale"), operands_exchanged
    ),
    Mistake("addend left out", "a residual connection is missing", ("skipped_op",), addend_left_out),
    Mistake("activation twice", "an activation is applied twice", ("repeated_op",), activation_twice),
)
