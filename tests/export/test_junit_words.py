"""JUnit XML says passed of what was judged and is good, and of nothing else."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from typing import Any

import pytest

from harness.report.exporters import junit
from tests.records.kit import typed
from tests.support import fixtures_run as runs

Row = dict[str, Any]


def outcomes(run: Row, **changed: Any) -> dict[str, tuple[str, str]]:
    """Name of each case -> (outcome, all its words)."""
    root = ElementTree.fromstring(junit.export(replace(typed(run), **changed)).encode())
    return {case.get("name", ""): _outcome(case) for case in root.iter("testcase")}


def _outcome(case: ElementTree.Element) -> tuple[str, str]:
    words = "".join(case.itertext())
    return next((e.tag for e in case if e.tag in ("failure", "error", "skipped")), "passed"), words


def output_of(run: Row, role: str) -> Row:
    row = run["comparison"]["layers"][-1]
    row |= {"verdict": "differs", "role": role, "is_output": True, "reason": "max step 2 > 1"}
    return run


def the_output(run: Row) -> tuple[str, str]:
    (output,) = [value for name, value in outcomes(run).items() if name.startswith("output: ")]
    return output


@pytest.mark.parametrize(
    ("role", "good", "bad"),
    [
        ("cleared", "passed", "passed"),
        ("propagated", "passed", "failure"),
        ("origin", "failure", "failure"),
        ("suspect", "failure", "failure"),
        ("", "failure", "failure"),
    ],
)
def test_an_output_is_what_its_standing_is(role: str, good: str, bad: str) -> None:
    for build, expected in ((runs.accumulated_run, good), (runs.diverging_run, bad)):
        outcome, words = the_output(output_of(build(), role))
        assert outcome == expected and "max step 2 > 1" in words


def slower(run: Row) -> Row:
    return run | {"verdict": {"word": "slower", "detail": "more than allowed", "exit_code": 1}, "gate": "slower"}


def of(run: Row, word: str, exit_code: int = 0) -> Row:
    return run | {"verdict": {"word": word, "detail": "", "exit_code": exit_code}}


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (slower(runs.not_compared_run()), "skipped"),
        (slower(runs.consistent_run()), "passed"),
        (slower(runs.not_comparable_run()), "error"),
        (of(runs.not_compared_run(), "swept"), "skipped"),
        (of(runs.not_compared_run(), "a word of tomorrow"), "skipped"),
        (of(runs.not_compared_run(), "consistent"), "skipped"),
        (of(runs.not_compared_run(), "steady"), "passed"),
        (of(runs.not_compared_run(), "goal_met"), "passed"),
        (of(runs.not_compared_run(), "goal_missed", 1), "failure"),
        (of(runs.consistent_run(), "consistent", 1), "failure"),  # quantization below its gate
        (runs.consistent_run() | {"state": "interrupted"}, "error"),
        (runs.consistent_run() | {"state": "running"}, "error"),
        (runs.consistent_run() | {"state": ""}, "error"),
        (slower(runs.consistent_run()) | {"state": "failed"}, "error"),
        (runs.interrupted_run(), "error"),
    ],
)
def test_passed_is_what_was_judged(run: Row, expected: str) -> None:
    assert outcomes(run)["consistency"][0] == expected


def test_a_damaged_record_is_never_passed() -> None:
    outcome, words = outcomes(runs.consistent_run(), damage=("comparison.layers[3] is no object",))["consistency"]
    assert outcome == "error" and "damaged" in words
