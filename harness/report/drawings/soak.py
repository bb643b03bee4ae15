"""Everything of a soak on one time axis: a band per series, marks where outputs changed or a turn failed."""

from __future__ import annotations

from itertools import pairwise

from harness.report.values import Row

BAND_PX = 64
_PAD_PX = 6
MOST_POINTS = 500  # of a band


def soak_drawing(soak: Row | None) -> Row | None:
    """{"bands", "marks", "hours"}; places across are percent of the time, up are pixels of a band."""
    if soak is None or not soak["series"]:
        return None
    end_s = max([one["points"][-1][0] for one in soak["series"]] + [1e-9])
    marks = [round(100 * soak["stretches"][place]["at_s"] / end_s, 2) for place in soak["bad"]]
    return {"bands": [_band(one, end_s) for one in soak["series"]], "marks": marks[:MOST_POINTS], "hours": end_s / 3600}


def _band(series: Row, end_s: float) -> Row:
    points = series["points"]
    values = [value for _, value in points]
    low, high = min(values), max(values)
    room = BAND_PX - 2 * _PAD_PX
    step = max(1, len(points) // MOST_POINTS)
    shown = [
        (100 * at_s / end_s, _PAD_PX + room * ((high - value) / (high - low) if high > low else 0.5))
        for at_s, value in points[::step]
    ]
    lines = [(*a, *b) for a, b in pairwise(shown)]
    return {
        "name": series["name"],
        "unit": series["unit"],
        "lines": [[round(place, 2) for place in line] for line in lines],
        "low": low,
        "high": high,
        "first": values[0],
        "last": values[-1],
    }
