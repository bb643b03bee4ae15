"""Geometry of the page's drawings, pure.

Horizontal places are percentages of the drawing's width (drawings stretch with the page, their text does not), vertical
ones are CSS pixels. The error map alone counts in its own cells.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

from harness.report.tables.layers import STANDINGS, WORDS
from harness.report.tables.times import finite
from harness.report.values import Row, decibel, plain, shortened, whole

MOST_COLUMNS = 240  # of the strip: about four pixels each on a wide page; more layers share a column
LANE_PX = 18
PLOT_PX = 132
FLAG_PX = 18  # for the flags of origins where there is no plot above the lanes
_PLOT_TOP_PX = 12
_WORST_OVER = {name: rank for rank, name in enumerate(STANDINGS)}


def sqnr_of(layer: Row) -> float | None:
    """SQNR in dB, None where it has no value; from the relative L2 where only that is known (it is -20 log10 of it)."""
    if layer["finite_only"]:
        return None  # it would be of the finite elements alone
    sqnr = finite(layer["sqnr_db"])
    relative = finite(layer["relative_l2"])
    if sqnr is not None or relative is None or relative <= 0:
        return sqnr
    return -20 * math.log10(relative)


def strip(layers: list[Row]) -> Row | None:
    """The network from left to right: a lane per standing, and SQNR above. None without layers.

    Place says the standing, so colour is never needed; a column that holds several layers shows each standing it holds.
    """
    if not layers:
        return None
    width = max(1, math.ceil(len(layers) / MOST_COLUMNS))
    groups = [layers[start : start + width] for start in range(0, len(layers), width)]
    lanes = [name for name in STANDINGS if any(row["standing"] == name for row in layers)]
    axis = _axis([value for value in map(sqnr_of, layers) if value is not None])
    return {
        "per_column": width,
        "lanes": [_lane(name, layers, place) for place, name in enumerate(lanes)],
        "columns": [_column(group, place, len(groups), lanes, axis) for place, group in enumerate(groups)],
        "axis": axis,
        "plot_px": PLOT_PX if axis["ticks"] else FLAG_PX if {"origin", "suspect"} & set(lanes) else 0,
        "lanes_px": LANE_PX * len(lanes),
        "lane_px": LANE_PX,
    }


def _lane(name: str, layers: list[Row], place: int) -> Row:
    count = sum(row["standing"] == name for row in layers)
    return {"standing": name, "word": WORDS[name], "count": count, "top_px": place * LANE_PX}


def _axis(values: list[float]) -> Row:
    """A dB axis over all values, ticks in steps of 20 (wider where there would be more than six)."""
    if not values:
        return {"low": 0.0, "high": 0.0, "ticks": []}
    low, high = 20 * math.floor(min(0.0, *values) / 20), 20 * math.ceil(max(40.0, *values) / 20)
    step = 20 * math.ceil((high - low) / 120)
    ticks = [{"db": db, "y_px": _plot_y(db, low, high)} for db in range(low, high + 1, step)]
    return {"low": low, "high": high, "ticks": ticks}


def _plot_y(value: float, low: float, high: float) -> float:
    usable = PLOT_PX - 2 * _PLOT_TOP_PX
    return round(_PLOT_TOP_PX + usable * (high - value) / (high - low), 1)


def _column(group: list[Row], place: int, count: int, lanes: list[str], axis: Row) -> Row:
    held = Counter(row["standing"] for row in group)
    worst = min(group, key=lambda row: _WORST_OVER[row["standing"]])
    known = [(value, row["standing"]) for row in group if (value := sqnr_of(row)) is not None]
    lowest, pointed = min(known, default=(None, ""), key=lambda pair: (pair[0], _WORST_OVER[pair[1]]))
    return {
        "x": round(100 * place / count, 3),
        "w": round(100 / count, 3),
        "middle": round(100 * (place + 0.5) / count, 3),
        "position": worst["position"],
        "standing": worst["standing"],
        "cells": [{"standing": name, "top_px": lanes.index(name) * LANE_PX} for name in lanes if held[name]],
        "pointed": pointed,
        "y_px": None if lowest is None else _plot_y(lowest, axis["low"], axis["high"]),
        "label": _column_label(group, held, worst, lowest),
    }


def _column_label(group: list[Row], held: Counter[str], worst: Row, lowest: float | None) -> str:
    heard = "" if lowest is None else f", SQNR {decibel(lowest)} dB"
    if len(group) == 1:
        why = f" ({worst['reason']})" if worst["standing"] == "not_compared" and worst["reason"] else ""
        return f"{group[0]['index']} {shortened(group[0]['name'], 120)}: {WORDS[worst['standing']]}{why}{heard}"
    named = ", ".join(f"{held[name]} {WORDS[name]}" for name in STANDINGS if held[name])
    lowest_said = heard.replace("SQNR", "lowest SQNR")
    return (
        f"{group[0]['index']} to {group[-1]['index']}: {named}{lowest_said}; worst is {shortened(worst['name'], 120)}"
    )


# ------------------------------------------------------------------ time


def split_bar(time: Row) -> list[Row]:
    """Stacked parts of the end-to-end time in percent of the larger of it and the sum of parts."""
    parts = [part for part in time["split"] if (part["time_us"] or 0) > 0]
    total = sum(part["time_us"] for part in parts)
    place, segments = 0.0, []
    for part in parts:
        width = 100 * part["time_us"] / total
        segments.append({**part, "x": round(place, 3), "w": round(width, 3)})
        place += width
    return segments


MOST_SEGMENTS = 60


def waterfall(time: Row) -> Row | None:
    """Segments as bars on one time axis, in order; of many only the longest, and what is left out is counted."""
    segments = time["segments"]
    if not segments:
        return None
    end = max(row["start_us"] + max(row["time_us"] or 0, 0) for row in segments)
    longest = sorted(segments, key=lambda row: -(row["time_us"] or 0))[:MOST_SEGMENTS]
    kept = sorted(longest, key=lambda row: row["position"])
    shown_us = sum(row["time_us"] or 0 for row in kept)
    return {
        "rows": [_bar(row, end) for row in kept],
        "end_us": end,
        "ticks": ticks(end),
        "left_out": len(segments) - len(kept),
        "left_out_us": end - shown_us,
    }


def _bar(row: Row, end: float) -> Row:
    width = 100 * max(row["time_us"] or 0, 0) / end if end else 0.0
    return {**row, "x": round(100 * row["start_us"] / end, 3) if end else 0.0, "w": round(max(width, 0.15), 3)}


def ticks(end: float) -> list[Row]:
    """Four to seven round places on an axis from 0 to `end`."""
    if end <= 0:
        return []
    rough = end / 5
    power = 10 ** math.floor(math.log10(rough))
    step = min((factor * power for factor in (1, 2, 5, 10)), key=lambda size: abs(size - rough))
    return [{"value": step * n, "x": round(100 * step * n / end, 3)} for n in range(math.floor(end / step) + 1)]


# ------------------------------------------------------------------ the origin, closer

_HISTOGRAM_BINS = 41
HISTOGRAM_PX = 150


def histogram(pairs: list[list[int]]) -> Row | None:
    """Bars of log10(count) by difference in steps; wide ranges share bins, zero always has its own."""
    if not pairs:
        return None
    largest = max(abs(step) for step, _ in pairs)
    width = max(1, math.ceil(2 * largest / _HISTOGRAM_BINS))
    bins: Counter[int] = Counter()
    for step, count in pairs:
        bins[_bin(step, width)] += count
    reach = max(abs(_bin(largest, width)), 4)
    top = math.log10(max(bins.values()) + 1)
    columns = [_histogram_bar(place, bins[place], reach, top, width) for place in range(-reach, reach + 1)]
    return {
        "bars": [bar for bar in columns if bar["count"]],
        "reach": reach * width,
        "width": width,
        "px": HISTOGRAM_PX,
        "ticks": [
            {"value": 10**n, "y_px": round(HISTOGRAM_PX * (1 - math.log10(10**n + 1) / top), 1)}
            for n in range(0, math.floor(top) + 1, max(1, math.floor(top / 4)))
        ],
    }


def _bin(step: int, width: int) -> int:
    """Bins away from zero: 0 alone, then 1..width, width+1..2*width."""
    return int(math.copysign(math.ceil(abs(step) / width), step)) if step else 0


def _histogram_bar(place: int, count: int, reach: int, top: float, width: int) -> Row:
    slot = 100 / (2 * reach + 1)
    height = 0.0 if not count else max(2.0, HISTOGRAM_PX * math.log10(count + 1) / top)
    near, far = (abs(place) - 1) * width + 1, abs(place) * width
    sign = "\u2212" if place < 0 else "+"
    steps = "0" if not place else f"{sign}{far}" if near == far else f"{sign}{near} to {sign}{far}"
    return {
        "x": round(slot * (place + reach) + slot * 0.1, 3),
        "w": round(slot * 0.8, 3),
        "h_px": round(height, 1),
        "count": count,
        "zero": not place,
        "label": f"{steps}: {plain(count)}",
    }


_MAP_CELLS = 96
MAP_BOUNDS = (0.01, 0.1, 0.5)  # shares of a cell's elements: the same in every report, for two side by side


def error_map(picture: object) -> Row | None:
    """Runs of equal levels of a picture {"rows", "columns", "values", "axes"}; None where it is not such a picture.

    `values` are cells, `rows` and `columns` the tensor's own lengths, which several indices of a cell may share. Levels
    are 1 (up to 1 % of its elements differ) to 4 (more than half); 0 is equal. `say` tells where the differences lie.
    """
    values = _matrix(picture)
    if not values:
        return None
    largest = max(max(row) for row in values)
    levels = [[_level(value) for value in row] for row in values]
    axes = picture.get("axes") if isinstance(picture, dict) else None
    named = [str(axis) for axis in axes] if isinstance(axes, list) and len(axes) == 2 else ["rows", "columns"]
    sides = [_side(picture, "rows", len(levels)), _side(picture, "columns", len(levels[0]))]
    return {
        "runs": _runs(levels),
        "rows": len(levels),
        "columns": len(levels[0]),
        "sides": sides,
        "axes": named,
        "largest": largest,
        "say": _extent(levels, named, sides),
    }


def _side(picture: object, key: str, cells: int) -> int:
    """Length of the tensor along a side of the picture; cells where it is unknown."""
    size = whole(picture.get(key)) if isinstance(picture, dict) else None
    return size if size and size >= cells else cells


def _matrix(picture: object) -> list[list[float]]:
    """The numbers of a picture; [] unless it is a rectangle of 1 to 96 cells a side."""
    values = picture.get("values") if isinstance(picture, dict) else None
    if not isinstance(values, list) or not 0 < len(values) <= _MAP_CELLS:
        return []
    if not all(isinstance(row, list) and 0 < len(row) <= _MAP_CELLS for row in values):
        return []
    if len({len(row) for row in values}) != 1:
        return []
    return [[abs(finite(value) or 0.0) for value in row] for row in values]


def _level(value: float) -> int:
    return 1 + sum(value > bound for bound in MAP_BOUNDS) if value > 0 else 0


def _runs(levels: list[list[int]]) -> list[Row]:
    """Rectangles of one level, in cells: runs along a row, joined with the equal run above."""
    finished: list[Row] = []
    open_runs: dict[tuple[int, int, int], Row] = {}
    for y, row in enumerate(levels):
        edges = [0, *(n for n in range(1, len(row)) if row[n] != row[n - 1]), len(row)]
        segments = {}
        for x, end in pairwise(edges):
            if row[x]:
                key = (x, end, row[x])
                segments[key] = open_runs.get(key) or {"x": x, "y": y, "w": end - x, "h": 0, "level": row[x]}
                segments[key]["h"] += 1
        finished += [run for key, run in open_runs.items() if key not in segments]
        open_runs = segments
    return finished + list(open_runs.values())


def _extent(levels: list[list[int]], axes: list[str], sides: list[int]) -> str:
    touched_rows = [n for n, row in enumerate(levels) if any(row)]
    touched_columns = [n for n in range(len(levels[0])) if any(row[n] for row in levels)]
    if not touched_rows:
        return "no cell differs"
    down = _span(touched_rows, len(levels), axes[0], sides[0])
    across = _span(touched_columns, len(levels[0]), axes[1], sides[1])
    return f"differences at {down} and {across}"


def _span(touched: list[int], cells: int, axis: str, side: int) -> str:
    """Indices of the tensor that the touched cells cover: `W 79 of 80`, `H 8 to 15 of 80`, `every H`."""
    if len(touched) == cells:
        return f"every {shortened(axis, 30)}"
    first, last = touched[0] * side // cells, (touched[-1] + 1) * side // cells - 1
    extent = f"{first}" if first == last else f"{first} to {last}"
    gaps = "" if touched[-1] - touched[0] + 1 == len(touched) else ", with gaps,"
    return f"{shortened(axis, 30)} {extent}{gaps} of {side}"


# ------------------------------------------------------------------ telemetry

TELEMETRY_PX = 56
_SENSED = {
    "temperatures_c": "\u00b0C",
    "clocks_mhz": "MHz",
    "load_percent": "% load",
    "voltages_mv": "mV",
    "bandwidth_mib_s": "MiB/s",
    "memory_mib": "MiB",
    "power_mw": "mW",
}


def telemetry(samples: list[Row]) -> list[Row]:
    """One small line per thing sensed: name, unit, points (x in percent, y in pixels), lowest, highest, first, last."""
    named = dict.fromkeys((kind, name) for s in samples for kind in _SENSED for name in s[kind])
    timed = all(finite(sample["t_s"]) is not None for sample in samples)
    lines = [_series(samples, kind, name, timed) for kind, name in named]
    return [line for line in lines if line is not None]


def _series(samples: list[Row], kind: str, name: str, timed: bool) -> Row | None:
    known = [
        (float(s["t_s"]) if timed else float(place), value)
        for place, s in enumerate(samples)
        if (value := finite(s[kind].get(name))) is not None
    ]
    if len(known) < 2:
        return None
    values = [value for _, value in known]
    low, high, start, end = min(values), max(values), known[0][0], known[-1][0]
    points = [
        {"x": round(100 * (t - start) / ((end - start) or 1), 2), "y_px": _line_y(value, low, high)}
        for t, value in known
    ]
    return {
        "name": name,
        "unit": _SENSED[kind],
        "lines": [{"a": a, "b": b} for a, b in pairwise(points)],
        "low": low,
        "high": high,
        "first": values[0],
        "last": values[-1],
        "seconds": end - start if timed else None,
        "count": len(known),
    }


def _line_y(value: float, low: float, high: float) -> float:
    if high == low:
        return TELEMETRY_PX / 2
    return round(4 + (TELEMETRY_PX - 8) * (high - value) / (high - low), 1)


# ------------------------------------------------------------------ graph

MOST_BOXES = 5


def around(neighbours: Row | None) -> Row | None:
    """Two fans of edges, in percent: from the inputs' boxes to the op, from the op to its consumers' boxes."""
    if neighbours is None:
        return None
    above, below = neighbours["inputs"][:MOST_BOXES], neighbours["consumers"][:MOST_BOXES]
    return {
        "above": above,
        "op": neighbours["op"],
        "below": below,
        "edges_in": _fan(len(above)),
        "edges_out": _fan(len(below)),
        "more_above": len(neighbours["inputs"]) - len(above),
        "more_below": len(neighbours["consumers"]) - len(below),
    }


def _fan(count: int) -> list[float]:
    return [round(100 * (place + 0.5) / count, 2) for place in range(count)]
