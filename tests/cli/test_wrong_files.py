"""A file of another kind than was asked for: what it is, and what to type."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper, numpy_helper

from harness.cli import cli
from tests.support.builds import ExampleModel, build
from tests.support.nets import board_folder, quantized_reference


def harness(*argv: object) -> Result:
    return CliRunner().invoke(cli, [str(part) for part in argv])


@pytest.fixture(scope="module")
def digits(shared_folder: Path) -> ExampleModel:
    return build(shared_folder, "digits")


def one_conv(path: Path, shape: tuple[int, ...], name: str = "pic", dtype: int = TensorProto.FLOAT) -> Path:
    """An ONNX of one convolution of its own names."""
    weights = np.full((2, shape[1], 3, 3), 0.1, np.float32)
    node = helper.make_node("Conv", [name, "w"], ["stem_out"], name="stem", pads=[1] * 4)
    ends = [helper.make_tensor_value_info(name, dtype, shape)]
    out = helper.make_tensor_value_info("stem_out", dtype, [1, 2, *shape[2:]])
    graph = helper.make_graph([node], "other", ends, [out], [numpy_helper.from_array(weights, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


def run(built: ExampleModel, tmp_path: Path, *more: object) -> Result:
    return harness("run", built.model, "--board", "emu-x5", "--mode", "debug", "--runs", tmp_path / "runs", *more)


# --------------------------------------------------------------------------- references


@pytest.mark.parametrize("option", ["--reference", "--float"])
def test_an_empty_folder_is_no_reference_and_the_command_that_fills_it_is_named(
    digits: ExampleModel, tmp_path: Path, option: str
) -> None:
    (tmp_path / "nothing yet").mkdir()
    more = ["--reference", digits.reference] if option == "--float" else []
    result = run(digits, tmp_path, "--input", digits.input, *more, option, tmp_path / "nothing yet")
    assert result.exit_code == 2 and "empty folder" in result.stderr
    assert f"harness reference MODEL.onnx --input FILE -o '{tmp_path}/nothing yet'" in result.stderr
    assert not (tmp_path / "runs").exists(), "said before anything was begun"
    compared = harness("compare", tmp_path / "nothing yet", tmp_path)
    assert compared.exit_code == 2 and "harness reference MODEL.onnx" in compared.stderr


def test_a_file_that_is_no_reference_is_refused_before_the_board(digits: ExampleModel, tmp_path: Path) -> None:
    result = run(digits, tmp_path, "--input", digits.input, "--reference", digits.model)
    assert result.exit_code == 2 and "neither .onnx nor .npz" in result.stderr
    assert not (tmp_path / "runs").exists()


def test_an_onnx_of_other_inputs_may_be_another_models(digits: ExampleModel, tmp_path: Path) -> None:
    other = one_conv(tmp_path / "other.onnx", (1, 3, 16, 20))
    result = run(digits, tmp_path, "--input", digits.input, "--reference", other)
    assert result.exit_code == 2 and f"{other}: may be the wrong ONNX" in result.stderr
    assert "its inputs: 'pic' f32 1x3x16x20; the board model's: 'image' f32 1x1x8x8" in result.stderr


def test_a_reference_whose_names_share_nothing_may_be_another_models(digits: ExampleModel, tmp_path: Path) -> None:
    other = one_conv(tmp_path / "other.onnx", (1, 1, 8, 8))
    result = run(digits, tmp_path, "--input", digits.input, "--reference", other)
    assert result.exit_code == 3
    assert "no common names: the reference may be of another model" in " ".join(result.stdout.split())


def test_a_comparison_that_shares_names_is_not_said_to_be_another_models(tmp_path: Path) -> None:
    reference = quantized_reference("pyramid", tmp_path)
    folder = board_folder(tmp_path / "dumps", reference)
    for file in folder.glob("*.bin"):
        file.write_bytes(file.read_bytes()[:3])
    result = harness("compare", tmp_path / "reference", folder)
    assert result.exit_code == 3 and "another model" not in result.output


# --------------------------------------------------------------------------- runs


def test_a_file_where_a_run_folder_is_wanted(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / "debug").mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    (folder / "resume.json").write_text("{}")
    (folder / "report.html").write_text("<p>")
    (folder / "debug/layer.bin").write_bytes(b"1")
    (tmp_path / "model.bin").write_bytes(b"1")
    for file in (folder / "report.html", folder / "debug/layer.bin"):
        result = harness("report", file)
        assert result.exit_code == 2 and "expected a run folder or its run.json" in result.stderr
        assert f"use the run it belongs to: {folder}\n" in result.stderr
    result = harness("report", tmp_path / "model.bin")
    assert result.exit_code == 2 and "expected a run folder or its run.json" in result.stderr
    result = harness("run", "--resume", folder / "run.json")
    assert result.exit_code == 2 and f"hint: harness run --resume {folder}\n" in result.stderr
    result = harness("run", "--resume", tmp_path / "gone")
    assert result.exit_code == 2 and "no such run folder" in result.stderr


def test_a_run_of_before_is_no_model(digits: ExampleModel, tmp_path: Path) -> None:
    result = run(digits, tmp_path, "--previous", digits.model)
    assert result.exit_code == 2 and "expected a run folder or its run.json" in result.stderr


def test_a_folder_where_a_file_is_wanted(tmp_path: Path) -> None:
    for argv in (
        ["reference", tmp_path, "-o", tmp_path / "out"],
        ["emulator", "build", tmp_path, "--soc", "x5", "-o", tmp_path / "out.bin"],
        ["run", tmp_path / "m.bin", "--board", "emu-x5", "--graph", tmp_path],
    ):
        result = harness(*argv)
        assert result.exit_code == 2 and "expected an ONNX model, got a folder" in result.stderr, (argv, result.stderr)


# --------------------------------------------------------------------------- arrays and pictures as inputs


def test_an_array_feeds_board_and_reference(digits: ExampleModel, tmp_path: Path) -> None:
    values = np.fromfile(digits.input, "<f4").reshape(1, 1, 8, 8)
    np.save(tmp_path / "digit.npy", values)
    result = run(digits, tmp_path, "--input", tmp_path / "digit.npy", "--reference", digits.reference)
    assert result.exit_code == 0 and result.stdout.startswith("verdict   Consistent"), result.output
    (record,) = (tmp_path / "runs").rglob("run.json")
    fed = json.loads(record.read_text())["case"]["inputs"][0]
    assert fed["name"] == "digit.npy" and (record.parent / fed["file"]).read_bytes() == values.tobytes()


@pytest.mark.slow
def test_an_array_and_a_picture_for_a_program_that_reads_the_shape_from_the_name(tmp_path: Path) -> None:
    from tests.session.test_magik_run import NAME, model

    compiled = model()
    pixels = np.fromfile(compiled.parent / NAME, np.uint8).reshape(1, 16, 20, 3)
    np.save(tmp_path / "my photo.npy", pixels)
    argv = ["run", compiled, "--board", "emu-t40", "--runs", tmp_path / "runs", "--mode", "debug"]
    argv += ["--reference", compiled.parent / "MAGIK_DATA_DUMP"]
    result = harness(*argv, "--input", tmp_path / "my photo.npy")
    assert result.exit_code == 0 and result.stdout.startswith("verdict   Consistent"), result.output
    (tmp_path / "my photo.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    result = harness(*argv, "--input", tmp_path / "my photo.jpg")
    assert result.exit_code == 2 and f"harness convert '{tmp_path}/my photo.jpg' --size 20x16" in result.stderr
