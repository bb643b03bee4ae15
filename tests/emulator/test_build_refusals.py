"""What cannot be compiled for an emulated board is refused with a sentence; the command that compiles."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.emulator.build import build
from harness.emulator.compiler.compile import BuildOptions
from harness.emulator.rooms import soc_named
from harness.errors import InputError
from tests.support import emulator_kit as kit

# --------------------------------------------------------------------------- refusals


def build_one(source: Path, output: Path | None = None, **options: object) -> None:
    build([source], BuildOptions(soc_named("x5"), **options), output)  # type: ignore[arg-type]


def test_a_file_that_is_no_onnx_is_refused(tmp_path: Path) -> None:
    for name, content in (("empty.onnx", b""), ("text.onnx", b"hello"), ("cut.onnx", b"\x08\x08\x12")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name):
            build_one(tmp_path / name)
    with pytest.raises(InputError, match="no such file"):
        build_one(tmp_path / "gone.onnx")


def test_a_truncated_onnx_is_refused(tmp_path: Path) -> None:
    data = kit.branched_model().SerializeToString()
    (tmp_path / "cut.onnx").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError):
        build_one(tmp_path / "cut.onnx")


def test_the_output_never_overwrites_the_model(tmp_path: Path) -> None:
    source = kit.save(tmp_path, kit.branched_model())
    with pytest.raises(InputError, match="overwrite"):
        build_one(source, source)
    with pytest.raises(InputError, match="no such folder"):
        build_one(source, tmp_path / "gone" / "m.bin")


def test_a_dynamic_input_is_refused_until_its_shape_is_given(tmp_path: Path) -> None:
    model = kit.branched_model()
    for dim, name in zip(model.graph.input[0].type.tensor_type.shape.dim, "nchw", strict=True):
        dim.dim_param = name
    source = kit.save(tmp_path, model)
    with pytest.raises(InputError, match="dynamic dimension 1"):
        build_one(source)
    build_one(source, shapes={"x": (1, 3, 32, 40)})
    _, compiled = kit.opened(tmp_path / "net.bin")
    assert compiled.inputs[0].spec.shape == (1, 3, 32, 40)
    with pytest.raises(InputError, match="no input 'y'"):
        build_one(source, shapes={"y": (1, 3, 32, 40)})


@pytest.mark.parametrize("size", [3839, 0, 7680])
def test_a_calibration_sample_of_the_wrong_size_is_named_with_both_sizes(tmp_path: Path, size: int) -> None:
    samples = tmp_path / "samples"
    samples.mkdir()
    (samples / "0.bin").write_bytes(bytes(size * 4 // 4))
    source = kit.save(tmp_path, kit.branched_model())
    with pytest.raises(InputError, match=r"0\.bin"):
        build_one(source, calibration=samples)


def test_an_empty_or_missing_calibration_folder_is_refused(tmp_path: Path) -> None:
    source = kit.save(tmp_path, kit.branched_model())
    (tmp_path / "empty").mkdir()
    for place_, says in (("empty", "no calibration sample"), ("gone", "not a calibration folder")):
        with pytest.raises(InputError, match=says):
            build_one(source, calibration=tmp_path / place_)


def test_an_input_that_cannot_be_nv12_is_refused(tmp_path: Path) -> None:
    from harness.emulator.compiler.pixels import PixelInput

    source = kit.save(tmp_path, kit.two_input_model())
    with pytest.raises(InputError, match="cannot be NV12"):
        build_one(source, pixels={"left": PixelInput()})
    with pytest.raises(InputError, match="no input 'gone'"):
        build_one(source, pixels={"gone": PixelInput()})


# --------------------------------------------------------------------------- the command


def run_command(*argv: str):
    from click.testing import CliRunner

    from harness.cli import cli

    return CliRunner().invoke(cli, ["emulator", *argv])


def test_the_command_writes_the_model_and_the_onnx_beside_it(tmp_path: Path) -> None:
    source = kit.save(tmp_path, kit.branched_model())
    result = run_command("build", str(source), "--soc", "x5", "--json", "-o", str(tmp_path / "m.bin"))
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert {Path(f).name for f in answer["files"]} >= {"m.bin", "m_quantized_model.onnx"}
    assert all(Path(f).is_file() for f in answer["files"])
    nodes = {node["name"]: node for node in answer["models"][0]["nodes"]}
    assert nodes["attention"]["on"] == "CPU" and "CPU op on bayes-e" in nodes["attention"]["reason"]


@pytest.mark.parametrize(
    "argv", [["--soc", "x9"], ["--soc", "x5", "--scale", "a"], ["--soc", "x5", "--input-type", "jpeg"], []]
)
def test_wrong_options_end_with_two(tmp_path: Path, argv: list[str]) -> None:
    source = kit.save(tmp_path, kit.branched_model())
    assert run_command("build", str(source), *argv).exit_code == 2


@pytest.mark.parametrize(
    ("soc", "option", "text"),
    [
        ("x5", "--mean", "nan,0,0"),
        ("x5", "--mean", "inf"),
        ("x5", "--scale", "0"),
        ("x5", "--scale", "1,1,-0"),
        ("x5", "--scale", "1e400"),
        ("t40", "--mean", "0,nan,0"),
        ("t40", "--var", "0"),
        ("bm1684x", "--scale", "0"),
    ],
)
def test_figures_with_which_nothing_is_computed_are_refused(tmp_path: Path, soc: str, option: str, text: str) -> None:
    source = kit.save(tmp_path, kit.branched_model())
    result = run_command("build", str(source), "--soc", soc, option, text)
    assert result.exit_code == 2 and f"{option} {text}" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def test_the_hint_on_cores_has_every_chips_own_number(tmp_path: Path) -> None:
    source = kit.save(tmp_path, kit.branched_model())
    result = run_command("build", str(source), "--soc", "j6h", "--cores", "4")
    assert result.exit_code == 2 and "j6h (1 to 3)" in result.stderr and "j6p (1 to 4)" in result.stderr


def test_nv12_without_a_name_means_every_image_input(tmp_path: Path) -> None:
    source = kit.save(tmp_path, kit.branched_model())
    result = run_command("build", str(source), "--soc", "x5", "--input-type", "nv12", "--json")
    assert json.loads(result.stdout)["models"][0]["inputs"] == [
        {"name": "x", "type": "NV12", "shape": [1, 3, 16, 20], "bytes": 480}
    ]
