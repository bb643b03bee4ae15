"""Words of `harness run` as a case needs them: paths, modes, inputs, options."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import ARGV, FiniteRange
from harness.cli.reference_options import reference_runtime_of, runtime_of_reference
from harness.cli.series.sample_options import samples_plan
from harness.errors import ConfigError, InputError
from harness.records import Case, TypedCommand

if TYPE_CHECKING:
    from harness.review.chosen_stages import ChosenStages

Command = Callable[..., Any]


@dataclass(frozen=True)
class RunOptions:
    """Options of `harness run` on the command line."""

    resume: Path | None
    again: Path | None
    watch: bool
    wait_s: float
    inputs: tuple[str, ...]
    samples: tuple[str, ...]
    truth: str
    reference: str
    reference_python: str
    reference_image: str
    modes: str
    model_name: str
    core: str
    threads: int
    frames: int
    time_s: float
    repeat: int
    rounds: int
    beside: str
    pull: str
    policy: str
    min_coverage: float | None
    no_hypotheses: bool
    mapping: str
    graph: str
    floats: str
    stages: tuple[str, ...]
    no_stages: bool
    min_quantization_sqnr_db: float | None
    previous: str
    max_slower_percent: float | None
    build: tuple[Path, ...]
    options: tuple[str, ...]
    faults: tuple[str, ...]
    timeout_s: float | None
    case_name: str
    runs: Path
    junit: Path | None
    trace: Path | None
    hosts: Path | None
    as_json: bool


@contextmanager
def soc_line_told(hosts: Path | None) -> Iterator[None]:
    """Give the error of a board that is no `soc:` of hosts.yaml the line to change."""
    try:
        yield
    except ConfigError as error:
        from harness.boards.connect import WrongSocError
        from harness.boards.inventory import soc_line

        if isinstance(error, WrongSocError):
            error.message = f"{soc_line(error.board, hosts)}: {error.message}"
        raise


def only_model(models: tuple[Path, ...]) -> Path | None:
    """One run has one model; a word too much is most often the board's name without its --board."""
    if len(models) > 1:
        names = " and ".join(repr(str(model)) for model in models)
        raise click.UsageError(f"more than one MODEL: {names} (the board goes with --board, inputs with --input).")
    return models[0] if models else None


def watched_files(models: tuple[Path, ...], given: RunOptions) -> list[Path]:
    """What a rebuild writes: the model, and the reference where it is a file."""
    reference = Path(given.reference) if given.reference else None
    return [path.absolute() for path in (*models[:1], *([reference] if reference and reference.is_file() else []))]


def absolute(path: str) -> str:
    """A path that means the same from another folder; "" stays ""."""
    return str(Path(path).absolute()) if path else ""


def policy_of(text: str) -> str:
    """A built-in name as it is, a file as a path that means the same from another folder."""
    from harness.consistency.policy import built_in_names

    return text if text in built_in_names() or not Path(text).is_file() else absolute(text)


KEPT_VARIABLES = ("HARNESS_HOSTS", "HARNESS_HOME", "HARNESS_EMULATOR_FAULTS")  # that decide what a command does


def typed_command() -> TypedCommand:
    """What was typed, for run.json: `line` begins the same run again from `folder`. Passwords are never typed."""
    argv = ["harness", *click.get_current_context().meta.get(ARGV, ())]
    variables = [f"{name}={shlex.quote(os.environ[name])}" for name in KEPT_VARIABLES if os.environ.get(name)]
    return TypedCommand(tuple(argv), " ".join([*variables, shlex.join(argv)]), str(Path.cwd()))


def core_of(text: str) -> int | str:
    """A number where it is one; platforms have names for cores too."""
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else text  # int() takes no more than 4,300 digits


def modes_of(text: str) -> tuple[str, ...]:
    """The modes of --mode, each once; () where it is not given. Errors: InputError for an empty name."""
    if not text:
        return ()
    modes = tuple(part.strip() for part in text.split(","))
    if not all(modes):
        raise InputError(f"--mode {text!r}: empty mode name", "for example --mode release,profile")
    return tuple(dict.fromkeys(modes))


def inputs_of(texts: Sequence[str]) -> tuple[tuple[str, Path], ...]:
    """Errors: InputError for files that are not there and tensors given twice: said before a board is touched."""
    inputs = tuple(_input(text) for text in texts)
    names = [name for name, _ in inputs if name]
    for name, path in inputs:
        if name and names.count(name) > 1:
            raise InputError(f"--input {name}=...: given more than once", "give one file per input")
        if not path.is_file():
            what = "expected an input file, got a folder" if path.is_dir() else "no such input file"
            raise InputError(f"{path}: {what}", "check the path; --input takes FILE or TENSOR=FILE")
    return inputs


def _input(text: str) -> tuple[str, Path]:
    """TENSOR=FILE, or FILE alone; a file whose own name holds `=` is taken as it is when it exists."""
    name, equals, path = text.partition("=")
    if not equals or Path(text).is_file():
        return "", Path(text).absolute()
    return name, Path(path).absolute()


def stages_of(given: Sequence[str]) -> dict[str, Path]:
    """NAME=PATH of --stage, in order. Errors: InputError for anything else, a path that is not there, a name twice."""
    stages = {}
    for text in given:
        name, sep, path = text.partition("=")
        if not sep or not name or not path:
            raise InputError(f"--stage {text!r}: expected NAME=PATH", "for example --stage float=float_reference")
        if not Path(path).exists() or name in stages:
            why = "no such file or folder" if name not in stages else "given more than once"
            raise InputError(f"--stage {text}: {why}", "give each stage once: a folder of tensors, an .npz or an ONNX")
        stages[name] = Path(path)
    return stages


def pair(text: str) -> tuple[str, str]:
    """NAME=VALUE of --option. Errors: InputError for anything else."""
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--option {text!r}: expected NAME=VALUE", "for example --option core=1")
    return name, value


def case_of(model: Path, given: RunOptions, timeout_s: float) -> Case:
    """Paths are made absolute: a broken run may be resumed from another folder."""
    from harness.runs.baseline import baseline_path

    stages = _stages_of(model, given)
    return Case(
        name=given.case_name or model.stem,
        model=model.absolute(),
        inputs=inputs_of(given.inputs),
        reference=stages.reference,
        reference_runtime=reference_runtime_of(given, stages.reference),
        modes=modes_of(given.modes),
        model_name=given.model_name,
        core=core_of(given.core),
        threads=given.threads,
        frames=given.frames,
        time_s=given.time_s,
        repeat=given.repeat,
        rounds=given.rounds,
        beside=given.beside,
        pull=given.pull,
        policy=policy_of(given.policy),
        min_coverage=given.min_coverage,
        hypotheses=not given.no_hypotheses,
        mapping=absolute(given.mapping),
        graph=absolute(given.graph),
        floats=stages.floats,
        stages=stages.others,
        automatic=stages.automatic,
        left_out=stages.left_out,
        min_quantization_sqnr_db=given.min_quantization_sqnr_db,
        previous=baseline_path(given.previous, given.runs) if given.previous else "",
        max_slower_percent=given.max_slower_percent,
        build=tuple(path.absolute() for path in given.build),
        options=dict(pair(text) for text in given.options),
        timeout_s=given.timeout_s or timeout_s,
        wait_s=given.wait_s,
        samples=samples_plan(given.samples, given.truth, given.inputs, given.beside),
    )


# --------------------------------------------------------------------------- stages of the build


def _stages_of(model: Path, given: RunOptions) -> ChosenStages:
    """What was given; where nothing speaks against it, the rest from the files beside the model."""
    from harness.review.chosen_stages import ChosenStages, with_beside

    typed = {name: path.absolute() for name, path in stages_of(given.stages).items()}
    if given.floats and "float" in typed:
        raise click.UsageError("--float is --stage float=...: give one of them.")
    floats = str(typed.pop("float", "")) or absolute(given.floats)
    chosen = ChosenStages(absolute(given.reference), floats, tuple(typed.items()))
    compares = {"release", "debug"} & set(modes_of(given.modes)) or not given.modes
    alone = given.no_stages or (given.graph and not given.reference)  # a graph: without a reference
    if alone or not compares or not model.is_file():
        return chosen
    return with_beside(model, given.model_name, chosen, runtime_of_reference(given))


stage_option = click.option(
    *("--stage", "stages"),
    multiple=True,
    metavar="NAME=PATH",
    help="A stage of the toolchain, in order; repeatable. One that is the reference itself gives it its name and "
    "place; the others stand before it, or behind it.",
)


no_stages_option = click.option(
    "--no-stages", is_flag=True, help="Take no reference and no stages from the files beside the model."
)


def stage_options(command: Command) -> Command:
    """`--float`, `--stage`, `--no-stages` and `--min-quantization-sqnr`."""
    for option in reversed(
        (
            click.option(
                *("--float", "floats"),
                default="",
                metavar="DIR|NPZ|ONNX",
                help="Float model, the same as --stage float=...: what quantization itself costs, each layer's noise "
                "ratio. Default: the one beside the model.",
            ),
            stage_option,
            no_stages_option,
            click.option(
                *("--min-quantization-sqnr", "min_quantization_sqnr_db"),
                type=FiniteRange(),
                metavar="DB",
                help="Exit 1 if an output of the quantized model is below DB against the float model, on this PC.",
            ),
        )
    ):
        command = option(command)
    return command


# --------------------------------------------------------------------------- how long, and against what


beside_option = click.option(
    "--beside",
    default="",
    metavar="COMMAND",
    help="Run COMMAND on the board (sh -c) during the measurement, a camera or a second model for example; it is "
    "stopped afterwards.",
)


def latency_options(command: Command) -> Command:
    """`--threads`, `--frames`, `--time` and `--rounds`: the profile run."""
    count = click.IntRange(1)
    for option in reversed(
        (
            click.option(
                "--threads", metavar="N", default=1, show_default=True, type=count, help="Threads of the profile run."
            ),
            click.option(
                "--frames", metavar="N", default=200, show_default=True, type=count, help="Frames of the profile run."
            ),
            click.option(
                *("--time", "time_s"),
                default=0.0,
                type=FiniteRange(0),
                metavar="SECONDS",
                help="Profile for SECONDS instead of --frames. Multiples of 60 where the board's tool counts minutes.",
            ),
            click.option(
                "--rounds",
                metavar="N",
                default=1,
                show_default=True,
                type=count,
                help="Separate profile runs; from 3 on the latency has an interval whatever the tool prints.",
            ),
            beside_option,
        )
    ):
        command = option(command)
    return command


def baseline_options(command: Command) -> Command:
    """`--previous` and `--max-slower`."""
    for option in reversed(
        (
            click.option(
                "--previous",
                default="",
                metavar="RUN|DIR|auto",
                help="Baseline for verdicts and latency: a run, or DIR for its newest good like run, where it has "
                "one (auto: --runs).",
            ),
            click.option(
                *("--max-slower", "max_slower_percent"),
                type=FiniteRange(0),
                metavar="PERCENT",
                help="Exit 1 if the median latency is more than PERCENT above --previous: sure to 95 % within one "
                "session, better with --rounds 5 (sessions differ by a percent or more).",
            ),
        )
    ):
        command = option(command)
    return command
