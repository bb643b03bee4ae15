"""Runs of tests as the records they are. Tests write plain JSON, which is what stands in a file."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from harness import diagnosis
from harness.records import Checks, Comparison, Finding, Plan, Profile, Run
from harness.records.codec import from_json, to_json
from harness.report import page, summary
from harness.report.tables import run as report_tables

RunOrJson = dict[str, Any] | Run


def typed(run: RunOrJson) -> Run:
    """The record of a run.json of this content."""
    if isinstance(run, Run):
        return run
    read = from_json(Run, json.loads(json.dumps(to_json(run))))
    assert read is not None
    return replace(read.value, damage=read.damage, unknown=read.unknown)


def checks_of(**parts: Any) -> Checks:
    """Checks from JSON or from records."""
    read = from_json(Checks, json.loads(json.dumps(to_json(parts))))
    assert read is not None
    return read.value


def tables(run: RunOrJson) -> dict[str, Any]:
    return report_tables.tables(typed(run))


def render(run: RunOrJson) -> str:
    return page.render(typed(run))


def lines(run: RunOrJson) -> list[str]:
    return summary.lines(typed(run))


def toned_lines(run: RunOrJson) -> tuple[str, list[str]]:
    return summary.toned_lines(typed(run))


def find(
    run: RunOrJson | None,
    profile: Profile | None = None,
    comparison: Comparison | None = None,
    plan: Plan | None = None,
) -> tuple[Finding, ...]:
    """Findings of a run with these parts."""
    return diagnosis.find(replace(typed(run or {}), profile=profile, comparison=comparison, plan=plan))
