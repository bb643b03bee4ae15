"""A run as JUnit XML: one testcase a judgement, never one a layer."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.errors import GOOD, MEASURED_BAD
from harness.records import Run
from harness.report.exporting import Exporter
from harness.report.junit import TestCase, TestSuite, document
from harness.report.tables.headline import fault_sentence
from harness.report.tables.layers import MEANINGS
from harness.report.values import Row, shortened, time_us

_PAGE = "report.html"
_UNJUDGED = "nothing was compared with a reference: measured, nothing judged"
_JUDGED_SERIES = ("steady", "goal_met", "smooth", "jitter_located")  # good words of a series, which judges by itself
_WRONG = ("origin", "suspect", "differs")  # standings that are wrong by themselves
# What a limit on latency says where it says neither good nor bad (`Run.gate`).
_NO_GATE = {
    "no_baseline": "there is no earlier run to compare with",
    "undecided": "the interval of the ratio spans the limit",
    "not_comparable": "the earlier run was made under other conditions",
}


def export(run: Run) -> str:
    """One suite: consistency, each output, and latency where a limit was given."""
    return document([suite(run)])


def suite(run: Run, attachment: str = _PAGE) -> TestSuite:
    """The judgements on one run. `attachment` is the page as CI finds it, relative to the file of the suite."""
    from harness.report.tables.run import tables

    data = tables(run)
    classname = ".".join(["harness", *(_dotless(part) for part in (run.case.name, run.board.name) if part)])
    cases = [_consistency(run, data, classname, attachment), *_outputs(run, data, classname), *_latency(run, classname)]
    facts = {f"harness.{_key(fact['label'])}": shortened(fact["value"]) for fact in data["facts"]}
    name = run.case.name or run.id or "run"
    return TestSuite(name, cases, run.started_utc, run.board.name, {"harness.run": data["run"]["id"], **facts})


def _key(label: str) -> str:
    return re.sub(r"\W+", "_", label.lower())


def _dotless(name: str) -> str:
    """A dot divides package and class for Jenkins."""
    return shortened(name).replace(".", "_")


def _consistency(run: Run, data: Row, classname: str, attachment: str) -> TestCase:
    head = data["headline"]
    message = f"{head['title']} {head['subject']}".strip()
    text = "\n".join([*head["sentences"], *_blamed(data), *_advice(data)])
    outcome, kind = _outcome(run)
    message = _UNJUDGED if outcome == "skipped" else message
    return TestCase(classname, "consistency", outcome, run.duration_s or 0.0, kind, message, text, attachment)


def _outcome(run: Run) -> tuple[str, str]:
    """(outcome, its kind). Passed is only what was judged, of a run that is complete and was read in full."""
    verdict = run.verdict
    # Slower: the limit on latency has a case of its own; what the layers say stands in the comparison.
    is_slower = verdict is not None and verdict.word == "slower"
    if verdict is None or verdict.exit_code not in (GOOD, MEASURED_BAD):
        return "error", "infra"
    if verdict.exit_code == MEASURED_BAD and not is_slower:
        return "failure", verdict.word
    if run.damage:
        return "error", "damaged"
    if run.state != "complete":
        return "error", "incomplete"
    if verdict.word in _JUDGED_SERIES:
        return "passed", ""
    if run.comparison is None:
        return "skipped", ""
    compared = run.comparison.verdict
    if compared.exit_code == GOOD:
        return "passed", ""
    return ("failure", compared.word) if compared.exit_code == MEASURED_BAD else ("error", "infra")


def _is_good(run: Run) -> bool:
    """Whether the layers are good, whatever a limit on latency or on quantization says."""
    compared, verdict = run.comparison.verdict if run.comparison else None, run.verdict
    if compared is None or verdict is None or compared.exit_code != GOOD:
        return False
    return verdict.exit_code == GOOD or verdict.word in ("slower", compared.word)


def _blamed(data: Row) -> list[str]:
    rows = [row for row in data["origins"] if row["fingerprint"]]
    return [f"{shortened(row['op'])} ({row['op_kind']}): {fault_sentence(row['fingerprint'])}" for row in rows]


def _advice(data: Row) -> list[str]:
    findings = [f"{row['rule']} {row['title']}. {row['advice']}" for row in data["findings"]]
    return [*findings, *(f"problem: {problem}" for problem in data["problems"])]


def _outputs(run: Run, data: Row, classname: str) -> list[TestCase]:
    wrong = _WRONG if _is_good(run) else (*_WRONG, "propagated")
    return [_output(row, classname, wrong) for row in data["layers"] if row["is_output"]]


def _output(row: Row, classname: str, wrong: Sequence[str]) -> TestCase:
    name = f"output: {shortened(row['name'])}"
    reason = shortened(row["reason"].replace("_", " "))
    standing = row["standing"]
    if standing in wrong:
        return TestCase(classname, name, "failure", kind=standing, message=reason or standing)
    if standing in ("cleared", "propagated"):
        return TestCase(classname, name, text=f"{MEANINGS[standing]}: {reason}" if reason else MEANINGS[standing])
    if standing not in ("exact", "within"):
        return TestCase(classname, name, "skipped", message=f"not compared: {reason}")
    return TestCase(classname, name, text=reason)


def _latency(run: Run, classname: str) -> list[TestCase]:
    if not run.gate or (run.gate == "no_baseline" and run.profile is None):
        return []
    known = run.profile.distribution if run.profile else None
    name = "latency p50"
    text = f"{time_us(known.median_us)} ({time_us(known.low_us)} to {time_us(known.high_us)})" if known else ""
    if run.gate == "slower":
        detail = "; ".join(run.verdict.detail.splitlines()) if run.verdict and run.verdict.word == "slower" else ""
        return [
            TestCase(classname, name, "failure", kind="slower", message=detail or "slower than the limit", text=text)
        ]
    if run.gate != "not_slower":
        reason = _NO_GATE.get(run.gate, f"not judged: {run.gate}")
        return [TestCase(classname, name, "skipped", message=reason, text=text)]
    return [TestCase(classname, name, text=text)]


ENTRY = Exporter("JUnit XML for GitLab, Jenkins and GitHub actions", export)
