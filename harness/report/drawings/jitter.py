"""A sequence: trajectories, the difference over time, its histogram and its spectrum; pure geometry."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from harness.report.values import Row, plain

WIDTH, HEIGHT = 720, 190
LEFT, TOP, BOTTOM = 64, 10, 26
STAGES = ("float", "quantized", "board")
Lines = Mapping[str, Sequence[float]]


def jitter_drawings(jitter: Row | None) -> list[Row]:
    """The pictures of each output, in their order."""
    return [_output(output, jitter) for output in jitter["outputs"]] if jitter else []


def _output(output: Row, jitter: Row) -> Row:
    stages = {stage["stage"]: stage for stage in output["stages"]}
    over_time = {name: stage["by_frame"] for name, stage in stages.items() if stage["by_frame"]}
    spectra = {name: _decibel(stage["spectrum"]) for name, stage in stages.items() if stage["spectrum"]}
    half = f"{plain(jitter['fps'] / 2)} Hz" if jitter["fps"] else "half a cycle per frame"
    joint = next((joint for joint in output["joints"] if joint["trajectories"]), None)
    return {
        "trajectory": _panel(joint["trajectories"] if joint else {}, ("", "frames")),
        "joint": joint["name"] if joint else "",
        "over_time": _panel(over_time, ("0", f"{output['frames']} frames"), from_zero=True),
        "spectrum": _panel(spectra, ("0", half)),
        "histograms": [
            {"stage": name, "to": stage["histogram_to"], "bars": _bars(stage["histogram"])}
            for name, stage in stages.items()
            if stage["histogram"]
        ],
    }


def _decibel(power: Sequence[Any]) -> list[float]:
    most = max((p for p in power if _is_number(p)), default=0.0) or 1.0
    return [10 * math.log10(max(p, most * 1e-12)) if _is_number(p) else math.nan for p in power]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _panel(lines: Lines, ends: tuple[str, str], *, from_zero: bool = False) -> Row | None:
    """Lines on one scale, each in pieces where a value is missing; None without any."""
    shown = {name: list(lines[name]) for name in STAGES if name in lines}
    known = [value for line in shown.values() for value in line if _is_number(value)]
    if not known:
        return None
    low, high = (0.0 if from_zero else min(known)), max(known)
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "box": {"x": LEFT, "y": TOP, "right": WIDTH - 8, "bottom": HEIGHT - BOTTOM},
        "low": plain(low),
        "high": plain(high),
        "ends": ends,
        "lines": [{"stage": name, "pieces": _pieces(line, low, high)} for name, line in shown.items()],
    }


def _pieces(line: Sequence[Any], low: float, high: float) -> list[str]:
    wide, high_px = WIDTH - 8 - LEFT, HEIGHT - BOTTOM - TOP
    pieces: list[list[str]] = [[]]
    for place, value in enumerate(line):
        if not _is_number(value):
            pieces.append([])
            continue
        x = LEFT + wide * place / max(1, len(line) - 1)
        y = TOP + high_px * ((high - value) / (high - low) if high > low else 0.5)
        pieces[-1].append(f"{x:.1f},{y:.1f}")
    return [" ".join(piece) for piece in pieces if piece]


def _bars(counts: Sequence[Any]) -> list[Row]:
    """Heights in percent of the highest, as roots: rare large differences stay seen."""
    numbers = [count if _is_number(count) and count > 0 else 0 for count in counts]
    most = max(numbers, default=0) or 1
    wide = 100 / max(1, len(numbers))
    return [
        {"x": round(place * wide, 2), "width": round(wide * 0.86, 2), "height": round(100 * math.sqrt(n / most), 1)}
        for place, n in enumerate(numbers)
        if n
    ]
