"""The evaluation that docs/truth.md reports: small here, whole in benchmarks/truth.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import truth
from harness.consistency.fingerprint.kinds import KINDS
from harness.emulator.model.faults import catalogue


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> truth.Ground:
    made = truth.grounds(tmp_path_factory.mktemp("truth"), inputs=2)
    return next(g for g in made if g.name == "pyramid")


def test_every_numeric_fault_of_the_emulator_is_planted_and_every_answer_is_a_known_kind() -> None:
    numeric = {name for name, kind in catalogue().items() if kind.where in ("op", "input", "inputs")}
    assert set(truth.RIGHT) == numeric
    assert {name for names in truth.RIGHT.values() for name in names} <= set(KINDS)


@pytest.mark.parametrize("kind", ["halved", "permutation", "stride", "wrong_mean", "letterbox", "nondeterminism"])
def test_a_planted_fault_is_found_at_its_op_and_called_by_its_name(
    ground: truth.Ground, kind: str, tmp_path: Path
) -> None:
    case = truth.plant(ground, kind, 0)
    assert case is not None
    score = truth.Score()
    truth.score(case, truth.judge(case, tmp_path), score)
    assert (score.cases, score.detected, score.origin, score.kind, score.wrong_certain) == (1, 1, 1, 1, 0)


def test_with_a_third_of_the_layers_unseen_the_interval_holds_the_guilty_op(
    ground: truth.Ground, tmp_path: Path
) -> None:
    score = truth.hidden_runs([ground], 3, tmp_path)
    assert score.cases >= 8 and score.detected == score.origin == score.cases


def test_benign_differences_are_no_alarm(ground: truth.Ground, tmp_path: Path) -> None:
    for comparison in truth.clean_runs([ground], 4, tmp_path):
        assert comparison.verdict.exit_code == 0 and comparison.origins == ()


def test_a_wrong_answer_lowers_the_score(ground: truth.Ground, tmp_path: Path) -> None:
    """The evaluation itself can fail: a case that claims another op, and another kind, is not counted as right."""
    case = truth.plant(ground, "halved", 0)
    assert case is not None
    judged = truth.judge(case, tmp_path)
    other = next(name for name in ground.ops if name != case.tensor)
    score = truth.Score()
    lie = truth.PlantedCase(case.ground, "permutation", other, case.values, case.reference)
    truth.score(lie, judged, score)
    assert (score.detected, score.origin, score.kind, score.wrong_certain) == (1, 0, 0, 1)


def test_the_documented_table_is_whole_and_says_what_is_promised() -> None:
    lines = (Path(__file__).parents[2] / "docs" / "truth.md").read_text(encoding="utf-8").splitlines()
    rows = {cells[1].strip(" *"): cells[2:] for cells in (line.split("|") for line in lines if line.startswith("| "))}
    assert set(truth.RIGHT) <= set(rows)
    cases, detected, origin, kind, wrong = (int(cell.strip(" *")) for cell in rows["all"][:5])
    assert cases == detected == origin >= 500 and kind >= 0.95 * cases and wrong == 0
    assert any("Clean runs: 90" in line and "false alarms: 0" in line for line in lines)


@pytest.mark.slow
def test_one_seed_of_everything(tmp_path: Path) -> None:
    totals = truth.totals(truth.evaluate(1, 20, tmp_path))
    assert totals["detected"] == totals["origin"] == totals["cases"] > 150
    assert totals["kind"] >= 0.95 * totals["cases"] and totals["kind_wrong_certain"] == 0
    assert totals["false_alarms"] == 0
