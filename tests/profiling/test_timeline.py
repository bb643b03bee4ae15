"""Frames and sensors on one axis: where they lie, what is said of what moved together, and what is not known."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.profiling import profile
from harness.profiling.telemetry import Sense, sample_of
from harness.profiling.timeline import FRAME, MOST_POINTS, SLOWEST, TimedRun, timeline
from harness.records import Latency, ModeOfRun, Run, Telemetry
from harness.records.codec import to_json
from harness.report.page import render
from harness.report.tables.run import tables
from harness.review.timeline import timeline_of


def sense(t_s: float, cpu_c: float, mhz: float, phase: str = "profile") -> Sense:
    return Sense(t_s=t_s, phase=phase, temperatures_c={"cpu": cpu_c}, clocks_mhz={"bpu0": mhz})


HOT = tuple(sense(1000.0 + n, 48.0 + n, 1000.0 if n < 8 else 800.0) for n in range(11))
SLOWING = Latency(1000.0, threads=1, samples_us=tuple(10_000.0 if n < 600 else 12_500.0 for n in range(840)))


def test_frames_and_sensors_lie_on_one_axis_and_what_moved_is_said() -> None:
    """9 s of frames at the end of a run of 10 s; the clock drops 8 s in, the frames slow down 7 s in."""
    line = timeline([TimedRun(10.0, SLOWING, HOT)], 0.25, False)
    assert line is not None and line.duration_s == 10.0
    series = {one.name: one for one in line.series}
    frames = series[FRAME].points
    assert frames[0][0] == pytest.approx(1.03, abs=0.02) and frames[-1][0] == pytest.approx(10.0, abs=0.01)
    assert next(t for t, us in frames if us > 12_000) == pytest.approx(7.0, abs=0.05)
    assert series["cpu"].points[0] == (0.0, 48.0) and series["bpu0"].points[-1] == (10.0, 800.0)
    assert line.sentence == "latency drift +25.0%; meanwhile cpu 48 to 58 C, bpu0 between 800 and 1000 MHz"
    steady = timeline([TimedRun(10.0, SLOWING, (sense(0.0, 50.0, 800.0), sense(5.0, 50.5, 801.0)))], 0.25, False)
    assert steady is not None and steady.sentence == "latency drift +25.0%; meanwhile no sensor moved"


def test_a_slow_frame_among_many_is_not_lost_in_the_medians() -> None:
    frames = [1000.0] * 10_000
    frames[6001] = 50_000.0
    line = timeline([TimedRun(10.1, Latency(1000.0, samples_us=tuple(frames)))], None, True)
    assert line is not None and line.estimated
    series = {one.name: one.points for one in line.series}
    assert len(series[FRAME]) <= MOST_POINTS and max(us for _, us in series[FRAME]) == 1000.0
    assert max(us for _, us in series[SLOWEST]) == 50_000.0


def test_rounds_follow_each_other_and_a_tool_without_frames_gives_a_point_each() -> None:
    runs = [TimedRun(2.0, Latency(us), (sense(at, 50.0, 1.0), sense(at + 1.9, 50.0, 1.0)))
            for us, at in ((1000.0, 100.0), (1100.0, 130.0))]  # fmt: skip
    line = timeline(runs, None, False)
    assert line is not None and line.duration_s == 32.0
    series = {one.name: one.points for one in line.series}
    assert series[FRAME] == ((1.0, 1000.0), (31.0, 1100.0)) and [t for t, _ in series["cpu"]] == [0.0, 1.9, 30.0, 31.9]


def test_one_mean_alone_or_damaged_figures_are_no_series() -> None:
    assert timeline([TimedRun(2.0, Latency(1000.0))], None, False) is None
    assert timeline([], 0.5, False) is None
    broken = Latency(float("nan"), samples_us=(float("inf"), float("nan")))
    assert timeline([TimedRun(0.0, broken, (Sense(), Sense(temperatures_c={"cpu": 1.0})))], None, False) is None
    alone = timeline([TimedRun(2.0, Latency(1000.0), HOT)], None, False)
    assert alone is not None and "prints no time of single frames" in alone.notes[0]


def test_a_run_keeps_it_and_its_page_shows_the_sensors_beneath_the_frames(tmp_path: Path) -> None:
    telemetry = Telemetry(tuple(sample_of(one) for one in (*HOT, sense(2000.0, 99.0, 1.0, "after"))))
    run = Run(state="complete", telemetry=telemetry, modes=(ModeOfRun("profile", duration_s=10.0),))
    line = timeline_of(run, {"profile": SLOWING, "profile-2": None})
    assert line is not None
    run = Run(state="complete", profile=profile(SLOWING, ()), telemetry=telemetry, timeline=line)
    kept = {one["name"]: one["points"] for one in to_json(run)["timeline"]["series"]}
    assert kept["cpu"][0] == [0.0, 48.0] and len(kept[FRAME]) > 100
    assert max(value for one in line.series if one.unit == "C" for _, value in one.points) == 58.0  # not "after"
    assert tables(run)["timeline"]["duration_s"] == 10.0
    page = render(run)
    assert (
        ">Over time" in page and page.index(FRAME) < page.index("<b>cpu</b>") and "Sensors during the run" not in page
    )
