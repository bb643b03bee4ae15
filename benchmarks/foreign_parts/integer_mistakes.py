"""Mistakes in quantized networks: scales, zero points, rounding and weights, made before an op's result is rounded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx

from benchmarks.foreign_parts.surgery import Mistake, Patient

WEIGHTED = ("Conv", "Gemm", "MatMul")
LEAST_PER_CHANNEL = 8


def _quantizers(p: Patient, *behind: str) -> Iterator[onnx.NodeProto]:
    """QuantizeLinear nodes of activations, of those behind ops of these kinds."""
    for node in p.nodes("QuantizeLinear"):
        maker = p.producer(node.input[0])
        if maker is not None and (not behind or maker.op_type in behind) and p.values[node.output[0]].size > 32:
            yield node


def _scaled(p: Patient, factor: float) -> Iterator[str]:
    """The scale that results are requantized with; who reads them still has the right one."""
    for node in _quantizers(p, *WEIGHTED, "Add", "Mul"):
        scale = p.weight(node.input[1])
        if scale is not None and scale.size == 1:
            p.give(node, 1, (scale * factor).astype(scale.dtype))
            yield node.output[0]
            return


def requantization_scale(p: Patient) -> Iterator[str]:
    yield from _scaled(p, float(p.rng.choice([1.17, 1.3, 0.8, 1.6])))


def requantization_shift(p: Patient) -> Iterator[str]:
    yield from _scaled(p, 2.0)


def zero_point(p: Patient) -> Iterator[str]:
    for node in _quantizers(p, *WEIGHTED, "Add", "Mul"):
        point = p.weight(node.input[2])
        if point is not None:
            off = 7 if point.astype(int).max() < 64 else -7
            p.give(node, 2, (point.astype(int) + off).astype(point.dtype))
            yield node.output[0]
            return


def truncated(p: Patient) -> Iterator[str]:
    """Results are cut to a step below, not rounded to the nearest."""
    for node in _quantizers(p, *WEIGHTED, "Add", "Mul"):
        scale = p.weight(node.input[1])
        if scale is not None and scale.size == 1:
            steps = p.before(node, "Div", [node.input[0], node.input[1]])
            node.input[0] = p.before(node, "Mul", [p.before(node, "Floor", [steps]), node.input[1]])
            yield node.output[0]
            return


def saturated(p: Patient) -> Iterator[str]:
    """A range narrower than the calibrated one, with the same scale."""
    for node in _quantizers(p, *WEIGHTED, "Add", "Mul"):
        value, scale, point = p.values[node.output[0]], p.weight(node.input[1]), p.weight(node.input[2])
        if scale is None or point is None or scale.size != 1 or np.unique(value).size < 30:
            continue
        low, high = ((np.quantile(value, q) - point) * scale for q in (0.04, 0.96))
        limits = [p.constant(np.array(x, np.float32)) for x in (float(low), float(high))]
        if float(high) > float(low):
            node.input[0] = p.before(node, "Clip", [node.input[0], *limits])
            yield node.output[0]
            return


def _quantized_op(p: Patient, *kinds: str) -> Iterator[tuple[onnx.NodeProto, onnx.NodeProto | None, str]]:
    """(op, the DequantizeLinear of its weights, the tensor of its quantized result)."""
    for node in p.graph.node:
        if node.op_type not in kinds or len(node.input) < 2:
            continue
        target = node.output[0]
        readers = p.readers(target)
        if len(readers) == 1 and readers[0].op_type in ("Relu", "Clip", "HardSwish", "LeakyRelu"):
            target = readers[0].output[0]
            readers = p.readers(target)
        quantizers = [r for r in readers if r.op_type == "QuantizeLinear"]
        if quantizers and quantizers[0].output[0] in p.values:
            yield node, p.producer(node.input[1]), quantizers[0].output[0]


def _random(p: Patient, *kinds: str) -> Iterator[tuple[onnx.NodeProto, onnx.NodeProto, str]]:
    candidates = [(node, maker, out) for node, maker, out in _quantized_op(p, *kinds) if maker is not None]
    for i in p.rng.permutation(len(candidates)):
        node, maker, out = candidates[i]
        value = p.values[out]
        enough = value.ndim > 2 and value[0, 0].size >= LEAST_PER_CHANNEL
        if maker.op_type == "DequantizeLinear" and p.weight(maker.input[0]) is not None and enough:
            yield node, maker, out


def scale_of_channel_0(p: Patient) -> Iterator[str]:
    """One weight scale, the first channel's, for all channels."""
    for _, weights, out in _random(p, "Conv"):
        scale = p.weight(weights.input[1])
        if scale is not None and scale.size > 3 and scale.max() > 1.2 * scale.min():
            p.give(weights, 1, np.full_like(scale, scale[0]))
            yield out
            return


def bias_dropped(p: Patient) -> Iterator[str]:
    for node, _, out in _random(p, "Conv", "Gemm"):
        maker = p.producer(node.input[2]) if len(node.input) > 2 else None
        bias = p.weight(maker.input[0]) if maker is not None else None
        if maker is not None and bias is not None:
            p.give(maker, 0, np.zeros_like(bias))
            yield out
            return


def one_channel_weights(p: Patient) -> Iterator[str]:
    for _, weights, out in _random(p, "Conv"):
        value = p.weight(weights.input[0])
        if value is not None and value.shape[0] > 3 and value[0].size > 4:
            channel = int(p.rng.integers(value.shape[0]))
            value[channel] = p.rng.permutation(value[channel].reshape(-1)).reshape(value[channel].shape)
            p.give(weights, 0, value)
            yield out
            return


def one_channel_scale(p: Patient) -> Iterator[str]:
    for _, weights, out in _random(p, "Conv"):
        scale = p.weight(weights.input[1])
        if scale is not None and scale.size > 3:
            scale[int(p.rng.integers(scale.size))] *= 1.5
            p.give(weights, 1, scale)
            yield out
            return


def weights_flipped(p: Patient) -> Iterator[str]:
    for _, weights, out in _random(p, "Conv"):
        value = p.weight(weights.input[0])
        if value is not None and value.ndim == 4 and value.shape[-1] > 1:
            p.give(weights, 0, value[..., ::-1, ::-1])
            yield out
            return


def weights_transposed(p: Patient) -> Iterator[str]:
    for _, weights, out in _random(p, "Conv", "MatMul"):
        value = p.weight(weights.input[0])
        if value is not None and value.shape[-1] == value.shape[-2] > 1:
            p.give(weights, 0, np.swapaxes(value, -1, -2))
            yield out
            return


def pads_at_the_other_end(p: Patient) -> Iterator[str]:
    for node, _, out in _quantized_op(p, "Conv"):
        pads = next((list(a.ints) for a in node.attribute if a.name == "pads"), [])
        if pads and max(pads) > 0 and p.rng.random() < 0.4:
            half = len(pads) // 2
            p.set(node, "pads", [0] * half + [a + b for a, b in zip(pads[:half], pads[half:], strict=True)])
            yield out
            return


INTEGER_MISTAKES = (
    Mistake("requantization scale", "another scale before rounding", ("scale",), requantization_scale, True),
    Mistake("requantization shift", "twice the scale before rounding", ("shift",), requantization_shift, True),
    Mistake("zero point", "7 steps off before rounding", ("zero_point",), zero_point, True),
    Mistake("truncation", "cut to the step below, not rounded", ("truncation",), truncated, True),
    Mistake("narrow range", "4 percent at both ends are cut", ("saturation",), saturated, True),
    Mistake(
        "scale of channel 0",
        "one weight scale for all",
        ("weight_scale", "channel_scale", "channel_affine"),
        scale_of_channel_0,
        True,
    ),
    Mistake("bias dropped, int8", "the int32 bias is zero", ("channel_offset", "bias"), bias_dropped, True),
    Mistake("weights of one channel, int8", "one channel has others", ("channel",), one_channel_weights, True),
    Mistake("scale of one channel", "one weight scale is 1.5 times as large", ("channel",), one_channel_scale, True),
    Mistake("weights flipped, int8", "kernels are turned by 180 degrees", ("weight_order",), weights_flipped, True),
    Mistake("weights transposed, int8", "square kernels are transposed", ("weight_order",), weights_transposed, True),
    Mistake("pads at the other end, int8", "all padding at the end", ("padding",), pads_at_the_other_end, True),
)
