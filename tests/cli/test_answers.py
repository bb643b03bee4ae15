"""Every command with --json prints one object that is as the shipped JSON Schema says, key by key."""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.answers.commands import ANSWERS, PRINTED
from harness.answers.schemas import FOLDER, schemas, text_of
from harness.report.tables.run import tables
from harness.runs.folder import load_run
from tests.cli.answers import answer_of, report_errors
from tests.cli.test_frame import ALL
from tests.house.sources import PACKAGE, ROOT, nodes_of
from tests.nightly.lab import SUITE, Lab
from tests.support.builds import harness_here
from tests.support.emulator_kit import branched, branched_model, compile_to, input_file, kit_quantized

RUNS = ROOT / "tests/data/runs_0_1"
POLICY = "policy: mine\nextends: default\nwaivers:\n  - {op: fc, reason: known, until: 2099-01-01, max_step: 1}\n"


def emitted() -> Iterator[str]:
    """The first argument of every call of `emit_json` in the package."""
    for path in (PACKAGE / "cli").rglob("*.py"):
        for node in nodes_of(path):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "emit_json":
                assert isinstance(node.args[0], ast.Constant), (
                    f"{path}:{node.lineno}: the name of the answer is no text"
                )
                yield str(node.args[0].value)


def test_every_command_has_answers_and_every_answer_a_schema() -> None:
    assert {" ".join(path) for path, _ in ALL} == set(PRINTED)
    assert {*(name for names in PRINTED.values() for name in names), "error"} == set(ANSWERS) == set(emitted())


def test_every_answer_is_held_against_its_schema_by_a_test() -> None:
    held = {
        str(one.value)
        for path in (ROOT / "tests").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("answer_of", "answer")
        for one in node.args
        if isinstance(one, ast.Constant)
    }
    assert set(ANSWERS) - held == set()


@pytest.mark.parametrize("name", list(schemas()))
def test_the_shipped_schemas_are_those_of_the_shapes(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == text_of(schemas()[name]), "python -m harness.answers"


def test_the_page_of_answers_names_all() -> None:
    text = (ROOT / "docs/json.md").read_text(encoding="utf-8")
    for command, names in PRINTED.items():
        assert f"| `harness {command}` | {', '.join(f'`{name}`' for name in names)} |" in text


def printed_by(folder: Path, *words: str | Path) -> str:
    """What a command printed with --json; it may find something bad, and never fails to answer."""
    result = harness_here(*words, "--json", cwd=folder)
    assert result.returncode in (0, 1, 3), (words, result.stderr)
    return result.stdout


@pytest.mark.slow
def test_commands_without_a_board_answer_as_their_schemas_say(tmp_path: Path) -> None:
    def answer(words: list[Any], name: str) -> dict[str, Any]:
        return answer_of(printed_by(tmp_path, *words), name)

    model = compile_to(tmp_path, branched_model())
    source = input_file(tmp_path)
    reference = kit_quantized(model)
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "suite.yaml").write_text("suite: x\n")
    np.save(tmp_path / "in.npy", np.zeros((4, 4, 3), np.uint8))
    assert answer(["explain"], "explain-all")["rules"]
    answer(["explain", "C-103"], "explain")
    answer(["lint", "--rules"], "lint-rules")
    assert answer(["lint", "suite.yaml", "--tool", "suite"], "lint")["findings"]
    answer(["policy", "show"], "policy-show")
    answer(["policy", "show", "policy.yaml"], "policy-show")
    answer(["policy", "show", "--for", "Conv"], "policy-limits")
    answer(["policy", "check", "policy.yaml"], "policy-check")
    answer(["emulator", "faults"], "emulator-faults")
    answer(["emulator", "build", "net.onnx", "--soc", "x5", "-o", "b.bin"], "emulator-build")
    answer(["inspect", "net.onnx", model.name], "inspect")
    answer(["convert", "in.npy", "--to", "nchw", "-o", "in.bin"], "convert")
    answer(["reference", reference, "--input", f"x={source}", "-o", "pc"], "reference")
    assert answer(["compare", "pc", "pc"], "compare")["layers"]
    answer(["runs", "list", "."], "runs-list")
    answer(["runs", "prune", "."], "runs-prune")
    answer(["boards", "list"], "boards-list")
    answer(["run", "--board", "emu-x5", "--option", "list"], "run-options")
    refused = harness_here("report", "nothing", "--json", cwd=tmp_path)
    assert answer_of(refused.stdout, "error")["exit_code"] == refused.returncode == 2


@pytest.mark.parametrize("name", sorted(path.name for path in RUNS.iterdir() if path.is_dir()))
def test_reports_of_older_runs_are_as_their_schema_says(name: str, tmp_path: Path) -> None:
    shutil.copytree(RUNS / name, tmp_path / "run")
    answer_of(printed_by(tmp_path, "report", "run", "-o", "page.html"), "report")
    assert report_errors(json.loads((tmp_path / "page.json").read_text())) == []
    answer_of(printed_by(tmp_path, "export", "run", "--to", "card", "-o", "card.svg"), "export")
    answer_of(printed_by(tmp_path, "diff", "run", RUNS / "x5_complete"), "diff")
    assert report_errors({**tables(load_run(tmp_path / "run/run.json")), "more": 1}) != []


@pytest.mark.slow
def test_commands_with_a_board_answer_as_their_schemas_say(tmp_path: Path) -> None:
    def answer(words: list[Any], name: str) -> dict[str, Any]:
        return answer_of(printed_by(tmp_path, *words), name)

    model = branched()
    on_board = [model, "--board", "emu-x5", "--wait", "60"]
    compared = [*on_board, "--input", f"x={input_file(tmp_path)}", "--reference", kit_quantized(model), "--no-stages"]
    good = answer(["run", *compared], "run")["run"]
    bad = answer(["run", *compared, "--mode", "debug", "--fault", "wrong_pads@conv2", "--runs", "bad"], "run")["run"]
    assert report_errors(json.loads((tmp_path / bad / "report.json").read_text())) == []
    assert report_errors(json.loads((tmp_path / good / "report.json").read_text())) == []
    assert answer(["diff", good, bad], "diff")["different"]
    assert "difference" in answer(["run", "--again", good], "run")
    answer(["pack", good, "-o", "a.tar"], "pack")
    assert answer(["bundle", bad, "-o", "a.zip"], "bundle")["ops"]
    answer(["unbundle", "a.zip", "--list"], "unbundle-list")
    answer(["unbundle", "a.zip", "-o", "new"], "unbundle")
    answer(["runs", "list"], "runs-list")
    answer(["boards", "check", "emu-x5"], "boards-check")
    for words in (["sweep", *on_board, "--threads", "1,2"], ["soak", *on_board, "--hours", "0.0005"]):
        folder = answer([*words, "--frames", "5"], "run")["run"]
        assert report_errors(json.loads((tmp_path / folder / "report.json").read_text())) == []


@pytest.mark.slow
def test_a_lab_answers_as_the_schemas_say(tmp_path: Path) -> None:
    lab = Lab(tmp_path, {"b1": "", "b2": ""})
    lab.write_suite(["times: {model: net.bin, modes: [release]}"], SUITE)

    def answer(name: str, *words: str) -> dict[str, Any]:
        printed, _ = lab.start(*words, "--json").communicate(timeout=200)
        return answer_of(printed, name)

    on_both = ("net.bin", "--board", "b1", "--board", "b2", "--mode", "release", "--input", "x=x.bin")
    assert len(answer("run-boards", "run", *on_both)["boards"]) == 2
    assert len(answer("nightly-plan", "nightly", "suite.yaml", "--plan")["pairs"]) == 2
    assert answer("nightly", "nightly", "suite.yaml")["cells"]
    assert answer("boards-maintenance", "boards", "maintenance", "b1", "--reason", "new fan")["board"] == "b1"
