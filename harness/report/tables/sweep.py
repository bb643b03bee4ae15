"""A sweep as a table: a row per setting in the order it ran, with the best one marked."""

from __future__ import annotations

from collections.abc import Sequence

from harness.records import Run, SweepPoint
from harness.records.codec import to_json
from harness.report.tables.times import NO_BAND, finite
from harness.report.values import DASH, Row, place_in, plain, shortened, tenths, time_us

MOST_BANDS = 3  # in words: settings differ in the share of the CPU
COLUMNS = ("#", "setting", "latency", "band", "slowest", "frames/s", "frames", "note")


def sweep_table(run: Run) -> Row | None:
    """{"points", "latency_us", "fps", "best", "why_best", "goal", "estimated"}; None for a run that is no sweep."""
    sweep = run.sweep
    if sweep is None:
        return None
    best = place_in(sweep.points, sweep.best)
    points = [_point(point, place, place == best) for place, point in enumerate(sweep.points)]
    return {
        "points": points,
        "latency_us": sweep.latency_us,
        "fps": sweep.fps,
        "best": best,
        "why_best": sweep.why_best,
        "estimated": any(point["estimated"] for point in points),
        "band": _band_words(sweep.points),
        "rounds": max((len(point.modes) for point in sweep.points), default=0),
    }


def _band_words(points: Sequence[SweepPoint]) -> str:
    """Of what the bands are, once for all settings; "" where all was measured."""
    shares = {(point.band.share, point.band.of) for point in points if point.band}
    sentences = [f"{share * 100:.0f} % of {shortened(of, 200)}" for share, of in sorted(shares)]
    if not sentences:
        return NO_BAND if any(point.estimated for point in points) else ""
    return "; ".join(sentences[:MOST_BANDS])


def _point(point: SweepPoint, place: int, best: bool) -> Row:
    row: Row = to_json(point)
    figures = ("usual_us", "low_us", "high_us", "min_us", "max_us", "fps", "hottest_c")
    return (
        row
        | {key: finite(getattr(point, key)) for key in figures}
        | {
            "number": place + 1,
            "label": point.setting.label,
            "best": best,
            "band": to_json(point.band),
            "fps_bounds": list(point.fps_bounds) if point.fps_bounds else None,
            "note": _note(point, best),
        }
    )


def _note(point: SweepPoint, best: bool) -> str:
    if point.failure:
        evidence = f" ({point.failure.evidence})" if point.failure.evidence else ""
        return f"failed: {point.failure.message}{evidence}"
    if point.usual_us is None:
        return "not reached"
    words = ["best"] if best else ["Pareto front"] if point.is_on_front else []
    words += [f"{point.hottest_c:g} C"] if point.hottest_c is not None else []
    return ", ".join([*words, *(["estimated"] if point.estimated else []), *point.problems[:1]])


def cells(row: Row) -> tuple[str, ...]:
    """A row in words, in the order of COLUMNS; the latency with its interval where there is one of 95 %."""
    return (
        plain(row["number"]),
        row["label"],
        latency_words(row),
        f"{time_us(row['band']['low_us'])} to {time_us(row['band']['high_us'])}" if row["band"] else DASH,
        DASH if row["max_us"] is None else time_us(row["max_us"]),
        DASH if row["fps"] is None else tenths(row["fps"]),
        DASH if row["frames"] is None else plain(row["frames"]),
        row["note"],
    )


def latency_words(row: Row) -> str:
    """`4.2 ms (4.1 ms to 4.3 ms)`; a median between bounds, or a mean, stands alone."""
    if row["usual_us"] is None:
        return DASH
    if row["basis"] not in ("frames", "rounds"):
        return time_us(row["usual_us"])
    return f"{time_us(row['usual_us'])} ({time_us(row['low_us'])} to {time_us(row['high_us'])})"
