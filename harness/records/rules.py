"""What stands behind findings: the rule of each, and the order of steps in which a wrong result is looked into."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """What a finding of this rule always says. `title` and `advice` may be filled by the check."""

    id: str
    severity: str  # "error", "warning", "note"
    title: str
    advice: str
    when: str = ""  # the condition that raises it
    source: str = ""  # what that is read from: files of the run, a document of the vendor


@dataclass(frozen=True)
class CheckStep:
    """One step: what is looked at, whether this run did it, what it showed, and the command that does it."""

    name: str
    state: str  # "done", "not_applicable", "to_do"
    detail: str = ""  # what it showed, or why it does not apply
    command: str = ""  # of a step that is to be done
    symptom: str = ""  # "A" to "D": what the step is about; "" for all
