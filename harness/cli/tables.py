"""Tables on stdout: a line per row where a program reads them, fitted to the width where a person does.

On a terminal that is too narrow sentences are wrapped; where that does not suffice a row takes several lines. Nothing
is left out, and a name is cut (in its middle) only where it is longer than the terminal is wide.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.common import clean, colours, emit_json

if TYPE_CHECKING:
    from harness.records import Run

GAP = "  "
INDENT = 4  # of the second and further lines of a row
LEAST = 16  # to which a column of sentences may shrink, if its words fit
ELLIPSIS = "\u2026"
Rows = Sequence[Sequence[str]]


def table(title: str, columns: Sequence[str], rows: Rows, right: Sequence[str] = ()) -> None:
    """Print a table; nothing of it is styled but its heading."""
    limit = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    if title:
        click.echo(title)
    bold = colours(sys.stdout)
    for line, is_heading in lines_of(columns, [[clean(cell) for cell in row] for row in rows], right, limit):
        click.echo(click.style(line, bold=True) if is_heading and bold else line)


def lines_of(columns: Sequence[str], rows: Rows, right: Sequence[str], limit: int | None) -> Iterator[tuple[str, bool]]:
    """Lines of at most `limit`, or a line per row where it is None, and whether each is of the heading."""
    if limit is None:
        rows = [[" ".join(cell.split("\n")) for cell in row] for row in rows]
    columns_of_cells = list(zip(columns, *rows, strict=True))
    widths = [max(_widest(cell.split("\n")) for cell in cells) for cells in columns_of_cells]
    groups = [list(range(len(widths)))]
    if limit is not None:
        least = [max(_widest(cell.split()) for cell in cells) for cells in columns_of_cells]
        widths, groups = _fitted(widths, [max(LEAST, width) for width in least], limit)
    to_the_right = [name in right for name in columns]
    for number, row in enumerate([columns, *rows]):
        for line in _row(row, widths, groups, to_the_right):
            yield line, number == 0


def _fitted(natural: Sequence[int], least: Sequence[int], limit: int) -> tuple[list[int], list[list[int]]]:
    """Widths, and which columns share a line."""
    widths = _shrunk(natural, least, limit)
    if _together(widths) <= limit:
        return widths, [list(range(len(widths)))]
    widths = [max(1, min(width, limit - INDENT)) for width in natural]
    groups: list[list[int]] = [[0]]
    for place in range(1, len(widths)):
        wanted = _together([widths[other] for other in [*groups[-1], place]])
        if wanted + (INDENT if len(groups) > 1 else 0) <= limit:
            groups[-1].append(place)
        else:
            groups.append([place])
    return widths, groups


def _shrunk(natural: Sequence[int], least: Sequence[int], limit: int) -> list[int]:
    """The widest column of sentences gives way first."""
    widths = list(natural)
    while _together(widths) > limit:
        loose = [place for place, width in enumerate(widths) if width > least[place]]
        if not loose:
            break
        widths[max(loose, key=widths.__getitem__)] -= 1
    return widths


def _together(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _row(row: Sequence[str], widths: list[int], groups: list[list[int]], right: list[bool]) -> Iterator[str]:
    """One row as lines without blanks at their ends."""
    for number, places in enumerate(groups):
        parts = {place: list(wrapped(row[place], widths[place])) for place in places}
        for line in range(max(len(part) for part in parts.values())):
            shown = [
                _padded(part[line] if line < len(part) else "", widths[place], right[place])
                for place, part in parts.items()
            ]
            text = (" " * INDENT if number else "") + GAP.join(shown).rstrip()
            if text.strip() or not number:
                yield text.rstrip()


def _padded(text: str, width: int, to_the_right: bool) -> str:
    blanks = " " * max(0, width - width_of(text))
    return blanks + text if to_the_right else text + blanks


def hanging(text: str, indent: int) -> str:
    """On a terminal: broken between words at its width, further lines `indent` blanks in. No word is cut: it may be a
    path that is copied. Elsewhere the text as it is."""
    if not sys.stdout.isatty():
        return text
    width = max(shutil.get_terminal_size().columns, 2 * indent)
    head, rest = text[:indent], text[indent:]
    lines = textwrap.wrap(rest, width - indent, break_long_words=False, break_on_hyphens=False) or [""]
    return head + ("\n" + " " * indent).join(lines)


def wrapped(text: str, width: int) -> Iterator[str]:
    """Lines of at most `width`: broken between words; a word that is too long loses its middle."""
    for line in text.split("\n"):
        text_line = ""
        for word in line.split(" ") if width_of(line) > width else [line]:
            word = shortened(word, width)
            if text_line and width_of(text_line) + 1 + width_of(word) > width:
                yield text_line
                text_line = word
            else:
                text_line = f"{text_line} {word}" if text_line else word
        yield text_line


def shortened(word: str, width: int) -> str:
    """A name without its middle: where names are long, their ends tell them apart."""
    if width_of(word) <= width:
        return word
    head, tail = 0, len(word)
    while head < tail:
        grown = (head + 1, tail) if head <= len(word) - tail else (head, tail - 1)
        if width_of(word[: grown[0]]) + width_of(word[grown[1] :]) + 1 > width:
            break
        head, tail = grown
    return word[:head] + ELLIPSIS + word[tail:]


def _widest(texts: Sequence[str]) -> int:
    return max((width_of(text) for text in texts), default=0)


def width_of(text: str) -> int:
    """Columns that a text takes on a terminal: ideographs take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


# Green is for what was compared in full and is good; the words say the same without it.
TONES: dict[str, str | None] = {"good": "green", "bad": "red", "stop": "yellow", "part": None, "none": None}


def _nothing() -> dict[str, object]:
    return {}


def show_run(
    folder: Path, page: Path, run: Run, as_json: bool, more: Callable[[], dict[str, object]] = _nothing
) -> None:
    """Print what a run ended with and where its report is, for a person or as one JSON object, which `more` adds to."""
    from harness.records.codec import to_json
    from harness.report.summary import LABEL, toned_lines

    if as_json:
        emit_json("run", {"run": str(folder), "report": str(page)} | to_json(run) | more())
        return
    tone, summary = toned_lines(run)
    for number, line in enumerate(summary):
        shown = hanging(clean(line), LABEL)
        click.echo(click.style(shown, fg=TONES[tone], bold=True) if not number and colours(sys.stdout) else shown)
    click.echo(f"report    {page}")
