"""Findings: what a run shows that somebody can act on, each with its evidence. The list of rules: docs/findings.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.diagnosis import environment, origins, planning, results, times
from harness.diagnosis.plan import Plan
from harness.diagnosis.rules import RULES, Look
from harness.records import Comparison, Finding, Profile

__all__ = ["RULES", "find"]
_ORDER = ("error", "warning", "note")
_FIRST = ("C-105", "C-100")  # the layers of an unstable run say little: that it is unstable comes before them
_CHECKS = (*origins.CHECKS, *environment.CHECKS, *results.CHECKS, *times.CHECKS, *planning.CHECKS)


def find(
    run: Mapping[str, Any], profile: Profile | None, comparison: Comparison | None, plan: Plan | None = None
) -> tuple[Finding, ...]:
    """Every finding of a run, worst first. `run` is the content of run.json; parts that it lacks find nothing."""
    look = Look(run, profile, comparison, plan)
    found = [finding for check in _CHECKS for finding in check(look)]
    unique = dict.fromkeys(found)
    return tuple(sorted(unique, key=_rank))


def _rank(finding: Finding) -> tuple[int, int, str]:
    """What the run says of the model first: unstable results, then who is to blame; then by severity."""
    first = _FIRST.index(finding.rule) if finding.rule in _FIRST else len(_FIRST)
    return first, _ORDER.index(finding.severity), finding.rule
