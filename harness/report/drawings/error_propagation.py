"""Error propagation along the network: relative L2 per layer, in the run and of its op alone. Pure geometry."""

from __future__ import annotations

import math
from itertools import pairwise

from harness.report.drawings.drawings import MOST_COLUMNS
from harness.report.values import Row, number, plain, scientific, shortened

PLOT_PX = 150
_TOP_PX, _LOG_BOTTOM_PX, _ZERO_PX = 14, 112, 138  # a row of its own for what is equal: a logarithm has no zero


def propagation_drawing(layers: list[Row]) -> Row | None:
    """Columns, their points and ticks; None where fewer than two compared layers differ in a figure.

    A column of several layers shows the largest of each. What is not finite stands on the upper edge.
    """
    compared = [row for row in layers if row["elements"] is not None]
    figures = [value for row in compared for value in (_run(row), _alone(row)) if value and math.isfinite(value)]
    if sum(bool(_run(row)) for row in compared) < 2 or not figures:
        return None
    low, high = math.floor(math.log10(min(figures))), math.ceil(math.log10(max(figures)))
    low, high = min(low, high - 1), max(high, low + 1)
    width = math.ceil(len(compared) / MOST_COLUMNS)
    groups = [compared[start : start + width] for start in range(0, len(compared), width)]
    columns = [_column(group, place, len(groups), low, high) for place, group in enumerate(groups)]
    peak = max(compared, key=lambda row: _run(row) or 0.0)
    return {
        "columns": columns,
        "lines": _lines(columns),
        "ticks": _ticks(low, high),
        "px": PLOT_PX,
        "zero_px": _ZERO_PX,
        "per_column": width,
        "alone": any(column["alone_px"] is not None for column in columns),
        "peak": peak,
    }


def _run(row: Row) -> float | None:
    """Relative L2 in the run: 0 for a pair that is equal, infinite where it has NaN, None where undefined."""
    return _figure(row)


def _alone(row: Row) -> float | None:
    return _figure(row["alone"]) if row["alone"] else None


def _figure(row: Row) -> float | None:
    figure = math.inf if row["finite_only"] else number(row["relative_l2"])
    if figure is None:
        return 0.0 if row["mismatched"] == 0 else None
    return math.inf if math.isnan(figure) else figure if figure >= 0 else None  # a length below 0 is damage


def _ticks(low: int, high: int) -> list[Row]:
    step = max(1, math.ceil((high - low) / 5))
    return [{"label": f"1e{power}", "y_px": _place(10.0**power, low, high)} for power in range(low, high + 1, step)]


def _place(value: float, low: int, high: int) -> float:
    if value == 0:
        return _ZERO_PX
    if not math.isfinite(value):
        return 4
    share = (high - math.log10(value)) / (high - low)
    return round(_TOP_PX + (_LOG_BOTTOM_PX - _TOP_PX) * share, 1)


def _column(group: list[Row], place: int, count: int, low: int, high: int) -> Row:
    runs = [(value, row) for row in group if (value := _run(row)) is not None]
    alone = [value for row in group if (value := _alone(row)) is not None]
    largest, shown = max(runs, key=lambda pair: pair[0], default=(None, group[0]))
    return {
        "x": round(100 * (place + 0.5) / count, 3),
        "y_px": None if largest is None else _place(largest, low, high),
        "alone_px": _place(max(alone), low, high) if alone else None,
        "standing": shown["standing"],
        "position": shown["position"],
        "label": _label(shown, largest, max(alone, default=None)),
    }


def _label(row: Row, largest: float | None, alone: float | None) -> str:
    by_itself = "" if alone is None else f", alone {_shown(alone)}"
    return f"{plain(row['index'])} {shortened(row['name'], 120)}: relative L2 {_shown(largest)}{by_itself}"


def _shown(value: float | None) -> str:
    return "not finite" if value == math.inf else scientific(value)


def _lines(columns: list[Row]) -> list[Row]:
    """Between neighbours that both have a point."""
    return [{"a": a, "b": b} for a, b in pairwise(columns) if a["y_px"] is not None and b["y_px"] is not None]
