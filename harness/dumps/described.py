"""Types, scales and zero points that a model's own description tells of its tensors: a table in a text file beside
the dumps.

Boards hand out raw integers, and bfloat16 as uint16; which they are stands in what the toolchain prints of the model:
a heading with a column of names, one of types, one of scales and maybe one of zero points, and a row per tensor.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.records import Dump, Quantization

ENDINGS = (".txt", ".log", ".info")
MOST_BYTES = 1 << 22  # of a file that is looked into
MOST_FILES = 32
WORDS = {
    "int8": "s8", "uint8": "u8", "int16": "s16", "uint16": "u16", "int32": "s32", "i8": "s8", "u8": "u8", "i16": "s16",
    "u16": "u16", "i32": "s32", "s8": "s8", "s16": "s16", "s32": "s32", "bf16": "bf16", "bfloat16": "bf16",
    "f16": "f16", "fp16": "f16", "float16": "f16",
}  # fmt: skip
STORED_AS = {"bf16": ("u16", "s16", "bf16"), "f16": ("u16", "s16", "f16")}  # what a file may call them
TWO_WORDS = re.compile(r"\bZERO\s+POINT\b")
ZERO_POINT = re.compile(r"(?:ZERO_?-?POINT|ZP)$|^(?:Q_?|QUANT_?)(?:OFFSET|ZERO)$")
NOT_TOLD = ("", "-", "--", "none", "null", "n/a", "na")


@dataclass(frozen=True)
class _TableRow:
    """What a row tells. `zero_point` is None where the table does not tell it."""

    dtype: str
    scale: float
    zero_point: int | None = None
    source: str = ""  # name of the file


def with_scales(dumps: Sequence[Dump], folder: Path) -> tuple[Dump, ...]:
    """The same dumps; those that tell a type and no scale get the scale of a description in the folder, if their type
    is that of the description."""
    if not any(_lacks(dump) for dump in dumps):
        return tuple(dumps)
    known = dict(_described(folder))
    return tuple(_with_scale(dump, known) if _lacks(dump) else dump for dump in dumps)


def _lacks(dump: Dump) -> bool:
    return dump.spec is not None and dump.spec.dtype[:1] in ("s", "u") and dump.spec.quantization is None


def _with_scale(dump: Dump, known: Mapping[str, _TableRow]) -> Dump:
    row = known.get(dump.name)
    if row is None or dump.spec is None or dump.spec.dtype not in STORED_AS.get(row.dtype, (row.dtype,)):
        return dump
    if row.dtype in STORED_AS:
        return replace(dump, spec=replace(dump.spec, dtype=row.dtype), described_in=row.source)
    quantization = Quantization((row.scale,), (row.zero_point or 0,))
    assumed = row.zero_point is None and row.dtype.startswith("u")
    spec = replace(dump.spec, quantization=quantization)
    return replace(dump, spec=spec, described_in=row.source, zero_assumed=assumed)


def _described(folder: Path) -> Iterator[tuple[str, _TableRow]]:
    """What every table in the folder's text files tells, by tensor."""
    paths = sorted(path for path in folder.glob("*") if path.suffix in ENDINGS and path.is_file())
    for path in paths[:MOST_FILES]:
        if path.stat().st_size <= MOST_BYTES:
            for name, row in _rows(path.read_text(encoding="utf-8", errors="replace").splitlines()):
                yield name, replace(row, source=path.name)


def _rows(lines: Sequence[str]) -> Iterator[tuple[str, _TableRow]]:
    heading: list[str] = []
    for line in lines:
        cells = line.split()
        words = TWO_WORDS.sub("ZERO_POINT", line.upper()).split()
        if "NAME" in words and "TYPE" in words and any(word.endswith("SCALE") for word in words):
            heading = words
        elif len(cells) != len(heading):
            heading = []
        elif heading:
            yield from _row(dict(zip(heading, cells, strict=True)))


def _row(row: Mapping[str, str]) -> Iterator[tuple[str, _TableRow]]:
    """Nothing of a row whose type, scale or zero point cannot be read: half of them would be wrong values."""
    dtype = WORDS.get(row["TYPE"].lower(), "")
    try:
        scale = float(next(cell for word, cell in row.items() if word.endswith("SCALE")))
        zero_point = _zero_point(row, dtype)
    except (ValueError, OverflowError):
        return
    if dtype and math.isfinite(scale) and scale > 0:
        yield row["NAME"], _TableRow(dtype, scale, zero_point)


def _zero_point(row: Mapping[str, str], dtype: str) -> int | None:
    """Of the column that tells it; None without one. Errors: ValueError for one that the type cannot hold."""
    column = _column(list(row))
    cell = row.get(column, "")
    if cell.lower() in NOT_TOLD:
        return None
    value = float(cell)
    bits = int(dtype[1:]) if dtype[:1] in ("s", "u") else 32
    low = 0 if dtype.startswith("u") else -(1 << (bits - 1))
    if value != int(value) or not low <= value < low + (1 << bits):
        raise ValueError(f"zero point {cell} of {dtype}")
    return int(value)


def _column(heading: Sequence[str]) -> str:
    """OFFSET is a zero point directly behind the scale only: elsewhere it is a place in memory."""
    for before, word in zip(("", *heading), heading, strict=False):
        if ZERO_POINT.search(word) or (word == "OFFSET" and before.endswith("SCALE")):
            return word
    return ""
