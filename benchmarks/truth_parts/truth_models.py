"""Small networks of five shapes with seeded weights, quantized by ONNX Runtime: ground to plant faults in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from harness.emulator.model.op_graph import Change, OpGraph
from harness.reference.open import Reference

Array = np.ndarray[Any, Any]
Values = Mapping[str, Array]


class Builder:
    """Writes nodes one by one; every method returns the name of the tensor it makes."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def constant(self, name: str, value: Array) -> str:
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def weight(self, name: str, *shape: int) -> str:
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else shape[0]
        return self.constant(name, self.rng.normal(0, 1.4 / fan_in**0.5, shape).astype(np.float32))

    def op(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        name = name or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [f"{name}_out"], name=name, **attributes))
        return f"{name}_out"

    def conv(
        self, x: str, cin: int, cout: int, *, k: int = 3, stride: int = 1, group: int = 1, act: str = "Relu"
    ) -> str:
        name = f"conv{len(self.nodes)}"
        w = self.weight(f"{name}_w", cout, cin // group, k, k)
        b = self.constant(f"{name}_b", self.rng.normal(0, 0.1, cout).astype(np.float32))
        pads = [k // 2] * 4
        y = self.op("Conv", x, w, b, name=name, kernel_shape=[k, k], strides=[stride] * 2, pads=pads, group=group)
        return self.op(act, y) if act else y

    def matmul(self, x: str, rows: int, columns: int) -> str:
        w = self.constant(f"w{len(self.nodes)}", self.rng.normal(0, rows**-0.5, (rows, columns)).astype(np.float32))
        return self.op("MatMul", x, w)

    def model(self, inputs: dict[str, tuple[int, ...]], outputs: dict[str, str]) -> onnx.ModelProto:
        """`outputs` maps the public name to the tensor."""
        for public, tensor in outputs.items():
            self.nodes.append(helper.make_node("Identity", [tensor], [public], name=f"out_{public}"))
        graph = helper.make_graph(
            self.nodes,
            "net",
            [
                helper.make_tensor_value_info(n, TensorProto.UINT8 if n in BYTES else TensorProto.FLOAT, s)
                for n, s in inputs.items()
            ],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return onnx.shape_inference.infer_shapes(_drop_identities(model))


def _drop_identities(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give the last tensors their public names directly."""
    names = {n.input[0]: n.output[0] for n in model.graph.node if n.name.startswith("out_")}
    kept = [n for n in model.graph.node if not n.name.startswith("out_")]
    for node in kept:
        node.input[:] = [names.get(x, x) for x in node.input]
        node.output[:] = [names.get(x, x) for x in node.output]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return model


def cnn(seed: int) -> onnx.ModelProto:
    """Plain convolutions with a pool and a classifier."""
    b = Builder(seed)
    x = b.conv("images", 3, 16, stride=2)
    x = b.conv(x, 16, 32)
    x = b.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = b.conv(x, 32, 48)
    x = b.conv(x, 48, 48)
    x = b.op("GlobalAveragePool", x)
    x = b.op("Flatten", x)
    x = b.op("Gemm", x, b.weight("fc_w", 48, 40), b.weight("fc_b", 40))
    return b.model({"images": (1, 3, 64, 64)}, {"logits": x})


def mobilenet(seed: int) -> onnx.ModelProto:
    """Inverted residuals: depthwise convolutions, clipped activations, additions."""
    b = Builder(seed)
    x = b.conv("images", 3, 16, stride=2)
    for _ in range(4):
        y = b.conv(x, 16, 48, k=1)
        y = b.conv(y, 48, 48, group=48)
        y = b.conv(y, 48, 16, k=1, act="")
        x = b.op("Add", x, y)
    x = b.conv(x, 16, 64, k=1)
    return b.model({"images": (1, 3, 48, 48)}, {"features": x})


def pyramid(seed: int) -> onnx.ModelProto:
    """A detector's neck: resize, concat, sigmoid gates, two heads."""
    b = Builder(seed)
    a = b.conv("images", 3, 16, stride=2)
    c = b.conv(a, 16, 32, stride=2)
    d = b.conv(c, 32, 32, stride=2)
    scales = b.constant("scales", np.array([1, 1, 2, 2], np.float32))
    up = b.op("Resize", d, "", scales, mode="nearest")
    m = b.op("Concat", up, c, axis=1)
    m = b.conv(m, 64, 32, k=1)
    g = b.op("Sigmoid", m)
    m = b.op("Mul", m, g)
    near = b.conv(m, 32, 24, act="")
    far = b.conv(b.conv(m, 32, 32, stride=2), 32, 24, act="")
    return b.model({"images": (1, 3, 64, 64)}, {"near": near, "far": far})


def transformer(seed: int) -> onnx.ModelProto:
    """Two attention blocks: matmul, softmax, layer norm, transposes."""
    b = Builder(seed)
    x = b.matmul("tokens", 24, 64)
    for i in range(2):
        x = _attention(b, x, i)
    return b.model({"tokens": (1, 60, 24)}, {"encoded": b.matmul(x, 64, 32)})


def _attention(b: Builder, x: str, i: int) -> str:
    shape = b.constant(f"heads{i}", np.array([1, 60, 4, 16], np.int64))
    back = b.constant(f"back{i}", np.array([1, 60, 64], np.int64))
    scale = b.constant(f"scale{i}", np.array(0.25, np.float32))
    q, k, v = (b.op("Reshape", b.matmul(x, 64, 64), shape) for _ in range(3))
    q, v = (b.op("Transpose", t, perm=[0, 2, 1, 3]) for t in (q, v))
    k = b.op("Transpose", k, perm=[0, 2, 3, 1])
    s = b.op("Softmax", b.op("Mul", b.op("MatMul", q, k), scale), axis=-1)
    y = b.op("Reshape", b.op("Transpose", b.op("MatMul", s, v), perm=[0, 2, 1, 3]), back)
    x = b.op("Add", x, b.matmul(y, 64, 64))
    gamma, beta = b.constant(f"g{i}", np.ones(64, np.float32)), b.constant(f"b{i}", np.zeros(64, np.float32))
    x = b.op("LayerNormalization", x, gamma, beta, axis=-1)
    y = b.op("Relu", b.matmul(x, 64, 128))
    return b.op("Add", x, b.matmul(y, 128, 64))


def two_inputs(seed: int) -> onnx.ModelProto:
    """Two branches that meet twice: more than one path to every output."""
    b = Builder(seed)
    left, right = b.conv("left", 3, 24), b.conv("right", 3, 24)
    x = b.op("Add", left, right)
    y = b.op("Mul", b.conv(x, 24, 24), b.op("Tanh", right))
    z = b.op("Concat", x, y, axis=1)
    z = b.op("AveragePool", z, kernel_shape=[2, 2], strides=[2, 2])
    return b.model({"left": (1, 3, 40, 40), "right": (1, 3, 40, 40)}, {"out": b.conv(z, 48, 32, act="")})


def camera(seed: int) -> onnx.ModelProto:
    """A camera's picture as YUV444 bytes (NV12 on a board), converted to colours by the first op."""
    b = Builder(seed)
    x = b.op("Cast", "yuv", to=TensorProto.FLOAT)
    x = b.op("Sub", x, b.constant("centre", np.array([0, 128, 128], np.float32).reshape(1, 3, 1, 1)))
    colours = np.array([[1, 0, 1.402], [1, -0.344, -0.714], [1, 1.772, 0]], np.float32) / 255
    x = b.op("Conv", x, b.constant("to_rgb", colours[:, :, None, None]), kernel_shape=[1, 1])
    x = b.conv(b.conv(x, 3, 16, stride=2), 16, 24)
    return b.model({"yuv": (1, 3, 48, 64)}, {"features": b.conv(x, 24, 16, act="")})


def batched(seed: int) -> onnx.ModelProto:
    """Two pictures at once."""
    b = Builder(seed)
    x = b.op("MaxPool", b.conv("images", 3, 16), kernel_shape=[2, 2], strides=[2, 2])
    x = b.op("Sigmoid", b.conv(b.conv(x, 16, 24), 24, 24, act=""))
    return b.model({"images": (2, 3, 32, 32)}, {"features": b.conv(x, 24, 16, act="")})


MODELS: dict[str, Callable[[int], onnx.ModelProto]] = {
    "cnn": cnn,
    "mobilenet": mobilenet,
    "pyramid": pyramid,
    "transformer": transformer,
    "two_inputs": two_inputs,
    "camera": camera,
    "batched": batched,
}
BYTES = ("yuv",)  # inputs that are pictures in bytes


def inputs_of(model: onnx.ModelProto, seed: int) -> dict[str, Array]:
    """Smooth seeded inputs in 0..1, as pictures are, so that neighbouring values resemble each other."""
    rng = np.random.default_rng(seed)
    made = {}
    for value in model.graph.input:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        noise = rng.random(shape)
        for axis in range(max(1, len(shape) - 2), len(shape)):
            noise = (noise + np.roll(noise, 1, axis) + np.roll(noise, 2, axis)) / 3
        made[value.name] = _as_nv12(noise) if value.name in BYTES else noise.astype(np.float32)
    return made


def _as_nv12(picture: Array) -> Array:
    """YUV444 bytes of what NV12 can hold: each chroma sample stands for four pixels."""
    chroma = picture[:, 1:, ::2, ::2].repeat(2, axis=2).repeat(2, axis=3)
    made: Array = np.rint(np.concatenate([picture[:, :1], chroma], axis=1) * 255).astype(np.uint8)
    return made


def quantized(model: onnx.ModelProto, folder: Path, name: str, *, activations: str = "s8") -> Path:
    """The QDQ model that ONNX Runtime's static quantization makes of `model`, written to `folder`."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.feeds: Iterator[dict[str, Array]] = iter([inputs_of(model, seed) for seed in range(3)])

        def get_next(self) -> dict[str, Array] | None:
            return next(self.feeds, None)

    source, target = folder / f"{name}.onnx", folder / f"{name}_quantized.onnx"
    onnx.save(model, source)
    kind = QuantType.QInt8 if activations == "s8" else QuantType.QUInt8
    quantize_static(
        source,
        target,
        Reader(),
        quant_format=QuantFormat.QDQ,
        activation_type=kind,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )
    return target


# --------------------------------------------------------------------------- a board that goes on with wrong values


def run_with(reference: Reference, given: Values, feed: Values | None = None) -> dict[str, Array]:
    """Every tensor of the reference's model when the tensors in `given` hold other values, or the inputs in `feed`."""
    assert reference.model is not None
    model = onnx.load(str(reference.model))
    tensors = reference.tensors.values()
    fed = {(t.alternate or t).onnx_name: np.array((t.alternate or t).load()) for t in tensors if t.is_input}
    fed |= dict(feed or {})
    fixed = {reference.tensors[name].onnx_name: value for name, value in given.items()}
    for onnx_name, value in fixed.items():
        _fix(model, onnx_name, value)
    names = {t.onnx_name: t.name for t in tensors if t.onnx_name not in fixed and t.onnx_name not in fed}
    results = dict(zip(names.values(), _values(model, fed, list(names)), strict=True))
    inputs = {t.name: fed[t.onnx_name] for t in tensors if t.is_input and t.onnx_name in fed}
    return {**inputs, **results, **given}


def recomputed(reference: Reference, tensor: str, change: Change) -> Array:
    """What the op that makes `tensor` gives once it is changed, fed with the reference's own inputs."""
    assert reference.model is not None
    model = onnx.load(str(reference.model))
    tensors = reference.tensors.values()
    name = reference.tensors[tensor].onnx_name
    change(OpGraph(model, name, [t.onnx_name for t in tensors]))
    fed = {(t.alternate or t).onnx_name: np.array((t.alternate or t).load()) for t in tensors if t.is_input}
    return _values(model, fed, [name])[0]


def _values(model: onnx.ModelProto, fed: Values, names: list[str]) -> list[Array]:
    """Tensors by their names in the ONNX."""
    import onnxruntime

    own = {o.name for o in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names if n not in own)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return list(session.run(names, dict(fed)))


def _fix(model: onnx.ModelProto, name: str, value: Array) -> None:
    """Make `name` a constant: its producer writes elsewhere."""
    for node in model.graph.node:
        node.output[:] = [f"{o}__computed" if o == name else o for o in node.output]
    model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
