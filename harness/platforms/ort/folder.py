"""Readers of a run's folder: manifest.json and its tensors, latency.json, ops.json, memory.json."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from harness.platforms.ort.text import is_number, number_of, read_json, rows_of, spec_of, text_of
from harness.records import Dump, Latency, OpTime

_FILE = re.compile(r"t\d{5,9}\.bin")
PROVIDERS = {"Tensorrt": "TensorRT", "Xnnpack": "XNNPACK", "Nnapi": "NNAPI", "Dnnl": "DNNL", "Cann": "CANN"}
CATEGORIES = {
    "QuantizeLinear": "quantize",
    "DequantizeLinear": "dequantize",
    "DynamicQuantizeLinear": "quantize",
    "Transpose": "layout",
    "Reshape": "layout",
    "ReorderInput": "layout",
    "ReorderOutput": "layout",
    "MemcpyToHost": "layout",
    "MemcpyFromHost": "layout",
}
MAX_SAMPLES = 1_000_000


def unit_of(provider: str) -> str:
    """`CPUExecutionProvider` is CPU, `XnnpackExecutionProvider` XNNPACK."""
    short = provider.removesuffix("ExecutionProvider")
    return PROVIDERS.get(short, short)


def outputs(folder: Path) -> tuple[Dump, ...]:
    """The model's own outputs, as the model gives them: a dequantized output is a float."""
    return tuple(_dump(folder, row, ()) for row in _tensors(folder) if row.get("is_output") is True)


def layers(folder: Path) -> tuple[Dump, ...]:
    """Every other tensor. A quantizer's output also goes by the names of the float it stands for.

    The float side of a tensor that is here as an integer (`--option dump=all` writes both) is the same value
    before rounding, so it is no dump of its own.
    """
    rows = _tensors(folder)
    taken = {text_of(row, "name") for row in rows if row.get("is_output") is True}
    twins = {alias for row in rows for alias in _aliases(row)}
    wanted = [row for row in rows if text_of(row, "name") not in taken | twins]
    return tuple(_dump(folder, row, taken) for row in wanted)


def _tensors(folder: Path) -> list[dict[str, Any]]:
    rows = rows_of(read_json(folder / "manifest.json"), "tensors")
    return [row for row in rows if text_of(row, "name") and _FILE.fullmatch(text_of(row, "file"))]


def _aliases(row: dict[str, Any]) -> tuple[str, ...]:
    names = row.get("aliases")
    return tuple(n for n in names if isinstance(n, str)) if isinstance(names, list) else ()


def _dump(folder: Path, row: dict[str, Any], taken: set[str] | tuple[()]) -> Dump:
    index = row.get("index")
    return Dump(
        name=text_of(row, "name"),
        path=folder / text_of(row, "file"),
        spec=spec_of(row),
        op=text_of(row, "op"),
        op_kind=text_of(row, "op_kind"),
        index=index if isinstance(index, int) else -1,
        aliases=tuple(name for name in _aliases(row) if name not in taken),
    )


def latency(folder: Path) -> Latency | None:
    """End-to-end times of mode profile, measured with onnxruntime's profiler off; warm-up is left out."""
    record = read_json(folder / "latency.json")
    mean = number_of(record, "mean_us")
    if mean is None:
        return None
    samples = record.get("samples_us")
    samples = samples[:MAX_SAMPLES] if isinstance(samples, list) else []
    return Latency(
        mean_us=mean,
        min_us=number_of(record, "min_us"),
        max_us=number_of(record, "max_us"),
        fps=1e6 / mean if mean else None,
        frames=_count(record, "frames"),
        threads=_count(record, "threads"),
        total_us=number_of(record, "total_us"),
        samples_us=tuple(float(s) for s in samples if is_number(s)),
        warmup_excluded=bool(_count(record, "warmup")),
    )


def _count(record: dict[str, Any], key: str) -> int | None:
    value = number_of(record, key)
    return None if value is None else int(value)


def ops(folder: Path) -> tuple[OpTime, ...]:
    """Per op: microseconds of one inference, by onnxruntime's own profiler."""
    record = read_json(folder / "ops.json")
    frames = _count(record, "frames_seen") or 0
    made = [_op(row, frames) for row in rows_of(record, "ops")]
    return tuple(op for op in made if op is not None)


def _op(row: dict[str, Any], frames: int) -> OpTime | None:
    total, kind = number_of(row, "total_us"), text_of(row, "kind")
    if total is None or not frames:
        return None
    figures = {key: number_of(row, key) for key in ("output_bytes", "parameter_bytes")}
    return OpTime(
        name=text_of(row, "name"),
        kind=kind,
        unit=unit_of(text_of(row, "provider")),
        category=CATEGORIES.get(kind, "compute"),
        mean_us=total / frames,
        min_us=number_of(row, "min_us"),
        max_us=number_of(row, "max_us"),
        count=_count(row, "count"),
        index=_count(row, "index"),
        figures={key: value for key, value in figures.items() if value is not None},
    )


def memory(folder: Path) -> dict[str, int] | None:
    """The figures of memory.json in bytes; None where there are none."""
    record = read_json(folder / "memory.json")
    keys = ("import_bytes", "load_bytes", "peak_bytes", "model_bytes")
    figures = {key: _count(record, key) for key in keys}
    return {key: value for key, value in figures.items() if value is not None} or None
