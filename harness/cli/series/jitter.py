"""`harness jitter`: a sequence of windows through float, quantized and board: which stage adds the jitter."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click

from harness.cli.common import FiniteRange
from harness.cli.run_options import absolute, no_stages_option, policy_of
from harness.cli.series.measuring import (
    SeriesOptions,
    case_of_series,
    measured,
    refuse_beside_resume,
    series_options,
)
from harness.cli.series.sample_options import BESIDE, check_samples, sequence_plan, sources_of
from harness.cli.tables import show_run
from harness.errors import COULD_NOT_MEASURE, InputError
from harness.platforms.base import Platform
from harness.records import Case, Run, SamplesPlan

Sources = tuple[tuple[str, Path], ...]
Options = dict[str, Any]  # as click gives them

EPILOG = """\b
Examples:
  harness jitter model.bin --board x5-01 --samples windows
  harness jitter model.bin --board emu-x5 --samples sequence.npy --stride 1 --fps 30 --reference q.onnx --float f.onnx
  harness jitter --resume runs/model/x5-01/20261120T091400Z

\b
Exit codes: 0 measured; 1 the board adds the jitter, or more than --max-jitter was added; 2 usage error;
3 could not measure.
"""


@click.command(name="jitter", epilog=EPILOG)
@series_options
@click.option(
    "--samples",
    multiple=True,
    metavar="DIR|NPY",
    help="The sequence: a folder with an .npy per window, an .npy of windows, or an .npy of frames that windows are "
    "cut from; TENSOR=DIR for several inputs.",
)
@click.option("--reference", default="", metavar="ONNX", help="The quantized ONNX. Default: the one beside the model.")
@click.option(
    *("--float", "floats"), default="", metavar="ONNX", help="The float ONNX. Default: the one beside the model."
)
@no_stages_option
@click.option(
    "--stride",
    default=0,
    type=click.IntRange(0),
    metavar="FRAMES",
    help="Frames from one window to the next. Default: as the windows overlap.",
)
@click.option(
    "--window",
    default=None,
    type=click.IntRange(0),
    metavar="FRAMES",
    help="Frames of a window. Default: the second axis of the model's input; 0: it takes single frames.",
)
@click.option("--fps", type=FiniteRange(0, min_open=True), metavar="N", help="Frames per second: frequencies in Hz.")
@click.option(
    "--truth", default="", metavar="NPY|CSV", help="What is right: an .npy of frames, or a CSV of joints per window."
)
@click.option(
    "--max-jitter",
    "max_jitter_percent",
    type=FiniteRange(0),
    metavar="PERCENT",
    help="Exit 1 if quantization and board add more than PERCENT of the motion.",
)
@click.option("--policy", default="", metavar="FILE", help="Tolerance policy for single windows.")
def command(samples: tuple[str, ...], window: int | None, stride: int, as_json: bool, **options: Any) -> None:
    """Find which stage adds jitter to a sequence: the float model, quantization, or the board.

    All windows run in one session. Every output is held from frame to frame: what each stage adds to the one before,
    its drift and spectrum, and whether the cosine of single frames hides it.
    """
    from signal import SIGTERM, default_int_handler, signal

    given = SeriesOptions(**{"frames": 1, "time_s": 0.0, **_series(options)})
    signal(SIGTERM, default_int_handler)
    if given.resume:
        refuse_beside_resume(("resume", "hosts", "as_json", "faults"))
    else:
        _refuse(samples, given)

    def case_for(board: Any, model: Path) -> Case:
        case = case_of_series(model, given, board.limits.timeout_s)
        return _case(case, sources_of(samples), window, stride, options)

    folder, run = measured(given, case_for, _judged)
    from harness.report import write_report

    show_run(folder, write_report(folder), run, as_json)
    raise SystemExit(run.verdict.exit_code if run.verdict else COULD_NOT_MEASURE)


for _option in command.params:
    if isinstance(_option, click.Option) and _option.name in ("inputs", "beside"):
        _option.hidden = True  # of every series; here they are refused, with the reason


def _refuse(samples: tuple[str, ...], given: SeriesOptions) -> None:
    """Errors: UsageError for what is missing, or cannot go together."""
    if not samples:
        raise click.UsageError("Missing option '--samples' (a folder of windows, or an .npy).")
    if given.inputs:
        raise click.UsageError("--samples and --input cannot be used together.")
    if given.beside:
        raise click.UsageError(BESIDE)


def _case(case: Case, sources: Sources, window: int | None, stride: int, options: Options) -> Case:
    """The case of a sequence. Errors: InputError for windows that cannot be read or paired."""
    case = _with_stages(case, options)
    frames = _window(Path(case.floats or case.reference)) if window is None else window
    sequence = sequence_plan(sources, frames, stride, options["fps"], options["max_jitter_percent"])
    plan = SamplesPlan(sources, absolute(options["truth"]), sequence)
    check_samples(plan)
    return replace(case, modes=("release",), samples=plan, policy=policy_of(options["policy"]))


def _with_stages(case: Case, options: Options) -> Case:
    """Float and quantized model, given or beside the compiled one. Errors: UsageError where nothing is the reference,
    InputError for files that are none."""
    from harness.review.chosen_stages import FLOAT, REFERENCE, ChosenStages, with_beside
    from harness.review.judge import check_before
    from harness.toolchains.stages import QUANTIZED

    chosen = ChosenStages(absolute(options["reference"]), absolute(options["floats"]), ())
    if not options["no_stages"] and case.model.is_file():
        chosen = with_beside(case.model, case.model_name, chosen)
    reference = (REFERENCE, QUANTIZED)
    if not chosen.reference:
        why = "".join(f"; beside it: {chosen.left_out[name]}" for name in reference if name in chosen.left_out)
        raise click.UsageError(f"Missing option '--reference' (the quantized ONNX that the model was built from{why}).")
    automatic = {name: by for name, by in chosen.automatic.items() if name in (FLOAT, *reference)}
    left_out = {name: why for name, why in chosen.left_out.items() if name in (FLOAT, *reference)}
    pair = replace(case, reference=chosen.reference, floats=chosen.floats)
    return check_before(replace(pair, automatic=automatic, left_out=left_out))


def _series(options: Options) -> Options:
    return {one.name: options[one.name] for one in fields(SeriesOptions) if one.name in options}


def _window(model: Path) -> int:
    """The second axis of the first input, where it is an axis of time: of three or more axes, the first of them 1."""
    from harness.reference.folder import refuse_no_reference
    from harness.reference.inputs import model_inputs

    refuse_no_reference(model)
    if model.suffix != ".onnx":
        return 0
    shape = next((spec.shape for spec in model_inputs(model)), ())
    return shape[1] if len(shape) >= 3 and shape[0] in (1, -1) and shape[1] > 1 else 0


def _judged(folder: Path, platform: Platform, case: Case) -> Run:
    from harness.review.samples.sequence import judge_jitter

    if case.samples is None or case.samples.sequence is None:
        raise InputError(f"{folder}: not a sequence", f"resume: harness run --resume {folder}")
    return judge_jitter(folder, platform, case)
