"""Frames and sensors of the profile runs on one axis: does the latency move with the temperature, or the clock?

A tool prints its frames' times without saying when its loop began. The loop ends with the tool, so the frames are laid
back from the end of the run; the tool's own start and end are a second or less. Sensors have the board's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import isfinite
from statistics import median

from harness.profiling.telemetry import Sense
from harness.records import FrameTimeline, Latency, TimedSeries

MOST_POINTS = 400  # of one series of a run; more frames are medians of neighbours
MOST_SERIES = 40
UNITS = {
    "temperatures_c": "C",
    "clocks_mhz": "MHz",
    "load_percent": "%",
    "bandwidth_mib_s": "MiB/s",
    "memory_mib": "MiB",
    "power_mw": "mW",
    "voltages_mv": "mV",
}
SAME = 0.02  # a figure that moved by less than this did not move
WARMER_C = 2.0
FRAME, SLOWEST = "latency of a frame", "slowest frame"


@dataclass(frozen=True)
class TimedRun:
    """One profile run: how long the tool ran, its latency, what was sensed meanwhile."""

    duration_s: float
    latency: Latency
    senses: tuple[Sense, ...] = ()


def timeline(runs: Sequence[TimedRun], drift: float | None, estimated: bool) -> FrameTimeline | None:
    """The series of all runs one after another; None where neither frames nor sensors tell anything over time."""
    points: dict[tuple[str, str], list[tuple[float, float]]] = {}
    first = next((start for run in runs if (start := _start(run)) is not None), None)
    end_s = 0.0
    for run in runs:
        start = _start(run)
        at_s = end_s if start is None or first is None else max(end_s, start - first)
        for key, series in _of_frames(run) + _of_sensors(run):
            points.setdefault(key, []).extend((round(at_s + t, 4), value) for t, value in series)
        end_s = at_s + max([run.duration_s, _loop_s(run.latency)])
    kept = [TimedSeries(*key, tuple(series)) for key, series in points.items() if len(series) > 1]
    if not kept:
        return None
    return FrameTimeline(round(end_s, 4), tuple(kept[:MOST_SERIES]), _sentence(kept, drift), estimated, _notes(kept))


def _start(run: TimedRun) -> float | None:
    return run.senses[0].t_s if run.senses else None


def _loop_s(latency: Latency) -> float:
    return (latency.total_us or sum(latency.samples_us) / max(1, latency.threads or 1)) / 1e6


Points = list[tuple[tuple[str, str], list[tuple[float, float]]]]


def _of_frames(run: TimedRun) -> Points:
    values = [value for value in run.latency.samples_us if isfinite(value)]
    if not values:
        whole = run.latency.mean_us  # one point of a run whose tool prints no frames
        return [((FRAME, "us"), [(max(run.duration_s, _loop_s(run.latency)) / 2, whole)])] if isfinite(whole) else []
    loop_s = _loop_s(run.latency)
    stretch = loop_s / (sum(values) / 1e6) if sum(values) > 0 else 0.0
    ends_s = [stretch * end / 1e6 for end in accumulate(values)]
    start_s = max(0.0, run.duration_s - loop_s)
    size = -(-len(values) // MOST_POINTS)
    parts = [range(place, min(place + size, len(values))) for place in range(0, len(values), size)]
    usual = [(start_s + ends_s[part[-1]], median(values[n] for n in part)) for part in parts]
    slow = [(start_s + ends_s[part[-1]], max(values[n] for n in part)) for part in parts]
    return [((FRAME, "us"), usual), *([((SLOWEST, "us"), slow)] if size > 1 else [])]


def _of_sensors(run: TimedRun) -> Points:
    start = _start(run)
    timed = [(sense.t_s - start, sense) for sense in run.senses if sense.t_s is not None] if start is not None else []
    step = -(-len(timed) // MOST_POINTS) or 1
    names = dict.fromkeys((kind, name) for _, sense in timed for kind in UNITS for name in getattr(sense, kind))
    return [
        (
            (name, UNITS[kind]),
            [(t, getattr(sense, kind)[name]) for t, sense in timed[::step] if name in getattr(sense, kind)],
        )
        for kind, name in names
    ]


def _notes(series: Sequence[TimedSeries]) -> tuple[str, ...]:
    has_frames = any(one.name == FRAME for one in series)
    return () if has_frames else ("the tool prints no time of single frames: only what the board sensed is shown",)


def _sentence(series: Sequence[TimedSeries], drift: float | None) -> str:
    """`latency drift +6.0 %; meanwhile cpu 48 to 63 C, bpu0 1000 to 800 MHz`; "" where nothing moved."""
    moved = [words for one in series if (words := _moved(one))]
    drifts = f"latency drift {drift:+.1%}" if drift is not None and abs(drift) >= SAME else ""
    if not drifts and not moved:
        return ""
    return f"{drifts or 'no latency drift'}; meanwhile {', '.join(moved) if moved else 'no sensor moved'}"


def _moved(series: TimedSeries) -> str:
    """First and last value of a temperature, or the range of a clock, that moved."""
    values = [value for _, value in series.points]
    if series.unit == "C" and abs(values[-1] - values[0]) >= WARMER_C:
        return f"{series.name} {values[0]:g} to {values[-1]:g} C"
    if series.unit == "MHz" and max(values) - min(values) > SAME * max(values):
        return f"{series.name} between {min(values):g} and {max(values):g} MHz"
    return ""
