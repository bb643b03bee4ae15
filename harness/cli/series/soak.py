"""`harness soak`: one model on one board for hours."""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click

from harness.cli.common import FiniteRange, clean, colours, emit_json
from harness.cli.series.measuring import (
    SeriesOptions,
    case_of_series,
    measured,
    refuse_beside_resume,
    series_options,
)
from harness.cli.tables import hanging
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
@click.option("--frames", metavar="N", type=click.IntRange(1), help="Frames of each turn. Default: 60 seconds of them.")
@click.option(
    "--time", "time_s", default=0.0, type=FiniteRange(0), metavar="SECONDS", help="SECONDS of each turn. Default: 60."
)
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
    from signal import SIGTERM, default_int_handler, signal

    from harness.cli.run_options import core_of

    options["frames"] = options["frames"] or 0
    given = SeriesOptions(**{one.name: options[one.name] for one in fields(SeriesOptions)})
    signal(SIGTERM, default_int_handler)
    if given.resume:
        refuse_beside_resume(("resume", "hosts", "as_json", "faults"))
    if given.frames and given.time_s:
        raise click.UsageError("--frames and --time cannot be used together.")

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
    _answer(folder, run, as_json)
    raise SystemExit(run.verdict.exit_code if run.verdict else COULD_NOT_MEASURE)


def _judged(folder: Path, platform: Platform, case: Case) -> Run:
    from harness.review.soak import judge_soak

    if case.soak is None:
        raise InputError(f"{folder}: not a soak", f"resume: harness run --resume {folder}")
    return judge_soak(folder, platform, case.soak)


def _answer(folder: Path, run: Run, as_json: bool) -> None:
    from harness.records.codec import to_json
    from harness.report import write_report
    from harness.report.summary import LABEL, toned_lines

    page = write_report(folder)
    if as_json:
        emit_json({"run": str(folder), "report": str(page)} | to_json(run))
        return
    _, lines = toned_lines(run)
    for number, line in enumerate(lines):
        shown = hanging(clean(line), LABEL)
        click.echo(click.style(shown, bold=True) if not number and colours(sys.stdout) else shown)
    click.echo(f"report    {page}")
