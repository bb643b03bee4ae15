"""Ranges that ops bound their outputs to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from harness.records import Graph, Op
from harness.reference.ranges import known_ranges
from tests.support.nets import tiny_model


def test_ranges_are_followed_through_ops_that_keep_them(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["score"], name="score"),
        helper.make_node("Tanh", ["x"], ["gate"], name="gate"),
        helper.make_node("Mul", ["score", "gate"], ["gated"], name="gated"),
        helper.make_node("Clip", ["x", "zero", "six"], ["cut"], name="cut"),
        helper.make_node("Concat", ["score", "cut"], ["both"], name="both", axis=1),
        helper.make_node("Transpose", ["both"], ["turned"], name="turned", perm=[1, 0]),
        helper.make_node("Mul", ["score", "hundred"], ["scaled"], name="scaled"),
        helper.make_node("Add", ["turned", "open"], ["y"], name="y"),
        helper.make_node("Neg", ["turned"], ["open"], name="open"),
    ]
    nodes = [*nodes[:-2], nodes[-1], nodes[-2]]
    constants = {"zero": np.float32(0), "six": np.float32(6), "hundred": np.float32(100)}
    model = tiny_model(nodes, {"x": [1, 4]}, ["y", "gated", "scaled"], **constants)
    onnx.save(model, tmp_path / "m.onnx")
    ranges = known_ranges(tmp_path / "m.onnx", None)
    assert ranges == {"score": 1, "gate": 2, "gated": 2, "cut": 6, "both": 6, "turned": 6, "scaled": 16}


def test_a_graph_without_attributes_tells_what_kinds_tell() -> None:
    ops = (Op("s", "Softmax", ("x",), ("s",)), Op("c", "Clip", ("s",), ("c",)), Op("r", "Reshape", ("s",), ("r",)))
    assert known_ranges(None, Graph(ops, ("x",), ("r",))) == {"s": 1.0, "r": 1.0}


def test_a_model_that_is_none_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"no model")
    assert known_ranges(tmp_path / "m.onnx", None) == {}


@pytest.mark.parametrize("limit", [3.4028235e38, 65504.0])
def test_a_clip_that_guards_against_overflow_bounds_nothing(limit: float, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Clip", ["x", "low", "high"], ["guarded"], name="guarded"),
        helper.make_node("Relu", ["guarded"], ["y"], name="y"),
        helper.make_node("Sigmoid", ["x"], ["score"], name="score"),
        helper.make_node("Clip", ["score", "low", "high"], ["same"], name="same"),
        helper.make_node("Mul", ["score", "high"], ["huge"], name="huge"),
    ]
    model = tiny_model(nodes, {"x": [1, 4]}, ["y", "same", "huge"], low=np.float32(-limit), high=np.float32(limit))
    onnx.save(model, tmp_path / "m.onnx")
    assert known_ranges(tmp_path / "m.onnx", None) == {"score": 1, "same": 1, "huge": 16}
