"""What agents/ort_runner.py prints and writes, read as untrusted text: `key: JSON` lines and JSON files."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from harness.records import Quantization, TensorSpec

DTYPES = ("s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f16", "f32", "f64", "bool8")
MAX_RANK = 16
MAX_JSON_BYTES = 256 * 2**20  # a manifest of 100,000 tensors has about 40 MB
MAX_NAME = 4096  # characters; exporters do write names of several hundred
_LINE = re.compile(r"^([a-z_]{1,20}): (.+)$", re.MULTILINE)


def lines_of(text: str) -> dict[str, list[Any]]:
    """Every `key: JSON` line by key, in order; lines that are no such thing are other people's."""
    by_kind: dict[str, list[Any]] = {}
    for key, body in _LINE.findall(text):
        try:
            by_kind.setdefault(key, []).append(json.loads(body))
        except (ValueError, RecursionError):
            continue
    return by_kind


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; empty where there is none, or none that can be read."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            return {}
        value = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def rows_of(value: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects in a list of a board's JSON; none where it is no list."""
    rows = value.get(key)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def text_of(row: dict[str, Any], key: str) -> str:
    """A text of a board's JSON, cut to MAX_NAME characters; "" where it is no text."""
    value = row.get(key, "")
    return value[:MAX_NAME] if isinstance(value, str) else ""


def number_of(row: dict[str, Any], key: str) -> float | None:
    """A number of a board's JSON that is not negative; None for anything else."""
    value: Any = row.get(key)
    return float(value) if is_number(value) and value >= 0 else None


def spec_of(row: Any) -> TensorSpec | None:
    """Spec of an input, output or manifest line; open dimensions are -1. None where it is no such line."""
    if not isinstance(row, dict):
        return None
    name, dtype, shape = row.get("name"), row.get("dtype"), row.get("shape")
    if not isinstance(name, str) or dtype not in DTYPES or not isinstance(shape, list) or len(shape) > MAX_RANK:
        return None
    sizes = tuple(n if isinstance(n, int) and not isinstance(n, bool) and n >= 0 else -1 for n in shape)
    layout = "NCHW" if len(sizes) == 4 else ""
    return TensorSpec(name, dtype, sizes, layout, quantization=_quantization(row.get("quantization")))


def _quantization(row: Any) -> Quantization | None:
    if not isinstance(row, dict):
        return None
    scales, points, axis = row.get("scales"), row.get("zero_points"), row.get("axis")
    if not _numbers(scales) or not _numbers(points) or not (axis is None or isinstance(axis, int)):
        return None
    assert isinstance(scales, list) and isinstance(points, list)
    return Quantization(tuple(float(s) for s in scales), tuple(int(p) for p in points), axis)


def _numbers(values: Any) -> bool:
    return isinstance(values, list) and all(is_number(v) for v in values)


def is_number(value: Any) -> bool:
    """A finite number that a float holds; JSON's integers have no limit of their own."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 2**63 if isinstance(value, int) else math.isfinite(value)
