"""Picture inputs other than NV12, and the names of builds that lie in one folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from harness.consistency.compare import CompareSettings, compare
from harness.dumps.folders import read_dumps
from harness.emulator.model.compiled import BOARD_TYPES, CompiledFile
from harness.platforms import load
from harness.reference.open import run_reference
from tests.support.builds import harness_here

MEAN, SCALE = (10.0, 20.0, 30.0), (0.02, 0.03, 0.05)


def camera_model(folder: Path, channels: int = 3) -> Path:
    """One 1x1 convolution that hands every channel out as it is."""
    weights = numpy_helper.from_array(np.eye(channels, dtype=np.float32)[:, :, None, None], "w")
    node = helper.make_node("Conv", ["images", "w"], ["out"], "conv")
    sides = [1, channels, 4, 6]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name in ("images", "out")]
    graph = helper.make_graph([node], "camera", values[:1], values[1:], [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), folder / "m.onnx")
    return folder / "m.onnx"


def built(folder: Path, *more: str) -> str:
    result = harness_here("emulator", "build", "m.onnx", *more, cwd=folder)
    return result.stdout + result.stderr if result.returncode == 0 else f"exit {result.returncode}: {result.stderr}"


@pytest.mark.parametrize("kind", [kind for kind in BOARD_TYPES if kind != "nv12"])
def test_pixels_of_every_kind_become_the_models_colours(kind: str, tmp_path: Path) -> None:
    channels = 1 if kind == "gray" else 3
    camera_model(tmp_path, channels)
    numbers = (",".join(map(str, values)) for values in (MEAN, SCALE))
    mean, scale = numbers
    assert "wrote" in built(tmp_path, "--soc", "x5", "--input-type", kind, "--mean", mean, "--scale", scale)
    rng = np.random.default_rng(0)
    board = rng.integers(60, 200, (1, channels, 4, 6), np.uint8)
    reference = run_reference(tmp_path / "m_quantized_model.onnx", {"images": board}, tmp_path / "ref")
    colours = board.astype(float)
    if kind == "bgr":
        colours = colours[:, ::-1]
    if kind == "yuv444":
        y, u, v = colours[:, 0], colours[:, 1] - 128, colours[:, 2] - 128
        colours = np.stack([y + 1.402 * v, y - 0.344136 * u - 0.714136 * v, y + 1.772 * u], axis=1)
    wanted = (colours - np.reshape(MEAN, (1, 3, 1, 1))[:, :channels]) * np.reshape(SCALE, (1, 3, 1, 1))[:, :channels]
    given = reference.tensors["out"]
    got = (given.alternate or given).load()
    assert np.abs(got - wanted).max() < 0.1 * np.ptp(wanted)


@pytest.mark.parametrize(("soc", "kind", "word"), [("x5", "bgr", "BGR"), ("x3", "gray", "Y"), ("s100", "rgb", "U8")])
@pytest.mark.slow
def test_a_board_runs_them_and_agrees(soc: str, kind: str, word: str, tmp_path: Path) -> None:
    channels = 1 if kind == "gray" else 3
    camera_model(tmp_path, channels)
    built(tmp_path, "--soc", soc, "--input-type", kind, "-o", "c.bin")
    rng = np.random.default_rng(0)
    rng.integers(0, 256, channels * 24, np.uint8).tofile(tmp_path / "x.bin")
    words = ["run", "--board", f"emu-{soc}", "c.bin", "--input", "x.bin", "--reference", "c_quantized_model.onnx"]
    result = harness_here(*words, "--mode", "debug", "--wait", "120", cwd=tmp_path)
    assert result.returncode == 0 and result.stdout.startswith("verdict   Consistent"), result.stdout + result.stderr
    (log,) = tmp_path.glob("runs/*/*/*/info/log.txt")
    (info,) = [load("ucp" if soc == "s100" else "hbdnn").read_model_info(log.read_text())]
    assert info.input_types == (word,)


def test_what_is_no_such_picture_is_refused_with_its_shape(tmp_path: Path) -> None:
    camera_model(tmp_path)
    assert "cannot be GRAY" in built(tmp_path, "--soc", "x5", "--input-type", "images=gray")
    assert "nv12, yuv444, rgb, bgr, gray or featuremap" in built(tmp_path, "--soc", "x5", "--input-type", "yuv422")


def test_builds_of_one_model_for_two_chips_do_not_overwrite_each_other(tmp_path: Path) -> None:
    camera_model(tmp_path)
    for soc in ("x5", "x3", "s100", "x5"):
        assert "wrote" in built(tmp_path, "--soc", soc), soc
    made = {"m.bin": "bayes-e", "m_x3.bin": "bernoulli2", "m_s100.hbm": "nash-e"}
    assert {name: CompiledFile(tmp_path / name).models[0].march for name in made} == made
    for stem in ("m", "m_x3", "m_s100"):
        assert (tmp_path / f"{stem}_quantized_model.onnx").is_file()


def test_a_named_output_that_would_take_the_files_of_another_build_is_refused(tmp_path: Path) -> None:
    camera_model(tmp_path)
    built(tmp_path, "--soc", "x5", "-o", "a.bin")
    before = (tmp_path / "a_quantized_model.onnx").read_bytes()
    answer = built(tmp_path, "--soc", "s100", "-o", "a.hbm")
    assert answer.startswith("exit 2") and "those of a.bin" in answer and "a_s100.hbm" in answer
    assert (tmp_path / "a_quantized_model.onnx").read_bytes() == before and not (tmp_path / "a.hbm").exists()
    assert "wrote" in built(tmp_path, "--soc", "x5", "-o", "a.bin")  # the same one again


def test_dumps_of_a_gray_board_are_compared(tmp_path: Path) -> None:
    """The plain folder way: what the reference gives for itself is consistent."""
    camera_model(tmp_path, 1)
    built(tmp_path, "--soc", "x5", "--input-type", "gray")
    pixels = np.arange(24, dtype=np.uint8).reshape(1, 1, 4, 6)
    reference = run_reference(tmp_path / "m_quantized_model.onnx", {"images": pixels}, tmp_path / "ref")
    comparison = compare(reference, read_dumps(tmp_path / "ref"), CompareSettings())
    assert comparison.verdict.word == "consistent"
