"""Text of board tools: decoding and numbers, the same for every vendor."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-_]")


_SOURCE_COMMENT = re.compile(r"^\s*//\s?")


LIMIT_BYTES = 256 * 2**20  # a log above this is read up to here; no known tool writes more


NUMBER = r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"


@dataclass(frozen=True)
class Text:
    """A log as plain lines. `cut`: the last line has no newline, so its end may be missing."""

    lines: tuple[str, ...]
    cut: bool = False

    @cached_property
    def joined(self) -> str:
        """The whole text."""
        return "\n".join(self.lines)

    def numbered(self) -> Iterator[tuple[str, bool]]:
        """(line, whole) pairs; `whole` is False for a last line that may have lost its end."""
        last = len(self.lines) - 1
        for index, line in enumerate(self.lines):
            yield line, not (self.cut and index == last)


def plain(text: str) -> Text:
    """Strip colours, carriage returns and `//` of a pasted source comment; keep the order of lines."""
    text = _ANSI.sub("", text).replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    cut = bool(text) and not text.endswith("\n")
    return Text(tuple(_SOURCE_COMMENT.sub("", line).rstrip() for line in text.split("\n")), cut)


def read_text(path: Path) -> str:
    """A file that a board left, as text: broken UTF-8 becomes U+FFFD, an absent file the empty string."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return file.read(LIMIT_BYTES).decode("utf-8", "replace")


def number(text: str) -> float | None:
    """A finite decimal number, or None (digits only: `nan`, `inf` and `1_0` are no numbers here)."""
    if not re.fullmatch(NUMBER, text.strip()):
        return None
    value = float(text)
    return value if abs(value) < 1e300 else None


def number_list(text: str) -> tuple[float, ...] | None:
    """`(a,b,)`, `(a,b)`, `a,b,` or `a` -> numbers; None when any item is not one."""
    body = text.strip()
    if body.startswith("(") != body.endswith(")"):
        return None
    items = [item.strip() for item in body.strip("()").split(",")]
    if items and not items[-1]:
        items.pop()
    values = [number(item) for item in items]
    return tuple(v for v in values if v is not None) if values and None not in values else None


def integer_list(text: str) -> tuple[int, ...] | None:
    """As `number_list`, integers only."""
    values = number_list(text)
    if values is None or re.search(r"[.eE]", text):
        return None
    return tuple(int(value) for value in values)
