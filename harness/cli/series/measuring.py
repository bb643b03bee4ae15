"""What commands of a series share: options of the case and the board, a session of it, what is left when it breaks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click

from harness.cli.common import FiniteRange, clean, colours, complete_board, emit_json, hosts_option, json_option, note
from harness.cli.progress import ask_password, progress
from harness.cli.run_options import beside_option, inputs_of, only_model, soc_line_told, typed_command
from harness.cli.tables import hanging
from harness.errors import HarnessError, InputError, MeasurementError
from harness.platforms.base import Platform
from harness.records import Case, Run

Command = Callable[..., Any]
Judge = Callable[[Path, Platform, Case], Run]


@dataclass(frozen=True)
class SeriesOptions:
    """Options that the commands of a series have in common, as typed."""

    models: tuple[Path, ...]
    board_name: str
    resume: Path | None
    inputs: tuple[str, ...]
    model_name: str
    frames: int
    time_s: float
    beside: str
    options: tuple[str, ...]
    faults: tuple[str, ...]
    timeout_s: float | None
    wait_s: float
    case_name: str
    runs: Path
    hosts: Path | None


def series_options(command: Command) -> Command:
    """MODEL, --board and what a case needs."""
    positive = FiniteRange(0, min_open=True)
    for option in reversed(
        (
            click.argument("models", nargs=-1, metavar="[MODEL]", type=click.Path(path_type=Path)),
            click.option("--board", "board_name", default="", metavar="NAME", shell_complete=complete_board,
                         help="Board name (see `harness boards list`)."),
            click.option("--resume", metavar="RUN", type=click.Path(path_type=Path),
                         help="Go on with an interrupted one, given its run folder; everything else comes from it."),
            click.option("--input", "inputs", multiple=True, metavar="FILE|TENSOR=FILE",
                         help="Input file, in the model's order or by name; repeatable. Default: seeded noise."),
            click.option("--model-name", default="", metavar="NAME", help="Model to use in a packed file."),
            beside_option,
            click.option("--option", "options", multiple=True, metavar="NAME=VALUE",
                         help="Platform option; repeatable. `harness run --board NAME --option list` lists them."),
            click.option("--fault", "faults", multiple=True, metavar="KIND@OP[:ARGS]",
                         help="Emulated boards only: inject a fault (see `harness emulator faults`); repeatable."),
            click.option("--timeout", "timeout_s", metavar="SECONDS", default=None, type=positive,
                         help="Time limit of each start of the tool. Default: the board's limit in hosts.yaml."),
            click.option("--wait", "wait_s", metavar="SECONDS", default=0.0, type=FiniteRange(0),
                         help="Wait up to SECONDS for a leased board. Default: fail at once."),
            click.option("--case", "case_name", metavar="NAME", default="",
                         help="Case name. Default: the model's file name."),
            click.option("--runs", default=Path("runs"), show_default=True, type=click.Path(path_type=Path),
                         help="Folder for run folders."),
            hosts_option,
            json_option,
        )
    ):  # fmt: skip
        command = option(command)
    return command


def length_options(of: str, frames: int | None = None, default: str = "") -> Callable[[Command], Command]:
    """--frames and --time, of each `of` of the series; `default` says what is taken where neither is given."""

    def add(command: Command) -> Command:
        ending = f" Default: {default}" if default else ""
        for option in reversed(
            (
                click.option("--frames", metavar="N", default=frames, show_default=frames is not None,
                             type=click.IntRange(1), help=f"Frames of each {of}.{ending}"),
                click.option("--time", "time_s", default=0.0, type=FiniteRange(0), metavar="SECONDS",
                             help=f"SECONDS of each {of} instead of --frames."),
            )
        ):  # fmt: skip
            command = option(command)
        return command

    return add


def given_series(**options: Any) -> SeriesOptions:
    """What was typed, where it can be; from here on SIGTERM ends the series as Ctrl-C does.

    Errors: UsageError for options that exclude each other, and for settings beside --resume.
    """
    from signal import SIGTERM, default_int_handler, signal

    given = SeriesOptions(**{one.name: options[one.name] for one in fields(SeriesOptions)})
    signal(SIGTERM, default_int_handler)
    if given.resume:
        refuse_beside_resume(("resume", "hosts", "as_json", "faults"))
    if {"frames", "time_s"} <= _typed_names():
        raise click.UsageError("--frames and --time cannot be used together.")
    return given


def _typed_names() -> set[str]:
    from click.core import ParameterSource

    context = click.get_current_context()
    names = (param.name or "" for param in context.command.params)
    return {name for name in names if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}


def model_of(given: SeriesOptions) -> Path:
    """The one model. Errors: UsageError without a model or a board."""
    model = only_model(given.models)
    if model is None:
        raise click.UsageError("Missing argument 'MODEL' (a compiled model, for example model.bin).")
    if not given.board_name:
        raise click.UsageError("Missing option '--board' (see `harness boards list`; for example emu-x5).")
    return model


def refuse_beside_resume(allowed: tuple[str, ...]) -> None:
    """A resumed series is what it was. Errors: UsageError for any option that would change it."""
    typed = _typed_names()
    for param in click.get_current_context().command.params:
        if param.name in typed and param.name not in allowed:
            named = param.opts[0] if isinstance(param, click.Option) else "MODEL"
            raise click.UsageError(f"{named} cannot be used with --resume: a resumed run keeps its settings.")


def case_of_series(model: Path, given: SeriesOptions, timeout_s: float) -> Case:
    """What is common to every start of the tool. Errors: InputError for times and options that cannot be."""
    from harness.cli.run_options import pair

    if given.time_s >= (given.timeout_s or timeout_s):
        limit = given.timeout_s or timeout_s
        raise InputError(
            f"--time {given.time_s:g}: longer than the time limit of {limit:g} s for each start of the tool",
            f"add --timeout {given.time_s + 120:g}, or set `limits: timeout_s` in hosts.yaml",
        )
    return Case(
        name=given.case_name or model.stem,
        model=model.absolute(),
        inputs=inputs_of(given.inputs),
        modes=("profile",),
        model_name=given.model_name,
        frames=given.frames,
        time_s=given.time_s,
        beside=given.beside,
        options=dict(pair(text) for text in given.options),
        timeout_s=given.timeout_s or timeout_s,
        wait_s=given.wait_s,
    )


def measured(given: SeriesOptions, case_for: Callable[[Any, Path], Case], judge: Judge) -> tuple[Path, Run]:
    """Run or resume a series on its board, and judge it; whatever breaks, what it measured so far is judged and kept.

    `case_for` gives the case of (board, model).
    """
    from harness import platforms, session
    from harness.boards.inventory import find_board
    from harness.cli.run import with_faults
    from harness.review.case_reference import CaseReference
    from harness.runs import resume

    with soc_line_told(given.hosts):
        if given.resume:
            kept = resume.load(given.resume)
            board = find_board(kept.board, given.hosts)
            platform = platforms.load(board.identity.platform)
            case = session.resumable(board, given.resume, platform).case
        else:
            model = model_of(given)
            board = find_board(given.board_name, given.hosts)
            platform = platforms.load(board.identity.platform)
            case = case_for(board, model)
        board = with_faults(board, given.faults, case.model)
        try:
            with progress(case.name) as tell:
                expected = CaseReference(case, platform, tell)
                if given.resume:
                    folder = session.resume_case(board, given.resume, tell, expected, ask_password)
                else:
                    folder = session.run_case(board, case, given.runs, tell, expected, ask_password, typed_command())
        except HarnessError as error:
            if error.run_folder is not None and isinstance(error, MeasurementError):
                _keep_what_there_is(error.run_folder, platform, case, judge)
            raise
    return folder, judge(folder, platform, case)


def _keep_what_there_is(folder: Path, platform: Platform, case: Case, judge: Judge) -> None:
    from harness.report import write_report

    with suppress(OSError, HarnessError):  # this PC's disk may be what broke; the error that is raised says so
        judge(folder, platform, case)
        note(f"partial report: {write_report(folder)}")


# --------------------------------------------------------------------------- the answer


def answer(folder: Path, run: Run, as_json: bool, show: Callable[[Run], None] | None = None) -> None:
    """The report, and the run in lines or as JSON; `show` prints what stands before the lines."""
    from harness.records.codec import to_json
    from harness.report import write_report
    from harness.report.summary import LABEL, toned_lines

    page = write_report(folder)
    if as_json:
        emit_json("run", {"run": str(folder), "report": str(page)} | to_json(run))
        return
    if show:
        show(run)
    _, lines = toned_lines(run)
    for number, line in enumerate(lines):
        shown = hanging(clean(line), LABEL)
        click.echo(click.style(shown, bold=True) if not number and colours(sys.stdout) else shown)
    click.echo(f"report    {page}")
