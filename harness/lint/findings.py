"""What a linter finds, and the rule behind it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LintFinding:
    """One finding. `--json` prints exactly these fields."""

    rule: str
    severity: str
    line: int
    message: str
    source: str
    fix: str


@dataclass(frozen=True)
class LintRule:
    """One rule of `harness lint`. `source` says where the toolchain's documents or its schema say so."""

    id: str
    severity: str  # "error": the tool refuses or the result is wrong; "warning": no effect or a likely trap; "note"
    title: str
    source: str
