"""`harness run`: the main job."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from harness.cli.common import (
    MIN_COVERAGE_HELP,
    NO_HYPOTHESES_HELP,
    FiniteRange,
    complete_board,
    emit_json,
    hosts_option,
    json_option,
    note,
)
from harness.cli.export import check_forms, form_options, write_forms_beside
from harness.cli.progress import ask_password, progress
from harness.cli.reference_options import reference_runtime_options
from harness.cli.run_again import AGAIN, repeat
from harness.cli.run_options import (
    RunOptions,
    baseline_options,
    case_of,
    latency_options,
    modes_of,
    only_model,
    soc_line_told,
    stage_options,
    typed_command,
)
from harness.cli.series.sample_options import sample_options
from harness.cli.tables import show_run
from harness.errors import COULD_NOT_MEASURE, HarnessError, InputError, MeasurementError
from harness.records import Board, Case, Run

EPILOG = """\b
Examples:
  harness run --board emu-x5 model.bin
  harness run --board x5-01 model.bin --input photo.nv12 --reference model_quantized_model.onnx
  harness run --board x5-01 model.bin --input images=a.bin --input mask=b.bin --reference dumps/
  harness run --board emu-x5 model.bin --reference model_quantized_model.onnx --fault halved@conv3
  harness run --board x5-01 model.bin --reference dumps/ --junit junit.xml --trace trace.json
  harness run --board x5-01 --board x5-02 --board x5-03 model.bin
  harness run --resume runs/model/x5-01/20261120T091400Z
  harness run --again runs/model --watch

\b
Exit codes: 0 measured and good, 1 measured and bad, 2 usage error, 3 could not measure.
"""


@click.command(name="run", epilog=EPILOG)
@click.argument("models", nargs=-1, metavar="[MODEL]", type=click.Path(path_type=Path))
@click.option(
    "--board",
    "board_names",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_board,
    help="Board name (see `harness boards list`). Repeatable: all at once, and their outputs vote.",
)
@click.option(
    "--resume",
    metavar="RUN",
    type=click.Path(path_type=Path),
    help="Resume an interrupted run, given its folder; MODEL, --board and the options come from it.",
)
@click.option(
    "--again",
    metavar="RUN",
    type=click.Path(path_type=Path),
    help="Type RUN's own command again, on the model as it is now, and show the differences from RUN.",
)
@click.option("--watch", is_flag=True, help="With --again: once more each time the model or its reference is rebuilt.")
@click.option(
    "--wait",
    "wait_s",
    metavar="SECONDS",
    default=0.0,
    type=FiniteRange(0),
    help="Wait up to SECONDS for a leased board. Default: fail at once.",
)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="FILE|TENSOR=FILE",
    help="Input file, in the model's order or by name; repeatable. Default: seeded noise.",
)
@sample_options
@click.option(
    "--reference",
    default="",
    metavar="DIR|NPZ|ONNX",
    help="Reference to compare with: ONNX, folder of tensors, or .npz.",
)
@reference_runtime_options
@click.option(
    "--mode",
    "modes",
    default="",
    metavar="A,B",
    help="Modes to run, for example release,debug,profile. Default: all.",
)
@click.option("--model-name", default="", metavar="NAME", help="Model to use in a packed file.")
@click.option("--core", metavar="N", default="0", show_default=True, help="Accelerator core; 0: chosen by the runtime.")
@latency_options
@click.option(
    "--repeat",
    metavar="N",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Run release and debug N times and check that the values repeat. Needs no --reference.",
)
@click.option(
    "--pull",
    default="differing",
    show_default=True,
    type=click.Choice(["differing", "all", "none"]),
    help="Dumps to download: differing (verified by hash on the board), all, none.",
)
@click.option(
    "--policy",
    default="",
    metavar="FILE",
    help="Tolerance policy: built-in name or YAML file. Default: see `harness policy show`.",
)
@click.option("--no-hypotheses", is_flag=True, help=NO_HYPOTHESES_HELP)
@click.option("--min-coverage", type=FiniteRange(0, 100), metavar="PERCENT", help=MIN_COVERAGE_HELP)
@click.option(
    "--map",
    "mapping",
    default="",
    metavar="FILE",
    help="YAML mapping board tensor names to reference names.",
)
@click.option(
    "--graph",
    default="",
    metavar="ONNX",
    help="ONNX that provides the graph and tensor layouts, for --repeat without --reference.",
)
@stage_options
@baseline_options
@click.option(
    "--build",
    "build",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Toolchain log or table of the model, to compare plan and board; repeatable. Default: those beside the model.",
)
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="Platform option; repeatable. `--board NAME --option list` lists them.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND@OP[:ARGS]",
    help="Emulated boards only: inject a fault (see `harness emulator faults`); repeatable.",
)
@click.option(
    "--timeout",
    "timeout_s",
    metavar="SECONDS",
    default=None,
    type=FiniteRange(0, min_open=True),
    help="Time limit for each mode. Default: the board's limit in hosts.yaml.",
)
@click.option("--case", "case_name", metavar="NAME", default="", help="Case name. Default: the model's file name.")
@click.option(
    "--runs", default=Path("runs"), show_default=True, type=click.Path(path_type=Path), help="Folder for run folders."
)
@form_options
@hosts_option
@json_option
def command(models: tuple[Path, ...], board_names: tuple[str, ...], **options: Any) -> None:
    """Run a model on a board, compare it with the PC layer by layer, and write an HTML report."""
    from signal import SIGTERM, default_int_handler, signal

    given = RunOptions(**options)
    check_forms(given.junit, given.trace, given.runs)
    signal(SIGTERM, default_int_handler)  # a night that is ended leaves its boards as clean as Ctrl-C does
    names = tuple(dict.fromkeys(board_names))
    if len(names) > 1 and not given.resume:
        _several(only_model(models), names, given)
    board_name = names[0] if names else ""
    try:
        if given.resume:
            _only("--resume", RESUMED, "a resumed run keeps its settings")
        if given.watch and not given.again:
            raise click.UsageError("--watch needs --again RUN.")
        if given.again:
            _only("--again", AGAIN, "the run's own command is typed again")
            raise SystemExit(repeat(given.again, given, command, _new))
        with soc_line_told(given.hosts):
            folder, run = _resumed(given.resume, given) if given.resume else _new(only_model(models), board_name, given)
    except HarnessError as error:
        if error.run_folder is not None and isinstance(error, MeasurementError):
            with suppress(OSError):  # this PC's disk may be what broke; the error that is raised says so
                note(f"partial report: {_page(error.run_folder)}")
                write_forms_beside(error.run_folder, given.junit, given.trace, COULD_NOT_MEASURE)
        raise
    show_run(folder, _page(folder), run, given.as_json)
    exit_code = run.verdict.exit_code if run.verdict else COULD_NOT_MEASURE
    write_forms_beside(folder, given.junit, given.trace, exit_code)
    raise SystemExit(exit_code)


def _several(model: Path | None, names: tuple[str, ...], given: RunOptions) -> None:
    """One model on several boards at once; ends the program with the code of the worst."""
    from harness.cli.farm.several_boards import run_several

    if given.junit or given.trace:
        raise click.UsageError("--junit and --trace take one --board: each run folder has its own forms.")
    cases = [_prepared(model, name, given) for name in names]
    raise SystemExit(run_several(cases, given.runs, given.as_json))


def _new(model: Path | None, board_name: str, given: RunOptions) -> tuple[Path, Run]:
    from harness import session

    board, case = _prepared(model, board_name, given)
    return _measure(
        board.identity.platform,
        case,
        lambda tell, expected: session.run_case(board, case, given.runs, tell, expected, ask_password, typed_command()),
    )


def _prepared(model: Path | None, board_name: str, given: RunOptions) -> tuple[Board, Case]:
    """What is to be run on one board. Errors: UsageError, InputError for what cannot be."""
    from harness.boards.inventory import find_board
    from harness.session.judged import refuse_noise

    if board_name and "list" in given.options:
        _list_options(find_board(board_name, given.hosts).identity.platform, given.as_json)
    if model is None:
        raise click.UsageError("Missing argument 'MODEL' (a compiled model, for example model.bin).")
    if not board_name:
        raise click.UsageError("Missing option '--board' (see `harness boards list`; for example emu-x5).")
    board = with_faults(find_board(board_name, given.hosts), given.faults, model)
    _refuse_idle(modes_of(given.modes))
    case = case_of(model, given, board.limits.timeout_s)
    _refuse_without_reference(case, given)
    refuse_noise(case)
    _refuse_short_limit(case)
    return board, case


def _list_options(platform: str, as_json: bool) -> None:
    """`--option list`: those of the board's platform."""
    from harness import platforms
    from harness.cli.tables import table

    options = platforms.load(platform).options
    if as_json:
        emit_json("run-options", {"platform": platform, "options": dict(options)})
    else:
        table(f"options of platform {platform}", ("option", "what"), list(options.items()))
    raise SystemExit(0)


RESUMED = frozenset(("resume", "hosts", "as_json", "faults", "junit", "trace"))


def _only(option: str, beside: frozenset[str], why: str) -> None:
    """A run that is resumed or repeated is the case it was: what would change it is refused, not ignored."""
    context = click.get_current_context()
    for param in context.command.params:
        name = param.name or ""
        if name not in beside and _is_given(context, name):
            named = param.opts[0] if isinstance(param, click.Option) else "MODEL"
            raise click.UsageError(f"{named} cannot be used with {option}: {why}.")


def _refuse_idle(modes: tuple[str, ...]) -> None:
    """Refuse a repeat of nothing, and two ends of one profile."""
    context = click.get_current_context()
    given = {name for name in ("repeat", "rounds", "frames", "time_s") if _is_given(context, name)}
    if "repeat" in given and modes and not {"release", "debug"} & set(modes):
        raise click.UsageError(f"--repeat needs mode release or debug; --mode {','.join(modes)} has neither.")
    if "rounds" in given and modes and "profile" not in modes:
        raise click.UsageError(f"--rounds needs mode profile; --mode {','.join(modes)} has none.")
    if context.params["max_slower_percent"] is not None and not context.params["previous"]:
        raise click.UsageError("--max-slower needs --previous RUN.")
    if "/" in context.params["case_name"]:
        raise click.UsageError("--case takes a name, not a path; use --runs for the folder.")
    if {"frames", "time_s"} <= given:
        raise click.UsageError("--frames and --time cannot be used together.")


def _refuse_without_reference(case: Case, given: RunOptions) -> None:
    """Options that are about a reference do nothing without one."""
    if case.reference:
        return
    floats = "--stage" if given.stages else "--float" if given.floats else ""
    coverage = "--min-coverage" if case.min_coverage is not None else ""
    if option := floats or coverage:
        raise click.UsageError(f"{option} needs --reference.")


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _resumed(folder: Path, given: RunOptions) -> tuple[Path, Run]:
    from harness import platforms, session
    from harness.boards.inventory import find_board
    from harness.runs import resume

    board = find_board(resume.load(folder).board, given.hosts)
    _refuse_series(resume.load(folder).case, folder)
    broken = session.resumable(board, folder, platforms.load(board.identity.platform))
    board = with_faults(board, given.faults, broken.case.model)
    return _measure(
        board.identity.platform,
        broken.case,
        lambda tell, expected: session.resume_case(board, folder, tell, expected, ask_password),
    )


def _refuse_series(case: Case, folder: Path) -> None:
    """A series is judged by its own command."""
    if case.soak is not None:
        raise InputError(f"{folder}: this run is a soak", f"harness soak --resume {folder}")
    if case.sweep is not None:
        raise InputError(f"{folder}: this run is a sweep", f"harness sweep --resume {folder}")
    if case.samples is not None and case.samples.sequence is not None:
        raise InputError(f"{folder}: this run is a sequence", f"harness jitter --resume {folder}")


def _refuse_short_limit(case: Case) -> None:
    """A profile that lasts as long as its time limit would be ended before it tells anything."""
    if case.time_s >= case.timeout_s and ("profile" in case.modes or not case.modes):
        raise InputError(
            f"--time {case.time_s:g}: longer than the time limit of {case.timeout_s:g} s for each mode",
            f"add --timeout {case.time_s + 120:g}, or set `limits: timeout_s` in hosts.yaml",
        )


def with_faults(board: Board, faults: tuple[str, ...], model: Path) -> Board:
    """The board with --fault, else the environment's, planted. Errors: InputError for what cannot be planted."""
    import os
    from dataclasses import replace

    if faults and not board.emulated:
        raise InputError(f"{board.name} is a real board: --fault needs an emulated one", "leave out --fault")
    if not board.emulated:
        return board
    from harness.emulator.rooms import room_of_board

    room = room_of_board(board.identity)
    takes_faults = room.takes_faults
    if faults and not takes_faults:
        raise InputError(f"{board.name} runs a real runtime: --fault works on emulated accelerator boards only")
    if not takes_faults:
        return board
    from harness.emulator.model.check_faults import check_faults
    from harness.emulator.model.compiled import CompiledFile
    from harness.emulator.model.faults import ENVIRONMENT

    text = ";".join(faults) or board.environment.variables.get(ENVIRONMENT) or os.environ.get(ENVIRONMENT, "")
    if not text:
        return board
    if board.emulated.soc in room.own_socs:
        room.check_own_faults(text, model)
    else:
        file = CompiledFile(model)
        for compiled in file.models:
            check_faults(text, compiled, file.read(compiled.graph))
    return replace(
        board, environment=replace(board.environment, variables={**board.environment.variables, ENVIRONMENT: text})
    )


def _measure(platform: str, case: Case, run: Callable[..., Path]) -> tuple[Path, Run]:
    from harness.session.judged import judged

    with progress(case.name) as tell:
        return judged(platform, case, tell, lambda expected: run(tell, expected))


def _page(folder: Path) -> Path:
    from harness.report import write_report

    return write_report(folder)
