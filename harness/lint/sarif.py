"""Findings as SARIF 2.1.0, the format that code hosts show at the line."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from urllib.parse import quote

from harness.lint.findings import LintFinding, LintRule

LEVELS = {"error": "error", "warning": "warning", "note": "note"}


def to_sarif(
    findings: Sequence[LintFinding], file: str, version: str, known: Mapping[str, LintRule]
) -> dict[str, object]:
    """One SARIF log with one run. `file` is the path as it was given; `known` are the rules by their ids."""
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


def uri_of(file: str) -> str:
    """A path as SARIF takes it, a URI reference (RFC 3986): relative as given, absolute with its scheme."""
    path = PurePosixPath(file.replace("\\", "/"))
    if path.is_absolute():
        return path.as_uri()
    head, *rest = path.parts or (".",)
    # a colon in the first part would end a scheme
    return "/".join([quote(os.fsencode(head), safe=""), *(quote(os.fsencode(part)) for part in rest)])


def _result(finding: LintFinding, index: int, file: str) -> dict[str, object]:
    place = {"artifactLocation": {"uri": uri_of(file)}, "region": {"startLine": max(1, finding.line)}}
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": LEVELS[finding.severity],
        "message": {"text": f"{finding.message}. Fix: {finding.fix}. ({finding.source})"},
        "locations": [{"physicalLocation": place}],
    }
