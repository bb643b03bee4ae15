"""Fixes that must be right to the letter or only words, and values that no reader of a config may fall over."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest

from harness.lint.findings import LintFinding
from harness.lint.horizon.check import lint_file, lint_text
from harness.lint.magik.check import lint_ptq
from harness.lint.names import near_name
from tests.lint.test_magik import COMMAND, GOOD
from tests.lint.test_rules import small_network
from tests.support.lint_examples import FEATURE, J6, TWO_INPUTS, X3, X5, calibration, compiler, model, quant, swap

LONG = "9" * 5000


def fixes(text: str, rule: str, folder: Path | None = None) -> list[str]:
    return [one.fix for one in lint_text(text, folder=folder) if one.rule == rule]


def messages_of(findings: tuple[LintFinding, ...], rule: str) -> str:
    return " ".join(one.message for one in findings if one.rule == rule)


# --------------------------------------------------------------------------- fixes


@pytest.mark.parametrize(
    ("text", "rule", "fix"),
    [
        (swap(X5, ("1x3x224x224", "[1, 3, 224, 224]")), "H-105", "input_shape: '1x3x224x224'"),
        (swap(X5, ("1x3x224x224", "[[1, 3, 224, 224]]")), "H-105", "input_shape: '1x3x224x224'"),
        (swap(X5, ("1x3x224x224", "[1x3x224x224]")), "H-105", "input_shape: '1x3x224x224'"),
        (swap(X5, ("123.675 116.28 103.53", "[1, 2, 3]")), "H-105", "mean_value: '1 2 3'"),
        (swap(X5, ("123.675 116.28 103.53", "['1 2 3']")), "H-105", "mean_value: '1 2 3'"),
        (swap(J6, ("input_name: image", "input_name: [image]")), "H-105", "input_name: 'image'"),
        (swap(X5, ("1x3x224x224", "1;3;224;224")), "H-312", "input_shape: 1x3x224x224"),
        (swap(X5, ("123.675 116.28 103.53", "1;2;3")), "H-312", "mean_value: 1 2 3"),
        (model(X5, "  set_node_data_type: a:int;ba:int16"), "H-204", "set_node_data_type: a:int16;ba:int16"),
        (model(X3, "  set_node_data_type: a:int8;b:int16"), "H-208", "set_node_data_type: a:int8;b:int8"),
        (X5 + "custom_op:\n  custom_op_method: register\n  op_register_files: d.x/a.txt;b.so\n", "H-116",
         "op_register_files: d.x/a.py;b.py"),
        (swap(FEATURE, ("  cal_data_type: float32\n", "")), "H-406", "cal_data_type: float32"),
    ],
)  # fmt: skip
def test_a_fix_is_right_to_the_letter(text: str, rule: str, fix: str) -> None:
    assert fix in fixes(text, rule)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (swap(TWO_INPUTS, ("1x3x224x224;1x16", "[1, 3, 224, 224]")), "H-105"),
        (swap(TWO_INPUTS, ("1x3x224x224;1x16", "1x16")), "H-312"),
        (swap(TWO_INPUTS, ("./a;./b", "./a")), "H-312"),
        (swap(X5, ("123.675 116.28 103.53", "1 2")), "H-314"),
        (swap(X5, ("  mean_value: 123.675 116.28 103.53\n", "")), "H-306"),
        (model(X5, "  set_node_data_type: a:b:int16;c"), "H-214"),
    ],
)
def test_what_cannot_be_known_is_words_and_no_value(text: str, rule: str) -> None:
    findings = fixes(text, rule)
    assert findings and not [fix for fix in findings if re.match(r"\w+: ", fix)], findings


MIXED = swap(
    TWO_INPUTS,
    ("input_type_train: featuremap;featuremap", "input_type_train: rgb;featuremap"),
    ("input_type_rt: featuremap;featuremap", "input_type_rt: nv12;featuremap"),
)


def test_a_fix_for_one_input_leaves_the_others_as_they_are() -> None:
    assert fixes(swap(MIXED, ("float32;float32", "''")), "H-406") == ["cal_data_type: uint8;float32"]
    assert fixes(MIXED, "H-302") == [], "the other input needs its layout, so there must be a list"
    yuv = swap(MIXED, ("nv12;featuremap", "yuv444;featuremap"), ("bayes-e", "bernoulli2"))
    assert fixes(yuv, "H-303") == ["input_layout_rt: NHWC;NCHW"]
    normed = swap(MIXED, ("  norm_type: no_preprocess;no_preprocess", "  mean_value: 1 2 3;None"))
    assert fixes(normed, "H-307") == ["norm_type: data_mean;no_preprocess"]
    bad = swap(MIXED, ("no_preprocess;no_preprocess", "data_mean;data_mean\n  mean_value: a b c;1"))
    assert "mean_value: None;1" in fixes(bad, "H-105")


def test_a_path_in_a_fix_is_one_word_of_a_shell(tmp_path: Path) -> None:
    small_network(tmp_path / "net.onnx", (1, 3, 224, 224))
    text = compiler("  cache_mode: enable\n  cache_path: my cache; rm x", J6)
    assert "mkdir -p 'my cache; rm x'" in fixes(text, "H-606", tmp_path)


def test_numbers_of_a_ptq_json_are_proposed_for_what_they_are() -> None:
    wrong = GOOD | {"used_image_num": 0, "width": "320", "height": -1}
    findings = {one.message.split()[0]: one.fix for one in lint_ptq(json.dumps(wrong), "p") if one.rule == "M-705"}
    assert findings["used_image_num"] == '"used_image_num": 50' and findings["width"] == '"width": 320'
    assert findings["height"].startswith("give the height")


# --------------------------------------------------------------------------- values


@pytest.mark.parametrize("written", ["9e-1", "1E0", "0.75", "1"])
def test_numbers_of_a_json_are_those_of_json(tmp_path: Path, written: str) -> None:
    alone = tmp_path / "quant_config.json"
    alone.write_text(f'{{"model_config": {{"activation": {{"max_percentile": {written}, "num_bin": "1e3"}}}}}}')
    assert [one.message for one in lint_file(alone)] == [
        "activation.num_bin: 1e3 is not a whole number of at least 129"
    ]
    assert messages_of(lint_text(quant("{model_config: {activation: {max_percentile: 9e-1}}}")), "H-709"), (
        "text in YAML 1.1"
    )


VALUES = (
    "!!bool maybe", "!!int ''", "!!float ''", "!!timestamp foo", "!!binary '%'", "!!seq x", "0x" + "f" * 5000, LONG,
    "inf", "'inf'", ".inf", "-.inf", ".nan", "'²'", "'³;²'", "'1_0'", "1e999", "~nobody-of-that-name/x",
    "a" * 300, f"1x{LONG}", f"'{'x'.join(['999999999999'] * 600)}'", '"\\0"', "S4", "[[], {}]", "{}", "''",
)  # fmt: skip
BASES = {"x5": X5, "j6": compiler("  max_l2m_size: 0\n  cache_path: here", J6)}


@pytest.mark.parametrize("base", BASES)
def test_no_value_at_any_key_is_a_traceback_nor_hides_other_findings(tmp_path: Path, base: str) -> None:
    small_network(tmp_path / "net.onnx", (1, 3, 224, 224))
    text = swap(BASES[base], ("  input_name: image\n", "  input_name: image\n  input_batch: 1\n"))
    lines = text.splitlines()
    places = [i for i, line in enumerate(lines) if re.match(r"  \w+: ", line) and "march" not in line]
    for number, value in enumerate(VALUES):
        for place in places[number % 6 :: 6]:
            changed = [f"{one.partition(':')[0]}: {value}" if i == place else one for i, one in enumerate(lines)]
            findings = lint_text("\n".join([*changed, "no_such_group: 1"]), folder=tmp_path)
            assert "H-101" in {one.rule for one in findings}, (value, lines[place])


def test_a_folder_with_a_name_too_long_is_not_here_and_no_other_finding_is_lost(tmp_path: Path) -> None:
    findings = lint_text(swap(X5, ("./calibration_data", "a" * 300), ("bayes-e", "bayes_e")), folder=tmp_path)
    assert {"H-107", "H-114"} <= {one.rule for one in findings}


def archive() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, a=np.zeros(2))
    return stream.getvalue()


HEADER = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'shape': (".ljust(128)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", archive(), HEADER, b"\x93NUMPY\x09\x00"])
@pytest.mark.parametrize("base", [X5, J6])
def test_what_is_no_array_is_a_finding(tmp_path: Path, content: bytes, base: str) -> None:
    folder = tmp_path / "calibration_data"
    folder.mkdir()
    (folder / "0.npy").write_bytes(content)
    assert "0.npy in ./calibration_data cannot be read: " in messages_of(lint_text(base, folder=tmp_path), "H-409")


def test_raw_files_of_no_known_type_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "calibration_data").mkdir()
    (tmp_path / "calibration_data" / "0.bin").write_bytes(b"abcdefgh")
    findings = lint_text(swap(X5, ("cal_data_type: float32", "cal_data_type: S4")), folder=tmp_path)
    assert messages_of(findings, "H-104") and not messages_of(findings, "H-411")


def test_a_model_with_an_input_that_nothing_writes_is_judged_but_not_placed(tmp_path: Path) -> None:
    small_network(tmp_path / "net.onnx", (1, 3, 224, 224))
    network = onnx.load(str(tmp_path / "net.onnx"))
    network.graph.node[1].input[0] = "nowhere"
    onnx.save(network, str(tmp_path / "net.onnx"))
    assert "H-802" in {one.rule for one in lint_text(swap(X5, ("1x3x224x224", "1x3x222x222")), folder=tmp_path)}


@pytest.mark.parametrize("channel", ["abc", "²", LONG, "", "-1"])
def test_a_channel_that_is_no_number_is_told(channel: str) -> None:
    command = COMMAND.replace("--img_channel 3", f"--img_channel {channel}").replace("--mean 0,0,0", "--mean 1,2")
    findings = lint_ptq(json.dumps(GOOD), "ptq.json", Path("/"), command)
    assert "--mean 1,2" in messages_of(findings, "M-711")


@pytest.mark.parametrize("value", [LONG, f'"{"a" * 300}"', '"\\u0000"', "1e999", "NaN", "[[]]", '"~nobody-here/x"'])
def test_no_value_of_a_ptq_json_is_a_traceback(tmp_path: Path, value: str) -> None:
    for key in GOOD:
        text = json.dumps(GOOD | {key: "VALUE"}, indent=1).replace('"VALUE"', value)
        assert lint_ptq(text, "ptq.json", tmp_path, "x " * 400)
    if value == LONG:
        assert [one.line for one in lint_ptq(text, "ptq.json")] == [text[: text.index(LONG)].count("\n") + 1]


def test_a_name_is_looked_for_among_thousands() -> None:
    known = [f"/model/layers.{i}/{kind}" for i in range(2000) for kind in ("MatMul", "Add")]
    assert near_name("/model/layers.1234/MatMull", known) == "/model/layers.1234/MatMul"
    assert near_name("model/layers.77/Add", known) == "/model/layers.77/Add"
    assert near_name("nothing", known) == "" and near_name("x", ()) == ""


def test_only_the_first_of_many_unknown_names_get_a_proposal(tmp_path: Path) -> None:
    small_network(tmp_path / "net.onnx", (1, 3, 224, 224))
    names = ";".join(f"/a/Cnov{i}" for i in range(100))
    findings = fixes(calibration(f"  run_on_cpu: {names}"), "H-804", tmp_path)
    assert len(findings) == 100 and sum(fix == "did you mean /a/Conv?" for fix in findings) == 20


def test_half_a_surrogate_pair_can_be_printed() -> None:
    for findings in (lint_text(swap(X5, ("bayes-e", '"\\ud800"'))), lint_ptq('{"used_image_num": "\\ud800"}', "p")):
        assert any("ud800" in one.message.encode("utf-8").decode() for one in findings)
