"""An int8 Softmax that the runtime fuses ends a step low in some elements: its kernel. Other steps are faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from harness.consistency.compare import CompareSettings, compare
from harness.dumps.folders import read_dumps
from harness.records import Comparison
from harness.reference.open import run_reference

Array = npt.NDArray[Any]
STEP = np.float32(0.006)


def model(path: Path) -> Path:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "sx", "zero"], ["xq"], "in"),
        helper.make_node("DequantizeLinear", ["xq", "sx", "zero"], ["xd"], "ind"),
        helper.make_node("Softmax", ["xd"], ["s"], "soft", axis=-1),
        helper.make_node("QuantizeLinear", ["s", "ss", "zero"], ["sq"], "out"),
        helper.make_node("DequantizeLinear", ["sq", "ss", "zero"], ["y"], "outd"),
    ]
    weights = [
        numpy_helper.from_array(np.float32(0.16), "sx"),
        numpy_helper.from_array(STEP, "ss"),
        numpy_helper.from_array(np.int8(0), "zero"),
    ]
    sides = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (40, 4, 17, 17)) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "soft", sides[:1], sides[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


def judged(folder: Path, wrong: float) -> Comparison:
    """What the runtime's own session gives, with a share of `wrong` elements one more step low."""
    path, rng = model(folder / "soft.onnx"), np.random.default_rng(0)
    x = rng.normal(size=(40, 4, 17, 17)).astype(np.float32)
    y: Array = onnxruntime.InferenceSession(str(path)).run(None, {"x": x})[0]
    y[(rng.random(y.shape) < wrong) & (y > 2 * STEP)] -= STEP
    (folder / "board").mkdir()
    np.save(folder / "board" / "y.npy", y)
    reference = run_reference(path, {"x": x}, folder / "reference")
    return compare(reference, read_dumps(folder / "board"), CompareSettings())


def test_the_runtimes_own_kernel_is_no_fault(tmp_path: Path) -> None:
    comparison = judged(tmp_path, 0.0)
    assert comparison.verdict.exit_code == 0 and not comparison.origins
    if comparison.layers[0].verdict == "differs":  # where this PC's kernel differs from its plain ops at all
        assert any("the kernel of the fused op" in note for note in comparison.notes)


@pytest.mark.parametrize("wrong", [0.05, 0.3])
def test_other_elements_one_step_low_are_a_fault(tmp_path: Path, wrong: float) -> None:
    comparison = judged(tmp_path, wrong)
    assert comparison.verdict.word == "diverges" and comparison.origins[0].op_kind == "Softmax"
