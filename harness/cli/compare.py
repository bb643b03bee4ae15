"""`harness compare`: two folders of tensors, no board, no run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import (
    MIN_COVERAGE_HELP,
    NO_HYPOTHESES_HELP,
    FiniteRange,
    clean,
    emit_json,
    json_option,
    note,
    only_one,
)
from harness.cli.comparison_text import print_csv, print_list_csv, show
from harness.cli.progress import progress
from harness.cli.reference_options import reference_runtime_of, reference_runtime_options
from harness.cli.run_options import stage_option, stages_of

if TYPE_CHECKING:
    from harness.consistency.compare import CompareSettings
    from harness.consistency.reading.readings import Choice
    from harness.dumps.hashes import HashComparison
    from harness.records import Comparison
    from harness.reference.open import Reference

SHOWN_ROWS = 20


@dataclass(frozen=True)
class CompareArguments:
    """Arguments and options of the command line."""

    reference: Path
    dumps: Path
    inputs: tuple[str, ...]
    reference_python: str
    reference_image: str
    policy: str
    min_coverage: float | None
    mapping: Path | None
    map_template: Path | None
    graph: Path | None
    floats: Path | None
    stages: tuple[str, ...]
    previous: Path | None
    platform: str
    toolchain: str
    no_isolate: bool
    no_hypotheses: bool
    show_all: bool
    as_csv: bool
    as_json: bool


@click.command(name="compare")
@click.argument("reference", type=click.Path(path_type=Path))
@click.argument("dumps", type=click.Path(path_type=Path))
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="[TENSOR=]FILE",
    help="Input of an ONNX REFERENCE; repeatable.",
)
@reference_runtime_options
@click.option("--policy", default="", metavar="NAME|FILE", help="Tolerance policy: built-in name or YAML file.")
@click.option("--min-coverage", type=FiniteRange(0, 100), metavar="PERCENT", help=MIN_COVERAGE_HELP)
@click.option("--map", "mapping", type=click.Path(path_type=Path), help="YAML: board tensor name to reference name.")
@click.option(
    "--map-template",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a mapping proposed by values, shapes and order, to be checked; compares nothing.",
)
@click.option("--graph", type=click.Path(path_type=Path), help="ONNX that provides the graph and runs single ops.")
@click.option("--float", "floats", type=click.Path(path_type=Path), help="Float reference (noise ratio per layer).")
@stage_option
@click.option("--previous", type=click.Path(path_type=Path), help="Previous frame's reference (detects stale buffers).")
@click.option("--platform", default="", help="Platform that wrote the dumps. Default: detected.")
@click.option("--toolchain", default="", metavar="VERSION", help="Toolchain version, for version rules.")
@click.option("--no-isolate", is_flag=True, help="Do not run single ops on the board's own inputs.")
@click.option("--no-hypotheses", is_flag=True, help=NO_HYPOTHESES_HELP)
@click.option("--all", "show_all", is_flag=True, help="Show every row.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the rows as CSV.")
@json_option
@click.pass_context
def command(context: click.Context, /, **options: Any) -> None:
    """Compare a board's tensor dumps with the PC reference, layer by layer.

    REFERENCE is a folder of `harness reference`, a folder of dumps, an .npz, or an ONNX with --input. DUMPS is a
    folder of dumps, an .npz, or what `md5sum` printed on the board: then whole files are equal or not, without values;
    all of REFERENCE's, or --min-coverage of them, must be compared.

    \b
    Examples:
      harness compare reference board-dumps
      harness compare model_quantized.onnx board-dumps --input images=photo.npy
      harness compare pc-dumps board-dumps --graph model_quantized.onnx --csv > layers.csv
      harness compare reference board-dumps --stage float=float_reference
      harness compare reference board-dumps --map-template names.yaml
      harness compare reference board-dumps --no-hypotheses
      harness compare pc-dumps board-md5sums.txt

    \b
    Exit codes: 0 consistent, 1 diverges, 2 usage error, 3 nothing comparable, or dumps damaged or missing.
    """
    given = CompareArguments(**options)
    only_one(json=given.as_json, csv=given.as_csv)
    if given.dumps.is_file() and (code := _by_list(given)) is not None:
        context.exit(code)
    if given.map_template is not None:
        _write_template(given, given.map_template)
        return
    comparison = _compare(given)
    if given.as_json:
        emit_json("compare", comparison)
    elif given.as_csv:
        print_csv(comparison.layers)
    else:
        show(comparison, SHOWN_ROWS if not given.show_all else len(comparison.layers))
    context.exit(comparison.verdict.exit_code)


def _by_list(given: CompareArguments) -> int | None:
    """Compare with a board's list of md5s; None for any other file."""
    from harness.dumps.hashes import compare_list
    from harness.files.md5_lists import is_list

    if not is_list(given.dumps):
        return None
    _refuse_beside_list(given.dumps)
    made = compare_list(given.reference, given.dumps, given.platform, given.min_coverage)
    if given.as_json:
        emit_json("compare-list", made)
    elif given.as_csv:
        print_list_csv(made.layers)
    else:
        _show_list(made, given.show_all)
    return made.verdict.exit_code


FOR_LISTS = ("reference", "dumps", "platform", "min_coverage", "show_all", "as_csv", "as_json")


def _refuse_beside_list(listed: Path) -> None:
    """Options that need values or a graph would do nothing. Errors: InputError naming those that were typed."""
    from click.core import ParameterSource

    from harness.errors import InputError

    context = click.get_current_context()
    typed = [
        max(option.opts, key=len)
        for option in context.command.params
        if option.name not in FOR_LISTS
        and context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE
    ]
    if typed:
        raise InputError(
            f"{', '.join(typed)}: cannot be used with a list of md5s ({listed}): it has no values",
            "leave it out, or compare the dumps themselves",
        )


def _show_list(made: HashComparison, show_all: bool) -> None:
    from harness.cli.tables import table

    rows = [(one.name, one.verdict, one.md5_board, one.md5_reference) for one in made.layers]
    rows.sort(key=lambda row: ("differs", "not_compared", "equal").index(row[1]))
    table("", ("layer", "verdict", "md5 board", "md5 PC"), rows if show_all else rows[:SHOWN_ROWS])
    if len(rows) > SHOWN_ROWS and not show_all:
        click.echo(f"... and {len(rows) - SHOWN_ROWS} more rows (--all shows them)")
    for problem in made.problems:
        click.echo(clean(f"not read: {problem}"))
    click.echo(clean(f"{made.verdict.word}: {made.verdict.detail}"))


def _write_template(given: CompareArguments, target: Path) -> None:
    from harness.consistency.reading.proposals import propose, template
    from harness.consistency.reading.readings import choose
    from harness.errors import InputError
    from harness.files.safe import write_file

    if target.exists():
        raise InputError(f"--map-template {target}: exists", "give a new file name, or use it with --map")
    reference = _reference(given)
    proposals = propose(reference, choose(reference, given.dumps, given.platform).candidate.dumps)
    if not proposals:
        raise InputError(
            f"{given.dumps}: no mapping to propose",
            "every dump has a tensor, or none has the size of one; harness compare --all shows them",
        )
    write_file(target, template(proposals).encode())
    click.echo(f"wrote {target}: {len(proposals)} names; check it, then add --map {target}")


def _compare(given: CompareArguments) -> Comparison:
    from harness.consistency.compare import compare, read_mapping
    from harness.consistency.reading.readings import choose
    from harness.consistency.settings import refuse_swapped
    from harness.consistency.stages import with_stages

    stages = stages_of(given.stages)
    reference = _reference(given)
    refuse_swapped(reference, given.dumps)
    choice = choose(reference, given.dumps, given.platform, read_mapping(given.mapping))
    dumps = choice.candidate.dumps
    with progress("comparing") as step:
        settings = _settings(given, choice, step)
        comparison = compare(reference, dumps, settings)
        if stages:
            comparison = with_stages(comparison, stages, given.reference, reference, dumps, settings)
    return comparison


def _settings(given: CompareArguments, choice: Choice, step: Any) -> CompareSettings:
    from harness.consistency.settings import CompareSettings, settings_of
    from harness.reference.open import open_reference

    typed = CompareSettings(
        mapping=given.mapping,
        hashes=given.as_json or given.as_csv,
        model=given.graph,
        isolate=not given.no_isolate,
        hypotheses=not given.no_hypotheses,
        floats=_floats(given),
        previous=open_reference(given.previous) if given.previous else None,
        toolchain=given.toolchain,
        progress=step,
    )
    return settings_of(typed, choice, given.reference, given.dumps, given.policy, given.min_coverage)


def _floats(given: CompareArguments) -> Reference | None:
    from harness.reference.open import open_reference
    from harness.toolchains.vendor_runtime import needs_vendor

    path: Path | None = given.floats
    if path is None:
        return None
    runtime = reference_runtime_of(given, str(given.reference)) if needs_vendor(path) else None
    return open_reference(path, _feed(path, given.inputs), runtime=runtime)


def _reference(given: CompareArguments) -> Reference:
    from harness.reference.open import open_reference

    path: Path = given.reference
    run_here = [p for p in (path, given.floats) if p is not None and p.suffix == ".onnx"]
    if given.inputs and not run_here:
        raise click.UsageError(f"--input needs an ONNX as REFERENCE; {path} already holds tensors.")
    feed, runtime = (
        _feed(path, given.inputs),
        reference_runtime_of(given, str(path)),
    )
    return open_reference(path, feed, platform=given.platform, graph=given.graph, runtime=runtime)


def _feed(path: Path, inputs: Sequence[str]) -> Any:
    """The arrays that an ONNX is fed with; None for what holds its tensors already, or without --input."""
    if path.suffix != ".onnx" or not inputs:
        return None
    from harness.cli.reference import match_inputs
    from harness.reference.open import read_inputs

    return read_inputs(path, match_inputs(path, inputs), note)
