"""`harness calibration`: what calibration data is worth, on its own and against what a run is fed."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.common import emit_json, json_option, named_shape
from harness.cli.precision.options import PATH
from harness.errors import GOOD, MEASURED_BAD, InputError

if TYPE_CHECKING:
    import onnx

    from harness.emulator.compiler.calibration import Feed
    from harness.precision.judged.judge import JudgedCalibration

SHOWN = 8
EPILOG = """\b
Examples:
  harness calibration model.onnx --calibration samples/
  harness calibration model.onnx --calibration samples/ --inputs board_inputs/
  harness calibration model.onnx --calibration samples/ --run runs/model

\b
Exit: 0 nothing bad, 1 something is wrong with the data.
"""


@click.command(epilog=EPILOG)
@click.argument("model", type=PATH)
@click.option("--calibration", "samples", type=PATH, help="Calibration samples: folder of .npy/.bin, or an .npz.")
@click.option("--inputs", type=PATH, help="What is run: a folder of .npy/.bin, one per input where there are several.")
@click.option("--run", "run_path", type=PATH, help="A run: the input that its board was fed.")
@click.option("--shape", "shapes", multiple=True, metavar="INPUT=1,3,224,224", help="Of a dynamic input.")
@json_option
def command(
    model: Path,
    samples: Path | None,
    inputs: Path | None,
    run_path: Path | None,
    shapes: tuple[str, ...],
    as_json: bool,
) -> None:
    """Judge calibration data: ranges, outliers, duplicates, and preprocessing against a run's inputs.

    The float model is run on every sample on this PC. Said is which samples or single values set a range, whether more
    samples would still widen the ranges, which samples are there twice, where a run's values leave the ranges and by
    how much, and whether the run is fed with another mean, scale, channel order or layout.
    """
    from harness.cli.progress import progress
    from harness.precision.judged.judge import float_model, judge

    if samples is None:
        raise InputError("no --calibration given", "give the folder of calibration samples: --calibration DIR")
    if inputs is not None and run_path is not None:
        raise click.UsageError("--inputs and --run cannot be used together.")
    network = float_model(model, dict(named_shape(text) for text in shapes))
    run = _run_feeds(network, inputs, run_path)
    with progress("calibration data") as step:
        judged = judge(network, samples, run, step)
    if as_json:
        emit_json("calibration", _record(model, judged))
    else:
        _show(model, judged)
    sys.exit(MEASURED_BAD if judged.is_bad else GOOD)


def _run_feeds(network: onnx.ModelProto, inputs: Path | None, run_path: Path | None) -> tuple[Feed, ...]:
    from harness.precision.judged.judge import feed_of_run, feeds_of_folder
    from harness.runs.folder import find_run, load_run

    if inputs is not None:
        return feeds_of_folder(inputs, network)
    if run_path is None:
        return ()
    return feed_of_run(find_run(run_path).parent, load_run(run_path), network)


def _record(model: Path, judged: JudgedCalibration) -> dict[str, object]:
    return {
        "model": model.name,
        "samples": judged.samples,
        "inputs": judged.inputs,
        "verdict": _verdict(judged),
        "emulated": True,
        "observations": [asdict(one) for one in judged.observations],
        "tensors": [asdict(one) for one in judged.tensors],
        "preprocessing": [asdict(one) for one in judged.preprocessing],
    }


def _verdict(judged: JudgedCalibration) -> str:
    if judged.is_bad:
        return "bad"
    return "warnings" if any(one.severity == "warning" for one in judged.observations) else "good"


def _show(model: Path, judged: JudgedCalibration) -> None:
    from harness.cli.tables import table

    click.echo(f"{model.name}: {judged.samples} calibration samples, run on this PC in float")
    if not judged.inputs:
        click.echo("no --inputs and no --run: what a run is fed was not compared")
    rows = [(one.severity, one.kind, one.subject, one.text, one.next) for one in judged.observations]
    table("", ("", "about", "where", "what", "next"), rows)
    for one in judged.preprocessing:
        if one.kind == "alike":
            click.echo(f"input {one.input}: {one.text} (by {one.by}): alike")
    wide = sorted(judged.tensors, key=lambda one: -(one.alone or 0.0))[:SHOWN]
    rows = [
        (one.tensor, f"{one.low:.4g} to {one.high:.4g}", one.sample, _times(one.alone), _share(one.clipped))
        for one in wide
    ]
    table("ranges, most set by one sample first", ("tensor", "range", "set by", "over the next", "run beyond"), rows)


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.3g} times"


def _share(value: float | None) -> str:
    return "not compared" if value is None else f"{100 * value:.3g} %"
