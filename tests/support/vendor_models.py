"""Small models with a vendor's own ops, for the test stand-in in tests/vendor_stand_in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

STAND_IN = Path(__file__).resolve().parents[1] / "vendor_stand_in"


def stand_in_environment(release: str) -> dict[str, str]:
    """Variables with which the stand-in of a release ("older", "newer") can be imported."""
    return {"PYTHONPATH": f"{STAND_IN}:{STAND_IN / release}"}


def vendor_model(path: Path, special: str = "HzRelu", signed: bool = False) -> Path:
    """x -> Cast -> `special` -> HzAdd with itself -> y, of four numbers; `signed` takes int8 as a picture does."""
    kind = TensorProto.INT8 if signed else TensorProto.FLOAT
    nodes = [
        helper.make_node("HzCast", ["x"], ["a"], name="cast", domain="horizon", to=TensorProto.FLOAT),
        helper.make_node(special, ["a"], ["b"], name="special", domain="horizon"),
        helper.make_node("HzAdd", ["b", "b"], ["y"], name="add", domain="horizon"),
    ]
    inputs = [helper.make_tensor_value_info("x", kind, [1, 4])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])]
    graph = helper.make_graph(nodes, "vendor", inputs, outputs)
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("horizon", 1)]
    model = helper.make_model(graph, opset_imports=opsets)
    model.ir_version = 7  # runtimes of 2020 load it
    onnx.save(model, str(path))
    return path


def plain_model(path: Path) -> Path:
    """x -> Relu -> Add -> y without a vendor's op, in an opset that onnxruntime 1.10 knows."""
    nodes = [
        helper.make_node("Relu", ["x"], ["b"], name="relu"),
        helper.make_node("Add", ["b", "b"], ["y"], name="add"),
    ]
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "plain", info[:1], info[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 7
    onnx.save(model, str(path))
    return path


def save_input(path: Path, values: list[float], dtype: str = "float32") -> Path:
    np.save(path, np.array([values], dtype))
    return path
