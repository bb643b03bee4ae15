"""The origin from near: both sides and their difference on fixed scales, every axis on one, as cells and bars."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from harness.report.tables.times import finite
from harness.report.values import Row, plain, scientific, share, shortened

STEPS = (1.0, 4.0, 16.0)  # up to which a difference has the first, second and third level; the fourth is beyond
_OF_RANGE = 255.0  # of values without steps: the reference's range is taken as so many
_SHADES = 5  # of a value between the lowest and the highest of the reference
BARS_PX = 64
_MOST = 64  # cells along a side, as they are recorded at most


def near_drawing(near: Row | None) -> Row | None:
    """Three panes of cells, with words for their scales; None where there is no such map."""
    if not near:
        return None
    grids = {key: _grid(near.get(key)) for key in ("reference", "board", "difference")}
    if not all(grids.values()) or len({(len(grid), len(grid[0])) for grid in grids.values()}) != 1:
        return None
    low, high = finite(near.get("low")), finite(near.get("high"))
    step = 1.0 if near.get("unit") == "steps" else ((high or 0.0) - (low or 0.0)) / _OF_RANGE or 1.0
    values = [(key, grids[key], lambda value: _shade(value, low, high)) for key in ("reference", "board")]
    panes = [_pane(key, grid, level) for key, grid, level in values]
    panes.append(_pane("difference", grids["difference"], lambda value: _signed(value, step)))
    axes = [shortened(axis, 30) for axis in near.get("axes") or ("rows", "columns")]
    return {
        "panes": panes,
        "rows": len(grids["board"]),
        "columns": len(grids["board"][0]),
        "where": shortened(near.get("where"), 80),
        "axes": axes,
        "sides": [near.get("rows"), near.get("columns")],
        "low": plain(low),
        "high": plain(high),
        "unit": "steps" if near.get("unit") == "steps" else "",
        "bounds": [plain(bound) if step == 1.0 else scientific(bound * step) for bound in STEPS],
        "most": plain(
            max((abs(value) for row in grids["difference"] for value in row if value is not None), default=0)
        ),
    }


Grid = list[list[float | None]]


def _grid(values: Any) -> Grid:
    """A rectangle of figures; [] for anything else."""
    if not isinstance(values, list) or not 0 < len(values) <= _MOST:
        return []
    rows = [[finite(value) for value in row] for row in values if isinstance(row, list) and 0 < len(row) <= _MOST]
    return rows if len(rows) == len(values) and len({len(row) for row in rows}) == 1 else []


def _shade(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "x"
    if low is None or high is None or high <= low:
        return "1"
    return str(max(0, min(_SHADES - 1, int(_SHADES * (value - low) / (high - low)))))


def _signed(value: float | None, step: float) -> str:
    if value is None:
        return "x"
    if not value:
        return "0"
    return f"{'m' if value < 0 else 'p'}{1 + sum(abs(value) > bound * step * (1 + 1e-9) for bound in STEPS)}"


def _pane(sort: str, grid: Grid, level: Any) -> Row:
    """Cells of one level as one path."""
    paths: dict[str, list[str]] = {}
    for y, row in enumerate(grid):
        levels = [level(value) for value in row]
        edges = [0, *(n for n in range(1, len(row)) if levels[n] != levels[n - 1]), len(row)]
        for x, end in pairwise(edges):
            if levels[x] != "0":
                paths.setdefault(levels[x], []).append(f"M{x} {y}h{end - x}v1h{x - end}z")
    return {"sort": sort, "paths": [{"level": name, "d": "".join(parts)} for name, parts in sorted(paths.items())]}


def profile_drawings(axes: Any) -> list[Row]:
    """Bars of each axis, all on one scale that ends at the largest share."""
    rows = [axis for axis in axes or () if axis["shares"]]
    most = max((finite(one) or 0.0 for axis in rows for one in axis["shares"]), default=0.0)
    return [_profile(axis, most) for axis in rows] if most > 0 else []


def _profile(axis: Row, most: float) -> Row:
    shares = [min(max(finite(one) or 0.0, 0.0), most) for one in axis["shares"][:_MOST]]
    heights = [round((BARS_PX - 4) * one / most, 1) for one in shares]
    bars = "".join(f"M{n} {BARS_PX}v-{max(height, 1)}h1V{BARS_PX}z" for n, height in enumerate(heights) if height)
    worst = [
        f"{one['index']} ({share(one['mismatched'] / one['elements'] if one['elements'] else None)})"
        for one in axis["worst"]
    ]
    return {
        "axis": shortened(axis["axis"], 30),
        "length": axis["length"],
        "count": len(shares),
        "bars": bars,
        "most": share(most),
        "worst": ", ".join(worst),
    }
