"""What lies beside a config: scripts that call the toolchain, a quant_config alone, the ONNX, calibration files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.lint.findings import LintFinding
from harness.lint.horizon.check import lint_file, lint_text
from harness.toolchains import read_any
from tests.lint.test_rules import small_network
from tests.support.lint_examples import J6, TEMPLATE, X3, X5, node, quant, swap

SHAPE = (1, 3, 224, 224)


def by_rule(findings: tuple[LintFinding, ...]) -> dict[str, LintFinding]:
    return {finding.rule: finding for finding in findings}


def beside(tmp_path: Path, samples: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None = None) -> Path:
    small_network(tmp_path / "net.onnx", SHAPE)
    (tmp_path / "calibration_data").mkdir()
    arrays = np.random.default_rng(3).uniform(0, 255, (20, *SHAPE)).astype(np.float32) if samples is None else samples
    for index, array in enumerate(arrays):
        np.save(tmp_path / "calibration_data" / f"{index}.npy", array)
    return tmp_path


@pytest.mark.parametrize(
    "call",
    ["hb_mapper --config net.yaml", "hb_mapper -c net.yaml --model-type onnx", "hb_mapper compile --config net.yaml"],
)
def test_a_wrong_call_in_a_script_is_an_error_at_its_line(tmp_path: Path, call: str) -> None:
    script = tmp_path / "build.sh"
    script.write_text(f"#!/bin/bash\n# hb_mapper --config is wrong\nset -e\n{call}\n")
    (finding,) = lint_file(script)
    assert (finding.rule, finding.severity, finding.line) == ("H-112", "error", 4)
    assert finding.fix == "hb_mapper makertbin --config net.yaml --model-type onnx"


def test_a_right_call_is_clean_and_the_config_that_it_names_is_judged(tmp_path: Path) -> None:
    script = tmp_path / "build.sh"
    script.write_text(
        "hb_mapper makertbin \\\n  --config net.yaml --model-type onnx\nhb_mapper checker --model a.onnx\n"
    )
    assert lint_file(script) == ()
    (tmp_path / "net.yaml").write_text(X5.replace("bayes-e", "bayes_e"))
    wrong = by_rule(lint_file(script))["H-107"]
    assert wrong.line == 1 and wrong.message.startswith("net.yaml:3: ")


def test_a_quant_config_alone_is_judged_with_its_own_lines(tmp_path: Path) -> None:
    small_network(tmp_path / "net.onnx", SHAPE)
    alone = tmp_path / "quant_config.json"
    alone.write_text(
        '{\n\t"node_config": {\n\t\t"/a/Conv": {"qtype": "int17"},\n\t\t"/b/Conv": {"qtype": "int16"}\n\t}\n}\n'
    )
    assert {one.rule: one.line for one in lint_file(alone)} == {"H-703": 3}
    with_model = CliRunner().invoke(cli, ["lint", str(alone), "--model", str(tmp_path / "net.onnx")]).stdout
    assert "H-804" in with_model and "/b/Conv" in with_model
    alone.write_text('{\n "model_config": {"all_node_type": "int8",}\n}\n')
    assert {one.rule: one.line for one in lint_file(alone)} == {"H-701": 2}


def test_ec_on_both_inputs_and_ops_that_take_no_dual_input_are_no_note_on_dual_input() -> None:
    def rules(text: str) -> set[str]:
        return {finding.rule for finding in lint_text(quant(text))}

    assert rules("{node_config: {MatMul_2: {input0: ec, input1: ec}}}") == {"H-705"}
    assert rules("{node_config: {Add_2: {input0: int16, input1: int16}}}") == set()
    assert rules("{node_config: {Softmax_2: {qtype: dual-int16}}}") == {"H-704"}
    assert rules("{node_config: {GridSample_2: {input0: int16, input1: ec}}}") == {"H-705"}
    assert rules("{node_config: {MatMul_2: {input0: int16, input1: ec}}}") == {"H-706"}


def test_a_config_with_its_model_and_data_is_clean_and_each_contradiction_is_found(tmp_path: Path) -> None:
    folder = beside(tmp_path)
    assert lint_text(J6, folder=folder) == ()
    wrong = swap(J6, ("input_name: image", "input_name: images"), ("1x3x224x224", "1x3x225x225"))
    assert {"H-801", "H-802", "H-409", "H-311"} <= set(by_rule(lint_text(wrong, folder=folder)))
    named = by_rule(lint_text(node("/a/Cnov: {'ON': 'CPU'}"), folder=folder))["H-804"]
    assert (named.severity, named.fix) == ("error", "did you mean /a/Conv?")
    assert "H-804" not in by_rule(lint_text(node("/a/Conv_split: {'ON': 'CPU'}"), folder=folder)), "made by the tool"


@pytest.mark.parametrize(
    ("array", "rule", "word"),
    [
        (np.zeros((20, 1, 3, 224, 224), np.float32), "H-411", "every value"),
        (np.full((20, 1, 3, 224, 224), np.nan, np.float32), "H-411", "not finite"),
        (np.linspace(-2, 2, 20 * 150528).astype(np.float32).reshape(20, *SHAPE), "H-411", "0..255"),
        (np.ones((20, 1, 3, 224, 224), np.float64), "H-409", "float64"),
        (np.ones((20, 1, 3, 10, 10), np.float32), "H-409", "1x3x10x10"),
    ],
)
def test_what_is_wrong_with_calibration_files(
    tmp_path: Path, array: np.ndarray[tuple[int, ...], np.dtype[np.float32]], rule: str, word: str
) -> None:
    assert word in by_rule(lint_text(J6, folder=beside(tmp_path, array)))[rule].message


def test_a_template_is_called_one_with_what_to_fill_in() -> None:
    (finding,) = lint_text(TEMPLATE)
    assert (finding.rule, finding.severity) == ("H-117", "warning")
    assert all(key in finding.fix for key in ("onnx_model", "input_name", "input_shape", "cal_data_dir"))


def test_sources_are_of_the_tool_and_the_chip() -> None:
    wrong = ("1x3x224x224", "1,3")
    sources = [by_rule(lint_text(swap(base, wrong)))["H-310"].source for base in (X3, X5, J6)]
    assert [word in source for word, source in zip(("X3", "X5", "hb_compile"), sources, strict=True)] == [True] * 3


def test_a_yaml_is_a_plan_of_where_nodes_run(tmp_path: Path) -> None:
    config = tmp_path / "net.yaml"
    config.write_text(node("/a/Conv: {'ON': 'BPU', 'OutputType': 'int16'}") + "  # end\n")
    artifact = read_any(config)
    assert artifact is not None and artifact.march == "bayes-e"
    assert [(one.name, one.unit, one.output_dtypes) for one in artifact.nodes] == [("/a/Conv", "BPU", ("int16",))]
