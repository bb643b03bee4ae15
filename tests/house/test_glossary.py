"""docs/glossary.md has a line for every word that a run, a layer or a finding may carry."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from harness.consistency.checks import noise_ratio
from harness.consistency.checks.pc_rules import PC_RULES
from harness.consistency.fingerprint.kinds import KINDS
from harness.diagnosis import RULES, environment
from harness.records.comparison import REASONS, ROLES, RUN_VERDICTS, VERDICTS
from tests.house.sources import nodes

ROOT = Path(__file__).resolve().parents[2]
LINES = re.findall(r"^\| `([^`]+)` \| (.*) \|$", (ROOT / "docs" / "glossary.md").read_text("utf-8"), re.MULTILINE)
ENTRIES = {name for name, _ in LINES}
STATES = ("running", "complete", "failed", "interrupted")
STAGES = ("proven", "different", "unknown", "not_aligned")


def _calls(folder: str, name: str) -> Iterator[ast.Call]:
    for _, node in nodes(folder):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            yield node


def _failures() -> set[str]:
    """Kinds of failures: those that a finding is made of, and the first word of each `Failure(...)` in the code."""
    firsts = [call.args[0] for call in _calls("", "Failure") if call.args]
    made = {first.value for first in firsts if isinstance(first, ast.Constant) and isinstance(first.value, str)}
    return made | set(environment._FAILURES)


def _findings() -> dict[str, str]:
    return {rule.id: rule.title for rule in (*RULES.values(), *PC_RULES.values())}


WORDS: dict[str, Callable[[], Iterable[str]]] = {
    "verdict of a run": lambda: RUN_VERDICTS,
    "verdict of a layer": lambda: VERDICTS,
    "reason": lambda: REASONS,
    "role": lambda: set(ROLES) - {""},
    "noise ratio": lambda: noise_ratio.WORDS,
    "state": lambda: (*STATES, *STAGES),
    "fault kind": lambda: KINDS,
    "failure": _failures,
    "finding": _findings,
}


@pytest.mark.parametrize("sort", list(WORDS))
def test_every_word_of_the_code_is_in_the_glossary(sort: str) -> None:
    words = set(WORDS[sort]())
    assert words, "the words are taken from the code"
    assert words - ENTRIES == set()


def test_the_findings_of_the_documents_are_those_of_the_code() -> None:
    findings = _findings()
    assert len([name for name in findings if name.startswith("P-")]) >= 7
    page = (ROOT / "docs" / "findings.md").read_text("utf-8")
    in_glossary = {name: words.partition(" | ")[2] for name, words in LINES}
    for name, title in findings.items():
        assert in_glossary[name] == title
        assert re.search(rf"^\| {name} \| \w+ \| {re.escape(title)} \|", page, re.MULTILINE), name


def test_no_line_of_the_glossary_stands_twice_in_one_table() -> None:
    for table in re.split(r"^## ", (ROOT / "docs" / "glossary.md").read_text("utf-8"), flags=re.MULTILINE):
        names = re.findall(r"^\| `?([^`|]+)`? \|", table, re.MULTILINE)
        assert len(names) == len(set(names))
