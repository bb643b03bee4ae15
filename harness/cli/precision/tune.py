"""`harness tune`: the shortest list of ops in another type that is enough, written as the toolchain's config."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import complete_board, emit_json, json_option
from harness.cli.precision.options import PATH, DataOptions, data_options
from harness.errors import COULD_NOT_MEASURE, GOOD, MEASURED_BAD

if TYPE_CHECKING:
    from harness.precision.figures import Figure
    from harness.precision.on_board import BoardAnswer
    from harness.precision.search import Point
    from harness.precision.tune import ConfigProposal

EPILOG = """\b
Examples:
  harness tune model.onnx --calibration samples/ --soc x5 --reach 35
  harness tune detector.onnx --calibration samples/ --soc j6e --figure channel --reach 30 -o tuned
  harness tune model.onnx --calibration samples/ --soc x5 --figure task --task-metric top1 --truth right.csv --reach 0.9
  harness tune transformer.onnx --calibration samples/ --soc x5 --reach 30 --allow-model-edits

Exit: 0 reached and confirmed by the emulated build and its run, 1 not reached, 3 the board could not be run.
"""


@click.command(epilog=EPILOG)
@click.argument("model", type=PATH)
@data_options
@click.option("--reach", required=True, type=float, metavar="VALUE", help="What the figure has to reach.")
@click.option("--allow-model-edits", is_flag=True, help="Clip masks that set a scale, in a new ONNX; floats stay.")
@click.option(
    "--board",
    "board_name",
    default="",
    metavar="NAME",
    shell_complete=complete_board,
    help="Emulated board that the build is run on. Default: that of --soc.",
)
@click.option("--no-run", is_flag=True, help="Do not run the build on a board.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder. Default: <model>_tuned.")
@json_option
def command(model: Path, reach: float, output: Path | None, as_json: bool, **given: Any) -> None:
    """Find the fewest ops in int16 or float that make a model good enough, and write the config.

    Only types that the chip's public operator list states are proposed. Each candidate is measured with the emulated
    compiler's quantization; the chosen config is checked by lint, built, and run on the emulated board with every
    sample, as `harness run --samples` does. Latencies are estimates with their band. A real toolchain may choose other
    scales: measure again there.
    """
    from harness.cli.progress import progress
    from harness.files.safe import write_file
    from harness.precision.on_board import emulated_board
    from harness.precision.page import page
    from harness.precision.tune import PART, TunePlan, Wanted, record, to_json, tune

    allow_edits, board_name, no_run = (given.pop(name) for name in ("allow_model_edits", "board_name", "no_run"))
    if no_run and board_name:
        raise click.UsageError("--board and --no-run cannot be used together.")
    options = DataOptions(**given)
    figure = options.wanted_figure()
    prepared = options.prepared(model)
    plan = TunePlan(allow_edits, None if no_run else emulated_board(board_name, prepared))
    folder = output or model.with_name(f"{model.stem}_tuned")
    wanted = Wanted(figure, reach, options.task_score(prepared))
    with progress("tuning") as step:
        proposal = tune(prepared, wanted, folder, step, plan)
    facts: dict[str, object] = {"model": model.name, "soc": options.soc, "figure": figure.name, "reach": reach}
    write_file(folder / "tune.json", to_json(proposal, facts).encode())
    write_file(folder / "tune.html", page(proposal.tuned, f"{model.name} on {options.soc}", figure, reach).encode())
    for part in folder.glob(f"*{PART}"):
        part.unlink()
    if as_json:
        emit_json("tune", {**facts, **record(proposal)})
    else:
        _show(proposal, figure, reach, folder)
    if proposal.ran is not None and proposal.ran.value is None:
        sys.exit(COULD_NOT_MEASURE)
    sys.exit(GOOD if proposal.is_good else MEASURED_BAD)


def _show(proposal: ConfigProposal, figure: Figure, reach: float, folder: Path) -> None:
    from harness.cli.tables import table

    tuned = proposal.tuned
    word = "reached" if tuned.is_reached else "not reached: this is the best that was measured"
    click.echo(f"{figure.label}: wanted {reach:g} {figure.unit}".rstrip() + f", {word}; emulated, not measured")
    click.echo(f"all int8  {_line(tuned.start, figure)}")
    click.echo(f"chosen    {_line(tuned.chosen, figure)}; {proposal.changed} of {proposal.nodes} ops changed")
    _show_edits(proposal)
    rows = [(one.op, one.kind, one.option, one.why) for one in tuned.chosen.changes]
    if rows:
        table("", ("op", "type", "as", "why"), rows)
    verified = proposal.verified
    if verified is not None:
        value = "nothing" if verified.value is None else f"{verified.value:.4g}"
        click.echo(f"built     {verified.model}: gives {value} by the emulated board's executor")
    if proposal.ran is not None:
        _show_run(proposal.ran)
    for tail in proposal.tails:
        click.echo(f"output    {tail.sentence}")
    errors = [one for one in proposal.findings if one.severity == "error"]
    click.echo(f"lint      {len(errors)} errors, {len(proposal.findings) - len(errors)} warnings and notes")
    for path in proposal.files:
        click.echo(f"wrote     {path}")
    click.echo(f"next      {proposal.config.command}")
    click.echo(f"picture   {folder / 'tune.html'}")


def _show_edits(proposal: ConfigProposal) -> None:
    for edit in proposal.edits:
        if proposal.edited is not None:
            click.echo(f"edited    {edit.why}")
        else:
            click.echo(f"mask      {edit.why}; {proposal.why_not_edited}")
    if proposal.edited is not None:
        same = f"float outputs differ by {proposal.edited.difference:.2g} of the largest value"
        click.echo(f"wrote     {proposal.edited.subject.path}: {same}")


def _show_run(ran: BoardAnswer) -> None:
    value = ran.why_none if ran.value is None else f"gives {ran.value:.4g} on {ran.samples} samples"
    click.echo(f"ran       {ran.board}: {ran.verdict}, {value}; {ran.run}")


def _line(point: Point, figure: Figure) -> str:
    value = "not judged" if point.value is None else f"{point.value:.4g} {figure.unit}".strip()
    price = point.price
    if price is None:
        return f"{value}, no estimate of times"
    low, high = price.latency_us * price.low / 1e3, price.latency_us * price.high / 1e3
    return f"{value}, {price.latency_us / 1e3:.3g} ms (estimated, {low:.3g} to {high:.3g} ms)"
