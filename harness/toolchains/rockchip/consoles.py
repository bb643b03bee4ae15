"""What runs on a Rockchip board: `rknn_benchmark`, and the texts of RKNN_QUERY_PERF_DETAIL (eval_perf)."""

from __future__ import annotations

import re
import statistics

from harness.toolchains.base import text_reader
from harness.toolchains.records import Artifact, LayerCost, PlannedNode, SegmentEstimate
from harness.toolchains.rockchip.readers import layer_rows
from harness.toolchains.text import count_of, dtype_of, lines_of, number_of

_RUNTIME = re.compile(r"rknn_api/rknnrt version: (\S+)[^\n]{0,200}? driver version: (\S+)")
_FRAME = re.compile(r"^[ \t]*[0-9]+: Elapse Time = ([0-9.]+)ms, FPS = ([0-9.]+)", re.MULTILINE)
_MEAN = re.compile(r"Avg Time ([0-9.]+)ms, Avg FPS = ([0-9.]+)")
_TOTAL = re.compile(r"Total (?:Operator Elapsed(?: Per Frame)? )?Time\(us\): ([0-9.]+)")
_CLOCK = re.compile(r"^[ \t]*(CPU|NPU|DDR) Current Frequency List:[ \t]*\n[ \t]*- ([0-9]{1,9})", re.MULTILINE)


def read_benchmark(text: str) -> Artifact:
    """Frames, their mean and spread in microseconds; the first frames are the tool's own warm-up and not among them."""
    begin = text.find("Begin perf")
    frames = [value for match in _FRAME.finditer(text, max(begin, 0)) if (value := number_of(match[1])) is not None]
    mean, runtime = _MEAN.search(text), _RUNTIME.search(text)
    facts: dict[str, object] = {"frames": len(frames)}
    if frames:
        facts |= {
            "median_us": statistics.median(frames) * 1000.0,
            "min_us": min(frames) * 1000.0,
            "max_us": max(frames) * 1000.0,
        }
    if mean and (mean_ms := number_of(mean[1])) is not None:
        facts |= {"mean_us": mean_ms * 1000.0, "fps": number_of(mean[2])}
    return Artifact(
        kind="rknn_benchmark",
        title="rknn_benchmark",
        versions={"runtime": runtime[1][:60], "driver": runtime[2][:60]} if runtime else {},
        facts=facts,
        problems=() if mean else ("it ends before its average",),
    )


def read_perf_detail(text: str) -> Artifact:
    """Every op with its unit, type and microseconds of one frame; the board's clocks where they stand above."""
    rows = list(layer_rows(list(lines_of(text))))
    total = _TOTAL.search(text)
    total_us = number_of(total[1]) if total else None
    return Artifact(
        kind="rknn_perf_detail",
        title="times of ops on a Rockchip board",
        nodes=tuple(
            PlannedNode(
                row.get("FullName", ""), row.get("Target", ""), row.get("OpType", ""), output_dtypes=_dtype(row)
            )
            for row in rows
        ),
        layers=tuple(LayerCost(row.get("FullName", ""), compute_us=_time_us(row)) for row in rows),
        estimates=(SegmentEstimate("frame", None, total_us),) if total_us is not None else (),
        facts={f"{unit.lower()}_clock_khz": count_of(clock) for unit, clock in _CLOCK.findall(text)},
        problems=() if rows else ("no row of its table could be read",),
    )


def _dtype(row: dict[str, str]) -> tuple[str, ...]:
    word = row.get("DataType", "").lower()
    return (dtype_of(word) or word,)


def _time_us(row: dict[str, str]) -> float | None:
    return next((number_of(value) for head, value in row.items() if head.startswith("Time(us)")), None)


CONSOLES = (
    text_reader(
        "rknn_perf_detail",
        "times of ops on a Rockchip board (PERF_DETAIL, eval_perf)",
        lambda text: "Time(us)" in text and bool(re.search(r"^.*ID\s+OpType\s+", text, re.MULTILINE)),
        read_perf_detail,
    ),
    text_reader("rknn_benchmark", "rknn_benchmark", lambda text: bool(_FRAME.search(text)), read_benchmark),
)
