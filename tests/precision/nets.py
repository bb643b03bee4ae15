"""The networks that precision is asked of: joined boxes and scores, masked attention, a channel far out of range."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]
SAMPLES = 6


def _floats(values: Mapping[str, Array]) -> list[onnx.TensorProto]:
    kinds = {name: np.float32 if value.dtype.kind == "f" else value.dtype for name, value in values.items()}
    return [numpy_helper.from_array(value.astype(kinds[name]), name) for name, value in values.items()]


def _written(
    folder: Path,
    nodes: list[onnx.NodeProto],
    inputs: Mapping[str, tuple[int, ...]],
    outputs: Mapping[str, tuple[int, ...]],
    constants: Mapping[str, Array],
) -> Path:
    def values(shapes: Mapping[str, tuple[int, ...]]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]

    graph = helper.make_graph(nodes, "net", values(inputs), values(outputs), initializer=_floats(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    path = folder / "net.onnx"
    onnx.save(model, path)
    return path


def _samples(folder: Path, shapes: Mapping[str, tuple[int, ...]], low: float, high: float) -> Path:
    """Seeded; between 0 and 1 they are pixels / 255, as boards that take pictures only can be fed with."""
    rng = np.random.default_rng(3)
    levels = 255 if (low, high) == (0, 1) else 0
    for name, shape in shapes.items():
        place = folder / "cal" / name if len(shapes) > 1 else folder / "cal"
        place.mkdir(parents=True)
        for number in range(SAMPLES):
            values = rng.uniform(low, high, shape)
            values = np.rint(values * levels) / levels if levels else values
            np.save(place / f"{number}.npy", values.astype(np.float32))
    return folder / "cal"


def detector(folder: Path) -> tuple[Path, Path]:
    """Boxes of hundreds of pixels and scores of 0..1 in one output; the model and its samples."""
    rng = np.random.default_rng(0)
    node = helper.make_node
    nodes = [
        node("Conv", ["images", "w1"], ["c1"], "conv1", pads=[1] * 4, strides=[2, 2]),
        node("Relu", ["c1"], ["r1"], "relu1"),
        node("Conv", ["r1", "wb", "bb"], ["raw"], "box_conv"),
        node("Mul", ["raw", "stride"], ["box"], "box_mul"),
        node("Conv", ["r1", "ws"], ["cls"], "cls_conv"),
        node("Sigmoid", ["cls"], ["score"], "score_sigmoid"),
        node("Concat", ["box", "score"], ["cat"], "join", axis=1),
        node("Reshape", ["cat", "shape"], ["output0"], "flat"),
    ]
    constants = {
        "w1": rng.normal(0, 0.3, (16, 3, 3, 3)), "wb": rng.normal(0, 0.3, (4, 16, 1, 1)), "bb": np.full(4, 3.0),
        "ws": rng.normal(0, 0.5, (2, 16, 1, 1)), "stride": np.full((1, 4, 1, 1), 64.0),
        "shape": np.array([1, 6, -1], np.int64),
    }  # fmt: skip
    shapes = {"images": (1, 3, 32, 32)}
    return _written(folder, nodes, shapes, {"output0": (1, 6, 256)}, constants), _samples(folder, shapes, 0, 1)


def masked_attention(folder: Path, constant: float = -10000.0) -> tuple[Path, Path]:
    """One head with a causal mask, whose constant takes the whole range of the scores' scale."""
    rng = np.random.default_rng(1)
    node = helper.make_node
    nodes = [
        *(node("MatMul", ["x", f"w_{part}"], [part], f"{part}_proj") for part in ("q", "k", "v")),
        node("Transpose", ["k"], ["kt"], "turn", perm=[0, 2, 1]),
        node("MatMul", ["q", "kt"], ["s"], "scores"),
        node("Add", ["s", "mask"], ["masked"], "mask_add"),
        node("Softmax", ["masked"], ["p"], "softmax", axis=-1),
        node("MatMul", ["p", "v"], ["o"], "attend"),
        node("MatMul", ["o", "w_o"], ["y"], "head"),
    ]
    constants = {f"w_{part}": rng.normal(0, 0.25, (24, 24)) for part in ("q", "k", "v")}
    constants["w_o"] = rng.normal(0, 0.25, (24, 6))
    constants["mask"] = np.where(np.tril(np.ones((12, 12))), 0.0, constant).reshape(1, 12, 12)
    shapes = {"x": (1, 12, 24)}
    return _written(folder, nodes, shapes, {"y": (1, 12, 6)}, constants), _samples(folder, shapes, -2, 2)


def outlier_mobilenet(folder: Path) -> tuple[Path, Path]:
    """Four inverted residuals; one channel of one depthwise convolution is a hundred times the others."""
    rng = np.random.default_rng(2)
    node = helper.make_node
    nodes, constants, x, channels = [], {}, "images", 3
    for block in range(4):
        wide, out = 24, 12
        for part, shape, extra in (
            ("expand", (wide, channels, 1, 1), {}),
            ("depthwise", (wide, 1, 3, 3), {"group": wide, "pads": [1] * 4}),
            ("project", (out, wide, 1, 1), {}),
        ):
            name = f"b{block}_{part}"
            constants[f"{name}_w"] = rng.normal(0, (1.5 / np.prod(shape[1:])) ** 0.5, shape)
            nodes.append(node("Conv", [x, f"{name}_w"], [f"{name}_c"], name, **extra))
            x = f"{name}_c"
            if part != "project":
                nodes.append(node("Relu", [x], [f"{name}_r"], f"{name}_relu"))
                x = f"{name}_r"
        channels = out
    constants["b2_depthwise_w"][5] *= 100.0
    constants["b2_project_w"][:, 5] /= 100.0
    nodes += [node("GlobalAveragePool", [x], ["pooled"], "pool"), node("Flatten", ["pooled"], ["f"], "flat")]
    constants["fc"] = rng.normal(0, 0.4, (12, 10))
    nodes.append(node("MatMul", ["f", "fc"], ["scores"], "classify"))
    shapes = {"images": (1, 3, 16, 16)}
    return _written(folder, nodes, shapes, {"scores": (1, 10)}, constants), _samples(folder, shapes, 0, 1)


def layers_of_one_mask(folder: Path, *, is_output: bool = False) -> tuple[Path, Path]:
    """Two layers that share a mask, made of an input as exporters of language models do: (1 - mask) * -10000."""
    rng = np.random.default_rng(5)
    node = helper.make_node
    nodes = [
        node("Sub", ["one", "mask"], ["hidden"], "invert"),
        node("Mul", ["hidden", "far"], ["far_mask"], "mask_mul"),
        node("Unsqueeze", ["far_mask", "axis"], ["rows"], "mask_rows"),
    ]
    x = "x"
    for i in range(2):
        nodes += [
            node("MatMul", [x, f"w{i}"], [f"q{i}"], f"query{i}"),
            node("Transpose", [x], [f"t{i}"], f"turn{i}", perm=[0, 2, 1]),
            node("MatMul", [f"q{i}", f"t{i}"], [f"s{i}"], f"scores{i}"),
            node("Add", [f"s{i}", "rows"], [f"m{i}"], f"masked{i}"),
            node("Softmax", [f"m{i}"], [f"p{i}"], f"softmax{i}", axis=-1),
            node("MatMul", [f"p{i}", x], [f"y{i}"], f"attend{i}"),
        ]
        x = f"y{i}"
    constants: dict[str, Array] = {f"w{i}": rng.normal(0, 0.3, (16, 16)) for i in range(2)}
    constants |= {"one": np.array(1.0), "far": np.array(-10000.0), "axis": np.array([1], np.int64)}
    shapes = {"x": (1, 8, 16), "mask": (1, 8)}
    outputs = {"y1": (1, 8, 16), **({"far_mask": (1, 8)} if is_output else {})}
    path, samples = _written(folder, nodes, shapes, outputs, constants), _samples(folder, shapes, -2, 2)
    for file in (samples / "mask").iterdir():
        np.save(file, (np.arange(8) < 6).astype(np.float32)[None])
    return path, samples


def tailed(folder: Path) -> tuple[Path, Path]:
    """Three outputs: a convolution's that nothing reads on, one that is read on and comes back, and a Sigmoid's."""
    rng = np.random.default_rng(6)
    node = helper.make_node
    nodes = [
        node("Concat", ["images", "state_in"], ["both"], "join", axis=1),
        node("Conv", ["both", "w1"], ["c1"], "stem", pads=[1] * 4),
        node("Relu", ["c1"], ["r1"], "act"),
        node("Conv", ["r1", "w2"], ["state_out"], "state"),
        node("Conv", ["state_out", "w3"], ["boxes"], "box_head"),
        node("Conv", ["r1", "w4"], ["logits"], "score_head"),
        node("Sigmoid", ["logits"], ["scores"], "squash"),
    ]
    constants = {
        "w1": rng.normal(0, 0.3, (8, 7, 3, 3)), "w2": rng.normal(0, 0.3, (4, 8, 1, 1)),
        "w3": rng.normal(0, 0.3, (4, 4, 1, 1)), "w4": rng.normal(0, 0.3, (2, 8, 1, 1)),
    }  # fmt: skip
    shapes = {"images": (1, 3, 8, 8), "state_in": (1, 4, 8, 8)}
    outputs = {"state_out": (1, 4, 8, 8), "boxes": (1, 4, 8, 8), "scores": (1, 2, 8, 8)}
    return _written(folder, nodes, shapes, outputs, constants), _samples(folder, shapes, 0, 1)
