"""The stage ladder: equal inputs first, then the first step that departs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.consistency.compare import CompareSettings, compare
from harness.consistency.stages import Stage, board_inputs, compare_stages, input_hashes, stage, with_stages
from harness.dumps.folders import read_dumps
from harness.reference.open import Reference, run_reference
from tests.support.nets import board_folder, float_model, inputs_of, quantized_reference, spread


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> tuple[Reference, Reference, Path]:
    """Float and quantized reference of one network, fed the same."""
    folder = tmp_path_factory.mktemp("ladder")
    quantized = quantized_reference("cnn", folder)
    floats = run_reference(folder / "cnn.onnx", inputs_of(float_model("cnn"), 5), folder / "float")
    return floats, quantized, folder


def board(folder: Path, name: str = "board") -> Stage:
    dumps = read_dumps(folder)
    return Stage(name, None, dumps, board_inputs(dumps))


def test_inputs_are_proven_equal_by_hash_and_no_stage_departs(net: tuple[Reference, Reference, Path]) -> None:
    floats, quantized, _ = net
    fed, held = input_hashes(floats)["images"], input_hashes(quantized)["images"]
    assert set(fed) == {"f32"} and set(held) == {"f32", "s8"} and fed["f32"] == held["f32"]
    stages = compare_stages([stage("float", floats), stage("quantized", quantized)])
    assert [s.alignment for s in stages.stages] == ["proven", "proven"]
    assert stages.first == "" and stages.steps[0].word in ("consistent_within", "consistent")


def test_the_first_stage_that_departs_is_named(net: tuple[Reference, Reference, Path], tmp_path: Path) -> None:
    floats, quantized, _ = net
    wrong = board_folder(tmp_path / "compiled", quantized, spread("relu3_out", quantized, lambda x: x >> 1))
    stages = [stage("float", floats), stage("quantized", quantized), stage("compiled", wrong)]
    same = compare_stages([*stages, stage("board", wrong)])
    assert same.first == "compiled" and {s.alignment for s in same.stages} == {"proven"}
    assert [step.word for step in same.steps][-1] == "consistent"
    assert {"float", "quantized"} & set(same.table[0]) == {"quantized"}
    assert "first differing stage: compiled" in same.detail


def test_a_stage_fed_something_else_is_not_aligned_and_not_blamed(
    net: tuple[Reference, Reference, Path], tmp_path: Path
) -> None:
    floats, quantized, _ = net
    assert quantized.model is not None
    other = run_reference(quantized.model, inputs_of(float_model("cnn"), 9), tmp_path / "other")
    stages = compare_stages([stage("float", floats), stage("quantized", other)])
    assert stages.steps[0].word == "not_aligned" and stages.first == ""
    assert "different input: quantized" in stages.detail


def test_a_stage_without_a_like_tensor_is_said_to_be_unaligned(
    net: tuple[Reference, Reference, Path], tmp_path: Path
) -> None:
    _, quantized, _ = net
    np.save(tmp_path / "something_else.npy", np.zeros(3, np.int8))
    stages = compare_stages([stage("quantized", quantized), board(tmp_path)])
    assert stages.steps[0].word == "not_aligned" and "cannot be aligned: board" in stages.detail
    assert "not verified" in stages.detail


def test_the_stage_comparison_goes_with_the_comparison(net: tuple[Reference, Reference, Path], tmp_path: Path) -> None:
    _, quantized, folder = net
    dumps = read_dumps(board_folder(tmp_path, quantized))
    comparison = with_stages(
        compare(quantized, dumps), {"float": folder / "float"}, quantized, dumps, CompareSettings()
    )
    stage_comparison = comparison.extras.stages
    assert stage_comparison is not None
    assert [s.name for s in stage_comparison.stages] == ["float", "reference", "board"]
    assert [s.word for s in stage_comparison.steps][-1] == "consistent" and stage_comparison.first == ""


def test_from_floats_to_integers_noise_is_judged_and_a_bad_quantization_departs(
    net: tuple[Reference, Reference, Path], tmp_path: Path
) -> None:
    floats, quantized, _ = net
    good = compare_stages([stage("float", floats), stage("quantized", quantized)])
    assert good.steps[0].word == "consistent_within" and good.first == ""
    wrong = stage(
        "quantized", board_folder(tmp_path / "bad", quantized, spread("relu3_out", quantized, lambda x: x >> 1))
    )
    stages = compare_stages([stage("float", floats), wrong])
    assert stages.steps[0].word == "diverges" and stages.first == "quantized"
