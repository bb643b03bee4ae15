"""References that are a quantized network's, written as real values, with the float ONNX as their graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest

from harness.consistency.compare import CompareSettings, compare
from harness.consistency.grid import grid_step
from harness.consistency.reading.tensor_files import dequantize
from harness.dumps.folders import read_dumps
from harness.records import Comparison
from harness.reference.open import Reference, open_reference
from tests.support.nets import Array, float_model, quantized_reference, run_with

Change = Callable[[Array], Array]


@pytest.fixture(scope="module")
def cnn(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    folder = tmp_path_factory.mktemp("cnn")
    onnx.save(float_model("cnn"), folder / "float.onnx")
    return quantized_reference("cnn", folder)


def real_folder(reference: Reference, folder: Path, integers: Mapping[str, Array]) -> Path:
    """Every tensor dequantized, as vendors' tools write them: .npy of float32."""
    folder.mkdir()
    for tensor in reference.tensors.values():
        assert tensor.spec is not None
        values = integers.get(tensor.name, np.array(tensor.load()))
        real = dequantize(values, tensor.spec.quantization) if values.dtype.kind in "iu" else values
        np.save(folder / f"{tensor.name}.npy", real.astype(np.float32))
    return folder


def judged(reference: Reference, tmp_path: Path, tensor: str, change: Change) -> Comparison:
    assert reference.model is not None
    wrong = run_with(reference, {tensor: change(np.array(reference.tensors[tensor].load()))})
    pc = real_folder(reference, tmp_path / "pc", {})
    board = real_folder(reference, tmp_path / "board", wrong)
    graph = reference.model.parent / "float.onnx"
    opened = open_reference(pc, graph=graph)
    return compare(opened, read_dumps(board), CompareSettings(model=graph))


def one_channel(values: Array) -> Array:
    changed = values.copy()
    changed[:, 3] = np.clip(changed[:, 3].astype(np.int16) // 3, -128, 127)
    return changed


def test_ops_of_the_float_graph_that_miss_the_reference_are_not_blamed(cnn: Reference, tmp_path: Path) -> None:
    comparison = judged(cnn, tmp_path, "relu3_out", one_channel)
    assert [origin.tensor for origin in comparison.origins] == ["relu3_out"]
    assert any("cannot be judged alone" in note for note in comparison.notes)


def test_such_a_reference_is_not_called_the_float_model(cnn: Reference, tmp_path: Path) -> None:
    """The board's layer lies on a grid that the reference's does not fill: every step is common to both."""
    comparison = judged(cnn, tmp_path, "relu1_out", lambda v: (v // 5 * 5).astype(v.dtype))
    assert comparison.verdict.word == "diverges" and [o.tensor for o in comparison.origins] == ["relu1_out"]


def test_the_step_of_a_grid_is_a_common_divisor_of_its_gaps() -> None:
    rng = np.random.default_rng(0)
    steps = np.array([0, 5, 9, 14, 30, 33, 60, 77, 90, 121])
    assert grid_step((steps * 0.013).astype(np.float32)) == pytest.approx(0.013, rel=1e-4)
    assert grid_step(rng.standard_normal(40).astype(np.float32)) == 0
    assert grid_step(rng.standard_normal(4000).astype(np.float32)) == 0


def test_another_step_of_a_dequantized_tensor_is_another_scale(cnn: Reference, tmp_path: Path) -> None:
    pc = real_folder(cnn, tmp_path / "pc", {})
    board = real_folder(cnn, tmp_path / "board", {})
    path = board / "relu3_out.npy"
    values = np.load(path)
    np.save(path, (np.clip(np.rint(values / 0.11), 0, 100) * 0.11).astype(np.float32))
    comparison = compare(open_reference(pc), read_dumps(board), CompareSettings())
    mark = comparison.origins[0].fingerprint
    assert comparison.origins[0].tensor == "relu3_out"
    assert mark is not None and mark.kind == "scale" and "multiples of 0.11" in mark.evidence
