"""What the origins together say that none of them says alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from harness.consistency.checks.notes import after_localization
from harness.consistency.compare import compare
from harness.dumps.folders import read_dumps
from harness.records import Graph, Layer, Metrics, Op, Origin
from harness.reference.open import run_reference
from tests.support.nets import tiny_model


@pytest.mark.parametrize(("mismatched", "doubted"), [(4, False), (5, True), (100, True)])
def test_a_dump_is_doubted_where_much_of_it_differs_and_all_behind_it_is_equal(mismatched: int, doubted: bool) -> None:
    """A few wrong elements may be lost in the next op's rounding: then the op is wrong, and its file is right."""
    graph = Graph((Op("A", "Relu", ("x",), ("a",)), Op("B", "Relu", ("a",), ("b",))), ("x",), ("b",))
    layers = [
        Layer(0, "a", "A", "Relu", "differs", metrics=Metrics(100, mismatched)),
        Layer(1, "b", "B", "Relu", "exact"),
    ]
    message = list(after_localization(graph, layers, [Origin("A", "Relu", "a")]))
    assert any("more likely wrong" in one for one in message) is doubted


@pytest.mark.parametrize(("origins", "noted"), [(16, False), (17, True)])
def test_of_many_origins_it_is_said_how_many_ops_were_run_in_other_ways(
    origins: int, noted: bool, tmp_path: Path
) -> None:
    names = [f"y{i}" for i in range(origins)]
    nodes = [helper.make_node("Add", ["x", "one"], [name], f"add{name}") for name in names]
    onnx.save(tiny_model(nodes, {"x": [4]}, names, one=np.array(1, np.float32)), tmp_path / "m.onnx")
    reference = run_reference(tmp_path / "m.onnx", {"x": np.arange(4, dtype=np.float32)}, tmp_path / "reference")
    (tmp_path / "board").mkdir()
    for name in names:
        np.save(tmp_path / "board" / f"{name}.npy", reference.tensors[name].load() * np.array([1, 3, 1, 2], np.float32))
    comparison = compare(reference, read_dumps(tmp_path / "board"))
    assert len(comparison.origins) == origins
    assert any("tried at the first 4 of 17 origins only" in note for note in comparison.notes) is noted
