"""A sweep's run folder -> one point per setting, which of them is best for what is wanted, and the word on it.

A frame's latency is the median where the tool tells enough for one, else the mean; a rate is the tool's own frames per
second, else frames over the time of the loop. A setting that failed keeps what it failed of and is never a candidate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import COULD_NOT_MEASURE, GOOD, MEASURED_BAD
from harness.platforms.base import Platform
from harness.platforms.emulated import band_of, latency_is_estimated
from harness.profiling.distribution import distribution, merged
from harness.profiling.telemetry import hottest, senses_of_record
from harness.records import Failure, Latency, Run, Setting, Sweep, SweepPlan, SweepPoint, Verdict
from harness.review.judge import RunReader
from harness.runs import folder as store
from harness.runs import resume

TIE = 0.01  # of a rate or a latency: two settings closer than this are told apart by the other figure


def judge_sweep(folder: Path, platform: Platform, plan: SweepPlan, rounds: int) -> Run:
    """Read what the settings gave and write it into run.json, whole or as far as the sweep came. Returns the run."""
    run = store.load_run(folder)
    store.check_names(run, folder / "run.json")
    reader = RunReader(platform, folder, {mode.mode: mode for mode in run.modes})
    points = [_point(reader, run, setting, setting.modes(n, rounds)) for n, setting in enumerate(plan.settings)]
    run = replace(run, sweep=chosen(with_front(points), plan))
    if run.state == "complete":
        run = replace(run, verdict=word_on(run.sweep or Sweep()))
        resume.drop(folder)
    store.save_run(folder, run)
    return run


# --------------------------------------------------------------------------- one setting


def _point(reader: RunReader, run: Run, setting: Setting, names: Sequence[str]) -> SweepPoint:
    timed = [(name, latency) for name in names if reader.worked(name) and (latency := reader.latency(name)) is not None]
    failure = next((f for name in names if name in reader.modes and (f := reader.modes[name].failure)), None)
    senses = [sense for sense in senses_of_record(run.telemetry) if sense.phase in names]
    heat = hottest(senses)
    point = SweepPoint(setting, tuple(names), hottest_c=heat[1] if heat else None, failure=failure)
    if not timed:
        return point if failure or names[0] not in reader.modes else replace(point, failure=_NO_LATENCY)
    estimated = any(latency_is_estimated(reader.folder / name) for name, _ in timed)
    point = _with_latency(point, merged([latency for _, latency in timed]))
    band = band_of(reader.folder / timed[0][0], point.usual_us or 0.0) if estimated else None
    return replace(point, estimated=estimated, band=band)


_NO_LATENCY = Failure("garbage", "the tool ended without an error and told no latency", "see its log in the run folder")


def _with_latency(point: SweepPoint, latency: Latency) -> SweepPoint:
    known = distribution(latency)
    return replace(
        point,
        usual_us=known.median_us if known else latency.mean_us,
        low_us=known.low_us if known else None,
        high_us=known.high_us if known else None,
        basis=known.basis if known else "",
        min_us=latency.min_us,
        max_us=latency.max_us,
        fps=rate_of(latency),
        frames=latency.frames,
        problems=latency.problems,
    )


def rate_of(latency: Latency) -> float | None:
    """Frames per second: the tool's own figure, else of the whole loop; None where neither is told."""
    if latency.fps is not None:
        return latency.fps
    if latency.frames and latency.total_us:
        return latency.frames / (latency.total_us / 1e6)
    return None


# --------------------------------------------------------------------------- all of them


def with_front(points: Sequence[SweepPoint]) -> tuple[SweepPoint, ...]:
    """The points with `is_on_front` where none is better in one figure by more than TIE and as good in the other."""
    measured = [(p.usual_us, p.fps) for p in points if p.usual_us is not None and p.fps is not None and not p.failure]
    return tuple(
        replace(point, is_on_front=_is_on_front(point, measured)) if point.usual_us is not None else point
        for point in points
    )


def _is_on_front(point: SweepPoint, measured: Sequence[tuple[float, float]]) -> bool:
    own_us, own_fps = point.usual_us, point.fps
    if own_us is None or own_fps is None or point.failure:
        return False
    as_good = [(us, fps) for us, fps in measured if us <= own_us and fps >= own_fps * (1 - TIE)]
    return not any(us < own_us * (1 - TIE) or fps > own_fps * (1 + TIE) for us, fps in as_good)


def chosen(points: Sequence[SweepPoint], plan: SweepPlan) -> Sweep:
    """The sweep with its best setting.

    Under a wanted latency: the highest rate, among equal rates the lowest latency, then the fewest threads. Under a
    wanted rate alone: the lowest latency, then the highest rate, then the fewest threads.
    """
    sweep = Sweep(tuple(points), plan.latency_us, plan.fps)
    fitting = [n for n, point in enumerate(points) if fits(point, plan.latency_us, plan.fps)]
    if not fitting or (plan.latency_us is None and plan.fps is None):
        return sweep
    rates = {n: points[n].fps or 0.0 for n in fitting}
    times = {n: points[n].usual_us or 0.0 for n in fitting}
    if plan.latency_us is not None:
        close = [n for n in fitting if rates[n] >= max(rates.values()) * (1 - TIE)]
        best = min(close, key=lambda n: (times[n], points[n].setting.threads, n))
        return replace(sweep, best=best, why_best="highest rate of those that meet the goal")
    close = [n for n in fitting if times[n] <= min(times.values()) * (1 + TIE)]
    best = min(close, key=lambda n: (-rates[n], points[n].setting.threads, n))
    return replace(sweep, best=best, why_best="lowest latency of those that meet the goal")


def fits(point: SweepPoint, latency_us: float | None, fps: float | None) -> bool:
    """Whether a point was measured and has what is wanted; a figure that is not known meets no goal."""
    if point.failure or point.usual_us is None:
        return False
    is_fast = latency_us is None or point.usual_us <= latency_us
    return is_fast and (fps is None or (point.fps is not None and point.fps >= fps))


def word_on(sweep: Sweep) -> Verdict:
    """The word on a whole sweep. A goal that no measured setting meets is missed only where all were measured."""
    measured = [point for point in sweep.points if point.usual_us is not None and not point.failure]
    failed = [point for point in sweep.points if point.failure]
    count = f"{len(measured)} of {len(sweep.points)} settings measured"
    words = f"{count}, {len(failed)} failed" if failed else count
    if not measured:
        return Verdict("not_measured", f"{words}: {_first_failure(failed)}", COULD_NOT_MEASURE)
    wanted = goal(sweep)
    if not wanted:
        return Verdict("swept", words, GOOD)
    if sweep.best is not None:
        best = sweep.points[sweep.best]
        return Verdict("goal_met", f"{wanted}: {best.setting.label}{_unsure(best, sweep)}; {words}", GOOD)
    if failed:
        detail = f"{wanted}: no setting that was measured meets it; {words}: {_first_failure(failed)}"
        return Verdict("not_measured", detail, COULD_NOT_MEASURE)
    return Verdict("goal_missed", f"{wanted}: no setting meets it; {words}", MEASURED_BAD)


def _unsure(best: SweepPoint, sweep: Sweep) -> str:
    """That an estimate meets the goal, but not all of its band does; "" where it does, or nothing is known."""
    rates = best.fps_bounds
    if best.band is None or rates is None:
        return " (an estimate)" if best.estimated else ""
    is_slow = sweep.latency_us is not None and best.band.high_us > sweep.latency_us
    is_rare = sweep.fps is not None and rates[0] < sweep.fps
    return " (an estimate, whose band reaches beyond the goal)" if is_slow or is_rare else " (an estimate)"


def _first_failure(failed: Sequence[SweepPoint]) -> str:
    """What the first setting failed of."""
    first = failed[0].failure if failed else None
    return f"{failed[0].setting.label}: {first.message}" if first else "none was reached"


def goal(sweep: Sweep) -> str:
    """`at most 5 ms and at least 200 frames/s`; "" where nothing is wanted."""
    parts = [f"at most {sweep.latency_us / 1000:g} ms"] if sweep.latency_us is not None else []
    parts += [f"at least {sweep.fps:g} frames/s"] if sweep.fps is not None else []
    return " and ".join(parts)
