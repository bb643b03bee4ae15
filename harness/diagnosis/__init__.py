"""Findings: what a run shows that somebody can act on, each with its evidence. The list of rules: docs/findings.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness import vendors
from harness.consistency.checks.pc_rules import PC_RULES
from harness.diagnosis import environment, origins, planning, quantization, results, symptoms, times
from harness.diagnosis.rules import RULES, DiagnosisVendor, RunView
from harness.errors import ConfigError
from harness.records import Finding, Run
from harness.records.running import Rule

__all__ = ["RULES", "find", "rules_of_findings"]
_ROOMS = vendors.built_in("diagnosis", DiagnosisVendor)
RULES.update({rule.id: rule for room in _ROOMS.values() for rule in room.rules})
MOST = 6  # findings of one rule: a build of another model moves every node
_ORDER = ("error", "warning", "note")
_FIRST = (
    "C-105",
    "C-103",
    "C-100",
)  # the layers of an unstable run say little: that it is unstable comes before them
_CHECKS = (
    *origins.CHECKS,
    *environment.CHECKS,
    *results.CHECKS,
    *quantization.CHECKS,
    *times.CHECKS,
    *planning.CHECKS,
    *symptoms.CHECKS,
    *(check for room in _ROOMS.values() for check in room.checks),
)


def find(run: Run) -> tuple[Finding, ...]:
    """Every finding of a run, worst first; parts that it lacks find nothing."""
    look = RunView(run)
    findings = [finding for check in _CHECKS for finding in check(look)]
    for name, room in vendors.added("diagnosis", DiagnosisVendor).items():
        findings += vendors.careful(name, lambda room=room: _of_package(room, look), [])  # type: ignore[misc]
    weighed = [_of_estimates(one) if run.board.emulated else one for one in findings]
    return tuple(_capped(sorted(dict.fromkeys(weighed), key=_rank)))


def rules_of_findings() -> dict[str, Rule]:
    """Every rule by its id: harness's own, the PC's side, and those of installed packages."""
    added = vendors.added("diagnosis", DiagnosisVendor)
    packaged = {rule.id: rule for room in added.values() for rule in room.rules}
    return {**RULES, **PC_RULES, **packaged}


def _of_estimates(finding: Finding) -> Finding:
    """Of an emulated board: what its times show is worth a note, for no board was measured."""
    return replace(finding, severity="note") if finding.rule.startswith("T-") else finding


def _of_package(room: DiagnosisVendor, look: RunView) -> list[Finding]:
    """What a package's checks find. Errors: ConfigError for a rule whose id another has."""
    for rule in room.rules:
        if RULES.setdefault(rule.id, rule) is not rule:
            raise ConfigError(f"rule {rule.id} is there already: {RULES[rule.id].title}")
    return [finding for check in room.checks for finding in check(look)]


def _capped(findings: Sequence[Finding]) -> Iterator[Finding]:
    """At most MOST of a rule; the last of them says how many more there are."""
    totals, seen = Counter(finding.rule for finding in findings), Counter[str]()
    for finding in findings:
        seen[finding.rule] += 1
        more = totals[finding.rule] - MOST
        if seen[finding.rule] == MOST and more > 0:
            yield replace(finding, evidence=f"{finding.evidence}; {more} more of this rule are in the report's tables")
        elif seen[finding.rule] <= MOST:
            yield finding


def _rank(finding: Finding) -> tuple[int, int, str]:
    """What the run says of the model first: unstable results, then who is to blame; then by severity."""
    first = _FIRST.index(finding.rule) if finding.rule in _FIRST else len(_FIRST)
    return first, _ORDER.index(finding.severity), finding.rule
