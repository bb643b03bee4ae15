"""JUnit XML as GitLab, Jenkins and its xUnit plugin read it: valid by junit-10.xsd, no key that one of them refuses.

What each reader does with what it gets decides the form: `properties`, `file` and `line` in a testcase make Jenkins'
xUnit plugin refuse the file; GitLab drops a second case of one classname and name, and never reads `message`, so that
the words stand in the text too.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# What XML 1.0 cannot carry, written as pytest writes it: #x01.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MOST_TEXT = 8000  # characters of one case: Jenkins cuts longer ones in the middle
OUTCOMES = ("passed", "failure", "error", "skipped")


@dataclass(frozen=True)
class TestCase:
    """One judgement. `kind` is the type of a failure or error, `message` one line, `text` more lines."""

    __test__ = False  # pytest would collect it

    classname: str
    name: str
    outcome: str = "passed"  # one of OUTCOMES
    time_s: float = 0.0
    kind: str = ""
    message: str = ""
    text: str = ""
    attachment: str = ""  # a file beside the XML, relative to it


@dataclass(frozen=True)
class TestSuite:
    """The judgements on one model, or of one board."""

    __test__ = False

    name: str
    cases: Sequence[TestCase]
    started_utc: str = ""  # ISO with zone
    hostname: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)


def document(suites: Sequence[TestSuite]) -> str:
    """The file. A name that it has twice gets a number, because readers keep only the first of equal ones."""
    root = ElementTree.Element("testsuites", {"name": "harness", **_totals([c for s in suites for c in s.cases])})
    seen: dict[tuple[str, str], int] = {}
    for suite in suites:
        root.append(_suite(suite, seen))
    ElementTree.indent(root, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def clean(text: str) -> str:
    """Text that XML 1.0 can carry."""
    return _FORBIDDEN.sub(lambda match: f"#x{ord(match[0]):02X}", text)


def _totals(cases: Sequence[TestCase]) -> dict[str, str]:
    outcomes = [case.outcome for case in cases]
    return {
        "tests": str(len(cases)),
        "failures": str(outcomes.count("failure")),
        "errors": str(outcomes.count("error")),
        "time": _time(sum(case.time_s for case in cases)),
    }


def _time(seconds: float) -> str:
    return f"{max(0.0, seconds):.3f}"  # three decimals and no exponent: more of either and the file is refused


def _suite(suite: TestSuite, seen: dict[tuple[str, str], int]) -> ElementTree.Element:
    skipped = str(sum(case.outcome == "skipped" for case in suite.cases))
    attributes = {"name": clean(suite.name), **_totals(suite.cases), "skipped": skipped}
    attributes |= {"timestamp": _timestamp(suite.started_utc)} if suite.started_utc else {}
    attributes |= {"hostname": clean(suite.hostname)} if suite.hostname else {}
    element = ElementTree.Element("testsuite", attributes)
    if suite.properties:
        held = ElementTree.SubElement(element, "properties")
        for name, value in suite.properties.items():
            ElementTree.SubElement(held, "property", {"name": clean(name), "value": clean(value)})
    for case in suite.cases:
        key = (case.classname, case.name)
        seen[key] = seen.get(key, 0) + 1
        element.append(_case(case, seen[key]))
    return element


def _timestamp(utc: str) -> str:
    return re.sub(r"(\.\d+)?Z$", "+00:00", utc)


def _case(case: TestCase, times: int) -> ElementTree.Element:
    name = case.name if times == 1 else f"{case.name} ({times})"
    attributes = {"classname": clean(case.classname), "name": clean(name), "time": _time(case.time_s)}
    element = ElementTree.Element("testcase", attributes)
    message = clean(" ".join(case.message.split()))
    if case.outcome != "passed":
        kind = {"type": clean(case.kind)} if case.kind and case.outcome != "skipped" else {}
        outcome = ElementTree.SubElement(element, case.outcome, {"message": message, **kind})
        outcome.text = clean(_cut("\n".join(part for part in (case.message, case.text) if part)))
    link = f"[[ATTACHMENT|{case.attachment}]]" if case.attachment and not set(case.attachment) & set("[]|") else ""
    lines = [line for line in (link, case.text if case.outcome == "passed" else "") if line]
    if lines:
        ElementTree.SubElement(element, "system-out").text = clean(_cut("\n".join(lines)))
    return element


def _cut(text: str) -> str:
    left = len(text) - _MOST_TEXT
    return text if left <= 0 else f"{text[:_MOST_TEXT]}\n... {left} more characters are in the report"
