"""A board without a fault and a right input: no finding above note, on every built-in board and kind of input."""

from __future__ import annotations

import os

import pytest

from benchmarks import clean_runs

FEW, ALL = 12, 100  # all with `make soak`


def test_few_runs_see_every_board_and_kind_of_input() -> None:
    few = list(clean_runs.runs(FEW))
    assert {run.soc for run in few} == set(clean_runs.SOCS) and {run.kind for run in few} == set(clean_runs.INPUTS)
    assert len({run.name for run in clean_runs.runs(ALL)}) == ALL


@pytest.mark.slow
def test_clean_runs_raise_no_alarm() -> None:
    count = ALL if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else FEW
    assert clean_runs.measured(count) == {}
