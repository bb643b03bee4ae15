"""The word on many samples: what was not compared is not good."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.records import Case, Run, Sample, SamplesOfRun, Verdict
from harness.review.samples.summary import _with_word

CASE = Case("c", Path("m.bin"), reference="q.onnx")
GOOD = Verdict("consistent", "all layers exact", 0)


def word(words: str, case: Case = CASE) -> Verdict:
    """The verdict on samples: `e` exact, `w` within, `d` differs, `n` not compared, `f` failed."""
    names = {"e": "exact", "w": "within", "d": "differs", "n": "not_compared", "f": "failed"}
    samples = tuple(Sample(f"s{place}", names[one]) for place, one in enumerate(words))
    run = _with_word(Run(verdict=GOOD), SamplesOfRun(len(samples), samples), case)
    assert run.verdict is not None
    return run.verdict


@pytest.mark.parametrize(("words", "code"), [("ewe", 0), ("een", 3), ("nnn", 3), ("edn", 1), ("enf", 3)])
def test_a_run_is_as_good_as_its_worst_sample(words: str, code: int) -> None:
    assert word(words).exit_code == code


def test_samples_need_not_be_compared_where_the_user_says_so() -> None:
    assert "1 not compared; --min-coverage PERCENT allows it" in word("een").detail
    assert word("een", replace(CASE, min_coverage=66.0)).exit_code == 0
    assert word("een", replace(CASE, min_coverage=67.0)).exit_code == 3
    assert word("nnn", replace(CASE, reference="")).exit_code == 0
