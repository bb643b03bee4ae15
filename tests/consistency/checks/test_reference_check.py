"""Findings about the PC's own side, from a reference's record and from its ops run again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.networks import models as networks
from harness.consistency.checks.reference_check import (
    BoardSession,
    UnstableOp,
    check,
    check_run,
    findings,
    unstable_ops,
)
from harness.reference.open import Reference, open_reference, run_reference
from tests.records.kit import typed
from tests.support.ort_models import noise, small_quantized

GOOD: dict[str, Any] = {
    "optimizations": "disabled", "threads": 1, "machine": "x86_64", "vnni": True, "onnxruntime": "1.23.0",
}  # fmt: skip
WRONG = (UnstableOp("t", "conv7", "Conv", 29.0, 0.01, 0.1),)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    folder = tmp_path_factory.mktemp("reference")
    model = small_quantized(folder / "q.onnx")
    return run_reference(model, {"input": noise((1, 3, 8, 8))}, folder / "reference", optimizations="all")


def rules(runner: dict[str, Any], unstable: tuple[UnstableOp, ...] = (), **board: Any) -> list[str]:
    return [finding.rule for finding in findings(runner, unstable, BoardSession(**board))]


def test_a_reference_of_the_default_kind_gives_no_finding() -> None:
    assert rules(GOOD) == []
    assert rules(GOOD | {"vnni": False}) == []
    assert rules(GOOD, onnxruntime="1.23.0", threads=1, optimizations="all") == []


def test_without_vnni_ops_that_differ_alone_are_the_cause() -> None:
    result = findings(GOOD | {"vnni": False, "optimizations": "all"}, WRONG, BoardSession())
    assert result[0].rule == "P-401"
    assert result[0].severity == "error"
    assert "conv7 (Conv): up to 29 steps" in result[0].evidence


def test_without_vnni_and_without_a_wrong_op_it_is_a_warning() -> None:
    assert rules(GOOD | {"vnni": False, "optimizations": "all"}) == ["P-402", "P-404"]


def test_a_wrong_op_that_adds_no_products_is_not_called_saturation() -> None:
    unstable_op = replace(WRONG[0], op_kind="Resize")
    assert rules(GOOD | {"vnni": False, "optimizations": "all"}, (unstable_op,))[:2] == ["P-402", "P-403"]


def test_a_wrong_op_on_a_pc_with_vnni_is_named_without_a_cause() -> None:
    assert rules(GOOD | {"optimizations": "all"}, WRONG) == ["P-403", "P-404"]


@pytest.mark.parametrize(
    ("runner", "board", "rule"),
    [
        ({"dumping_changed_outputs": True}, {}, "P-405"),
        ({}, {"dumping_changed_outputs": True}, "P-405"),
        ({"threads": 4}, {}, "P-406"),
        ({}, {"threads": 2}, "P-406"),
        ({}, {"onnxruntime": "1.19.2"}, "P-407"),
    ],
)
def test_each_condition_has_its_finding(runner: dict[str, Any], board: dict[str, Any], rule: str) -> None:
    assert rules(GOOD | runner, **board) == [rule]


def test_a_run_tells_the_boards_side(made: Reference) -> None:
    run = {"case": {"threads": 4, "options": {"optimizations": "all"}}, "versions": {"onnxruntime": "1.0.0"}}
    evidence = {finding.rule: finding.evidence for finding in check_run(made, typed(run))}
    assert {"P-404", "P-406", "P-407"} <= set(evidence)
    assert "1.0.0 on the board" in evidence["P-407"]
    assert check_run(made, typed({"case": None, "comparison": {"extras": []}})) == check(made)


def test_ops_of_a_reference_with_optimizations_agree_with_those_without_within_a_tie(made: Reference) -> None:
    assert unstable_ops(made) == ()
    assert [finding.rule for finding in check(made) if finding.severity == "error"] == []


def test_an_op_of_the_reference_that_is_wrong_is_found(made: Reference, tmp_path: Path) -> None:
    name, tensor = next((n, t) for n, t in made.tensors.items() if t.op_kind == "Conv")
    wrong = np.asarray(tensor.load()) // 2
    np.save(tmp_path / "wrong.npy", wrong)
    tensors = made.tensors | {name: replace(tensor, path=tmp_path / "wrong.npy")}
    unstable = unstable_ops(replace(made, tensors=tensors))
    assert unstable[0].tensor == name
    assert unstable[0].max_step is not None
    assert unstable[0].max_step >= 2


def test_a_reference_whose_model_is_gone_or_that_tells_nothing_gives_no_finding(made: Reference) -> None:
    assert unstable_ops(replace(made, model=Path("/nowhere/model.onnx"))) == ()
    assert check(replace(made, provenance={})) == ()


def test_a_reference_read_again_tells_the_same(made: Reference) -> None:
    folder = next(iter(made.tensors.values())).path.parent
    assert check(open_reference(folder)) == check(made)


def test_the_five_networks_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    first, second = (networks.build("mixu", tmp_path / f"{i}.onnx").read_bytes() for i in range(2))
    assert first == second
