"""The benchmark on public runtimes: its mistakes are of named kinds and do something; a small form of it is run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import foreign
from benchmarks.foreign_parts.cases import MISTAKES, BoardCase, Ground, Setup, planted_cases, planted_plan
from benchmarks.foreign_parts.networks import OWN, own
from benchmarks.foreign_parts.scoring import judge
from harness.consistency.fingerprint.kinds import KINDS

ROOT = Path(__file__).parents[2]


def test_every_right_kind_is_a_known_kind_and_the_table_of_the_docs_is_the_benchmarks() -> None:
    assert {kind for mistake in MISTAKES for kind in mistake.kinds} <= set(KINDS)
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES)
    assert foreign.table() in (ROOT / "docs" / "truth.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    folder = tmp_path_factory.mktemp("foreign")
    return Ground(own("pyramid", OWN["pyramid"](), folder), folder / "networks")


def test_a_planted_mistake_changes_the_guilty_op_and_nothing_before_it(ground: Ground, tmp_path: Path) -> None:
    plan = [entry for entry in planted_plan([ground], ["onnxruntime"]) if entry[0].name == "bias dropped"]
    case = next(planted_cases(plan, 1, tmp_path))
    assert case.guilty in ground.values and ground.op_of(case.guilty).startswith("conv")
    assert case.model.read_bytes() != ground.network.path.read_bytes()
    assert all(np.array_equal(case.feeds[name], value) for name, value in ground.network.frames[0].items())


def test_an_answer_that_blames_another_op_or_errs_is_not_counted(ground: Ground, tmp_path: Path) -> None:
    plan = [entry for entry in planted_plan([ground], ["onnxruntime"]) if entry[0].name == "bias dropped"]
    case = next(planted_cases(plan, 1, tmp_path))
    mark = {"kind": "scale", "certain": True, "evidence": ""}
    origin = {"op": "another", "tensor": "another_out", "unseen": [], "fingerprint": mark}
    judged = judge(case, {"verdict": {"word": "diverges", "detail": "", "exit_code": 1}, "origins": [origin]})
    assert (judged.detected, judged.origin, judged.kind, judged.wrong_certain) == (True, False, False, True)
    lost = judge(case, {"message": "no such file"})
    assert (lost.detected, lost.origin, lost.kind) == (False, False, False)


def test_a_correct_run_that_is_not_called_correct_is_a_false_verdict(ground: Ground) -> None:
    case = BoardCase("correct", ground, Setup("x", "x"), "npz", "npz")
    tally = foreign.Tally(correct=[judge(case, {"verdict": {"word": "incomplete", "detail": "", "exit_code": 3}})])
    assert tally.to_json()["false_verdicts"] == 1 and tally.to_json()["origin"] is None


@pytest.mark.slow
def test_twenty_correct_runs_and_twenty_mistakes_in_public_runtimes() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "foreign.py"), "--quick", "--json"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-2000:]
    figures = json.loads(ended.stdout.splitlines()[-1])
    missing = {name: reason for name, reason in figures["skipped"].items() if name != "torch" and "," not in name}
    if "onnxruntime" in missing or "openvino" in missing:
        pytest.skip(f"the public runtimes cannot be installed: {missing}")
    assert figures["correct_runs"] >= 15 and figures["planted"] >= 15, figures["skipped"]
    assert figures["detected"] == 1, ended.stdout
    assert figures["kind_wrong_certain"] == 0, ended.stdout
    assert (figures["false_verdicts"], figures["ops_blamed"]) == (0, 0), ended.stdout
