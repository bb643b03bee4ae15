"""`harness diff`: two to twenty runs side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from harness.cli.common import clean, emit_json, json_option
from harness.errors import COULD_NOT_MEASURE, MEASURED_BAD


@click.command()
@click.argument("runs", nargs=-1, metavar="RUN RUN...", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Also write one self-contained HTML page."
)
@click.option(
    "--exit-code",
    "with_exit_code",
    is_flag=True,
    help="Exit 1 on any difference, 3 where none is known but a run could not be held against the first.",
)
@json_option
def command(runs: tuple[Path, ...], output: Path | None, with_exit_code: bool, as_json: bool) -> None:
    """Hold two to twenty runs against each other: boards, builds, settings or nights.

    Each RUN is a run folder, its run.json, or a case's folder (its newest run); every one is held against the first.
    Shows what was not run alike (model, inputs, settings, versions), layers whose verdict or bytes changed, ops that
    are new or gone, and times beside their noise: a change within the noise is not called a change, and estimated
    times are not held against measured ones. Exit code 0 whatever the differences are, unless --exit-code is given.

    \b
    Examples:
      harness diff runs/yolo_n/x5/20261119T090000Z runs/yolo_n/x5/20261120T090000Z
      harness diff runs/yolo_n/* -o boards.html
      harness diff --exit-code --json runs/before runs/after
    """
    files = _files(runs)
    from harness.report.differences.page import write_differences
    from harness.report.differences.table import differences
    from harness.runs.folder import load_run

    data = differences([load_run(file) for file in files])
    if output is not None:
        write_differences(data, output)
    if as_json:
        emit_json("diff", data)
    else:
        from harness.cli.several.diff_text import print_differences

        print_differences(data)
        if output is not None:
            click.echo(clean(str(output)))
    if with_exit_code and (data["different"] or data["uncompared"]):
        raise click.exceptions.Exit(MEASURED_BAD if data["different"] else COULD_NOT_MEASURE)


def _files(runs: Sequence[Path]) -> list[Path]:
    """The run.json of each run. Errors: UsageError for a number of runs that is none, or a run given twice."""
    from harness.report.differences.table import LEAST, MOST
    from harness.runs.folder import find_run

    if not LEAST <= len(runs) <= MOST:
        raise click.UsageError(f"{len(runs)} run{'' if len(runs) == 1 else 's'} given, expected {LEAST} to {MOST}.")
    files = [find_run(run) for run in runs]
    first: dict[str, Path] = {}
    for run, file in zip(runs, files, strict=True):
        other = first.setdefault(os.path.realpath(file), run)
        if other is not run:
            same = "is given twice" if run == other else f"is the same run as {other}: {file.parent}"
            raise click.UsageError(f"{run} {same}.")
    return files
