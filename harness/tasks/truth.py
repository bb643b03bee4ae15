"""A CSV of what is right for each sample: `stem,label`, `stem,boxes` or `stem,joints`, or several of them."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import InputError
from harness.tasks.metric import Array, Truth

COLUMNS = ("label", "boxes", "joints")
FORM = "the first line names the columns: stem and label, boxes or joints (docs/samples.md)"
MOST_BYTES = 512 * 2**20
SHOWN = 4


def read_truth(path: Path) -> dict[str, Truth]:
    """Truth by stem. Errors: InputError with file, line and value."""
    if not path.is_file():
        what = "expected a CSV file, got a folder" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {what}", f"--truth takes a CSV; {FORM}")
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path}: {path.stat().st_size} bytes: too large for a truth file", FORM)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(path, csv.DictReader(file, skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a readable CSV ({error})", FORM) from None


def _read(path: Path, rows: csv.DictReader[str]) -> dict[str, Truth]:
    names = [name or "" for name in rows.fieldnames or ()]
    columns = [name for name in names if name in COLUMNS]
    if "stem" not in names or not columns:
        raise InputError(f"{path}: columns {', '.join(names)[:200] or 'none'}", FORM)
    csv.field_size_limit(2**24)
    truths: dict[str, Truth] = {}
    for row in rows:
        where = f"{path}:{rows.line_num}"
        stem = Path((row.get("stem") or "").strip()).stem if row.get("stem") else ""
        if not stem:
            raise InputError(f"{where}: no stem", FORM)
        if stem in truths:
            raise InputError(f"{where}: stem {stem!r} for the second time", "keep one line for each sample")
        truths[stem] = _truth(where, {name: (row.get(name) or "").strip() for name in columns})
    return truths


def _truth(where: str, cells: Mapping[str, str]) -> Truth:
    label = cells.get("label", "")
    if label and not (label.isascii() and label.isdigit() and len(label) < 10):
        raise InputError(f"{where}: label {label[:40]!r}: expected the number of a class, from 0", FORM)
    boxes, joints = (_numbers(where, name, cells.get(name)) for name in ("boxes", "joints"))
    if boxes is not None:
        boxes = _boxes(where, boxes)
    if joints is not None and joints.shape[1] not in (2, 3):
        raise InputError(f"{where}: joints of {joints.shape[1]} numbers: expected 2 or 3 each", FORM)
    return Truth(int(label) if label else None, boxes, joints)


def _boxes(where: str, boxes: Array) -> Array:
    if boxes.size == 0:
        return np.zeros((0, 5))
    if boxes.shape[1] != 5:
        raise InputError(f"{where}: boxes of {boxes.shape[1]} numbers: expected left top right bottom class", FORM)
    return boxes


def _numbers(where: str, name: str, cell: str | None) -> Array | None:
    """`1 2 3; 4 5 6`, or a JSON list of lists; None for an empty cell, `[]` or `-` is an empty list."""
    if not cell:
        return None
    if cell in ("-", "[]"):
        return np.zeros((0, 5))
    try:
        rows: Any = json.loads(cell) if cell.startswith("[") else [part.split() for part in cell.split(";") if part]
        filled = [[*row, 0] if name == "boxes" and len(row) == 4 else row for row in rows]
        numbers: Array = np.array([[_number(value) for value in row] for row in filled], np.float64)
    except (ValueError, TypeError, RecursionError):
        raise InputError(f"{where}: {name} {cell[:40]!r}: expected `1 2 3; 4 5 6`", FORM) from None
    if numbers.ndim != 2:
        raise InputError(f"{where}: {name} {cell[:40]!r}: rows of different lengths", FORM)
    return numbers


def _number(value: Any) -> float:
    number = float(value)
    return math.nan if math.isinf(number) else number


def refuse_missing(path: Path, truths: Mapping[str, Truth], stems: Sequence[str]) -> None:
    """Every sample has a line. Errors: InputError that counts and names those without, and what is there instead."""
    missing = [stem for stem in stems if stem not in truths]
    if missing:
        known, named = set(stems), ", ".join(map(repr, missing[:SHOWN]))
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        others = [stem for stem in truths if stem not in known][:SHOWN]
        beside = f"; it has {', '.join(map(repr, others))}, which are no samples" if others else ""
        raise InputError(
            f"{path}: no line for {len(missing)} of {len(stems)} samples: {named}{more}{beside}",
            "add the lines, or take these samples out of the folder",
        )
