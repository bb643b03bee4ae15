"""Questions that people asked in public about whole runs, rebuilt small: own scripts make the files, `run` answers."""

from __future__ import annotations

import html
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from harness.cli import cli
from tests.arm.conftest import arm
from tests.consistency.test_questions import CASES

pytestmark = pytest.mark.slow
__all__ = ["arm"]


@pytest.fixture
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """The folder of a case, which is the current one."""
    source = CASES / str(request.param)
    if not (source / "build.py").is_file():
        pytest.skip(f"the questions are not here: {CASES} (set HARNESS_SAMPLES)")
    shutil.copytree(source, tmp_path, dirs_exist_ok=True)
    subprocess.run([sys.executable, "build.py"], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


def built(*words: str) -> None:
    result = CliRunner().invoke(cli, ["emulator", "build", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output


def ran(board: str, model: str, *words: str, answer: Sequence[str] = ()) -> tuple[int, dict[str, Any]]:
    """Exit code and run.json of a debug run, whose answer stands in the first three lines and in the report."""
    argv = ["run", "--board", board, model, *words, "--mode", "debug", "--wait", "120", "--case", "asked"]
    result = CliRunner().invoke(cli, argv, catch_exceptions=False)
    path = max(Path().glob("runs/asked/*/*/run.json"), key=lambda one: one.stat().st_mtime)
    first = "\n".join(result.stdout.splitlines()[:3])
    page = html.unescape(path.with_name("report.html").read_text(encoding="utf-8"))
    assert [word for word in answer if word not in first] == [], first
    assert [word for word in answer if word not in page] == []
    return result.exit_code, json.loads(path.read_text(encoding="utf-8"))


def titles(run: dict[str, Any], rule: str) -> list[str]:
    return [finding["title"] for finding in run["findings"] if finding["rule"] == rule]


@pytest.mark.parametrize("case", ["c03"], indirect=True)
def test_a_mask_that_takes_the_range_is_named_and_the_board_is_right(case: Path) -> None:
    built("sem.onnx", "--soc", "x5", "--calibration", "cal")
    fed = [word for name in ("noisy", "feat", "timestep") for word in ("--input", f"{name}={name}.npy")]
    answer = ("Quantization itself: action ", "`sm`: the mask of -10000 makes a step of 134", "all become one")
    code, run = ran("emu-x5", "sem.bin", *fed, answer=answer)
    assert code == 0 and run["verdict"]["word"] == "consistent"
    assert ("mask_add", "Q-102") in {(finding["subject"], finding["rule"]) for finding in run["findings"]}


@pytest.mark.parametrize("case", ["c04"], indirect=True)
def test_scores_joined_with_boxes_are_named(case: Path) -> None:
    built("det.onnx", "--soc", "x5", "--calibration", "cal", "-o", "det.model")
    answer = ("Quantization itself: output0 46 dB; `cat`: 2 of 6 channels are all zero, its step is larger than their",)
    code, run = ran("emu-x5", "det.model", "--input", "x.npy", answer=answer)
    assert code == 0 and run["verdict"]["word"] == "consistent"
    (finding,) = (finding for finding in run["findings"] if finding["rule"] == "Q-101")
    assert finding["subject"] == "concat_out" and "2 of 6 channels" in finding["evidence"]


@pytest.mark.parametrize("case", ["c26"], indirect=True)
def test_one_frame_of_four_is_compared_and_exchanged_inputs_are_named(case: Path) -> None:
    built("st.onnx", "--soc", "x5", "--calibration", "cal", "-o", "st.bin")
    both = ("--input", "left=left.bin", "--input", "right=right.bin")
    code, run = ran("emu-x5", "st.bin", *both, "--reference", "st_quantized_model.onnx", "--pull", "all")
    assert code == 0 and run["verdict"]["word"] == "consistent"
    (folder,) = Path().glob("runs/asked/*/*")
    swapped = ("--input", "left=right.bin", "--input", "right=left.bin", "--pull", "all")
    Path("right").mkdir()
    shutil.copytree(folder / "reference", "right/reference")
    answer = ("Two inputs are exchanged on one side: the board's left (right.bin) holds what the reference was fed as",)
    code, run = ran("emu-x5", "st.bin", *swapped, "--reference", "right/reference", answer=answer)
    assert code == 1 and {origin["op_kind"] for origin in run["comparison"]["origins"]} == {"input"}
    first_frame()
    code, run = ran(
        "emu-x5", "st.bin", *both, "--reference", "st1.onnx", answer=("Consistent", "hold 4 frames: frame 1 is the")
    )
    assert code == 0 and titles(run, "I-104") and not run["comparison"]["origins"]
    words = ["compare", "st1.onnx", str(folder / "debug"), "--input", "left=left1.bin", "--input", "right=right1.bin"]
    compared = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert compared.exit_code == 0 and "holds 4 frames; frame 1 of 4 is the reference's" in compared.output
    exchanged = ("--input", "left=right.bin", "--input", "right=left.bin")
    words = ["compare", "st_quantized_model.onnx", str(folder / "debug"), *exchanged]
    compared = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert compared.exit_code == 1 and "the board's inputs left and right are swapped" in compared.output


def first_frame() -> None:
    """The quantized model and its inputs with a batch of one."""
    model = onnx.load("st_quantized_model.onnx")
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        sizes = value.type.tensor_type.shape.dim
        if sizes and sizes[0].dim_value == 4:
            sizes[0].dim_value = 1
    onnx.save(model, "st1.onnx")
    for name in ("left", "right"):
        np.fromfile(f"{name}.bin", np.float32)[: 3 * 16 * 16].tofile(f"{name}1.bin")


@pytest.mark.parametrize("case", ["c28"], indirect=True)
def test_the_reference_of_a_packed_files_other_model_is_asked_about(case: Path) -> None:
    Path("cal").mkdir()
    for i in range(3):
        np.save(f"cal/{i}.npy", np.random.default_rng(i).uniform(0, 1, (1, 3, 16, 16)).astype(np.float32))
    built("det.onnx", "reid.onnx", "--soc", "x5", "--calibration", "cal", "-o", "pack.bin")
    words = ("--model-name", "det", "--input", "x.bin", "--reference")
    code, run = ran("emu-x5", "pack.bin", *words, "pack_reid_quantized_model.onnx", "--no-hypotheses")
    assert code == 3 and titles(run, "I-101") == ["another model of this file?"]
    assert run["findings"][0]["rule"] == "I-101"


@pytest.mark.arm
@pytest.mark.parametrize("case", ["c16b"], indirect=True)
def test_open_axes_take_arrays(case: Path, arm: Path) -> None:
    given = ("--input", "ids=ids.npy", "--input", "mask=mask.npy", "--reference", "d.onnx")
    code, run = ran("emu-arm64", "d.onnx", *given, answer=("Consistent",))
    assert code == 0 and run["verdict"]["word"] == "consistent"
    assert run["comparison"]["coverage"]["layers_compared"] == 5
