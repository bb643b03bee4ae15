"""The example networks as small graph builders: trained digits, and seeded nets of well-known shapes.

Seeded weights are scaled on real data while the net is built (every layer's output gets a standard deviation of one),
so that int8 activations use their range and no layer is dead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]
OPSET = 11  # what the X3/J5/X5 toolchains take at most


class ExampleNet:
    """Grows a graph node by node and keeps the value of every tensor for one sample."""

    def __init__(self, name: str, inputs: Mapping[str, Array], seed: int) -> None:
        self.name, self.rng = name, np.random.default_rng(seed)
        self.values: dict[str, Array] = dict(inputs)
        self.inputs = list(inputs)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: Array) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def add(self, kind: str, name: str, inputs: Sequence[str], outputs: int = 1, **attrs: Any) -> Any:
        """One node; its output is called `<name>_out` (or a list of them)."""
        names = [f"{name}_out"] if outputs == 1 else [f"{name}_out{i}" for i in range(outputs)]
        node = helper.make_node(kind, list(inputs), names, name=name, **attrs)
        self.values |= self._run(node)
        self.nodes.append(node)
        return names[0] if outputs == 1 else names

    def _run(self, node: onnx.NodeProto) -> dict[str, Array]:
        held = {tensor.name: tensor for tensor in self.constants}
        read = [name for name in node.input if name and name not in held]
        values = [
            helper.make_tensor_value_info(
                n, helper.np_dtype_to_tensor_dtype(self.values[n].dtype), self.values[n].shape
            )
            for n in read
        ]
        outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in node.output]
        weights = [held[name] for name in node.input if name in held]
        graph = helper.make_graph([node], "one", values, outputs, initializer=weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        made = session.run(None, {name: self.values[name] for name in read})
        return dict(zip(node.output, made, strict=True))

    def weighted(self, kind: str, name: str, x: str, weight: Array, channel_axis: int, **attrs: Any) -> str:
        """A Conv or MatMul with seeded weights, scaled so that its output spreads by one."""
        before = len(self.constants)
        trial = [x, self.constant(f"{name}_trial", weight)]
        node = helper.make_node(kind, trial, ["trial"], name=name, **attrs)
        spread = float(np.std(self._run(node)["trial"])) or 1.0
        del self.constants[before:]
        bias = np.asarray(self.rng.standard_normal(weight.shape[channel_axis]) * 0.1, np.float32)
        inputs = [x, self.constant(f"{name}_weight", (weight / spread).astype(np.float32))]
        if kind == "Conv":
            return str(self.add(kind, name, [*inputs, self.constant(f"{name}_bias", bias)], **attrs))
        made = self.add(kind, name, inputs, **attrs)
        return str(self.add("Add", f"{name}_add", [made, self.constant(f"{name}_bias", bias)]))

    def conv(self, name: str, x: str, channels: int, kernel: int = 1, stride: int = 1, group: int = 1) -> str:
        entering = self.values[x].shape[1]
        weight = self.rng.standard_normal((channels, entering // group, kernel, kernel)).astype(np.float32)
        pad = [kernel // 2] * 4
        return self.weighted(
            "Conv", name, x, weight, 0, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pad, group=group
        )

    def linear(self, name: str, x: str, features: int) -> str:
        entering = self.values[x].shape[-1]
        return self.weighted("MatMul", name, x, self.rng.standard_normal((entering, features)).astype(np.float32), 1)

    def model(self, outputs: Sequence[str]) -> onnx.ModelProto:
        """The finished model. Every output keeps its tensor name."""
        inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, self.values[n].shape) for n in self.inputs]
        results = [helper.make_tensor_value_info(n, TensorProto.FLOAT, self.values[n].shape) for n in outputs]
        graph = helper.make_graph(self.nodes, self.name, inputs, results, initializer=self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        onnx.checker.check_model(model)
        return model


# --------------------------------------------------------------------------- digits


def digits(weights: Mapping[str, Array]) -> onnx.ModelProto:
    """The trained network: 1x1x8x8 of 0..1 in, ten probabilities out."""
    net = ExampleNet("digits", {"image": np.zeros((1, 1, 8, 8), np.float32)}, seed=0)
    x = "image"
    for name in ("conv1", "conv2"):
        inputs = [x, *(net.constant(f"{name}_{part}", weights[f"{name}_{part}"]) for part in ("w", "b"))]
        x = net.add("Conv", name, inputs, kernel_shape=[3, 3], pads=[1] * 4)
        x = net.add("Relu", f"{name}_relu", [x])
        x = net.add("MaxPool", f"{name}_pool", [x], kernel_shape=[2, 2], strides=[2, 2])
    x = net.add("Flatten", "flatten", [x])
    inputs = [x, *(net.constant(f"fc_{part}", weights[f"fc_{part}"]) for part in ("w", "b"))]
    x = net.add("Gemm", "fc", inputs, transB=1)
    return net.model([net.add("Softmax", "softmax", [x], axis=1)])


# --------------------------------------------------------------------------- MobileNetV2

# expansion, channels, repeats, stride of the first: table 2 of the MobileNetV2 paper (arXiv 1801.04381)
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def mobilenet(image: Array, width: float = 0.5, classes: int = 1000, seed: int = 2) -> onnx.ModelProto:
    """MobileNetV2's shape with seeded weights. `image` is one normalised picture [1, 3, H, W]."""
    net = ExampleNet("mobilenet", {"images": image.astype(np.float32)}, seed)
    net.constant("six_low", np.array(0, np.float32))
    net.constant("six_high", np.array(6, np.float32))
    x = _relu6(net, net.conv("stem", "images", _scaled(32, width), 3, 2))
    for i, (expansion, channels, repeats, stride) in enumerate(_STAGES):
        for k in range(repeats):
            x = _inverted_residual(
                net, f"block{i}_{k}", x, expansion, _scaled(channels, width), stride if k == 0 else 1
            )
    x = _relu6(net, net.conv("head", x, 1280))
    x = net.add("GlobalAveragePool", "pool", [x])
    x = net.conv("classifier", x, classes)
    x = net.add("Flatten", "flatten", [x])
    return net.model([net.add("Softmax", "probability", [x], axis=1)])


def _scaled(channels: int, width: float) -> int:
    return max(8, int(channels * width + 4) // 8 * 8)


def _relu6(net: ExampleNet, x: str) -> str:
    return str(net.add("Clip", f"{x.removesuffix('_out')}_relu6", [x, "six_low", "six_high"]))


def _inverted_residual(net: ExampleNet, name: str, x: str, expansion: int, channels: int, stride: int) -> str:
    entering = net.values[x].shape[1]
    hidden = entering * expansion
    y = x if expansion == 1 else _relu6(net, net.conv(f"{name}_expand", x, hidden))
    y = _relu6(net, net.conv(f"{name}_depthwise", y, hidden, 3, stride, group=hidden))
    y = net.conv(f"{name}_project", y, channels)
    return str(net.add("Add", f"{name}_add", [x, y])) if stride == 1 and entering == channels else y


# --------------------------------------------------------------------------- YOLO


def yolo(image: Array, base: int = 16, classes: int = 20, seed: int = 3) -> onnx.ModelProto:
    """A small YOLOv8-like shape: C2f blocks, SPPF, top-down neck, box and class heads at three strides."""
    net = ExampleNet("yolo", {"images": image.astype(np.float32)}, seed)
    x = _silu(net, "stem", "images", base, 3, 2)
    levels = []
    for i in range(4):
        x = _silu(net, f"down{i}", x, base * 2 ** min(i + 1, 3), 3, 2)
        x = _c2f(net, f"c2f{i}", x)
        levels.append(x)
    levels[3] = _sppf(net, "sppf", levels[3])
    up = _up(net, "neck0", levels[3], levels[2])
    top = _up(net, "neck1", up, levels[1])
    outputs = []
    for i, level in enumerate((top, up, levels[3])):
        for part, channels in (("box", 64), ("class", classes)):
            y = _silu(net, f"head{i}_{part}_mid", level, base * 2, 3, 1)
            outputs.append(net.conv(f"head{i}_{part}", y, channels))
    return net.model(outputs)


def _silu(net: ExampleNet, name: str, x: str, channels: int, kernel: int, stride: int) -> str:
    made = net.conv(name, x, channels, kernel, stride)
    gate = net.add("Sigmoid", f"{name}_sigmoid", [made])
    return str(net.add("Mul", f"{name}_mul", [made, gate]))


def _c2f(net: ExampleNet, name: str, x: str) -> str:
    channels = net.values[x].shape[1]
    left, right = net.add("Split", f"{name}_split", [_silu(net, f"{name}_in", x, channels, 1, 1)], outputs=2, axis=1)
    y = _silu(net, f"{name}_m0", right, channels // 2, 3, 1)
    y = _silu(net, f"{name}_m1", y, channels // 2, 3, 1)
    y = net.add("Add", f"{name}_add", [right, y])
    joined = net.add("Concat", f"{name}_concat", [left, right, y], axis=1)
    return _silu(net, f"{name}_out", joined, channels, 1, 1)


def _sppf(net: ExampleNet, name: str, x: str) -> str:
    channels = net.values[x].shape[1]
    parts = [_silu(net, f"{name}_in", x, channels // 2, 1, 1)]
    for i in range(3):
        pool = net.add("MaxPool", f"{name}_pool{i}", [parts[-1]], kernel_shape=[5, 5], strides=[1, 1], pads=[2] * 4)
        parts.append(pool)
    joined = net.add("Concat", f"{name}_concat", parts, axis=1)
    return _silu(net, f"{name}_join", joined, channels, 1, 1)


def _up(net: ExampleNet, name: str, x: str, skip: str) -> str:
    scales = net.constant(f"{name}_scales", np.array([1, 1, 2, 2], np.float32))
    roi = net.constant(f"{name}_roi", np.array([], np.float32))
    wide = net.add("Resize", f"{name}_resize", [x, roi, scales], mode="nearest", nearest_mode="floor",
                   coordinate_transformation_mode="asymmetric")  # fmt: skip
    joined = net.add("Concat", f"{name}_concat", [wide, skip], axis=1)
    return _silu(net, f"{name}_join", joined, net.values[skip].shape[1], 1, 1)


# --------------------------------------------------------------------------- MotionBERT


def motionbert(pose: Array, width: int = 64, depth: int = 2, heads: int = 4, seed: int = 4) -> onnx.ModelProto:
    """A MotionBERT-like shape: attention over 17 joints, then over 120 frames. `pose` is [1, 120, 17, 3]."""
    net = ExampleNet("motionbert", {"pose": pose.astype(np.float32)}, seed)
    for name, value in (("two", 2.0), ("epsilon", 1e-5), ("root2", 2**0.5), ("one", 1.0), ("half", 0.5)):
        net.constant(name, np.array(value, np.float32))
    x = net.linear("embed", "pose", width)
    place = (net.rng.standard_normal((1, 1, 17, width)) * 0.2).astype(np.float32)
    x = net.add("Add", "embed_place", [x, net.constant("place", place)])
    for i in range(depth):
        x = _attention(net, f"block{i}_joints", x, heads)
        x = _mlp(net, f"block{i}_joints_mlp", x)
        x = net.add("Transpose", f"block{i}_to_frames", [x], perm=[0, 2, 1, 3])
        x = _attention(net, f"block{i}_frames", x, heads)
        x = _mlp(net, f"block{i}_frames_mlp", x)
        x = net.add("Transpose", f"block{i}_to_joints", [x], perm=[0, 2, 1, 3])
    return net.model([net.linear("regress", _norm(net, "final_norm", x), 3)])


def _norm(net: ExampleNet, name: str, x: str) -> str:
    """LayerNormalization as opset 11 exporters write it."""
    width = net.values[x].shape[-1]
    mean = net.add("ReduceMean", f"{name}_mean", [x], axes=[-1])
    centred = net.add("Sub", f"{name}_sub", [x, mean])
    square = net.add("Pow", f"{name}_pow", [centred, "two"])
    spread = net.add("ReduceMean", f"{name}_variance", [square], axes=[-1])
    root = net.add("Sqrt", f"{name}_sqrt", [net.add("Add", f"{name}_epsilon", [spread, "epsilon"])])
    ratio = net.add("Div", f"{name}_div", [centred, root])
    gain = net.constant(f"{name}_gain", np.asarray(1 + 0.1 * net.rng.standard_normal(width), np.float32))
    shift = net.constant(f"{name}_shift", np.asarray(0.1 * net.rng.standard_normal(width), np.float32))
    return str(net.add("Add", f"{name}_shifted", [net.add("Mul", f"{name}_mul", [ratio, gain]), shift]))


def _attention(net: ExampleNet, name: str, x: str, heads: int) -> str:
    """Attention over the third axis of [1, A, B, width]."""
    _, outer, inner, width = net.values[x].shape
    y = _norm(net, f"{name}_norm", x)
    split = net.constant(f"{name}_heads", np.array([outer, inner, heads, width // heads], np.int64))
    parts = {}
    for part, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])):
        made = net.add("Reshape", f"{name}_{part}_split", [net.linear(f"{name}_{part}", y, width), split])
        parts[part] = net.add("Transpose", f"{name}_{part}_turn", [made], perm=order)
    scale = net.constant(f"{name}_scale", np.array((width // heads) ** -0.5, np.float32))
    scores = net.add(
        "Mul", f"{name}_scaled", [net.add("MatMul", f"{name}_scores", [parts["query"], parts["key"]]), scale]
    )
    share = net.add("Softmax", f"{name}_softmax", [scores], axis=3)
    mixed = net.add(
        "Transpose", f"{name}_turn", [net.add("MatMul", f"{name}_mix", [share, parts["value"]])], perm=[0, 2, 1, 3]
    )
    joined = net.constant(f"{name}_joined", np.array([1, outer, inner, width], np.int64))
    back = net.linear(f"{name}_project", net.add("Reshape", f"{name}_join", [mixed, joined]), width)
    return str(net.add("Add", f"{name}_residual", [x, back]))


def _mlp(net: ExampleNet, name: str, x: str) -> str:
    width = net.values[x].shape[-1]
    y = net.linear(f"{name}_up", _norm(net, f"{name}_norm", x), width * 2)
    bent = net.add(
        "Add", f"{name}_one", [net.add("Erf", f"{name}_erf", [net.add("Div", f"{name}_root", [y, "root2"])]), "one"]
    )
    y = net.add("Mul", f"{name}_half", [net.add("Mul", f"{name}_gelu", [y, bent]), "half"])
    return str(net.add("Add", f"{name}_residual", [x, net.linear(f"{name}_down", y, width)]))
