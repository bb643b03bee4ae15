"""What a converter does to all ops of one type is named where only the outputs were dumped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import NodeProto

from tests.consistency.hypotheses import mutations as m
from tests.consistency.hypotheses.mistakes import MAP, node

LAYERS = 6
WEIGHTS = {f"w{i}": m.values(MAP[1], MAP[1], 1, 1, seed=i, scale=0.4) for i in range(LAYERS)}


def repeated(middle: Callable[[str, str, int], list[NodeProto]]) -> list[NodeProto]:
    """Convolutions from x to y with something behind each."""
    nodes: list[NodeProto] = []
    for i in range(LAYERS):
        given, made = ("x" if i == 0 else f"g{i - 1}"), ("y" if i == LAYERS - 1 else f"g{i}")
        nodes += [node("Conv", [given, f"w{i}"], [f"c{i}"], f"conv{i}"), *middle(f"c{i}", made, i)]
    return nodes


def gelu(x: str, y: str, i: int) -> list[NodeProto]:
    return [
        node("Mul", [x, "root"], [f"z{i}"], f"z{i}"),
        node("Erf", [f"z{i}"], [f"e{i}"], f"e{i}"),
        node("Add", [f"e{i}", "one"], [f"p{i}"], f"p{i}"),
        node("Mul", [x, f"p{i}"], [y], f"m{i}"),
    ]


def resized(x: str, y: str, i: int) -> list[NodeProto]:
    up, down = ["roi", "twice"], ["roi", "half"]
    return [
        node("Resize", [x, *up], [f"u{i}"], f"up{i}", mode="linear"),
        node("Relu", [f"u{i}"], [f"r{i}"], f"relu{i}"),
        node("Resize", [f"r{i}", *down], [y], f"down{i}", mode="linear"),
    ]


def by_tanh(model: onnx.ModelProto) -> None:
    """Every erf as the tanh of GELU's approximation."""
    made: list[NodeProto] = []
    for n in model.graph.node:
        if n.op_type != "Erf":
            made.append(n)
            continue
        x, y = n.input[0], n.output[0]
        made.append(node("Mul", [x, "wide"], [f"{y}/x"]))
        made += [node("Mul", [f"{y}/x"] * 2, [f"{y}/xx"]), node("Mul", [f"{y}/xx", f"{y}/x"], [f"{y}/xxx"])]
        made += [node("Mul", [f"{y}/xxx", "cubic"], [f"{y}/k"]), node("Add", [f"{y}/x", f"{y}/k"], [f"{y}/s"])]
        made += [node("Mul", [f"{y}/s", "factor"], [f"{y}/t"]), node("Tanh", [f"{y}/t"], [y])]
    del model.graph.node[:]
    model.graph.node.extend(made)


def asymmetric(model: onnx.ModelProto) -> None:
    for n in model.graph.node:
        if n.op_type == "Resize":
            m.attributes(n.name, mode="linear", coordinate_transformation_mode="asymmetric")(model)


ROOTS = {"root": 0.5**0.5, "one": 1, "wide": 2**0.5, "cubic": 0.044715, "factor": (2 / np.pi) ** 0.5}
SCALES = {"twice": (1, 1, 2, 2), "half": (1, 1, 0.5, 0.5)}
HABITS = {
    "gelu": (gelu, ROOTS, by_tanh, "function", "GELU by tanh instead of erf in all 6 Erf"),
    "resize": (resized, SCALES, asymmetric, "resampling", "coordinate_transformation_mode asymmetric in all 12 Resize"),
}


@pytest.mark.parametrize("name", HABITS)
def test_a_habit_of_a_converter_is_named_from_the_outputs(name: str, tmp_path: Path) -> None:
    middle, constants, change, kind, words = HABITS[name]
    more = {key: np.asarray(value, np.float32) for key, value in constants.items()}
    model = m.network(repeated(middle), MAP, "y", roi=np.zeros(0, np.float32), **WEIGHTS, **more)
    reference, board = m.board_of(model, tmp_path, change, {"x": m.values(*MAP, seed=11)})
    manifest = json.loads((board / "manifest.json").read_text())
    manifest["tensors"] = [row for row in manifest["tensors"] if row["name"] in ("x", "y")]
    (board / "manifest.json").write_text(json.dumps(manifest))
    (origin,) = m.judged(reference, board).origins
    assert origin.fingerprint is not None and origin.fingerprint.kind == kind, origin.fingerprint
    assert words in origin.fingerprint.evidence
