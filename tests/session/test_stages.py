"""The stages of a build in one command: what lies beside the model is taken, fed with the board's input, and judged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from harness.errors import InputError
from harness.reference.onnx_runtime import time_limit
from harness.reference.open import run_reference
from tests.consistency.checks.quantization_nets import SIDE, attention, joined
from tests.profile import WHOLE
from tests.support.builds import build, harness, harness_here

MODES = ("--mode", "debug")


def built(model: onnx.ModelProto, soc: str, folder: Path) -> Path:
    """The compiled model with what the toolchain leaves, and an input for it."""
    onnx.save(model, str(folder / "net.onnx"))
    rng = np.random.default_rng(2)
    (folder / "cal").mkdir()
    for number in range(4):
        np.save(folder / "cal" / f"{number}.npy", rng.uniform(0, 1, (1, 3, SIDE, SIDE)).astype(np.float32))
    values = rng.uniform(0, 1, (1, 3, SIDE, SIDE))
    if soc == "t40":  # it takes pixels, channels last
        np.save(folder / "x.npy", (values * 255).astype(np.uint8).transpose(0, 2, 3, 1).copy())
    else:
        np.save(folder / "x.npy", values.astype(np.float32))
    argv = ["emulator", "build", "net.onnx", "--soc", soc, "--calibration", "cal", "-o", "net.bin"]
    harness(*argv, cwd=folder, check=True)
    return folder / "net.bin"


def record(folder: Path, *argv: str | Path) -> dict[str, Any]:
    result = harness_here("run", *argv, "--json", cwd=folder)
    assert result.stdout.startswith("{"), (result.stdout, result.stderr)
    return dict(json.loads(result.stdout))


# --------------------------------------------------------------------------- quantization that destroys an output

LOST = {
    "joined": (joined(), "`cat`: 2 of 6 channels are", "its step is larger than their whole range", "Q-101", "join"),
    "masked": (attention(-10000.0), "`masked`: the mask of -10000", "all become one", "Q-102", "mask_add"),
}


PLACES = (
    [(name, soc) for name in LOST for soc in ("x5", "j6e", "t40")] if WHOLE else [("joined", "t40"), ("masked", "j6e")]
)
CAMERAS = ["x5", "x3", "j5", "s100"] if WHOLE else ["x5", "s100"]  # one picture, and one in two planes


@pytest.mark.slow
@pytest.mark.parametrize(("name", "soc"), PLACES)
def test_it_is_told_in_the_first_lines_and_in_the_report(name: str, soc: str, tmp_path: Path) -> None:
    model, subject, why, rule, op = LOST[name]
    built(model, soc, tmp_path)
    result = harness_here("run", "net.bin", "--board", f"emu-{soc}", "--input", "x.npy", *MODES, cwd=tmp_path)
    first = result.stdout.splitlines()[:3]
    assert result.returncode == 0, result.stdout
    assert first[0].startswith("verdict   Consistent") and "Quantization itself: " in first[1], first
    assert subject in first[1] and why in first[1]
    assert f"{rule} " in result.stdout and op in result.stdout
    page = next((tmp_path / "runs").rglob("report.html")).read_text(encoding="utf-8")
    assert "Quantization itself: " in page and why in page
    run = json.loads(next((tmp_path / "runs").rglob("run.json")).read_text(encoding="utf-8"))
    assert run["verdict"]["word"] == "consistent"
    assert run["comparison"]["extras"]["quantization"]["losses"][0]["op"] == op


@pytest.mark.slow
def test_a_network_that_quantizes_well_has_notes_at_most(tmp_path: Path) -> None:
    built(joined(separate=True), "x5", tmp_path)
    run = record(tmp_path, "net.bin", "--board", "emu-x5", "--input", "x.npy", *MODES)
    assert {one["severity"] for one in run["findings"] if one["rule"].startswith("Q-")} <= {"note"}
    assert run["comparison"]["extras"]["quantization"]["outputs"]


@pytest.mark.slow
def test_the_gate_changes_the_exit_code_and_not_the_word(tmp_path: Path) -> None:
    built(joined(), "x5", tmp_path)
    argv = ("run", "net.bin", "--board", "emu-x5", "--input", "x.npy", *MODES)
    missed = harness_here(*argv, "--min-quantization-sqnr", "99", cwd=tmp_path)
    assert missed.returncode == 1 and missed.stdout.startswith("verdict   Consistent")
    assert "below --min-quantization-sqnr 99" in missed.stdout.splitlines()[1]
    assert harness_here(*argv, "--min-quantization-sqnr", "20", cwd=tmp_path).returncode == 0
    alone = harness_here(*argv, "--min-quantization-sqnr", "20", "--no-stages", cwd=tmp_path)
    assert alone.returncode == 3 and "Measured, not compared" in alone.stdout


# --------------------------------------------------------------------------- which stages a run takes


@pytest.mark.slow
def test_stages_beside_the_model_are_named_and_can_be_left_out(tmp_path: Path) -> None:
    built(attention(-20.0), "x5", tmp_path)
    argv = ("run", "net.bin", "--board", "emu-x5", "--input", "x.npy", *MODES)
    result = harness_here(*argv, cwd=tmp_path)
    for name in ("float net_original_float_model.onnx", "reference net_quantized_model.onnx", "by name and md5"):
        assert name in result.stdout
    assert "stages    float > optimized > calibrated > reference > board: no stage differs" in result.stdout
    assert "Measured, not compared" in harness_here(*argv, "--no-stages", cwd=tmp_path).stdout
    shutil.copy(tmp_path / "net_quantized_model.onnx", tmp_path / "net_calibrated_model.onnx")
    other = harness_here(*argv, cwd=tmp_path)
    assert (
        other.returncode == 0 and "left out: stage calibrated: " in other.stdout and "not of this build" in other.stdout
    )


@pytest.mark.slow
def test_a_stage_that_cannot_be_fed_is_left_out_and_the_run_goes_on(tmp_path: Path) -> None:
    built(attention(-20.0), "x5", tmp_path)
    wide = attention(-20.0)
    wide.graph.input[0].type.tensor_type.shape.dim[2].dim_value = SIDE + 2
    onnx.save(wide, str(tmp_path / "wide.onnx"))
    argv = ("--board", "emu-x5", "--input", "x.npy", *MODES, "--stage", "wide=wide.onnx")
    run = record(tmp_path, "net.bin", *argv)
    assert run["verdict"]["word"] == "consistent"
    assert any(note.startswith("left out: stage wide: wide.onnx: ") for note in run["notes"])
    assert [one["name"] for one in run["comparison"]["extras"]["stages"]["stages"]][-2:] == ["reference", "board"]


def test_a_stage_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    onnx.save(attention(-20.0), str(tmp_path / "net.onnx"))
    feed = {"x": np.zeros((1, 3, SIDE, SIDE), np.float32)}
    with time_limit(0.0), pytest.raises(InputError, match="takes longer than 0 s"):
        run_reference(tmp_path / "net.onnx", feed, tmp_path / "out")
    assert run_reference(tmp_path / "net.onnx", feed, tmp_path / "out").tensors


# --------------------------------------------------------------------------- cameras


@pytest.mark.slow
@pytest.mark.parametrize("soc", CAMERAS)
def test_a_camera_model_has_every_stage(soc: str, shared_folder: Path, tmp_path: Path) -> None:
    camera = build(shared_folder, "mobilenet", soc)
    argv = ("--board", f"emu-{soc}", "--input", camera.input, *MODES, "--stage", f"plain={camera.onnx}")
    run = record(tmp_path, camera.model, *argv)
    extras = run["comparison"]["extras"]
    names = [one["name"] for one in extras["stages"]["stages"]]
    assert names == ["float", "plain", "optimized", "calibrated", "reference", "board"]
    assert {one["alignment"] for one in extras["stages"]["stages"]} == {"proven"}
    assert extras["stages"]["first"] == "", extras["stages"]["detail"]
    (output,) = extras["quantization"]["outputs"]
    assert output["sqnr_db"] > 15 and not extras["quantization"]["losses"]
    assert run["verdict"]["word"] == "consistent"
