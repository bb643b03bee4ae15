"""Graphs of published RDK X3 networks that are in no collection: built from their papers, as shapes (weights are zero).

Held to the published number of weights: `python benchmarks/estimate_parts/x3_networks.py` prints both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 11
ANCHOR_OUTPUTS = 255  # 3 anchors of 80 classes, a box and its score


@dataclass
class Shapes:
    """Writes a graph node by node; every method gives the name of the tensor it made."""

    size: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    channels: dict[str, int] = field(default_factory=lambda: {"image": 3})

    def op(self, kind: str, *inputs: str, channels: int = 0, **attributes: object) -> str:
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [f"{name}_out"], name=name, **attributes))
        self.channels[f"{name}_out"] = channels or self.channels[inputs[0]]
        return f"{name}_out"

    def zeros(self, *shape: int) -> str:
        self.weights.append(numpy_helper.from_array(np.zeros(shape, np.float32), f"w{len(self.weights)}"))
        return str(self.weights[-1].name)

    def conv(self, x: str, made: int, side: int = 1, stride: int = 1, groups: int = 1, act: str = "Relu") -> str:
        read, pads = self.channels[x], [side // 2] * 4
        pads = [2] * 4 if side == 6 else pads  # the first of YOLOv5 v6 and later
        weight = self.zeros(made, read // groups, side, side)
        y = self.op("Conv", x, weight, self.zeros(made), channels=made, kernel_shape=[side, side],
                    strides=[stride, stride], pads=pads, group=groups)  # fmt: skip
        return self.activated(y, act)

    def activated(self, x: str, act: str) -> str:
        if act == "Silu":
            return self.op("Mul", x, self.op("Sigmoid", x))
        if act == "LeakyRelu":
            return self.op("LeakyRelu", x, alpha=0.1)
        return self.op(act, x) if act else x

    def pool(self, x: str, side: int, stride: int = 1) -> str:
        pads = [side // 2] * 4
        return self.op("MaxPool", x, kernel_shape=[side, side], strides=[stride, stride], pads=pads)

    def joined(self, *parts: str) -> str:
        return self.op("Concat", *parts, axis=1, channels=sum(self.channels[part] for part in parts))

    def doubled(self, x: str) -> str:
        scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), f"w{len(self.weights)}")
        self.weights.append(scales)
        return self.op("Resize", x, "", scales.name, mode="nearest")

    def every_second(self, x: str, row: int, column: int) -> str:
        values = ((row, column), (2**31 - 1, 2**31 - 1), (2, 3), (2, 2))
        names = []
        for numbers in values:  # starts, ends, axes, steps
            names.append(f"w{len(self.weights)}")
            self.weights.append(numpy_helper.from_array(np.array(numbers, np.int64), names[-1]))
        return self.op("Slice", x, *names)

    def classes(self, x: str) -> str:
        flat = self.op("Flatten", self.op("GlobalAveragePool", x))
        return self.op("Gemm", flat, self.zeros(1000, self.channels[x]), self.zeros(1000), transB=1, channels=1000)

    def model(self, *outputs: str) -> onnx.ModelProto:
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, self.size, self.size])
        made = [helper.make_empty_tensor_value_info(name) for name in outputs]
        graph = helper.make_graph(self.nodes, "main_graph", [image], made, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=7)
        return onnx.shape_inference.infer_shapes(model)


# --------------------------------------------------------------------------- classifiers

# 1x1; 1x1 and 3x3; 1x1 and 3x3 (as torchvision has it); behind a pool.
INCEPTIONS: tuple[tuple[int, ...], ...] = (
    (64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64), (),
    (192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128), (),
    (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128),
)  # fmt: skip


def googlenet() -> onnx.ModelProto:
    """GoogLeNet of torchvision, without its auxiliary heads."""
    net = Shapes(224)
    x = net.pool(net.conv("image", 64, 7, 2), 3, 2)
    x = net.pool(net.conv(net.conv(x, 64), 192, 3), 3, 2)
    for widths in INCEPTIONS:
        if not widths:
            x = net.pool(x, 3, 2)
            continue
        one, before_a, a, before_b, b, behind = widths
        parts = (net.conv(x, one), net.conv(net.conv(x, before_a), a, 3), net.conv(net.conv(x, before_b), b, 3))
        x = net.joined(*parts, net.conv(net.pool(x, 3), behind))
    return net.model(net.classes(x))


def repvgg_a1() -> onnx.ModelProto:
    """RepVGG A1 with its branches merged."""
    net = Shapes(224)
    x = net.conv("image", 64, 3, 2)
    for width, count in ((64, 2), (128, 4), (256, 14), (1280, 1)):
        for index in range(count):
            x = net.conv(x, width, 3, 2 if index == 0 else 1)
    return net.model(net.classes(x))


# (depthwise in front, depthwise in the middle, stride, expansion, width): universal inverted bottlenecks.
BOTTLENECKS = (
    (5, 5, 2, 3, 96), *((0, 3, 1, 2, 96),) * 4, (3, 0, 1, 4, 96),
    (3, 3, 2, 6, 128), (5, 5, 1, 4, 128), (0, 5, 1, 4, 128), (0, 5, 1, 3, 128), *((0, 3, 1, 4, 128),) * 2,
)  # fmt: skip


def mobilenet_v4_small() -> onnx.ModelProto:
    """MobileNetV4-Conv-S of its paper."""
    net = Shapes(224)
    x = net.conv(net.conv(net.conv("image", 32, 3, 2), 32, 3, 2), 32)
    x = net.conv(net.conv(x, 96, 3, 2), 64)
    for front, middle, stride, expansion, width in BOTTLENECKS:
        read = net.channels[x]
        y = net.conv(x, read, front, 1 if middle else stride, read, "") if front else x
        y = net.conv(y, read * expansion)
        y = net.conv(y, read * expansion, middle, stride, read * expansion) if middle else y
        y = net.conv(y, width, act="")
        x = net.op("Add", x, y) if stride == 1 and read == width else y
    x = net.op("GlobalAveragePool", net.conv(x, 960))
    flat = net.op("Flatten", net.conv(x, 1280))
    return net.model(net.op("Gemm", flat, net.zeros(1000, 1280), net.zeros(1000), transB=1, channels=1000))


# --------------------------------------------------------------------------- YOLOv5

Block = Callable[[Shapes, str, int, int, bool], str]


def _c3(net: Shapes, x: str, made: int, count: int, shortcut: bool) -> str:
    """v4 and later: two halves, one through bottlenecks."""
    half = made // 2
    y = _bottlenecks(net, net.conv(x, half, act="Silu"), count, shortcut, "Silu")
    return net.conv(net.joined(y, net.conv(x, half, act="Silu")), made, act="Silu")


def _csp(net: Shapes, x: str, made: int, count: int, shortcut: bool) -> str:
    """v2: as C3 with a plain convolution at the end of both halves and one activation behind them."""
    half = made // 2
    y = _bottlenecks(net, net.conv(x, half, act="LeakyRelu"), count, shortcut, "LeakyRelu")
    both = net.joined(net.conv(y, half, act=""), net.conv(x, half, act=""))
    return net.conv(net.activated(both, "LeakyRelu"), made, act="LeakyRelu")


def _bottlenecks(net: Shapes, x: str, count: int, shortcut: bool, act: str) -> str:
    for _ in range(count):
        y = net.conv(net.conv(x, net.channels[x], act=act), net.channels[x], 3, act=act)
        x = net.op("Add", x, y) if shortcut else y
    return x


def yolo_v5(depth: float, width: float, version: int) -> onnx.ModelProto:
    """YOLOv5 of release 2 or 7, 640x640, its three heads as convolutions give them, NHWC."""
    net = Shapes(640)
    block, act, counts = (_c3, "Silu", (3, 6, 9)) if version == 7 else (_csp, "LeakyRelu", (3, 9, 9))
    wide = [math.ceil(channels * width / 8) * 8 for channels in (64, 128, 256, 512, 1024)]
    deep = [max(1, round(count * depth)) for count in (*counts, 3)]
    x = net.conv("image", wide[0], 6, 2, act=act) if version == 7 else net.conv(_focus(net), wide[0], 3, act=act)
    features = []
    for place in range(3):
        x = block(net, net.conv(x, wide[place + 1], 3, 2, act=act), wide[place + 1], deep[place], True)
        features.append(x)
    x = net.conv(x, wide[4], 3, 2, act=act)
    x = _pooled(net, block(net, x, wide[4], deep[3], True), act) if version == 7 else x
    x = x if version == 7 else block(net, _pooled(net, x, act, chained=False), wide[4], deep[3], False)
    return net.model(*_heads(net, x, features, wide, deep[3], block, act))


def _focus(net: Shapes) -> str:
    """Four pictures of half the size: every second pixel of every second row."""
    return net.joined(*(net.every_second("image", row, column) for row in (0, 1) for column in (0, 1)))


def _pooled(net: Shapes, x: str, act: str, chained: bool = True) -> str:
    """SPPF of v6 and later, or SPP."""
    made = net.channels[x]
    parts = [net.conv(x, made // 2, act=act)]
    for side in (5, 9, 13):
        parts.append(net.pool(parts[-1], 5) if chained else net.pool(parts[0], side))
    return net.conv(net.joined(*parts), made, act=act)


def _heads(
    net: Shapes, x: str, features: Sequence[str], wide: Sequence[int], count: int, block: Block, act: str
) -> list[str]:
    _, three, four = features
    top = net.conv(x, wide[3], act=act)
    x = block(net, net.joined(net.doubled(top), four), wide[3], count, False)
    middle = net.conv(x, wide[2], act=act)
    out3 = block(net, net.joined(net.doubled(middle), three), wide[2], count, False)
    out4 = block(net, net.joined(net.conv(out3, wide[2], 3, 2, act=act), middle), wide[3], count, False)
    out5 = block(net, net.joined(net.conv(out4, wide[3], 3, 2, act=act), top), wide[4], count, False)
    plain = [net.conv(one, ANCHOR_OUTPUTS, act="") for one in (out3, out4, out5)]
    return [net.op("Transpose", one, perm=[0, 2, 3, 1]) for one in plain]


# As the published table names them, with the millions of weights that it tells.
NETWORKS: dict[str, tuple[float, Callable[[], onnx.ModelProto]]] = {
    "GoogLeNet": (6.81, googlenet),
    "Mobilenetv4": (3.76, mobilenet_v4_small),
    "RepVGG": (12.78, repvgg_a1),
    "YOLOv5s_v2.0": (7.5, lambda: yolo_v5(0.33, 0.5, 2)),
    "YOLOv5x_v2.0": (89.0, lambda: yolo_v5(1.33, 1.25, 2)),
    "YOLOv5n_v7.0": (1.9, lambda: yolo_v5(0.33, 0.25, 7)),
    "YOLOv5s_v7.0": (7.2, lambda: yolo_v5(0.33, 0.5, 7)),
    "YOLOv5x_v7.0": (86.7, lambda: yolo_v5(1.33, 1.25, 7)),
}


def weights_m(model: onnx.ModelProto) -> float:
    """Millions of weights."""
    return sum(int(math.prod(one.dims)) for one in model.graph.initializer) / 1e6


if __name__ == "__main__":
    for name, (published, build) in NETWORKS.items():
        print(f"{name:<16}{published:>8.2f} M published {weights_m(build()):>8.2f} M here")
