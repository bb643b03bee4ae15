"""A soak as a table: a row per turn, and series over its time."""

from __future__ import annotations

from collections.abc import Callable

from harness.records import Run, Soak, SoakStretch
from harness.records.codec import to_json
from harness.report.tables.times import finite
from harness.report.values import Row, place_in

MOST_ROWS = 400  # of the page's table: turns that differ or failed, the first and last ones, and every n-th


def soak_table(run: Run) -> Row | None:
    """{"stretches", "series", "first_bad", "drift", ...}; None for a run that is no soak."""
    soak = run.soak
    if soak is None:
        return None
    row: Row = to_json(soak)
    return row | {
        "stretches": [_stretch(one, place) for place, one in enumerate(soak.stretches)],
        "series": _series(soak),
        "first_bad": place_in(soak.stretches, soak.first_bad),
        "first_failure": place_in(soak.stretches, soak.first_failure),
        "bad": [place for place, one in enumerate(soak.stretches) if one.differing or one.failure],
    }


def _stretch(one: SoakStretch, place: int) -> Row:
    row: Row = to_json(one)
    return row | {
        "number": place + 1,
        "usual_us": finite(one.usual_us),
        "max_us": finite(one.max_us),
        "hottest_c": max(one.temperatures_c.values(), default=None),
        "note": one.failure.message if one.failure else _outputs(one.differing),
    }


def _outputs(differing: tuple[str, ...] | None) -> str:
    if differing is None:
        return "outputs not compared"
    return f"outputs differ: {', '.join(differing[:3])}" if differing else "outputs equal"


def _series(soak: Soak) -> list[Row]:
    """Name, unit and (seconds, value) of everything that was seen at least twice."""
    kinds: list[tuple[str, str, Callable[[SoakStretch], float | None]]] = [
        ("latency of a frame", "ms", lambda one: None if one.usual_us is None else one.usual_us / 1000),
        ("slowest frame", "ms", lambda one: None if one.max_us is None else one.max_us / 1000),
        ("frames per second", "", lambda one: one.fps),
        ("memory available, least", "MB", lambda one: _megabytes(one.memory_available_bytes)),
    ]
    for name in dict.fromkeys(name for one in soak.stretches for name in one.temperatures_c):
        kinds.append((f"{name}, highest", "\u00b0C", lambda one, name=name: one.temperatures_c.get(name)))  # type: ignore[misc]
    for name in dict.fromkeys(name for one in soak.stretches for name in one.clocks_mhz):
        kinds.append((f"{name}, lowest", "MHz", lambda one, name=name: one.clocks_mhz.get(name)))  # type: ignore[misc]
    rows = []
    for name, unit, value_of in kinds:
        points = [[one.at_s, value] for one in soak.stretches if (value := finite(value_of(one))) is not None]
        if len(points) > 1:
            rows.append({"name": name, "unit": unit, "points": points})
    return rows


def _megabytes(size: float | None) -> float | None:
    return None if size is None else size / 1e6
