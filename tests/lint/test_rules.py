"""`harness lint`: every rule on a config that breaks it and on one that does not; real configs; the command."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from harness.cli import cli
from harness.errors import ConfigError
from harness.lint.findings import LintFinding
from harness.lint.horizon.check import lint_file, lint_text
from harness.lint.horizon.rules import RULES
from harness.lint.sarif import to_sarif
from tests.support.lint_examples import EXAMPLES, FEATURE, J6, TWO_INPUTS, X3, X5, node, quant
from tests.support.toolchain_samples import ROOT, SAMPLES, sample

SEED = SAMPLES.parent / "seeds" / "000_c300153a98f52754.txt"


def rules(text: str, folder: Path | None = None) -> set[str]:
    return {finding.rule for finding in lint_text(text, "config.yaml", folder=folder)}


def errors_of(text: str, folder: Path) -> list[LintFinding]:
    return [finding for finding in lint_text(text, folder=folder) if finding.severity != "note"]


def fill(folder: Path) -> Path:
    """Calibration folders: good (25 files of the right size), few (2), short (a file of the wrong size)."""
    right = bytes(1 * 3 * 224 * 224 * 4)
    for name, count in (("good", 0), ("few", 2), ("short", 25), ("constant", 25)):
        (folder / "FOLDER" / name).mkdir(parents=True)
        for index in range(count):
            (folder / "FOLDER" / name / f"{index}.bin").write_bytes(right)
    (folder / "FOLDER" / "short" / "7.bin").write_bytes(b"123")
    for index in range(25):
        sample = np.random.default_rng(index).uniform(0, 255, (1, 3, 224, 224)).astype(np.float32)
        (folder / "FOLDER" / "good" / f"{index}.bin").write_bytes(sample.tobytes())
    small_network(folder / "FOLDER" / "net.onnx", (1, 3, 224, 224), "ScatterND")
    small_network(folder / "FOLDER" / "plain.onnx", (1, 3, 224, 224))
    small_network(folder / "FOLDER" / "open.onnx", ("batch", 3, 224, 224))
    (folder / "FOLDER" / "broken.onnx").write_bytes(b"no model")
    return folder


def small_network(path: Path, shape: Sequence[int | str], more: str = "") -> None:
    """A Conv and a Relu, which the X5's list knows; with `more` a ScatterND between, which it leaves to the CPU."""
    make, floats = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        make.make_node("Conv", ["image", "w"], ["c"], "/a/Conv", pads=[1, 1, 1, 1]),
        make.make_node("ScatterND", ["c", "at", "one"], ["s"], "/a/ScatterND"),
        make.make_node("Relu", ["s" if more else "c"], ["y"], "/a/Relu"),
    ]
    nodes = [one for one in nodes if more or one.op_type != "ScatterND"]
    arrays = {
        "w": np.ones((4, 3, 3, 3), np.float32),
        "at": np.zeros((1, 4), np.int64),
        "one": np.ones(1, np.float32),
    }
    constants = [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()]
    ends = [make.make_tensor_value_info("image", floats, shape)], [make.make_tensor_value_info("y", floats, None)]
    graph = make.make_graph(nodes, "net", *ends, constants)
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 11)], ir_version=7), str(path))


@pytest.fixture(scope="session")
def calibration_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("lint"))


def test_every_rule_has_one_failing_and_one_passing_example() -> None:
    assert set(EXAMPLES) == set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_the_rule_fires_on_its_failing_example(rule: str, calibration_folders: Path) -> None:
    findings = [f for f in lint_text(EXAMPLES[rule][0], folder=calibration_folders) if f.rule == rule]
    assert findings
    for finding in findings:
        assert finding.severity == RULES[rule].severity and finding.source and finding.fix and finding.message
        assert 1 <= finding.line <= EXAMPLES[rule][0].count("\n") + 1


@pytest.mark.parametrize("rule", RULES)
def test_the_rule_is_silent_on_its_passing_example(rule: str, calibration_folders: Path) -> None:
    assert rule not in rules(EXAMPLES[rule][1], calibration_folders)


@pytest.mark.parametrize("config", [X5, X3, FEATURE, TWO_INPUTS, J6], ids=["x5", "x3", "feature", "two", "j6"])
def test_good_configs_are_clean(config: str) -> None:
    assert lint_text(config) == ()


# --------------------------------------------------------------------------- real configs


@pytest.mark.parametrize(
    "name",
    [
        "x3_doc_onnx_template.yaml",
        "x3_doc_caffe_template.yaml",
        "ultra_doc_onnx_template.yaml",
        "x5_bear_nv12.yaml",
        "j5x5_rwkv_head.yaml",
        "j5x5_rwkv_mixing_0.yaml",
    ],
)
def test_official_templates_and_working_configs_are_clean(name: str) -> None:
    findings = lint_file(sample(name))
    wanted = {"H-117": "warning"} if "template" in name else {"H-114": "note"}
    assert {finding.rule: finding.severity for finding in findings} == wanted


def seed_configs() -> dict[str, str]:
    """The yaml blocks of the forum answer: from `# config_x.yaml` to the first line that is no yaml."""
    if not SEED.is_file():
        pytest.skip(f"the forum text is not here: {SEED} (set HARNESS_SAMPLES)")
    by_rule: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in SEED.read_text(encoding="utf-8").splitlines():
        title = re.match(r"# (config_\w+\.yaml)$", line)
        if title:
            current = by_rule.setdefault(title[1], [])
        if current is not None and (line == "" or line[0] in " #" or re.match(r"\w+:\s*$", line)):
            current.append(line)
        else:
            current = None
    return {name: "\n".join(lines) for name, lines in by_rule.items()}


def test_the_forum_answers_yaml_is_found_wrong_where_it_is_and_only_there() -> None:
    configs = seed_configs()
    assert set(configs) >= {
        "config_correct.yaml",
        "config_final.yaml",
        "config_cpu_matmul.yaml",
        "config_motionbert.yaml",
    }
    for name in ("config_correct.yaml", "config_final.yaml", "config_motionbert.yaml"):
        findings = lint_text(configs[name], name)
        by_rule = {finding.rule for finding in findings}
        assert by_rule == {
            "H-101",  # node_info as a group of its own
            "H-501",  # no compiler_parameters: O0 follows
            "H-111",  # files will not be called motionbert_lite_*
            "H-203",  # unquoted ON
            "H-204",  # float32 as a node's type
            "H-207",  # int16 on a MatMul: not stated, not refused
            "H-401",  # max_percentile with kl
        }
        text = " ".join(finding.message for finding in findings)
        for cleared in ("input_type_rt", "input_layout_rt", "cal_data_type", "per_channel", "norm_type", "march"):
            assert cleared not in text
        assert {f.severity for f in findings if f.rule == "H-207"} == {"note"}


def test_the_line_and_the_fix_point_at_the_forum_answers_mistakes() -> None:
    text = seed_configs()["config_correct.yaml"]
    lines = text.splitlines()
    findings = lint_text(text)
    percentile = next(f for f in findings if f.rule == "H-401")
    assert lines[percentile.line - 1].strip() == "max_percentile: 0.999"
    unquoted = next(f for f in findings if f.rule == "H-203")
    assert lines[unquoted.line - 1].strip() == "ON: CPU" and unquoted.fix == "'ON': 'CPU'"
    moved = next(f for f in findings if f.rule == "H-101")
    assert lines[moved.line - 1] == "node_info:" and moved.fix == "move it under model_parameters"


# --------------------------------------------------------------------------- traps


def test_an_unquoted_on_is_told_apart_from_a_quoted_one_and_from_true() -> None:
    assert "H-203" in rules(node("/a/Conv: {ON: CPU}"))
    assert "H-203" in rules(node("/a/Conv: {on: CPU}"))
    assert rules(node('/a/Conv: {"ON": CPU}')) == set()


def test_node_info_as_text_and_as_a_map_are_both_checked() -> None:
    assert "H-204" in rules(node("x").replace("node_info:\n    x", "node_info: /a/Conv:float32;/b/Relu:int16"))
    assert rules(node("x").replace("node_info:\n    x", "node_info: /b/Relu:int16")) == set()


def test_int16_on_matmul_is_a_note_on_x5_an_error_on_x3_and_fine_on_j6() -> None:
    text = "/a/MatMul: {'InputType': 'int16'}"
    severities = {f.rule: f.severity for f in lint_text(node(text))}
    assert severities == {"H-207": "note"}
    on_x3 = {f.rule: f.severity for f in lint_text(node(text, X3))}
    assert on_x3["H-208"] == "error" and on_x3["H-201"] == "error"
    assert rules(quant("{node_config: {/a/MatMul: {qtype: int16}}}")) == set()


def test_o3_is_right_for_hb_mapper_and_wrong_for_hb_compile() -> None:
    assert rules(X5) == set()
    assert "H-104" in rules(J6.replace("O2", "O3"))


def test_a_march_of_the_other_tool_is_named_as_such() -> None:
    finding = next(f for f in lint_text(X5, tool="hb_compile") if f.rule == "H-107")
    assert "is for hb_mapper" in finding.message


def test_a_misplaced_key_says_where_it_belongs() -> None:
    finding = next(f for f in lint_text(EXAMPLES["H-102"][0]) if f.rule == "H-102")
    assert finding.fix == "move it to compiler_parameters"
    typo = next(f for f in lint_text(X5.replace("core_num", "core_nun")) if f.rule == "H-102")
    assert typo.fix == "did you mean core_num?"


def test_a_quant_config_file_with_comments_is_no_json(tmp_path: Path) -> None:
    small_network(tmp_path / "net.onnx", (1, 3, 224, 224))
    (tmp_path / "quant.json").write_text('{// all nodes\n"model_config": {"all_node_type": "int8"}}')
    findings = errors_of(quant("quant.json").replace("net.onnx", "absent.onnx"), tmp_path)
    assert [f.rule for f in findings] == ["H-701"] and "comments" in findings[0].message
    (tmp_path / "quant.json").write_text('{"node_config": {"Conv_1": {"input0": "ec"}}}')
    assert [f.rule for f in errors_of(quant("quant.json").replace("net.onnx", "absent.onnx"), tmp_path)] == ["H-705"]


def test_empty_and_foreign_calibration_folders(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    finding = next(f for f in lint_text(X5.replace("./calibration_data", "empty"), folder=tmp_path))
    assert finding.rule == "H-409" and "is empty" in finding.message
    small_network(tmp_path / "net.onnx", (1, 3, 224, 224))
    (tmp_path / "jpg").mkdir()
    for index in range(20):
        (tmp_path / "jpg" / f"{index}.jpg").write_bytes(b"\xff\xd8")
    assert rules(X5.replace("./calibration_data", "jpg"), tmp_path) == set()
    assert rules(J6.replace("./calibration_data", "jpg"), tmp_path) == {"H-409"}
    absent = X5.replace("./calibration_data", "not/here")
    assert rules(absent, tmp_path) == {"H-409"}
    (tmp_path / "net.onnx").unlink()
    assert rules(absent, tmp_path) == {"H-114"}, "elsewhere nothing is known"


def test_a_wrong_size_says_what_was_expected(calibration_folders: Path) -> None:
    finding = next(f for f in lint_text(EXAMPLES["H-409"][0], folder=calibration_folders) if f.rule == "H-409")
    assert "7.bin" in finding.message and "3 bytes" in finding.message and "602112" in finding.message


# --------------------------------------------------------------------------- not a config, and the command


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment\n",
        "just text\n",
        "- a\n- b\n",
        "a: [1, 2\n",
        "foo: 1\nbar: 2\n",
        "a:\n\t- b\n",
        "&a [*a]\n",
    ],
)
def test_what_is_no_config_is_an_error_and_not_a_finding(text: str) -> None:
    with pytest.raises(ConfigError):
        lint_text(text)


def test_a_yaml_bomb_is_refused_quickly() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
    for one, two in zip("abcdefgh", "bcdefghi", strict=True):
        bomb += f"{two}: &{two} [{','.join([f'*{one}'] * 10)}]\n"
    with pytest.raises(ConfigError):
        lint_text(bomb)


@given(st.text(max_size=200), st.integers(0, 30), st.integers(0, 400))
def test_no_text_makes_the_linter_fall_over(noise: str, lines: int, place: int) -> None:
    text = X5[:place] + noise + "\n".join(X5[place:].splitlines()[lines:])
    try:
        findings = lint_text(text)
    except ConfigError:
        return
    assert all(isinstance(finding, LintFinding) for finding in findings)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
)


@given(st.data(), VALUES)
def test_any_value_at_any_key_is_a_finding_or_nothing(data: st.DataObject, value: object) -> None:
    import yaml

    tree = yaml.safe_load(data.draw(st.sampled_from([X5, X3, J6, quant("{node_config: {Conv_1: {input1: ec}}}")])))
    group = data.draw(st.sampled_from(sorted(tree)))
    from harness.lint.horizon.schema import HB_COMPILE, HB_MAPPER

    key = data.draw(st.sampled_from(sorted({*HB_MAPPER[group], *HB_COMPILE[group], "node_info"})))
    tree[group][key] = value
    lint_text(yaml.safe_dump(tree, allow_unicode=True))


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "harness", "lint", *argv], capture_output=True, text=True, check=False)


def test_the_command_exits_0_1_and_2(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(X5)
    good = run(str(config))
    assert (good.returncode, good.stdout.strip().endswith("1 note")) == (0, True)
    small_network(tmp_path / "net.onnx", (1, 3, 224, 224))
    (tmp_path / "calibration_data").mkdir()
    for index in range(20):
        (tmp_path / "calibration_data" / f"{index}.jpg").write_bytes(b"\xff\xd8")
    assert CliRunner().invoke(cli, ["lint", str(config)]).stdout.strip().endswith("clean")
    config.write_text(X5.replace("bayes-e", "bayes_e"))
    bad = run(str(config), "--json")
    assert bad.returncode == 1
    findings = json.loads(bad.stdout)["findings"]
    assert [set(one) for one in findings] == [{"rule", "severity", "line", "message", "source", "fix"}]
    assert findings[0]["line"] == 3
    config.write_text("just text")
    none = run(str(config))
    assert none.returncode == 2 and none.stdout == "" and "hint:" in none.stderr
    assert run(str(tmp_path / "missing.yaml")).returncode == 2


def test_warnings_alone_are_exit_0(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(EXAMPLES["H-501"][0])
    assert run(str(config)).returncode == 0


def test_sarif_names_rules_levels_and_lines(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(X5.replace("bayes-e", "bayes_e"))
    finished = run(str(config), "--sarif")
    log = json.loads(finished.stdout)
    result = log["runs"][0]["results"][0]
    assert (finished.returncode, log["version"], result["ruleId"], result["level"]) == (1, "2.1.0", "H-107", "error")
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 3
    assert log == to_sarif(lint_file(config), str(config), log["runs"][0]["tool"]["driver"]["version"], RULES)


def test_the_rules_can_be_listed() -> None:
    result = run("--rules")
    assert result.returncode == 0 and len(result.stdout.splitlines()) == len(RULES)


def test_the_page_lists_the_rules_as_the_code_has_them() -> None:
    page = (ROOT / "docs" / "lint.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| H-")]
    assert rows == [f"| {r.id} | {r.severity} | {r.title} | {r.source} |" for r in RULES.values()]
