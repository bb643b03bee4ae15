"""Many origins with one habit are one summary, with the rule that would allow it; scales all over are a calibration."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.consistency.checks.habits import habits
from harness.consistency.policy import Subject, load_policy
from harness.records import Fingerprint, Layer, Metrics, Origin


def convolutions(count: int, kind: str, share: float = 0.0016) -> tuple[list[Layer], list[Origin]]:
    mark = Fingerprint(kind, False, "as planted")
    metrics = Metrics(elements=4608, mismatched=int(4608 * share), max_step=1.0)
    layers = [Layer(i, f"c{i}", f"conv{i}", "Conv", "differs", metrics=metrics) for i in range(count)]
    return layers, [Origin(row.op, row.op_kind, row.name, fingerprint=mark) for row in layers]


@pytest.mark.parametrize("kind", ["rounding", "truncation"])
def test_one_habit_is_one_sentence_with_a_rule_that_allows_it(kind: str, tmp_path: Path) -> None:
    (sentence,) = habits(*convolutions(12, kind))
    assert sentence.startswith(f"12 origins show one habit, {kind} of Conv (conv0, conv1, conv2, conv3 and 8 more)")
    rule = sentence.partition("allows it: ")[2]
    (tmp_path / "p.yaml").write_text(f"policy: mine\nextends: default\nrules:\n  {rule}\n", encoding="utf-8")
    limits = load_policy(str(tmp_path / "p.yaml")).limits(Subject("Conv", "s8", "integer"))
    assert limits.max_step == 1 and 0.0015 < (limits.mismatch_share or 0) < 0.0017


def test_two_ops_are_no_habit() -> None:
    assert list(habits(*convolutions(2, "rounding"))) == []


def test_scales_all_over_are_another_calibration() -> None:
    (sentence,) = habits(*convolutions(5, "scale"))
    assert "another calibration of the whole build" in sentence and "5 of 5 origins" in sentence
    layers, origins = convolutions(8, "tile")
    assert list(habits(layers, [*origins, *convolutions(3, "scale")[1]])) == []
