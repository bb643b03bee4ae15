"""`harness explore`: error against estimated latency of many configurations, and one of them as config."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import emit_json, json_option, note
from harness.cli.precision.options import PATH, DataOptions, data_options
from harness.errors import GOOD, MEASURED_BAD

if TYPE_CHECKING:
    from harness.precision.explore.explore import Explored, Exported
    from harness.precision.explore.measured import ExploredRow
    from harness.precision.figures import Figure
    from harness.precision.output_tails import OutputTail
    from harness.precision.prepared import PreparedModel
    from harness.records import SequencePlan

EPILOG = """\b
Examples:
  harness explore model.onnx --soc x5 --calibration samples/
  harness explore model.onnx --soc x5 --calibration samples/ --only int8 --only int16 --only kl
  harness explore pose.onnx --soc x5 --calibration windows/ --stride 1 --samples 20
  harness explore model.onnx --soc j6e --calibration samples/ --export int16-worst-quarter


Exit: 0 measured, 1 lint refuses the config that was exported.
"""


@click.command(epilog=EPILOG)
@click.argument("model", type=PATH)
@data_options
@click.option("--only", multiple=True, metavar="NAME", help="A configuration by its name; repeatable. Default: all.")
@click.option(
    "--stride",
    type=click.IntRange(1),
    metavar="FRAMES",
    help="The samples are windows of one sequence, so many frames apart: jitter is measured.",
)
@click.option("--export", "export_name", default="", metavar="NAME", help="Write this configuration as config.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder. Default: <model>_explored.")
@json_option
def command(model: Path, only: tuple[str, ...], export_name: str, as_json: bool, **given: Any) -> None:
    """Show what other configurations would give: error against estimated latency.

    Ops on the CPU, int16 where the march has it, calibration methods and samples, alone and together. All of it is
    computed on this PC by the emulated compiler's quantization; a real toolchain may choose other ranges. Stopped, it
    goes on where it ended. --export writes one configuration as config, held against lint.
    """
    from harness.cli.progress import progress
    from harness.files.safe import write_file
    from harness.precision.explore.explore import ExploreRequest, explore, record
    from harness.precision.explore.page import page
    from harness.precision.output_tails import output_tails

    stride, output = given.pop("stride"), given.pop("output")
    options = DataOptions(**given)
    figure = options.wanted_figure()
    prepared = options.prepared(model)
    folder = output or model.with_name(f"{model.stem}_explored")
    names = (*only, export_name) if only and export_name else only
    sequence = _sequence(prepared, stride) if stride else None
    request = ExploreRequest(names, options.task_score(prepared), options.task_metric, sequence, export_name)
    with progress("exploring") as step:
        explored = explore(prepared, request, folder, step)
    exported = _exported(prepared, explored, export_name, folder) if export_name else None
    facts: dict[str, object] = {
        "model": model.name,
        "soc": options.soc,
        "figure": figure.name,
        "samples": len(prepared.feeds),
        "calibration_samples": len(prepared.calibration),
    }
    tails = output_tails(prepared)
    answer = {**facts, **record(explored, figure, exported), "tails": [asdict(tail) for tail in tails]}
    write_file(folder / "explore.json", (json.dumps(answer, indent=1) + "\n").encode())
    title = f"{model.name} on {options.soc}"
    about = {"samples": len(prepared.feeds), "calibration samples": len(prepared.calibration)}
    write_file(folder / "explore.html", page(explored, title, figure, about).encode())
    if as_json:
        emit_json("explore", {**answer, "page": str(folder / "explore.html")})
    else:
        _show(explored, figure, folder, exported, tails)
    refused = exported is not None and any(one.severity == "error" for one in exported.findings)
    sys.exit(MEASURED_BAD if refused else GOOD)


def _sequence(prepared: PreparedModel, stride: int) -> SequencePlan:
    """The second axis of the first input is time where it has one."""
    from harness.records import SequencePlan

    shape = prepared.network.shape(prepared.network.input_names[0]) or ()
    return SequencePlan(shape[1] if len(shape) >= 3 else 0, stride)


def _exported(prepared: PreparedModel, explored: Explored, name: str, folder: Path) -> Exported:
    """The named row's config. Errors: InputError for a name that no row has."""
    from harness.precision.explore.configurations import chosen
    from harness.precision.explore.explore import export

    configuration = chosen([row.configuration for row in explored.rows], (name,))[0]
    return export(prepared, configuration, folder / name)


# --------------------------------------------------------------------------- shown


def _show(
    explored: Explored, figure: Figure, folder: Path, exported: Exported | None, tails: Sequence[OutputTail]
) -> None:
    from harness.cli.tables import table

    if explored.known:
        note(f"{explored.known} of {len(explored.rows)} configurations were measured before")
    rows = explored.ordered(figure)
    unit = f", {figure.unit}" if figure.unit else ""
    has_jitter = any(row.jitter for row in rows)
    columns = ["configuration", f"{figure.name}{unit}", "channel, dB", "cosine", "latency", "band"]
    columns += ["jitter"] if has_jitter else []
    table(
        "emulated on this PC; latencies are estimates",
        (*columns, "what"),
        [_cells(row, figure, has_jitter) for row in rows],
    )
    for name, why in sorted(explored.offer.missing.items()):
        click.echo(f"not offered: {name}: {why}")
    for tail in tails:
        click.echo(f"output    {tail.sentence}")
    click.echo(f"picture   {folder / 'explore.html'}")
    if exported is None:
        return
    for path in exported.files:
        click.echo(f"wrote     {path}")
    errors = [one for one in exported.findings if one.severity == "error"]
    click.echo(f"lint      {len(errors)} errors, {len(exported.findings) - len(errors)} warnings and notes")
    click.echo(f"next      {exported.command}")


def _cells(row: ExploredRow, figure: Figure, has_jitter: bool) -> tuple[str, ...]:
    from harness.precision.explore.page import words_of

    value, levels, price = figure.of(row.answer), row.answer.outputs.values(), row.price
    channel = min((level.channel_sqnr_db for level in levels), default=None)
    cosine = min((level.cosine for level in levels), default=None)
    cells = [
        row.configuration.name,
        "not judged" if value is None else f"{value:.4g}",
        "" if channel is None else f"{channel:.1f}",
        "" if cosine is None else f"{cosine:.6f}",
        f"{price.latency_us / 1e3:.3g} ms" if price else "not estimated",
        f"{price.latency_us * price.low / 1e3:.3g} to {price.latency_us * price.high / 1e3:.3g}" if price else "",
    ]
    if has_jitter:
        cells.append(f"{100 * max(row.jitter.values(), default=0.0):.2f} %")
    return (*cells, words_of(row))
