"""`harness soak`: one model on one board for hours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from harness.cli.common import FiniteRange
from harness.cli.series.measuring import (
    answer,
    case_of_series,
    given_series,
    length_options,
    measured,
    series_options,
)
from harness.errors import COULD_NOT_MEASURE, InputError
from harness.platforms.base import Platform
from harness.records import Case, Run, SoakPlan

EPILOG = """\b
Examples:
  harness soak model.bin --board x5-01 --hours 8
  harness soak model.bin --board x5-01 --hours 2 --max-drift 5 --beside 'ros2 launch camera camera.launch.py'
  harness soak --resume runs/model/x5-01/20261120T091400Z

\b
Exit codes: 0 steady; 1 an output changed, a turn failed, or more drift than allowed; 2 usage error;
3 could not measure.
"""
TURN_S = 60.0  # of one profile run: the shortest that every tool of Horizon's kind takes


@click.command(name="soak", epilog=EPILOG)
@series_options
@click.option(
    "--hours", type=FiniteRange(0, min_open=True), default=1.0, show_default=True, metavar="H", help="How long."
)
@length_options("turn", default="60 seconds of them.")
@click.option("--threads", metavar="N", default=1, show_default=True, type=click.IntRange(1), help="Threads.")
@click.option("--core", metavar="N", default="0", show_default=True, help="Accelerator core; 0: chosen by the runtime.")
@click.option(
    "--max-drift",
    "max_drift_percent",
    type=FiniteRange(0),
    metavar="PERCENT",
    help="Exit 1 if the latency rises by more than PERCENT from the first to the last quarter.",
)
def command(
    hours: float, threads: int, core: str, max_drift_percent: float | None, as_json: bool, **options: Any
) -> None:
    """Run a model on a board for hours: latency, temperature, clocks, memory and outputs over time.

    Turn after turn a profile run and a run whose outputs are compared with the first turn's. The report shows them on
    one time axis, with the first output that changed and the drift.
    """
    from harness.cli.run_options import core_of

    given = given_series(**(options | {"frames": options["frames"] or 0}))

    def case_for(board: Any, model: Path) -> Case:
        from harness import platforms

        platform = platforms.load(board.identity.platform)
        is_timed = not given.frames and "threads" in platform.sweep_axes(board.identity)
        time_s = given.time_s or (TURN_S if is_timed else 0.0)
        case = case_of_series(model, replace(given, time_s=time_s, frames=given.frames or 200), board.limits.timeout_s)
        modes = tuple(mode for mode in ("profile", "release") if mode in platform.modes)
        plan = SoakPlan(hours * 3600, max_drift_percent)
        return replace(case, modes=modes, threads=threads, core=core_of(core), soak=plan)

    folder, run = measured(given, case_for, _judged)
    answer(folder, run, as_json)
    raise SystemExit(run.verdict.exit_code if run.verdict else COULD_NOT_MEASURE)


def _judged(folder: Path, platform: Platform, case: Case) -> Run:
    from harness.review.soak import judge_soak

    if case.soak is None:
        raise InputError(f"{folder}: not a soak", f"resume: harness run --resume {folder}")
    return judge_soak(folder, platform, case.soak)
