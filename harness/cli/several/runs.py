"""`harness runs`: what the runs on this disk take, and what of them may go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.common import FiniteRange, WholeHelp, clean, emit_json, json_option
from harness.cli.tables import table

if TYPE_CHECKING:
    from harness.runs.stored import StoredRun


@click.group(cls=WholeHelp)
def command() -> None:
    """List the runs on this disk with their sizes, and delete tensors that nothing needs.

    \b
    Examples:
      harness runs list
      harness runs prune --older-than 14
      harness runs prune --older-than 14 --yes
    """


folder_argument = click.argument("folder", required=False, default=Path("runs"), type=click.Path(path_type=Path))
keep_option = click.option(
    "--keep",
    default=1,
    show_default=True,
    metavar="N",
    type=click.IntRange(0),
    help="Newest runs of each case and board that keep their tensors.",
)
bad_option = click.option(
    "--bad-too", is_flag=True, help="Also tensors of runs that are not good, which are the evidence."
)


@command.command(name="list")
@folder_argument
@keep_option
@bad_option
@json_option
def list_runs(folder: Path, keep: int, bad_too: bool, as_json: bool) -> None:
    """List runs with size, verdict, age, and what of them may go.

    FOLDER is the folder of runs (default: runs). What may go are tensors (dumps, the reference's, stages') of good
    runs; never of a run that is in progress or can be resumed, nor what another run's command names.

    \b
    Examples:
      harness runs list
      harness runs list /data/runs --json
    """
    from harness.runs.stored import stored_runs

    runs = stored_runs(folder, keep, bad_too=bad_too)
    may_go = sum(one.dumps_bytes for one in runs if not one.needed)
    if as_json:
        emit_json("runs-list", {"folder": str(folder), "runs": [_facts(one) for one in runs], "may_go_bytes": may_go})
        return
    _show(runs)
    click.echo(f"{len(runs)} runs, {_size(sum(one.size_bytes for one in runs))}; {_size(may_go)} may go")


@command.command()
@folder_argument
@keep_option
@bad_option
@click.option(
    "--older-than", "days", metavar="DAYS", default=0.0, type=FiniteRange(0), help="Only runs that are older."
)
@click.option("--yes", is_flag=True, help="Delete. Without it, show what would go.")
@json_option
def prune(folder: Path, keep: int, bad_too: bool, days: float, yes: bool, as_json: bool) -> None:
    """Delete tensors of runs that nothing needs; without --yes, show them.

    run.json, reports, logs and inputs stay: the report can be written again, and the run be repeated.

    \b
    Examples:
      harness runs prune --older-than 14
      harness runs prune --older-than 14 --yes
    """
    from harness.runs import stored

    runs = stored.stored_runs(folder, keep, bad_too=bad_too)
    chosen = [one for one in runs if not one.needed and one.dumps and (not days or (one.age_days or 0.0) >= days)]
    freed_bytes = sum(stored.prune(one) for one in chosen) if yes else 0
    if as_json:
        answer = {"folder": str(folder), "deleted": yes, "runs": [_facts(one) for one in chosen]}
        emit_json(
            "runs-prune", {**answer, "may_go_bytes": sum(one.dumps_bytes for one in chosen), "freed_bytes": freed_bytes}
        )
        return
    _show(chosen)
    would = sum(one.dumps_bytes for one in chosen)
    click.echo(f"{_size(freed_bytes)} deleted" if yes else f"{_size(would)} would go: add --yes to delete")


def _show(runs: list[StoredRun]) -> None:
    if runs:
        rows = [_row(one) for one in runs]
        table("", ("run", "verdict", "age", "size", "tensors", "why they stay"), rows, right=("age", "size", "tensors"))


def _row(one: StoredRun) -> tuple[str, ...]:
    age = "" if one.age_days is None else f"{one.age_days:.1f} d"
    verdict = one.verdict.replace("_", " ") or one.state
    return (str(one.folder), verdict, age, _size(one.size_bytes), _size(one.dumps_bytes), one.needed or "may go")


def _size(size_bytes: int) -> str:
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= least:
            return f"{size_bytes / least:.3g} {unit}"
    return f"{size_bytes} bytes"


def _facts(one: StoredRun) -> dict[str, object]:
    keys = ("id", "case", "board", "verdict", "state", "started_utc", "age_days", "size_bytes", "dumps_bytes", "needed")
    return {"folder": clean(str(one.folder)), **{key: getattr(one, key) for key in keys}}
