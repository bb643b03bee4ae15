"""`harness lint ptq.json`: where it is no json, what is missing, unknown or does not fit, folders, the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from harness.cli import cli
from harness.lint.magik.check import is_ptq, lint_ptq
from harness.lint.magik.command import options_of
from harness.lint.magik.rules import PTQ_RULES
from tests.support.emulator_kit import branched_model, save

GOOD: dict[str, Any] = {
    "format": "RGB", "width": 20, "height": 16, "path": "./pictures", "used_image_num": 12,
    "feature_quantize_method": "KL", "weight_quantize_method": "MAX_ABS",
}  # fmt: skip
COMMAND = """\
./magik-transform-tools \\
  --framework onnx \\
  --target_device T40 \\
  --outputpath net.mk.h \\
  --inputpath ./net.onnx \\
  --mean 0,0,0 \\
  --var 255.0,255.0,255.0 \\
  --img_width 20 \\
  --img_height 16 \\
  --img_channel 3 \\
  --input_nodes x \\
  --output_nodes prob \\
  --post_training_quantization true \\
  --ptq_config_path ./ptq.json
"""


def folder_of(tmp_path: Path, pictures: int = 12) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(pictures):
        Image.new("RGB", (4, 4)).save(folder / f"{i:03d}.jpg")
    return tmp_path


def lint(text: str | dict[str, Any], folder: Path | None = None, **more: Any) -> dict[str, str]:
    body = text if isinstance(text, str) else json.dumps(text, indent=2)
    return {one.rule: one.message for one in lint_ptq(body, "ptq.json", folder, **more)}


def command(tmp_path: Path, *more: str) -> Result:
    return CliRunner().invoke(cli, ["lint", str(tmp_path / "ptq.json"), *more])


def test_a_good_config_with_its_pictures_model_and_command_is_clean(tmp_path: Path) -> None:
    folder_of(tmp_path)
    (tmp_path / "ptq.json").write_text(json.dumps(GOOD))
    (tmp_path / "run.sh").write_text(COMMAND)
    model = save(tmp_path, branched_model())
    result = command(tmp_path, "--command", str(tmp_path / "run.sh"), "--model", str(model))
    assert result.exit_code == 0 and "clean" in result.stdout, result.output


@pytest.mark.parametrize(
    ("text", "line", "why", "caret"),
    [
        ('{\n  "format": "RGB",\n  "used_image_num": 2,\n}\n', 3, "comma before the closing bracket", 21),
        ('{\n  "format": "RGB"\n  "used_image_num": 2\n}\n', 3, "missing comma", 2),
        ('{\n  "path":./yolov5-50",\n  "used_image_num": 2\n}\n', 2, "expecting value", 9),
        ("{\n  'format': 'RGB', \"used_image_num\": 2\n}\n", 2, "single quotes", 2),
        ('{\n  // RGB\n  "used_image_num": 2\n}\n', 2, "comments are not allowed", 2),
    ],
)
def test_what_is_no_json_is_shown_with_line_and_caret(text: str, line: int, why: str, caret: int) -> None:
    (finding,) = lint_ptq(text, "ptq.json")
    assert (finding.rule, finding.line) == ("M-701", line)
    head, shown, mark = finding.message.split("\n")
    assert why in head
    assert shown == text.split("\n")[line - 1] and mark.index("^") == caret


@pytest.mark.parametrize(
    ("changes", "rule", "word"),
    [
        ({"format": None}, "M-702", "'format' is missing"),
        ({"debug": {"open": True}}, "M-702", "debug_input_path"),
        ({"bias_corr": {"weight_corr": True}}, "M-702", "corr_dir"),
        ({"used_imag_num": 3}, "M-703", "used_imag_num"),
        ({"debug": {"opne": True}}, "M-703", "opne"),
        ({"weight_quantize_method": "MAX"}, "M-704", "MAX_ABS"),
        ({"feature_quantize_bit": 10}, "M-704", "feature_quantize_bits"),
        ({"format": "rgb"}, "M-705", "RGB, BGR, GRAY"),
        ({"feature_quantize_method": "MSA"}, "M-705", "KL, ADMM, MSE"),
        ({"feature_quantize_bits": 9}, "M-705", "8, 10, 12, 14"),
        ({"width": "640"}, "M-705", "without quotes"),
        ({"used_image_num": 0}, "M-705", "positive"),
        ({"weight_fake_quant": 1}, "M-705", "true or false"),
        ({"skip_node_quant": "conv1"}, "M-705", "list of names"),
    ],
)
def test_each_mistake_in_the_values_has_its_rule(changes: dict[str, Any], rule: str, word: str) -> None:
    values = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    findings = lint(values)
    assert word in findings[rule], findings


def test_a_key_that_stands_twice_is_told() -> None:
    assert "duplicate key" in lint('{"used_image_num": 2, "used_image_num": 3}')["M-703"]


def test_other_files_in_the_calibration_folder_are_named(tmp_path: Path) -> None:
    folder_of(tmp_path)
    (tmp_path / "pictures" / "tmp.txt").write_text("x")
    (tmp_path / "pictures" / "fake.jpg").write_text("no picture")
    findings = lint(GOOD, tmp_path)
    assert "tmp.txt" in findings["M-706"] and "fake.jpg" in findings["M-706"]


def test_more_pictures_than_there_are_and_unusual_numbers_are_told(tmp_path: Path) -> None:
    folder_of(tmp_path, 11)
    assert "12, the folder has 11" in lint(GOOD, tmp_path)["M-707"]
    assert "M-708" in lint(GOOD | {"used_image_num": 2}, tmp_path)
    assert "M-706" in lint(GOOD | {"path": "elsewhere"}, tmp_path)
    assert "M-706" not in lint(GOOD)  # nothing is said of folders that cannot be seen


def test_format_and_size_are_held_against_the_model(tmp_path: Path) -> None:
    model = save(tmp_path, branched_model())
    assert "3" in lint(GOOD | {"format": "GRAY"}, model=model)["M-709"]
    assert "20x16" in lint(GOOD | {"width": 640}, model=model)["M-709"]
    assert "M-709" not in lint(GOOD, model=model)


@pytest.mark.parametrize(
    ("old", "new", "rule", "word"),
    [
        ("--target_device T40", "--target_device T4O", "M-711", "T40"),
        ("--output_nodes prob", "--output_node prob", "M-710", "output_node"),
        ("--inputpath ./net.onnx \\\n", "", "M-710", "inputpath"),
        ("net.mk.h", "net.bin", "M-711", ".mk.h"),
        ("--img_width 20", "--img_width 640", "M-711", "width is 20"),
        ("--img_channel 3", "--img_channel 1", "M-711", "img_channel"),
        ("--mean 0,0,0", "--mean 0,0", "M-711", "one number per channel"),
        ("./ptq.json", "./ptq.jso", "M-711", "no .json file"),
        ("./ptq.json", "./other.json", "M-711", "another file"),
        ("./net.onnx", "./net.pb", "M-711", ".onnx files"),
        ("quantization true", "quantization false", "M-711", "not used"),
    ],
)
def test_the_command_line_is_checked_too(old: str, new: str, rule: str, word: str) -> None:
    messages = [one.message for one in lint_ptq(json.dumps(GOOD), "ptq.json", command=COMMAND.replace(old, new))]
    assert any(word in message for message in messages), messages
    assert rule in lint(GOOD, command=COMMAND.replace(old, new))


def test_names_are_held_against_the_model(tmp_path: Path) -> None:
    model = save(tmp_path, branched_model())
    assert "M-712" not in lint(GOOD, command=COMMAND, model=model)
    wrong = lint(GOOD, command=COMMAND.replace("--output_nodes prob", "--output_nodes probs"), model=model)
    assert "no such node" in wrong["M-712"]
    assert "conv9" in lint(GOOD | {"skip_node_quant": ["conv9"]}, model=model)["M-712"]
    assert "Cnov" in lint(GOOD | {"skip_op_quant": ["Cnov"]}, model=model)["M-713"]
    assert not {"M-712", "M-713"} & set(lint(GOOD | {"skip_op_quant": ["Conv"]}, model=model))


def test_folders_that_a_switch_reads_must_be_there(tmp_path: Path) -> None:
    folder_of(tmp_path)
    corrected = {"bias_corr": {"weight_corr": True, "vali_dir": "./nowhere", "corr_dir": "./pictures"}}
    assert "nowhere" in lint(GOOD | corrected, tmp_path)["M-706"]
    off = {"bias_corr": {"weight_corr": False, "vali_dir": "./nowhere", "corr_dir": "./pictures"}}
    assert "M-706" not in lint(GOOD | off, tmp_path)
    shown = lint(GOOD | {"debug": {"open": True, "debug_input_path": "./a.jpg"}}, tmp_path)
    assert "a.jpg" in shown["M-706"]


@pytest.mark.parametrize(
    "text",
    [
        '{"used image num": 3, "format": "RGB"',
        '{"Feature-Quantize-Method": "KL",}',
        "{used_image_num: 3}",
        '"weight quantize method": "MAX_ABS",\n"format" "RGB"\n',
    ],
)
def test_damaged_json_without_an_exact_key_is_taken_for_json(text: str, tmp_path: Path) -> None:
    assert is_ptq(text)
    (tmp_path / "ptq.json").write_text(text)
    assert "M-701" in command(tmp_path).stdout


def test_options_are_read_in_both_forms() -> None:
    assert options_of("x --a 1 --b=2 --c") == {"a": "1", "b": "2", "c": ""}


def test_the_command_dispatches_by_content_and_ends_with_one_on_errors(tmp_path: Path) -> None:
    (tmp_path / "ptq.json").write_text(json.dumps(GOOD | {"format": "YUV"}))
    result = command(tmp_path)
    assert result.exit_code == 1 and "M-705" in result.stdout
    answer = json.loads(command(tmp_path, "--json").stdout)["findings"]
    assert {"rule", "severity", "line", "message", "source", "fix"} == set(answer[0])
    assert json.loads(command(tmp_path, "--sarif").stdout)["runs"][0]["results"]
    rules = CliRunner().invoke(cli, ["lint", "--rules", "--tool", "ptq"]).stdout
    assert all(rule in rules for rule in PTQ_RULES)
    assert is_ptq('{"feature_quantize_method": ') and not is_ptq("model_parameters:\n  march: x")


def test_no_text_makes_it_crash() -> None:
    import random

    source = random.Random(4)
    text = json.dumps(GOOD, indent=1)
    for _ in range(300):
        at, length = source.randrange(len(text)), source.randrange(8)
        broken = text[:at] + "".join(source.choices('{}[]",:0a\n', k=length)) + text[at + source.randrange(8) :]
        try:
            lint_ptq(broken, "p", command=broken)
        except Exception as error:
            assert type(error).__name__ == "ConfigError", (broken, error)
