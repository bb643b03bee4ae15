"""A run as JUnit XML: one testcase a judgement, never one a layer."""

from __future__ import annotations

import re

from harness.records import Run
from harness.report.exporting import Exporter
from harness.report.junit import TestCase, TestSuite, document
from harness.report.tables.headline import fault_sentence
from harness.report.values import Row, shortened, time_us

_PAGE = "report.html"
# Verdicts that are no judgement of the board: nothing was measured, or nothing could be compared.
_UNJUDGED = {"not_compared": "no reference was given: measured, nothing judged"}
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
    cases = [_consistency(run, data, classname, attachment), *_outputs(data, classname), *_latency(run, classname)]
    facts = {f"harness.{_key(fact['label'])}": shortened(fact["value"]) for fact in data["facts"]}
    name = run.case.name or run.id or "run"
    return TestSuite(name, cases, run.started_utc, run.board.name, {"harness.run": data["run"]["id"], **facts})


def _key(label: str) -> str:
    return re.sub(r"\W+", "_", label.lower())


def _dotless(name: str) -> str:
    """A dot divides package and class for Jenkins."""
    return shortened(name).replace(".", "_")


def _consistency(run: Run, data: Row, classname: str, attachment: str) -> TestCase:
    head, verdict = data["headline"], run.verdict
    message = f"{head['title']} {head['subject']}".strip()
    text = "\n".join([*head["sentences"], *_blamed(data), *_advice(data)])
    word = verdict.word if verdict else "not_measured"
    code = verdict.exit_code if verdict else 3
    outcome, kind = ("passed", "") if code == 0 else ("failure", word) if code == 1 else ("error", "infra")
    if code == 0 and word in _UNJUDGED:
        outcome, message = "skipped", _UNJUDGED[word]
    elif word == "slower":  # the layers are good: the limit on latency has a case of its own
        outcome, kind = "passed", ""
    return TestCase(classname, "consistency", outcome, run.duration_s or 0.0, kind, message, text, attachment)


def _blamed(data: Row) -> list[str]:
    rows = [row for row in data["origins"] if row["fingerprint"]]
    return [f"{shortened(row['op'])} ({row['op_kind']}): {fault_sentence(row['fingerprint'])}" for row in rows]


def _advice(data: Row) -> list[str]:
    findings = [f"{row['rule']} {row['title']}. {row['advice']}" for row in data["findings"]]
    return [*findings, *(f"problem: {problem}" for problem in data["problems"])]


def _outputs(data: Row, classname: str) -> list[TestCase]:
    return [_output(row, classname) for row in data["layers"] if row["is_output"]]


def _output(row: Row, classname: str) -> TestCase:
    name = f"output: {shortened(row['name'])}"
    reason = shortened(row["reason"].replace("_", " "))
    if row["verdict"] == "differs":
        return TestCase(classname, name, "failure", kind="differs", message=reason or "differs")
    if row["verdict"] not in ("exact", "within"):
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
