"""A night as JUnit XML: a suite per case, a testcase per case, board and judgement."""

from __future__ import annotations

import re

from harness.records.nights import Cell, Night
from harness.report.junit import TestCase, TestSuite, document

_MOST_CASES = 2000  # more, and GitLab refuses the file; the rest is counted in a last one


def night_document(night: Night, folder: str = "") -> str:
    """The file. What was not measured is an error, what a person took out of the night is skipped, never passed.

    `folder`: that of the night as it is reached from where the file will lie; "" is beside it.
    """
    suites = [_suite(night, case, folder) for case in dict.fromkeys(cell.case for cell in night.cells)]
    return document(_cut(suites))


def _suite(night: Night, case: str, folder: str) -> TestSuite:
    cases = [one for cell in night.cells if cell.case == case for one in _cases(cell, folder)]
    return TestSuite(
        case, cases, night.started_utc, properties={"harness.night": night.id, "harness.version": night.harness_version}
    )


def _cut(suites: list[TestSuite]) -> list[TestSuite]:
    kept, room = [], _MOST_CASES
    for suite in suites:
        kept.append(TestSuite(suite.name, suite.cases[:room], suite.started_utc, properties=suite.properties))
        room -= len(kept[-1].cases)
    more = sum(len(suite.cases) for suite in suites) - (_MOST_CASES - room)
    if more:
        left = TestCase("harness", "left out", "skipped", message=f"{more} more judgements are in night.json")
        kept.append(TestSuite("left out", [left]))
    return [suite for suite in kept if suite.cases]


def _cases(cell: Cell, folder: str) -> list[TestCase]:
    classname = ".".join(("harness", *(re.sub(r"\.", "_", name) for name in (cell.case, cell.board))))
    page = f"{folder and folder + '/'}{cell.run}/report.html" if cell.run else ""
    latency = [_latency(cell, classname, page)] if cell.latency is not None and cell.latency.sentence else []
    return [_values(cell, classname, page), *latency]


def _values(cell: Cell, classname: str, page: str) -> TestCase:
    """The judgement on the values, or why there is none."""
    seconds, word = cell.duration_s or 0.0, cell.consistency.replace("_", " ")
    if cell.word == "differs":
        blamed = "\nan incident of the board explains it" if cell.blamed else ""
        return TestCase(classname, "consistency", "failure", seconds, "differs", cell.detail, f"{word}{blamed}", page)
    if cell.word in ("", "unmeasured"):
        reason = cell.reason or "waiting"
        outcome = "skipped" if reason in ("maintenance", "not_compared") else "error"
        return TestCase(
            classname, "consistency", outcome, seconds, "infra", f"{reason}: {cell.detail}", attachment=page
        )
    if cell.consistency == "not_compared":
        return TestCase(classname, "consistency", "skipped", seconds, message="nothing was compared", attachment=page)
    return TestCase(classname, "consistency", time_s=seconds, text=f"{word}: {cell.detail}", attachment=page)


def _latency(cell: Cell, classname: str, page: str) -> TestCase:
    assert cell.latency is not None
    sentence = cell.latency.sentence
    if cell.word == "slower":
        return TestCase(classname, "latency p50", "failure", kind="slower", message=sentence, attachment=page)
    if cell.word in ("pass", "faster"):
        return TestCase(classname, "latency p50", text=sentence, attachment=page)
    return TestCase(classname, "latency p50", "skipped", message=sentence, attachment=page)
