"""Known texts of a tool that failed, and the line that shows one: what every vendor's `read_failure` needs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.records import Failure

LONGEST_LINE = 400  # characters of evidence
LONGEST_GROUP = 200  # of what a message takes from the text


@dataclass(frozen=True)
class FailureText:
    """A text that a tool prints when it fails; `message` may use \\1 .. of the pattern."""

    pattern: re.Pattern[str]
    kind: str  # of records.Failure
    message: str
    hint: str

    def failure(self, match: re.Match[str]) -> Failure:
        """The failure of a match of its pattern, with its line as evidence."""
        message = re.sub(r"\\([1-9])", lambda group: (match[int(group[1])] or "")[:LONGEST_GROUP], self.message)
        return Failure(self.kind, message, self.hint, line_at(match.string, match.start()))


def failure_text(pattern: str, kind: str, message: str, hint: str) -> FailureText:
    """One of those, `^` and `$` being ends of lines."""
    return FailureText(re.compile(pattern, re.MULTILINE), kind, message, hint)


def line_at(text: str, place: int) -> str:
    """The line around a place, at most LONGEST_LINE characters of it."""
    first, last = text.rfind("\n", 0, place) + 1, text.find("\n", place)
    return text[first : last if last >= 0 else len(text)].strip()[:LONGEST_LINE]
