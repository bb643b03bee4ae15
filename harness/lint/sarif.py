"""Findings as SARIF 2.1.0, the format that code hosts show at the line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.lint.findings import LintFinding, Rule

LEVELS = {"error": "error", "warning": "warning", "note": "note"}


def to_sarif(findings: Sequence[LintFinding], file: str, version: str, known: Mapping[str, Rule]) -> dict[str, object]:
    """One SARIF log with one run. `file` becomes the artifact's URI as given; `known` are the rules by their ids."""
    used = sorted({finding.rule for finding in findings})
    rules = [
        {
            "id": rule,
            "shortDescription": {"text": known[rule].title},
            "defaultConfiguration": {"level": LEVELS[known[rule].severity]},
            "help": {"text": f"Source: {known[rule].source}"},
        }
        for rule in used
    ]
    driver = {"name": "harness lint", "version": version, "rules": rules}
    results = [_result(finding, used.index(finding.rule), file) for finding in findings]
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }


def _result(finding: LintFinding, index: int, file: str) -> dict[str, object]:
    place = {"artifactLocation": {"uri": file.replace("\\", "/")}, "region": {"startLine": max(1, finding.line)}}
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": LEVELS[finding.severity],
        "message": {"text": f"{finding.message}. Instead: {finding.fix}. ({finding.source})"},
        "locations": [{"physicalLocation": place}],
    }
