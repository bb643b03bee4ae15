"""`harness sweep`: threads, cores and options of the runtime, each combination measured in one session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import click

from harness.cli.common import FiniteRange, clean
from harness.cli.run_options import core_of, pair
from harness.cli.series.measuring import (
    answer,
    case_of_series,
    given_series,
    length_options,
    measured,
    series_options,
)
from harness.cli.tables import table
from harness.errors import COULD_NOT_MEASURE, InputError
from harness.platforms.base import Platform
from harness.records import BoardIdentity, Case, Run, Setting, SweepPlan

EPILOG = """\b
Examples:
  harness sweep model.bin --board emu-x5
  harness sweep model.bin --board x5-01 --latency-ms 5
  harness sweep model.hbm --board s600-01 --threads 1,2,4,8 --core 0 --core 1,2,3,4 --rate-fps 300
  harness sweep model.hbm --board s600-01 --core 1,2 --vary l2=12:12:0:0 --vary l2=6:6:6:6 --rounds 3
  harness sweep --resume runs/model/x5-01/20261120T091400Z

\b
Exit codes: 0 measured, and the goal met where one is given; 1 measured, and no setting meets it; 2 usage error;
3 could not measure (no setting at all, or a goal that only a failed setting could have met).
"""
MOST_SHOWN = 40  # characters of what was typed, in a message
MOST_SETTINGS = 500  # of one sweep: more is a mistake, or a night


@click.command(name="sweep", epilog=EPILOG)
@series_options
@click.option("--threads", default="", metavar="A,B", help="Numbers of threads. Default: the platform's, 1,2,4,8.")
@click.option(
    "--core",
    "cores",
    multiple=True,
    metavar="N|N,M",
    help="Core (0: any), or cores that work together (1,2); repeatable. Default: the board's.",
)
@click.option(
    "--vary",
    "varied",
    multiple=True,
    metavar="NAME=VALUE",
    help="Platform option to vary, repeated with each value. Default: L2 memory where several cores need it.",
)
@click.option(
    "--latency-ms",
    type=FiniteRange(0, min_open=True),
    metavar="MS",
    help="Goal: a frame takes at most MS; the best setting has the highest rate.",
)
@click.option(
    "--rate-fps",
    type=FiniteRange(0, min_open=True),
    metavar="FPS",
    help="Goal: at least FPS frames per second; the best setting has the lowest latency.",
)
@length_options("setting", frames=200)
@click.option(
    "--rounds",
    metavar="N",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Go through all settings N times; from 3 on each latency has an interval.",
)
def command(
    threads: str,
    cores: tuple[str, ...],
    varied: tuple[str, ...],
    latency_ms: float | None,
    rate_fps: float | None,
    rounds: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure a model with every combination of threads, cores and runtime options, in one session.

    One board, one upload, one lease. The table has latency and rate of every setting, the report their picture; with
    --latency-ms or --rate-fps the best setting is named. What a setting failed of is told, and the others go on.
    """
    given = given_series(**options)

    def case_for(board: Any, model: Path) -> Case:
        from harness import platforms

        platform, identity = platforms.load(board.identity.platform), board.identity
        case = case_of_series(model, given, board.limits.timeout_s)
        settings = settings_of(platform, identity, _axes(platform, identity, threads, cores, varied), given.options)
        plan = SweepPlan(settings, latency_ms * 1000 if latency_ms else None, rate_fps)
        return replace(case, rounds=rounds, sweep=plan)

    folder, run = measured(given, case_for, _judged)
    answer(folder, run, as_json, _points_shown)
    raise SystemExit(run.verdict.exit_code if run.verdict else COULD_NOT_MEASURE)


def _judged(folder: Path, platform: Platform, case: Case) -> Run:
    from harness.review.sweep import judge_sweep

    if case.sweep is None:
        raise InputError(f"{folder}: not a sweep", f"resume: harness run --resume {folder}")
    return judge_sweep(folder, platform, case.sweep, case.rounds)


# --------------------------------------------------------------------------- which settings

Axes = Mapping[str, Sequence[str]]


def _axes(
    platform: Platform, board: BoardIdentity, threads: str, cores: Sequence[str], varied: Sequence[str]
) -> dict[str, list[str]]:
    """Values by name, the user's before the platform's. Errors: InputError for what this platform cannot vary."""
    own = platform.sweep_axes(board)
    axes = {name: list(values) for name, values in own.items()}
    named = {"threads": threads.split(",") if threads else [], "core": list(cores)}
    for name, value in (pair(text) for text in varied):
        if name in named and named[name] and name in ("threads", "core"):
            raise InputError(f"--vary {name}=...: given with --{name} too", f"use --{name} alone")
        named.setdefault(name, []).append(value)
    for name, values in named.items():
        if values and name not in own and name not in platform.options:
            raise InputError(f"platform {platform.name} has no option {name!r} to vary", _known(platform, own))
        if values:
            axes[name] = list(dict.fromkeys(value.strip() for value in values))
    if not axes:
        raise InputError(f"platform {platform.name} has nothing to vary on its own", _known(platform, own))
    return axes


def _known(platform: Platform, own: Axes) -> str:
    names = dict.fromkeys([*own, *platform.options])
    return f"--vary NAME=VALUE with one of: {', '.join(names)}"


def settings_of(
    platform: Platform, board: BoardIdentity, axes: Axes, options: Sequence[str] = ()
) -> tuple[Setting, ...]:
    """Every combination, threads innermost. `options` are fixed for all: what they name is not varied.

    Errors: InputError for numbers of threads that are none, for an option that is varied and fixed, for too many.
    """
    fixed = {pair(text)[0] for text in options}
    for name in fixed & set(axes):
        if name in ("threads", "core"):
            raise InputError(f"--option {name}: a sweep varies it", f"use --{name}")
        raise InputError(f"--option {name}: given with --vary {name} too", "use one of them")
    further = {name: values for name, values in axes.items() if name not in ("threads", "core")}
    settings = []
    for core in axes.get("core", ["0"]):
        presets = [p for p in platform.core_presets(board, core) if not set(p) & (set(further) | fixed)] or [{}]
        for preset, values in product(presets, product(*further.values())):
            more = {**preset, **dict(zip(further, values, strict=True))}
            settings += [Setting(_whole(text), core_of(core), more) for text in axes.get("threads", ["1"])]
    if len(settings) > MOST_SETTINGS:
        raise InputError(f"{len(settings)} settings: at most {MOST_SETTINGS} in one sweep", "vary fewer values")
    return tuple(settings)


def _whole(text: str) -> int:
    number = core_of(text)
    if not isinstance(number, int) or number < 1:
        shown = text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."
        raise InputError(f"--threads {shown!r}: takes whole numbers from 1", "for example --threads 1,2,4")
    return number


# --------------------------------------------------------------------------- the answer


def _points_shown(run: Run) -> None:
    from harness.report.tables.sweep import COLUMNS, cells, sweep_table

    rows = sweep_table(run)
    if rows:
        table("", COLUMNS, [cells(row) for row in rows["points"]], right=COLUMNS[2:7])
        if rows["band"]:
            click.echo(clean(f"band: {rows['band']}"))
