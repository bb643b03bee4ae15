"""`harness run`: the main job."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from harness.cli.common import (
    MIN_COVERAGE_HELP,
    FiniteRange,
    ask_password,
    clean,
    colours,
    complete_board,
    emit_json,
    hosts_option,
    json_option,
    note,
    progress,
)
from harness.cli.reference_options import reference_runtime_options
from harness.cli.run_options import (
    RunOptions,
    case_of,
    modes_of,
    only_model,
    typed_command,
)
from harness.cli.tables import hanging
from harness.errors import COULD_NOT_MEASURE, CouldNotMeasure, HarnessError, InputError
from harness.records import Case, Run

EPILOG = """\b
Examples:
  harness run --board emu-x5 model.bin
  harness run --board x5-01 model.bin --input photo.nv12 --reference model_quantized_model.onnx
  harness run --board x5-01 model.bin --input images=a.bin --input mask=b.bin --reference dumps/
  harness run --board emu-x5 model.bin --reference model_quantized_model.onnx --fault halved@conv3
  harness run --resume runs/model/x5-01/20261120T091400Z

\b
Exit codes: 0 measured and good, 1 measured and bad, 2 asked wrongly, 3 could not measure.
"""


@click.command(name="run", epilog=EPILOG)
@click.argument("models", nargs=-1, metavar="[MODEL]", type=click.Path(path_type=Path))
@click.option(
    "--board",
    "board_name",
    default="",
    metavar="NAME",
    shell_complete=complete_board,
    help="A board of the inventory: `harness boards list`.",
)
@click.option(
    "--resume",
    metavar="RUN",
    type=click.Path(path_type=Path),
    help="Go on with a broken run: its folder. MODEL, --board and the case's options come from it.",
)
@click.option(
    "--wait",
    "wait_s",
    default=0.0,
    type=FiniteRange(0),
    help="Seconds to wait for a board that somebody else has. Default: say who has it, and end.",
)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="FILE|TENSOR=FILE",
    help="Input, in the model's order or by name. Repeat it. Without: seeded noise.",
)
@click.option(
    "--reference",
    default="",
    metavar="DIR|NPZ|ONNX",
    help="What the PC says: a reference folder, vendor dumps, an .npz, or an ONNX to run.",
)
@reference_runtime_options
@click.option(
    "--mode",
    "modes",
    default="",
    metavar="A,B",
    help="Modes to run, for example release,debug,profile. Default: all of the platform.",
)
@click.option("--model-name", default="", help="The model to use in a packed file.")
@click.option("--core", default="0", show_default=True, help="Accelerator core; 0 lets the runtime choose.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1), help="Threads of the profile run.")
@click.option("--frames", default=200, show_default=True, type=click.IntRange(1), help="Frames of the profile run.")
@click.option(
    "--time",
    "time_s",
    default=0.0,
    type=FiniteRange(0),
    metavar="SECONDS",
    help="Profile that many seconds instead of frames. Where the board's tool counts minutes: multiples of 60.",
)
@click.option(
    "--repeat",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Repeat release and debug and check that every layer's values are the same; no --reference is needed.",
)
@click.option(
    "--pull",
    default="differing",
    show_default=True,
    type=click.Choice(["differing", "all", "none"]),
    help="Which dumps come over the link: those that no hash made on the board proves equal, all, or none.",
)
@click.option("--policy", default="", metavar="FILE", help="Policy that judges layers; default: `harness policy show`.")
@click.option("--min-coverage", type=FiniteRange(0, 100), metavar="PERCENT", help=MIN_COVERAGE_HELP)
@click.option(
    "--map",
    "mapping",
    default="",
    metavar="FILE",
    help="Names of board tensors in the reference, where they cannot be told.",
)
@click.option(
    "--graph",
    default="",
    metavar="ONNX",
    help="Tells the graph, and where values lie in padded dumps: for --repeat without --reference.",
)
@click.option(
    "--float",
    "floats",
    default="",
    metavar="DIR|NPZ|ONNX",
    help="The float model: how much of each layer's noise is quantization's own. Needs --reference.",
)
@click.option(
    "--previous",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="An earlier run, or a folder of runs (the newest complete one): what changed in verdicts and latency.",
)
@click.option(
    "--max-slower",
    "max_slower_percent",
    type=FiniteRange(0),
    metavar="PERCENT",
    help="Exit 1 where the mean latency is more than that above the run of --previous.",
)
@click.option(
    "--build",
    "build",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Log or table of the toolchain that built the model: plan against board. Default: those beside it.",
)
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the platform; a wrong name lists them.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND@OP[:ARGS]",
    help="Emulated boards only: plant a fault (`harness emulator faults`).",
)
@click.option(
    "--timeout",
    "timeout_s",
    default=None,
    type=FiniteRange(0, min_open=True),
    help="Seconds for each mode; the board ends it. Default: the board's limit.",
)
@click.option("--case", "case_name", default="", help="Name of the case; default: the model's file name.")
@click.option(
    "--runs", default=Path("runs"), show_default=True, type=click.Path(path_type=Path), help="Where run folders go."
)
@hosts_option
@json_option
def command(models: tuple[Path, ...], board_name: str, **asked: Any) -> None:
    """Run MODEL on a board, compare with the PC layer by layer, and write an HTML report."""
    from signal import SIGTERM, default_int_handler, signal

    given = RunOptions(**asked)
    signal(SIGTERM, default_int_handler)  # a night that is ended leaves its boards as clean as Ctrl-C does
    try:
        if given.resume:
            _only_resume()
            folder, run = _resumed(given.resume, given)
        else:
            folder, run = _new(only_model(models), board_name, given)
    except HarnessError as error:
        if error.run_folder is not None and isinstance(error, CouldNotMeasure):
            with suppress(OSError):  # this PC's disk may be what broke; the error that is raised says so
                note(f"what is known until then: {_page(error.run_folder)}")
        raise
    _answer(folder, run, given.as_json)
    raise SystemExit(run.verdict.exit_code if run.verdict else COULD_NOT_MEASURE)


def _new(model: Path | None, board_name: str, given: RunOptions) -> tuple[Path, Run]:
    from harness import session
    from harness.boards.inventory import find_board

    if model is None:
        raise click.UsageError("Missing argument 'MODEL': a compiled model, for example model.bin.")
    if not board_name:
        raise click.UsageError("Missing option '--board': a name of `harness boards list`, for example emu-x5.")
    board = _with_faults(find_board(board_name, given.hosts), given.faults, model)
    _refuse_idle(modes_of(given.modes))
    case = case_of(model, given, board.limits.timeout_s)
    _refuse_noise(case)
    _refuse_short_limit(case)
    return _measure(
        board,
        case,
        lambda tell, expected: session.run_case(board, case, given.runs, tell, expected, ask_password, typed_command()),
    )


def _only_resume() -> None:
    """A resumed run is the case it was: what would change it is refused, not ignored."""
    context = click.get_current_context()
    beside = {"resume", "hosts", "as_json", "faults"}
    for param in context.command.params:
        name = param.name or ""
        if name not in beside and _is_given(context, name):
            named = param.opts[0] if isinstance(param, click.Option) else "MODEL"
            raise click.UsageError(f"{named} cannot be given with --resume: the run keeps its own.")


def _refuse_idle(modes: tuple[str, ...]) -> None:
    """Refuse a repeat of nothing, and two ends of one profile."""
    context = click.get_current_context()
    asked = {name for name in ("repeat", "frames", "time_s") if _is_given(context, name)}
    if "repeat" in asked and modes and not {"release", "debug"} & set(modes):
        raise click.UsageError(f"--repeat is about release and debug; --mode {','.join(modes)} runs neither.")
    if context.params["floats"] and not context.params["reference"]:
        raise click.UsageError("--float needs --reference: it says how much of the reference's own noise a layer has.")
    if context.params["min_coverage"] is not None and not context.params["reference"]:
        raise click.UsageError("--min-coverage needs --reference: it says how much of it must be compared.")
    if context.params["max_slower_percent"] is not None and not context.params["previous"]:
        raise click.UsageError("--max-slower needs --previous RUN: slower than which run?")
    if "/" in context.params["case_name"]:
        raise click.UsageError("--case is a name, not a path: --runs says where run folders go.")
    if {"frames", "time_s"} <= asked:
        raise click.UsageError("--frames and --time exclude each other: a profile ends after frames or after seconds.")


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _resumed(folder: Path, given: RunOptions) -> tuple[Path, Run]:
    from harness import platforms, session
    from harness.boards.inventory import find_board
    from harness.runs import resume

    board = find_board(resume.load(folder).board, given.hosts)
    broken = session.resumable(board, folder, platforms.load(board.platform))
    board = _with_faults(board, given.faults, broken.case.model)
    return _measure(
        board,
        broken.case,
        lambda tell, expected: session.resume_case(board, folder, tell, expected, ask_password),
    )


def _refuse_noise(case: Case) -> None:
    """Tensors of a reference belong to the input they were made with; seeded noise is another one."""
    path = Path(case.reference)
    if case.reference and not case.inputs and path.exists() and path.suffix != ".onnx":
        raise InputError(
            f"{path}: holds tensors of one input, and without --input the board would be fed seeded noise",
            "give --input FILE, the file that the reference was made with; or an ONNX as --reference",
        )


def _refuse_short_limit(case: Case) -> None:
    """A profile that lasts as long as its time limit would be ended before it tells anything."""
    if case.time_s >= case.timeout_s and ("profile" in case.modes or not case.modes):
        raise InputError(
            f"--time {case.time_s:g}: each mode is ended after {case.timeout_s:g} seconds, so the profile never ends",
            f"allow more: --timeout {case.time_s + 120:g}, or `limits: timeout_s` in hosts.yaml",
        )


def _with_faults(board: Any, faults: tuple[str, ...], model: Path) -> Any:
    """The board with --fault, else the environment's, planted; what cannot be planted is said before anything runs."""
    import os
    from dataclasses import replace

    played = board.emulated and board.platform != "ort"
    if faults and not board.emulated:
        raise InputError(f"{board.name} is a real board: faults are planted on emulated boards only")
    if faults and not played:
        raise InputError(f"{board.name} runs a real ONNX Runtime: only the played accelerator boards take faults")
    if not played:
        return board
    from harness.emulator.model.check_faults import check_faults
    from harness.emulator.model.compiled import CompiledFile
    from harness.emulator.model.faults import ENVIRONMENT

    text = ";".join(faults) or board.environment.get(ENVIRONMENT) or os.environ.get(ENVIRONMENT, "")
    if not text:
        return board
    for compiled in CompiledFile(model).models:
        check_faults(text, compiled)
    return replace(board, environment=board.environment | {ENVIRONMENT: text})


def _measure(board: Any, case: Case, run: Callable[[Any, Any], Path]) -> tuple[Path, Run]:
    from harness import platforms
    from harness.review import judge
    from harness.review.expectation import Expectation
    from harness.session import Interrupted

    case = judge.check_before(case)
    with progress(case.name) as tell:
        expected = Expectation(case, platforms.load(board.platform), tell)
        look = judge.FirstLook(expected, tell)
        folder = run(tell, expected)
        try:
            judged = judge.judge(folder, expected, tell, look.compared)
        except KeyboardInterrupt:
            stopped = Interrupted("interrupted before the run was judged", f"go on: harness run --resume {folder}")
            stopped.run_folder = folder
            raise stopped from None
    return folder, judged


def _page(folder: Path) -> Path:
    from harness.report import write_report

    return write_report(folder)


# Green is for what was compared in full and is good; the words say the same without it.
TONES: dict[str, str | None] = {"good": "green", "bad": "red", "stop": "yellow", "part": None, "none": None}


def _answer(folder: Path, run: Run, as_json: bool) -> None:
    from harness.records.codec import to_json
    from harness.report.summary import LABEL, toned_lines

    page = _page(folder)
    if as_json:
        emit_json({"run": str(folder), "report": str(page)} | to_json(run))
        return
    tone, told = toned_lines(run)
    for number, line in enumerate(told):
        shown = hanging(clean(line), LABEL)
        click.echo(click.style(shown, fg=TONES[tone], bold=True) if not number and colours(sys.stdout) else shown)
    click.echo(f"report    {page}")
