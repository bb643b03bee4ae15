"""A failed build is understood: the yaml key or the cause, and what to change, from texts of known forms."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.records import Message
from harness.toolchains import read_any
from harness.toolchains.horizon.build_errors import RULES, YAML_FORMS, explain
from harness.toolchains.horizon.log import read_build_log
from harness.toolchains.records import Artifact
from tests.support.toolchain_samples import SAMPLES, record, x5_log

TEXTS = SAMPLES / "vendor-skills" / "unknown_texts.tsv"
FORMS = {
    "log file": record("{}", "params_parser.py"),
    "exception": "ValueError: {}",
    "console": "2026-01-02 03:04:05,678 ERROR {}",
}
OWN = {  # a text in a form of the tool -> the key or cause, a word of the advice; keys, values and names are ours
    "The specified optimize_level 'O7' is invalid, it can only be specified as values in ['O0', 'O1']": (
        "optimize_level",
        "O0, O1",
    ),
    "The specified jobs -3 is invalid, it can only be specified as values in range 1-64": ("jobs", "1-64"),
    "Wrong core_num 9 specified, it can only be specified as values in range [1, 4]": ("core_num", "H-502"),
    "Wrong parameter 'layer_out_dump' specified, bool value is required but get type x": ("layer_out_dump", "bool"),
    "Only one of remove_node_type and remove_node_name can be specified": ("remove_node_type", "remove_node_name"),
    "Wrong mean_value num received. Num of mean_value given: 3 is not equal to input num 2": (
        "mean_value",
        "per input",
    ),
    "The input_layout_train cannot be empty": ("input_layout_train", "set"),
    "Parameter compile_mode is set to balance, please set balance_factor to use this mode": ("balance_factor", "set"),
    "The input shape: [1, 3, 225, 224] is invalid, nv12 type does not support odd number input size": (
        "input_shape",
        "even",
    ),
    "The specified input_name lidar does not exist in model file. The name list should be specified: ['image']": (
        "input_name",
        "inspect",
    ),
    "The specified quant_config ./q.json does not exist": ("quant_config", "path"),
    "Package 'hmct'==2.8.1 does not satisfy version spec '>=2.8.3'.": ("hmct", ">=2.8.3"),
    "Connect to 192.0.2.1 with host key failed! Please make sure": ("192.0.2.1", "ssh"),
    "Directory ./cal/rgb is empty, please check calibration pics.": ("./cal/rgb", "samples"),
    "Unsupport removing Conv now": ("remove_node_type", "Softmax"),
    "The cache_path must be specified when the cache_mode is not disable": ("cache_path", "set"),
}


def read(text: str, folder: Path) -> Artifact:
    (folder / "hb_compile.log").write_text(text + "\n")
    artifact = read_any(folder / "hb_compile.log")
    assert artifact is not None, f"not recognised: {text}"
    return artifact


def is_understood(text: str, folder: Path) -> bool:
    (folder / "hb_compile.log").write_text(text + "\n")
    artifact = read_any(folder / "hb_compile.log")
    return artifact is not None and any(one.meaning and one.subject for one in artifact.messages)


def only(artifact: Artifact) -> Message:
    (message,) = artifact.messages
    return message


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("text", OWN)
def test_an_error_names_the_key_or_cause_and_what_to_change(text: str, form: str, tmp_path: Path) -> None:
    subject, word = OWN[text]
    artifact = read(FORMS[form].format(text), tmp_path)
    message = only(artifact)
    assert (message.severity, message.subject) == ("error", subject)
    assert word in message.meaning
    assert artifact.finished is False


@pytest.mark.parametrize("form", FORMS)
def test_every_documented_text_names_a_key_or_a_cause(form: str, tmp_path: Path) -> None:
    if not TEXTS.is_file():
        pytest.skip(f"real vendor output is not here: {SAMPLES} (set HARNESS_SAMPLES)")
    lines = TEXTS.read_text("utf-8").splitlines()
    assert len(lines) >= 160
    assert [
        text for line in lines if not is_understood(FORMS[form].format(text := line.split("\t", 1)[1]), tmp_path)
    ] == []


def test_the_phase_that_failed_is_the_last_one_that_began() -> None:
    begun = [
        record(text) for text in ("Start to export model.", "Successfully export model.", "Start to convert model.")
    ]
    error = record("Wrong core_num 2 specified, it can only be specified as values in range [1]")
    log = read_build_log("\n".join([*begun, error]) + "\n")
    assert (log.kind, log.finished, log.facts["failed_phase"]) == ("hb_compile_log", False, "convert")
    named = read_build_log("\n".join([*begun, "*** ERROR-OCCUR-DURING {hbdk.compile} ***"]) + "\n")
    assert named.facts["failed_phase"] == "hbdk.compile"
    whole = read_build_log("\n".join([*begun, record("Successfully convert model."), ""]))
    assert "failed_phase" not in whole.facts


def test_an_exception_of_no_known_form_is_shown_with_the_key_that_it_names() -> None:
    known = explain("RuntimeError: while reading calibration_type something new happened")
    assert known is not None and known.subject == "calibration_type"
    bare = explain("KeyError: 'x'")
    assert bare is not None and bare.subject == "KeyError"


def test_an_exception_of_another_program_makes_no_log(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("ValueError: invalid literal for int() with base 10: 'a'\n")
    assert read_any(tmp_path / "x.txt") is None


def test_a_good_build_has_no_error() -> None:
    assert [one.severity for one in read_build_log(x5_log()).messages] == ["note"]


def test_rules_that_an_advice_names_exist() -> None:
    from harness.lint.horizon.rules import RULES as LINT_RULES

    assert {*RULES.values(), *(form.rule for form in YAML_FORMS if form.rule)} <= {*LINT_RULES}
