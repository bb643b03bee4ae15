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


def timeline_drawing(timeline: Row | None) -> Row | None:
    """The bands of a profile's frames and sensors; {"bands", "seconds"}. None where nothing was seen over time."""
    if timeline is None or not timeline["series"]:
        return None
    end_s = max([timeline["duration_s"], *(one["points"][-1][0] for one in timeline["series"]), 1e-9])
    return {"bands": [_band(_in_ms(one), end_s) for one in timeline["series"]], "seconds": end_s}


def _in_ms(series: Row) -> Row:
    if series["unit"] != "us":
        return series | {"unit": {"C": "\u00b0C"}.get(series["unit"], series["unit"])}
    return series | {"unit": "ms", "points": [[at_s, value / 1000] for at_s, value in series["points"]]}


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
