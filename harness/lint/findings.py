"""What a linter finds, and the rule behind it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LintFinding:
    """One finding. `--json` prints exactly these fields; half a surrogate pair is written out as `\\ud800`."""

    rule: str
    severity: str
    line: int
    message: str
    source: str
    fix: str

    def __post_init__(self) -> None:
        for name in ("message", "fix"):
            text = getattr(self, name).encode("utf-8", "backslashreplace").decode("utf-8")
            object.__setattr__(self, name, text)


@dataclass(frozen=True)
class LintRule:
    """One rule of `harness lint`. `source` says where the toolchain's documents or its schema say so."""

    id: str
    severity: str  # "error": the tool refuses or the result is wrong; "warning": no effect or a likely trap; "note"
    title: str
    source: str
