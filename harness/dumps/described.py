"""Types and scales that a model's own description tells of its tensors: a table in a text file beside the dumps.

Boards hand out raw integers, and bfloat16 as uint16; which they are stands in what the toolchain prints of the model:
a heading with a column of names, one of types and one of scales, and a row per tensor.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
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


def with_scales(dumps: Sequence[Dump], folder: Path) -> tuple[Dump, ...]:
    """The same dumps; those that tell a type and no scale get the scale of a description in the folder, if their type
    is that of the description."""
    if not any(_lacks(dump) for dump in dumps):
        return tuple(dumps)
    known = dict(_described(folder))
    return tuple(_with_scale(dump, known) if _lacks(dump) else dump for dump in dumps)


def _lacks(dump: Dump) -> bool:
    return dump.spec is not None and dump.spec.dtype[:1] in ("s", "u") and dump.spec.quantization is None


def _with_scale(dump: Dump, known: Mapping[str, tuple[str, float]]) -> Dump:
    dtype, scale = known.get(dump.name, ("", 0.0))
    if dump.spec is None or dump.spec.dtype not in STORED_AS.get(dtype, (dtype,)):
        return dump
    if dtype in STORED_AS:
        return replace(dump, spec=replace(dump.spec, dtype=dtype))
    return replace(dump, spec=replace(dump.spec, quantization=Quantization((scale,))))


def _described(folder: Path) -> Iterator[tuple[str, tuple[str, float]]]:
    """(tensor, (dtype, scale)) of every table in the folder's text files."""
    paths = sorted(path for path in folder.glob("*") if path.suffix in ENDINGS and path.is_file())
    for path in paths[:MOST_FILES]:
        if path.stat().st_size <= MOST_BYTES:
            yield from _rows(path.read_text(encoding="utf-8", errors="replace").splitlines())


def _rows(lines: Sequence[str]) -> Iterator[tuple[str, tuple[str, float]]]:
    heading: list[str] = []
    for line in lines:
        cells = line.split()
        words = [cell.upper() for cell in cells]
        if "NAME" in words and "TYPE" in words and any(word.endswith("SCALE") for word in words):
            heading = words
        elif len(cells) != len(heading):
            heading = []
        else:
            yield from _row(dict(zip(heading, cells, strict=True)))


def _row(row: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, float]]]:
    scale = next((cell for word, cell in row.items() if word.endswith("SCALE")), "")
    try:
        value = float(scale)
    except ValueError:
        return
    dtype = WORDS.get(row["TYPE"].lower(), "")
    if dtype and math.isfinite(value) and value > 0:
        yield row["NAME"], (dtype, value)
