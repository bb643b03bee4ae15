"""The profile runs of a run on one time axis."""

from __future__ import annotations

from collections.abc import Mapping

from harness.profiling.telemetry import senses_of_record
from harness.profiling.timeline import TimedRun, timeline
from harness.records import FrameTimeline, Latency, Run


def timeline_of(run: Run, latencies: Mapping[str, Latency | None]) -> FrameTimeline | None:
    """Frames and sensors of the profile runs, whose `latencies` are by mode; None where nothing is known over time."""
    senses = senses_of_record(run.telemetry)
    is_estimated = bool(run.profile and run.profile.estimated)  # then the modes lasted as long as this PC took
    lasted = {mode.mode: 0.0 if is_estimated else mode.duration_s or 0.0 for mode in run.modes}
    runs = [
        TimedRun(lasted.get(turn, 0.0), latency, tuple(one for one in senses if one.phase == turn))
        for turn, latency in latencies.items()
        if latency is not None
    ]
    known = run.profile.distribution if run.profile else None
    return timeline(runs, known.drift if known else None, is_estimated)
