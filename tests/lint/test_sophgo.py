"""`harness lint` of Sophgo's quantize tables."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, save

from harness.cli import cli
from harness.lint.sophgo.check import MOST_NEAR, Layers, is_table, lint_file, lint_table
from harness.lint.sophgo.rules import TABLE_RULES

KNOWN = Layers(frozenset({"conv1_relu_out_Relu", "pool_MaxPool", "fc_out_Gemm"}), "net.mlir")


def rules(text: str, layers: Layers = KNOWN) -> list[tuple[int, str]]:
    return [(one.line, one.rule) for one in lint_table(text, layers)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# mixed\nconv1_relu_out_Relu BF16\n  # why\nfc_out_Gemm F32\n", []),
        ("fc_out_Gemm F32  # why\n", [(1, "S-701")]),
        ("conv1_relu_out_Relu bf16\n", []),
        ("conv1_relu_out_Relu\nfc_out_Gemm BF16 x\n", [(1, "S-701"), (2, "S-701")]),
        ("fc_out_Gemm FP16\n", [(1, "S-702")]),
        ("fc_out_Gemm BF16\n\nfc_out_Gemm F16\n", [(3, "S-703")]),
        ("fc_out_Gem BF16\n", [(1, "S-704")]),
        ("fc_out BF16\n", [(1, "S-705")]),
        ("fc_out_Gemm INT4\n", [(1, "S-706")]),
        ("", [(1, "S-701")]),
    ],
)
def test_rows(text: str, expected: list[tuple[int, str]]) -> None:
    assert rules(text) == expected


def test_a_fix_is_what_to_write() -> None:
    fixes = [one.fix for one in lint_table("fc_out FP16\npool_MaxPol BF16\n", KNOWN)]
    assert fixes == ["fc_out F16", "fc_out_Gemm FP16", "did you mean pool_MaxPool?"]


def test_names_are_those_of_the_compilers_files_beside_it(tmp_path: Path) -> None:
    table = tmp_path / "qtable"
    table.write_text("conv_Relu BF16\nhead_Conv F16\n")
    assert [one.rule for one in lint_file(table)] == ["S-707"]
    (tmp_path / "net_cali_table").write_text("# op_name    threshold    min    max\nconv_Relu 1.0 0.0 1.0\n")
    assert [(one.line, one.rule) for one in lint_file(table)] == [(2, "S-704")]
    (tmp_path / "net.mlir").write_text('#loc1 = loc("conv_Relu")\n#loc2 = loc("head_Conv")\n')
    assert lint_file(table) == ()


def test_without_them_the_onnx_tells(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["conv"], "n1"), helper.make_node("Neg", ["conv"], ["y"], "n2")]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    save(helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:])), tmp_path / "net.onnx")
    (tmp_path / "qtable").write_text("conv_Relu BF16\nother_Relu BF16\n")
    assert [(one.line, one.rule) for one in lint_file(tmp_path / "qtable", tmp_path / "net.onnx")] == [(2, "S-704")]


def test_the_command_recognises_a_table(tmp_path: Path) -> None:
    table = tmp_path / "qtable"
    table.write_text("conv_Relu BF16\nconv_Relu FP16\n")
    result = CliRunner().invoke(cli, ["lint", str(table), "--json"])
    assert result.exit_code == 1 and {one["rule"] for one in json.loads(result.stdout)["findings"]} == {
        "S-702",
        "S-703",
        "S-707",
    }
    listed = CliRunner().invoke(cli, ["lint", "--rules", "--tool", "quantize_table"]).stdout
    assert all(rule in listed for rule in TABLE_RULES)
    missing = CliRunner().invoke(cli, ["lint", str(tmp_path / "nothing"), "--tool", "quantize_table"])
    assert missing.exit_code == 2 and "nothing" in missing.stderr


@pytest.mark.parametrize(
    "text", ["march: bayes-e\nmodel BF16: x\n", '{"format": "RGB"}', "- INT8\n", "hello world\n", ""]
)
def test_other_configs_are_not_taken_for_one(text: str) -> None:
    assert not is_table(text)


@given(st.text(st.sampled_from("ab_ R#\n\tBF16INT4x:{"), max_size=80))
def test_no_text_breaks_it(text: str) -> None:
    assert all(one.rule in TABLE_RULES and one.line >= 1 for one in lint_table(text, KNOWN)) and is_table(text) in (
        0,
        1,
    )


def test_a_long_table_of_unknown_names_takes_no_minutes() -> None:
    names = frozenset(f"tensor{i}_out_Relu" for i in range(3000))
    began_s = time.process_time()
    findings = lint_table("".join(f"layer{i}_out_Relu BF16\n" for i in range(3000)), Layers(names, "net.mlir"))
    assert len(findings) == 3000 and {one.rule for one in findings} == {"S-704"}
    assert time.process_time() - began_s < 2.0
    assert sum("did you mean" in one.fix for one in findings) <= MOST_NEAR


def test_the_given_model_goes_before_the_files_of_another(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["conv"], "n1")]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "conv")]
    save(helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:])), tmp_path / "net.onnx")
    (tmp_path / "other.mlir").write_text('#loc1 = loc("stem_Conv")\n')
    table = tmp_path / "qtable"
    table.write_text("conv_Relu BF16\nstem_Conv BF16\n")
    assert [(one.line, one.rule) for one in lint_file(table)] == [(1, "S-704")]
    assert [(one.line, one.rule) for one in lint_file(table, tmp_path / "net.onnx")] == [(2, "S-704")]
    (tmp_path / "net.mlir").write_text('#loc1 = loc("conv_Conv")\n')  # the model's own knows the compiler's names
    assert [(one.line, one.rule) for one in lint_file(table, tmp_path / "net.onnx")] == [(1, "S-704"), (2, "S-704")]
