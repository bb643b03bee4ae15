"""Patterns of the package take time in proportion to the text."""

from __future__ import annotations

import re

from tests.house.sources import PACKAGE, modules

# A line's start and then any blanks, newlines too: at each of n blank lines the pattern looks at all that follow.
OVER_LINES = re.compile(r"\^(?:\(\?[:P<\w>]*)*\\s[*+]")
ACROSS = re.compile(r"re\.(?:M\b|MULTILINE)|\(\?[a-zA-Z]*m[a-zA-Z]*\)")


def multiline_patterns(source: str) -> list[str]:
    """Calls of `re` up to the flag that makes `^` a line's start."""
    calls = re.split(r"\bre\.(?=compile|search|findall|finditer|sub|split|match)", source)[1:]
    return [call[: flag.end()] for call in calls if (flag := ACROSS.search(call.split("\n\n")[0]))]


def test_no_pattern_looks_over_blank_lines_at_each_of_them() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}: {call[:80]}"
        for path in modules()
        for call in multiline_patterns(path.read_text(encoding="utf-8"))
        if OVER_LINES.search(call)
    ]
    assert wrong == [], "write ^[ \\t]* in place of ^\\s*"


def test_the_rule_finds_what_it_forbids() -> None:
    assert [bool(OVER_LINES.search(one)) for one in (r"^\s*x", r"a|^(?:\s+x)", r"^[ \t]*x", r"x\s*")] == [
        True,
        True,
        False,
        False,
    ]
    assert multiline_patterns('re.compile(r"^\\s*x", re.MULTILINE)') and not multiline_patterns('re.compile(r"^\\s*x")')
