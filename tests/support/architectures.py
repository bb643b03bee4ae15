"""A few well-known architectures as shapes: graphs whose weights are zero, for estimates and placement."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from harness.emulator.model.nodes import ModelGraph


@dataclass
class NetBuilder:
    """Builds an ONNX node by node; every method returns the name of the tensor it made."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    channels: dict[str, int] = field(default_factory=dict)

    def op(self, kind: str, *inputs: str, channels: int = 0, **attributes: object) -> str:
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name + "_out"], name=name, **attributes))
        self.channels[name + "_out"] = channels or self.channels.get(inputs[0], 0)
        return name + "_out"

    def constant(self, *shape: int) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.zeros(shape, np.float32), name))
        return name

    def conv(self, x: str, out: int, k: int = 1, stride: int = 1, groups: int = 1, act: str = "Relu") -> str:
        weight = self.constant(out, self.channels[x] // groups, k, k)
        y = self.op(
            "Conv",
            x,
            weight,
            self.constant(out),
            channels=out,
            kernel_shape=[k, k],
            strides=[stride, stride],
            pads=[k // 2] * 4,
            group=groups,
        )
        if act == "Silu":
            return self.op("Mul", y, self.op("Sigmoid", y))
        return self.op(act, y) if act else y

    def model(self, x: str, size: int, outputs: list[str]) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "main_graph",
            [helper.make_tensor_value_info(x, TensorProto.FLOAT, [1, 3, size, size])],
            [helper.make_empty_tensor_value_info(name) for name in outputs],
            self.weights,
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)])
        return onnx.shape_inference.infer_shapes(made)

    def classifier(self, x: str) -> str:
        y = self.op("Flatten", self.op("GlobalAveragePool", x))
        return self.op("Gemm", y, self.constant(1000, self.channels[x]), self.constant(1000), transB=1, channels=1000)


def start() -> tuple[NetBuilder, str]:
    net = NetBuilder()
    net.channels["image"] = 3
    return net, "image"


def resnet18() -> onnx.ModelProto:
    net, image = start()
    x = net.conv(image, 64, 7, 2)
    x = net.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for width, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)):
        y = net.conv(net.conv(x, width, 3, stride), width, 3, act="")
        if stride == 2:
            x = net.conv(x, width, 1, 2, act="")
        x = net.op("Relu", net.op("Add", y, x))
    return net.model(image, 224, [net.classifier(x)])


def mobilenet_v2() -> onnx.ModelProto:
    net, image = start()
    x = net.conv(image, 32, 3, 2, act="Clip")
    stages = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for grow, width, count, first in stages:
        for index in range(count):
            stride = first if index == 0 else 1
            wide = net.channels[x] * grow
            y = net.conv(x, wide, act="Clip") if grow > 1 else x
            y = net.conv(y, wide, 3, stride, groups=wide, act="Clip")
            y = net.conv(y, width, act="")
            x = net.op("Add", x, y) if stride == 1 and net.channels[x] == width else y
    return net.model(image, 224, [net.classifier(net.conv(x, 1280, act="Clip"))])


def yolo_v8n() -> onnx.ModelProto:
    """Detection heads cut: one class and one box tensor per scale, NHWC."""
    net, image = start()
    x = net.conv(net.conv(image, 16, 3, 2, act="Silu"), 32, 3, 2, act="Silu")
    x = _c2f(net, x, 32, 1, True)
    p3 = _c2f(net, net.conv(x, 64, 3, 2, act="Silu"), 64, 2, True)
    p4 = _c2f(net, net.conv(p3, 128, 3, 2, act="Silu"), 128, 2, True)
    p5 = _c2f(net, net.conv(p4, 256, 3, 2, act="Silu"), 256, 1, True)
    p5 = _sppf(net, p5)
    up4 = _c2f(net, _concat(net, _double(net, p5), p4), 128, 1, False)
    out3 = _c2f(net, _concat(net, _double(net, up4), p3), 64, 1, False)
    out4 = _c2f(net, _concat(net, net.conv(out3, 64, 3, 2, act="Silu"), up4), 128, 1, False)
    out5 = _c2f(net, _concat(net, net.conv(out4, 128, 3, 2, act="Silu"), p5), 256, 1, False)
    outputs = []
    for feature in (out3, out4, out5):
        for width, made in ((80, 80), (64, 64)):
            y = net.conv(net.conv(feature, width, 3, act="Silu"), width, 3, act="Silu")
            outputs.append(net.op("Transpose", net.conv(y, made, act=""), perm=[0, 2, 3, 1]))
    return net.model(image, 640, outputs)


def _c2f(net: NetBuilder, x: str, out: int, count: int, shortcut: bool) -> str:
    half = out // 2
    y = net.conv(x, out, act="Silu")
    node = f"Split_{len(net.nodes)}"
    net.nodes.append(helper.make_node("Split", [y], [node + "_a", node + "_b"], name=node, axis=1))
    net.channels[node + "_a"] = net.channels[node + "_b"] = half
    parts = [node + "_a", node + "_b"]
    for _ in range(count):
        z = net.conv(net.conv(parts[-1], half, 3, act="Silu"), half, 3, act="Silu")
        parts.append(net.op("Add", parts[-1], z) if shortcut else z)
    return net.conv(_concat(net, *parts), out, act="Silu")


def _sppf(net: NetBuilder, x: str) -> str:
    parts = [net.conv(x, net.channels[x] // 2, act="Silu")]
    for _ in range(3):
        parts.append(net.op("MaxPool", parts[-1], kernel_shape=[5, 5], strides=[1, 1], pads=[2, 2, 2, 2]))
    return net.conv(_concat(net, *parts), net.channels[x], act="Silu")


def _concat(net: NetBuilder, *parts: str) -> str:
    return net.op("Concat", *parts, axis=1, channels=sum(net.channels[part] for part in parts))


def _double(net: NetBuilder, x: str) -> str:
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), f"scales{len(net.weights)}")
    net.weights.append(scales)
    return net.op("Resize", x, "", scales.name, mode="nearest")


def network(model: onnx.ModelProto) -> ModelGraph:
    return ModelGraph(model)
