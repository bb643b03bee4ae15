"""Five seeded networks, quantized by onnxruntime: what the second architecture is compared on.

mb: MobileNetV2-shaped, int8 activations. tf, tfu: a transformer encoder, int8 and uint8 activations.
mix, mixu: Resize, Sigmoid, Concat, pools, ConvTranspose, int8 and uint8 activations. Weights are always int8.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

KINDS = ("mb", "tf", "tfu", "mix", "mixu")
OPSET = 17
CALIBRATION_SAMPLES = 4


class NetworkWriter:
    """Writes a float ONNX graph op by op; weights come from one seeded generator."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, *shape: int, scale: float = 1.0) -> str:
        return self.constant((self.rng.standard_normal(shape) * scale).astype(np.float32))

    def constant(self, value: NDArray[Any]) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def scalar(self, value: float) -> str:
        return self.constant(np.array(value, np.float32))

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [f"{name}_out"], name=name, **attributes))
        return f"{name}_out"

    def conv(self, x: str, channels: tuple[int, int], kernel: int = 3, stride: int = 1, group: int = 1) -> str:
        fan_in = channels[0] // group * kernel * kernel
        w = self.weight(channels[1], channels[0] // group, kernel, kernel, scale=(2 / fan_in) ** 0.5)
        pad, b = kernel // 2, self.weight(channels[1], scale=0.1)
        return self.op("Conv", x, w, b, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4, group=group)

    def relu6(self, x: str) -> str:
        return self.op("Clip", x, self.scalar(0), self.scalar(6))

    def linear(self, x: str, inputs: int, outputs: int) -> str:
        w = self.weight(inputs, outputs, scale=inputs**-0.5)
        return self.op("Add", self.op("MatMul", x, w), self.weight(outputs, scale=0.1))

    def model(self, shape: Sequence[int], output: str) -> onnx.ModelProto:
        x = helper.make_tensor_value_info("input", TensorProto.FLOAT, list(shape))
        y = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "net", [x], [y], self.weights)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        return onnx.shape_inference.infer_shapes(made)


def mobilenet(seed: int = 1, side: int = 96) -> onnx.ModelProto:
    """MobileNetV2's 17 inverted residuals; 3 x side x side in, 100 classes out."""
    net = NetworkWriter(seed)
    x, channels = net.relu6(net.conv("input", (3, 32), stride=2)), 32
    stages = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for expand, out, count, first_stride in stages:
        for i in range(count):
            x = _inverted_residual(net, x, (channels, out), expand, first_stride if i == 0 else 1)
            channels = out
    x = net.relu6(net.conv(x, (channels, 640), kernel=1))
    x = net.op("Flatten", net.op("GlobalAveragePool", x))
    x = net.op("Gemm", x, net.weight(640, 100, scale=640**-0.5), net.weight(100, scale=0.1))
    return net.model((1, 3, side, side), net.op("Softmax", x))


def _inverted_residual(net: NetworkWriter, x: str, channels: tuple[int, int], expand: int, stride: int) -> str:
    wide = channels[0] * expand
    y = x if expand == 1 else net.relu6(net.conv(x, (channels[0], wide), kernel=1))
    y = net.relu6(net.conv(y, (wide, wide), stride=stride, group=wide))
    y = net.conv(y, (wide, channels[1]), kernel=1)
    return net.op("Add", x, y) if stride == 1 and channels[0] == channels[1] else y


def transformer(seed: int = 2, layers: int = 3, tokens: int = 64, width: int = 128) -> onnx.ModelProto:
    """An encoder: attention with 4 heads, GELU feed-forward; tokens x width in, 10 classes out."""
    net = NetworkWriter(seed)
    x = "input"
    for _ in range(layers):
        x = _norm(net, net.op("Add", x, _attention(net, x, tokens, width)), width)
        hidden = net.linear(x, width, 4 * width)
        x = _norm(net, net.op("Add", x, net.linear(_gelu(net, hidden), 4 * width, width)), width)
    x = net.op("ReduceMean", x, axes=[1], keepdims=0)
    return net.model((1, tokens, width), net.linear(x, width, 10))


def _attention(net: NetworkWriter, x: str, tokens: int, width: int, heads: int = 4) -> str:
    shape = net.constant(np.array([1, tokens, heads, width // heads], np.int64))
    split = [net.op("Reshape", net.linear(x, width, width), shape) for _ in range(3)]
    q = net.op("Transpose", split[0], perm=[0, 2, 1, 3])
    k = net.op("Transpose", split[1], perm=[0, 2, 3, 1])
    v = net.op("Transpose", split[2], perm=[0, 2, 1, 3])
    factor = net.scalar((width // heads) ** -0.5)
    weights = net.op("Softmax", net.op("Mul", net.op("MatMul", q, k), factor))
    y = net.op("Transpose", net.op("MatMul", weights, v), perm=[0, 2, 1, 3])
    return net.linear(net.op("Reshape", y, net.constant(np.array([1, tokens, width], np.int64))), width, width)


def _norm(net: NetworkWriter, x: str, width: int) -> str:
    return net.op("LayerNormalization", x, net.constant(np.ones(width, np.float32)), net.weight(width, scale=0.1))


def _gelu(net: NetworkWriter, x: str) -> str:
    erf = net.op("Erf", net.op("Mul", x, net.scalar(2**-0.5)))
    return net.op("Mul", net.op("Mul", x, net.op("Add", erf, net.scalar(1))), net.scalar(0.5))


def mixed(seed: int = 3, side: int = 160, coordinates: str = "asymmetric") -> onnx.ModelProto:
    """A small pyramid: Resize (nearest, linear), Sigmoid, Concat, pools, HardSwish, ConvTranspose; classes out.

    Twofold linear Resize by `half_pixel` mixes neighbours by 9, 3, 3 and 1 sixteenths: exact halves of a step are
    common, and whether a multiply-add rounds once or twice decides them. Two correct CPUs then differ by one step
    even with optimizations off. `asymmetric` mixes by halves, which are exact in floating point.
    """
    net = NetworkWriter(seed)
    a = net.op("LeakyRelu", net.conv("input", (3, 16), stride=2), alpha=0.1)
    b = net.op("HardSwish", net.conv(a, (16, 32), stride=2))
    c = _swish(net, net.conv(net.op("MaxPool", b, kernel_shape=[2, 2], strides=[2, 2]), (32, 32)))
    up = net.op("Concat", _resize(net, c, "nearest", coordinates), b, axis=1)
    d = _swish(net, net.conv(up, (64, 32), kernel=1))
    up = net.op("Concat", _resize(net, d, "linear", coordinates), a, axis=1)
    e = net.op("Relu", net.conv(up, (48, 16)))
    e = net.op("AveragePool", e, kernel_shape=[2, 2], strides=[2, 2])
    w = net.weight(16, 16, 2, 2, scale=0.2)
    f = net.op("Sigmoid", net.op("ConvTranspose", e, w, kernel_shape=[2, 2], strides=[2, 2]))
    g = net.op("Flatten", net.op("GlobalAveragePool", net.op("Mul", net.conv(f, (16, 64)), net.conv(f, (16, 64)))))
    return net.model((1, 3, side, side), net.op("Gemm", g, net.weight(64, 20, scale=0.2), net.weight(20)))


def _swish(net: NetworkWriter, x: str) -> str:
    return net.op("Mul", x, net.op("Sigmoid", x))


def _resize(net: NetworkWriter, x: str, mode: str, coordinates: str) -> str:
    scales = net.constant(np.array([1, 1, 2, 2], np.float32))
    rounding = {"nearest_mode": "floor"} if mode == "nearest" else {}
    return net.op("Resize", x, "", scales, mode=mode, coordinate_transformation_mode=coordinates, **rounding)


FLOATS: dict[str, Callable[[], onnx.ModelProto]] = {"mb": mobilenet, "tf": transformer, "mix": mixed}


class _CalibrationFeeds:
    """Calibration data in the form that onnxruntime asks for."""

    def __init__(self, feeds: Sequence[Mapping[str, NDArray[Any]]]) -> None:
        self.feeds: Iterator[Mapping[str, NDArray[Any]]] = iter(feeds)

    def get_next(self) -> Mapping[str, NDArray[Any]] | None:
        return next(self.feeds, None)


def make_inputs(model: onnx.ModelProto, count: int, seed: int = 7) -> list[NDArray[np.float32]]:
    """Inputs of the model's shape: smooth noise, so that neighbours are alike as in pictures; f32."""
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).cumsum(-1).astype(np.float32) / np.float32(4) for _ in range(count)]


def quantize(model: onnx.ModelProto, target: Path, *, unsigned: bool, reduce_range: bool = False) -> Path:
    """Write `model` as a QDQ network: int8 weights per channel, int8 or uint8 activations."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    feeds = [{"input": x} for x in make_inputs(model, CALIBRATION_SAMPLES, seed=11)]
    with tempfile.TemporaryDirectory() as folder:
        raw, ready = Path(folder) / "raw.onnx", Path(folder) / "ready.onnx"
        onnx.save(model, raw)
        quant_pre_process(raw, ready, skip_symbolic_shape=True)
        quantize_static(
            ready,
            target,
            _CalibrationFeeds(feeds),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8 if unsigned else QuantType.QInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=reduce_range,
        )
    return target


def build(kind: str, target: Path) -> Path:
    """The quantized network of that kind (see KINDS), written to `target`."""
    model = FLOATS[kind.removesuffix("u") if kind.endswith("u") else kind]()
    return quantize(model, target, unsigned=kind.endswith("u"))
