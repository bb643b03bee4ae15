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
        compare(quantized, dumps), {"float": folder / "float"}, folder / "own", quantized, dumps, CompareSettings()
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


def test_a_stage_that_is_the_reference_stands_where_it_is_named(
    net: tuple[Reference, Reference, Path], tmp_path: Path
) -> None:
    """Others may lie between it and the board: what the toolchain's own simulator gave, for example."""
    _, quantized, folder = net
    wrong = board_folder(tmp_path / "compiled", quantized, spread("relu3_out", quantized, lambda x: x >> 1))
    dumps = read_dumps(board_folder(tmp_path / "board", quantized))
    given = {"float": folder / "float", "quantized": tmp_path / "own", "compiled": wrong}
    settings = CompareSettings()
    with_all = with_stages(compare(quantized, dumps), given, tmp_path / "own", quantized, dumps, settings)
    stages = with_all.extras.stages
    assert stages is not None and [s.name for s in stages.stages] == ["float", "quantized", "compiled", "board"]
    assert [step.word for step in stages.steps] == ["consistent_within", "diverges", "diverges"]
    assert stages.first == "compiled"
    alone = compare(quantized, dumps)
    assert with_stages(alone, {}, tmp_path, quantized, dumps, settings) is alone


def test_quantized_layers_that_a_tool_wrote_as_floats_are_judged_by_their_noise(tmp_path: Path) -> None:
    """float32 and float64 archives, as a compiler's interpreters leave them; the input is proven by hash."""
    rng = np.random.default_rng(4)
    image, layer = rng.normal(size=(1, 3, 8, 8)).astype(np.float32), rng.normal(size=(1, 8, 8, 8)).astype(np.float32)
    step = float(np.abs(layer).max() / 127)
    grid = np.rint(layer / step).astype(np.float64) * step
    np.savez(tmp_path / "float.npz", image=image, conv=layer)
    np.savez(tmp_path / "int8.npz", image=image.astype(np.float64), conv=grid)
    np.savez(tmp_path / "f16.npz", image=image, conv=layer.astype(np.float16).astype(np.float32))
    for name in ("int8", "f16"):
        both = [stage("float", tmp_path / "float.npz", ["image"]), stage(name, tmp_path / f"{name}.npz", ["image"])]
        step_records = compare_stages(both)
        assert (step_records.steps[0].word, step_records.stages[1].alignment) == ("consistent_within", "proven"), name
    np.savez(tmp_path / "bad.npz", image=image, conv=grid * 0.5)
    bad = compare_stages([both[0], stage("bad", tmp_path / "bad.npz", ["image"])])
    assert bad.first == "bad"
