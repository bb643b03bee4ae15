"""Networks whose quantization is known to be good or bad, built for a chip in memory: float and quantized ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from harness.emulator.compiler.compile import BuildOptions, compile_model
from harness.emulator.rooms import soc_named
from harness.reference.open import Reference, run_reference
from tests.support.nets import tiny_model

Array = np.ndarray[Any, Any]
SIDE = 14


def joined(scores_by: float = 1.0, separate: bool = False) -> onnx.ModelProto:
    """A detector's head: boxes up to some hundred and scores below one, joined in one tensor or not."""
    rng = np.random.default_rng(0)
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w1"], ["c1"], "conv1", pads=[1] * 4, strides=[2, 2]),
        node("Relu", ["c1"], ["r1"], "relu1"),
        node("Conv", ["r1", "wb", "bb"], ["box"], "box_conv"),
        node("Conv", ["r1", "ws"], ["cls"], "cls_conv"),
        node("Sigmoid", ["cls"], ["score"], "score_sigmoid"),
        *([] if separate else [node("Concat", ["box", "score"], ["cat"], "join", axis=1)]),
        *([] if separate else [node("Conv", ["r1", "wb"], ["other"], "second_head")]),
    ]
    weights = {
        "w1": rng.normal(0, 0.3, (16, 3, 3, 3)),
        "wb": rng.normal(0, 0.3, (4, 16, 1, 1)) * 60,
        "bb": np.full(4, 200.0),
        "ws": rng.normal(0, 0.3, (2, 16, 1, 1)) * scores_by,
    }
    outputs = ["box", "score"] if separate else ["cat", "other"]
    return tiny_model(nodes, {"x": [1, 3, SIDE, SIDE]}, outputs, **_f32(weights))


def attention(constant: float) -> onnx.ModelProto:
    """Four ops: scores, a mask, Softmax, values."""
    mask = np.where(np.tril(np.ones((SIDE, SIDE))), 0.0, constant).reshape(1, 1, SIDE, SIDE)
    nodes = [
        helper.make_node("MatMul", ["x", "wk"], ["scores"], "q_k"),
        helper.make_node("Add", ["scores", "mask"], ["masked"], "mask_add"),
        helper.make_node("Softmax", ["masked"], ["p"], "softmax", axis=-1),
        helper.make_node("MatMul", ["p", "wv"], ["y"], "attend"),
    ]
    rng = np.random.default_rng(1)
    weights = {"wk": rng.normal(0, 1, (SIDE, SIDE)), "wv": rng.normal(0, 1, (SIDE, SIDE)), "mask": mask}
    return tiny_model(nodes, {"x": [1, 3, SIDE, SIDE]}, ["y"], **_f32(weights))


def _f32(weights: Mapping[str, Any]) -> dict[str, Array]:
    return {name: np.asarray(value, np.float32) for name, value in weights.items()}


def built(model: onnx.ModelProto, soc: str, folder: Path, calibrated_for: float = 1.0) -> tuple[Reference, Reference]:
    """(quantized, float) references of one input; calibrated on inputs `calibrated_for` times as large."""
    path = folder / "net.onnx"
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    calibration = folder / "calibration"
    calibration.mkdir(exist_ok=True)
    rng = np.random.default_rng(2)
    name, *_ = [value.name for value in model.graph.input]
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    for number in range(4):
        np.save(calibration / f"{number}.npy", rng.uniform(0, calibrated_for, shape).astype(np.float32))
    options = BuildOptions(soc=soc_named(soc), calibration=calibration)
    made = compile_model(path, options)
    quantized = folder / "net_quantized_model.onnx"
    onnx.save(made.quantized, str(quantized))
    feed = {name: rng.uniform(0, 1, shape).astype(np.float32)}
    return run_reference(quantized, feed, folder / "q"), run_reference(path, feed, folder / "f")
