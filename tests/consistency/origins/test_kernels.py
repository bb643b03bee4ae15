"""A runtime's own kernel is no fault: an int8 Softmax that onnxruntime fuses ends one step low here and there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from harness.consistency.compare import compare
from harness.dumps.folders import read_dumps
from harness.records import Comparison
from harness.reference.onnx_file import load_whole
from harness.reference.open import Reference, open_session, run_reference

Array = np.ndarray[Any, Any]
FEED = {"x": np.random.default_rng(0).normal(0, 2, (24, 4, 17, 17)).astype(np.float32)}


@pytest.fixture(scope="module")
def softmax(tmp_path_factory: pytest.TempPathFactory) -> tuple[Reference, Array]:
    """(reference without the optimizer, what the runtime gives with it)."""
    folder = tmp_path_factory.mktemp("softmax")
    scales = {"sx": np.float32(0.16), "ss": np.float32(0.006), "zx": np.int8(0), "zs": np.int8(0)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "sx", "zx"], ["xq"], "q1"),
        helper.make_node("DequantizeLinear", ["xq", "sx", "zx"], ["xd"], "d1"),
        helper.make_node("Softmax", ["xd"], ["s"], "soft", axis=-1),
        helper.make_node("QuantizeLinear", ["s", "ss", "zs"], ["sq"], "q2"),
        helper.make_node("DequantizeLinear", ["sq", "ss", "zs"], ["y"], "d2"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [24, 4, 17, 17])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in scales.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), folder / "s.onnx")
    reference = run_reference(folder / "s.onnx", FEED, folder / "reference")
    model = load_whole(folder / "s.onnx")
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in ("xq", "sq"))  # as a debug run keeps them
    return reference, open_session(model, folder / "s.onnx", "all").run(["sq"], FEED)[0]


def judged(folder: Path, reference: Reference, values: Array) -> Comparison:
    folder.mkdir()
    np.save(folder / "y.npy", values)
    np.save(folder / "x.npy", reference.tensors["x"].load())
    return compare(reference, read_dumps(folder))


def test_what_the_runtime_computes_fused_is_cleared(softmax: tuple[Reference, Array], tmp_path: Path) -> None:
    reference, fused = softmax
    comparison = judged(tmp_path / "d", reference, fused)
    if (fused == reference.tensors["y"].load()).all():  # a runtime without a kernel of its own for it
        assert comparison.verdict.word == "consistent"
        return
    assert comparison.verdict.word == "consistent_accumulated" and comparison.origins == ()
    assert any("the kernel of the fused op" in note for note in comparison.notes)


def test_one_step_low_elsewhere_is_a_fault(softmax: tuple[Reference, Array], tmp_path: Path) -> None:
    reference, _ = softmax
    values = np.array(reference.tensors["y"].load())
    low = np.random.default_rng(1).random(values.shape) < 0.05
    comparison = judged(tmp_path / "d", reference, np.where(low & (values > -128), values - 1, values).astype(np.int8))
    assert [(origin.op, origin.how) for origin in comparison.origins] == [("soft", "graph")]
