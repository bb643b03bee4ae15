"""Reading text that a tool, a terminal or a person has damaged: encodings, colours, prefixes, tables.

Nothing here raises on bad text.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")
STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"
RECORD = re.compile(
    rf"^\s*(?:(?P<stamp>{STAMP})\s+)?"
    r"(?:(?:- )?(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL)\s+(?:- )?"
    r"|file:\s*(?P<file>\S+)\s+func:\s*\S+\s+line No:\s*\d+\s?)?"
    r"(?P<text>.*)$"
)
GLUED = re.compile(rf"(?<=\S)(?={STAMP} (?:DEBUG|INFO|WARNING|ERROR|CRITICAL|file:))")
NUMBER = re.compile(r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$", re.ASCII)
MOST_DIGITS = 18  # of a count: no figure of a tool has more, and int() raises at some thousands


@dataclass(frozen=True)
class Line:
    """One record line without its prefix. `whole` is False for a last line that no newline ends."""

    number: int  # 1-based in the file
    text: str
    level: str = ""  # only console logs have it; log files do not
    stamped: bool = False
    whole: bool = True


def decode(data: bytes) -> tuple[str, tuple[str, ...]]:
    """Text of `data` and what had to be assumed. UTF-8, UTF-16 with a mark, GB18030, else Latin-1."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace").lstrip("\ufeff"), ()
    try:
        return data.decode("utf-8-sig"), ()
    except UnicodeDecodeError as error:
        if error.end >= len(data) - 3:  # a file cut inside its last character
            return data[: error.start].decode("utf-8-sig", errors="replace"), ("the last character is cut",)
    try:
        return data.decode("gb18030"), ("not UTF-8; read as GB18030",)
    except UnicodeDecodeError:
        return data.decode("utf-8", errors="replace"), ("not UTF-8; unreadable characters replaced",)


ELLIPSIS = "'...'"
_QUOTED = re.compile(r"^[ \t]*>[ \t]?", re.MULTILINE)
_ELIDED = re.compile(
    r"^[ \t]*[|+#*]{0,2}[ \t]*(?:\.{3,}|\u2026+|[\[<(](?:\.{3}|\u2026|snip|omitted|truncated|\u7701\u7565)[\])>])"
    r"[ \t|]*\r?$",
    re.MULTILINE | re.IGNORECASE,
)
MOST_NAMED = 5  # lines


def unquoted(text: str) -> str:
    """Text of a mail or a forum whose lines all begin with `>`, or are all further in, without that."""
    start = [line for line in text[:20_000].splitlines() if line.strip()]
    if len(start) > 1 and all(_QUOTED.match(line) for line in start):
        return _QUOTED.sub("", text)
    return textwrap.dedent(text) if len(start) > 1 and all(line[0] in " \t" for line in start) else text


def elisions(text: str) -> tuple[str, ...]:
    """A sentence on lines that stand for others which somebody left out of the text; () where there are none."""
    numbers = [text.count("\n", 0, match.start()) + 1 for match in _ELIDED.finditer(text)]
    if not numbers:
        return ()
    named = ", ".join(map(str, numbers[:MOST_NAMED])) + (", ..." if len(numbers) > MOST_NAMED else "")
    return (f"lines were left out of the text ({ELLIPSIS} in line {named})",)


def lines_of(text: str) -> Iterator[Line]:
    """Records of a log: colours and carriage returns gone, records glued onto other text split off."""
    clean = ANSI.sub("", text)
    ended = clean.endswith(("\n", "\r"))
    raw = clean.split("\n")
    if raw and raw[-1] == "":
        raw.pop()
    for index, line in enumerate(raw):
        last = index == len(raw) - 1
        parts = [part for piece in line.split("\r") for part in GLUED.split(piece) if part]
        for position, part in enumerate(parts or [""]):
            whole = ended or not last or position < len(parts) - 1
            yield _record(index + 1, part, whole)


def _record(number: int, text: str, whole: bool) -> Line:
    match = RECORD.match(text)
    if match is None or (match["stamp"] is None and match["level"] is None and match["file"] is None):
        return Line(number, text.rstrip(), whole=whole)
    return Line(number, match["text"].rstrip(), match["level"] or "", match["stamp"] is not None, whole)


def number_of(token: str) -> float | None:
    """A finite decimal number, or None. "nan", "inf", `1e999` and words are None."""
    token = token.strip()
    number = float(token) if NUMBER.match(token) else math.inf
    return number if math.isfinite(number) else None


def count_of(token: str) -> int | None:
    """A whole number with or without thousands separators, or None: also for one of more than 18 digits."""
    token = token.strip().replace(",", "")
    return int(token) if token.isascii() and token.isdigit() and len(token) <= MOST_DIGITS else None


def counts_of(text: str) -> tuple[int, ...] | None:
    """The whole numbers between commas, as shapes are printed; None where one of them is none."""
    counts = [count_of(part) for part in text.split(",") if part.strip()]
    return None if None in counts else tuple(count for count in counts if count is not None)


def dtype_of(word: str) -> str:
    """A vendor's type word in the words of `TensorSpec.dtype`; "" for a word that is not one."""
    return DTYPES.get(word.strip(), "")


DTYPES = {
    "int4": "s4",
    "int8": "s8",
    "int16": "s16",
    "int32": "s32",
    "int64": "s64",
    "uint8": "u8",
    "float": "f32",
    "float16": "f16",
    "float32": "f32",
    "si4": "s4",
    "si8": "s8",
    "si16": "s16",
    "si32": "s32",
    "si64": "s64",
    "ui8": "u8",
    "f16": "f16",
    "f32": "f32",
    "bool8": "bool8",
}


@dataclass(frozen=True)
class PipeTable:
    """A table drawn with `|`: joined header and rows; a row that does not fit is counted, not read."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    damaged: int = 0


def pipe_tables(lines: Sequence[Line]) -> tuple[PipeTable, ...]:
    """Tables made of `| a | b |` rows and `+---+` or `|---+` rules; header rows above a rule are joined."""
    has_rules = any(_is_rule(line.text.strip()) for line in lines)
    return _with_rules(lines) if has_rules else _without_rules(lines)


def _with_rules(lines: Sequence[Line]) -> tuple[PipeTable, ...]:
    tables: list[PipeTable] = []
    header: list[list[str]] = []
    rows: list[tuple[str, ...]] = []
    columns: tuple[str, ...] = ()
    damaged = 0
    for line in lines:
        text = line.text.strip()
        if _is_rule(text):
            if header and not columns:
                columns = tuple(" ".join(cell for cell in column if cell) for column in zip(*header, strict=False))
            elif columns and rows:
                tables.append(PipeTable(columns, tuple(rows), damaged))
                header, rows, columns, damaged = [], [], (), 0
            continue
        if not text.startswith("|"):
            continue
        cells = tuple(cell.strip() for cell in text.strip("|").split("|"))
        if not columns:
            if list(cells) not in header:
                header.append(list(cells))
        elif len(cells) == len(columns) and text.endswith("|"):
            rows.append(cells)
        else:
            damaged += 1
    if columns and (rows or damaged):
        tables.append(PipeTable(columns, tuple(rows), damaged))
    return tuple(tables)


def _without_rules(lines: Sequence[Line]) -> tuple[PipeTable, ...]:
    """Rows alone, as consoles leave them that drop the rules: the first row names the columns."""
    rows = [line.text.strip() for line in lines if line.text.strip().startswith("|")]
    cells = [tuple(cell.strip() for cell in row.strip("|").split("|")) for row in rows]
    if len(cells) < 2:
        return ()
    whole = [one for one, row in zip(cells[1:], rows[1:], strict=True) if len(one) == len(cells[0]) and row[-1] == "|"]
    return (PipeTable(cells[0], tuple(one for one in whole if one != cells[0]), len(cells) - 1 - len(whole)),)


def _is_rule(text: str) -> bool:
    return len(text) > 3 and text[0] in "+|" and set(text) <= set("+-|=")


def unique(items: Sequence[str]) -> tuple[str, ...]:
    """The items in order, each once."""
    return tuple(dict.fromkeys(items))
