"""Metrics that a policy bounds by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.consistency.metrics.by_name import METRICS, measured
from harness.consistency.policy import ErrorLimits, Subject, load_policy
from harness.consistency.reading.pairs import Pair
from harness.consistency.verdicts import judge
from harness.errors import ConfigError
from harness.records import Metrics, Quantization, TensorSpec


def pair(board: list[int], reference: list[int], scales: tuple[float, ...] = (0.5,), axis: int | None = None) -> Pair:
    arrays = np.array(board, np.int8).reshape(2, -1), np.array(reference, np.int8).reshape(2, -1)
    spec = TensorSpec("t", "s8", arrays[0].shape, quantization=Quantization(scales, (0,), axis))
    return Pair(*arrays, spec, spec, "integer", spec)


def test_a_metric_is_of_dequantized_values() -> None:
    assert measured(["mean_abs"], pair([1, 2, 3, 4], [1, 2, 3, 8])) == {"mean_abs": 0.5}
    assert measured(["mean_abs"], pair([1, 2, 3, 4], [1, 2, 3, 8], (1.0, 0.25), 0)) == {"mean_abs": 0.25}
    assert measured([], pair([1, 2], [1, 3])) == {}


def test_a_bound_of_a_policy_gates_and_an_unknown_name_is_told_with_its_file(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    text = "policy: p\nextends: default\nrules: [{name: mine, limits: {max_step: 9, metrics: {%s: 0.4}}}]\n"
    file.write_text(text % "mean_abs")
    limits = load_policy(file).limits(Subject(form="rescaled"))
    assert limits.metrics == {"mean_abs": 0.4}
    for value, verdict in ((0.4, "within"), (0.5, "differs")):
        figures = Metrics(elements=100, mismatched=1, max_step=1.0, named={"mean_abs": value})
        assert judge(figures, "rescaled", limits).verdict == verdict
    undefined = judge(Metrics(elements=100, mismatched=1, max_step=1.0), "rescaled", limits)
    assert undefined.verdict == "differs" and "mean_abs is undefined" in undefined.reason
    file.write_text(text % "mean_ab")
    with pytest.raises(ConfigError, match=r"policy\.yaml: rule 'mine': unknown metric 'mean_ab'") as error:
        load_policy(file)
    assert "did you mean 'mean_abs'?" in error.value.hint


def test_every_metric_of_harness_is_zero_for_equal_tensors_and_no_bound_is_the_default() -> None:
    assert METRICS.built_in and set(measured(METRICS.built_in, pair([1, 2, 3, 4], [1, 2, 3, 4])).values()) == {0.0}
    assert ErrorLimits().metrics == {}
