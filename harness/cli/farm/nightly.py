"""`harness nightly`: a suite on the boards of a lab, from this PC."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.common import clean, emit_json, hosts_option, json_option, note
from harness.cli.farm.signals import stopped_by_signals
from harness.cli.progress import above, progress
from harness.cli.tables import table
from harness.errors import COULD_NOT_MEASURE

if TYPE_CHECKING:
    from harness.nightly.night import NightPlan
    from harness.records.nights import Night

EPILOG = """\b
Examples:
  harness nightly suite.yaml --plan
  harness nightly suite.yaml
  harness nightly --resume nights/x5-nightly/20261120T010000Z

\b
Exit codes: 0 every pair was measured and is good; 1 a case differs or is slower, and no board is to blame for it;
2 a suite that cannot be run; 3 nothing was measured, a pair is unmeasured, or a board is at fault.
"""

into_option = click.option(
    "--nights", default=Path("nights"), show_default=True, type=click.Path(path_type=Path), help="Folder for nights."
)
junit_option = click.option(
    "--junit",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write JUnit XML to FILE too, where CI looks for it.",
)


@click.command(name="nightly", epilog=EPILOG)
@click.argument("suite", required=False, metavar="[SUITE]", type=click.Path(path_type=Path))
@click.option(
    "--plan", is_flag=True, help="Settle which case runs on which board, print it and exit; no board is asked."
)
@click.option(
    "--resume",
    metavar="NIGHT",
    type=click.Path(path_type=Path),
    help="Go on with a night that was stopped or killed, given its folder: what was measured is kept.",
)
@into_option
@junit_option
@hosts_option
@json_option
def command(
    suite: Path | None,
    plan: bool,
    resume: Path | None,
    nights: Path,
    junit: Path | None,
    hosts: Path | None,
    as_json: bool,
) -> None:
    """Run a suite on the boards of a lab: one process, one worker a board, a verdict for every pair.

    The folder of the night holds night.json, night.log, junit.xml, index.html and the run folders. Ctrl-C and SIGTERM
    stop the tools on the boards, clean them and give them back; --resume goes on.
    """
    from harness.nightly import night as nightly

    if (suite is None) == (resume is None):
        raise click.UsageError("Missing argument 'SUITE', or --resume NIGHT; one of both.")
    if resume is not None:
        nightly.refuse_unfit_folder(resume)
        folder = resume.absolute()
        settled, record = nightly.reopened(folder)
    else:
        assert suite is not None
        settled = nightly.plan_of(suite, hosts)
        if plan:
            _show_plan(settled, as_json)
            return
        folder, record = nightly.begin(settled, nights)
        note(f"night {record.id}: {folder}")
    finished = _run(settled, folder, record)
    write_junit(junit, finished, folder)
    show_night(folder, finished, as_json)
    if finished.state == "interrupted":
        note(f"resume: harness nightly --resume {folder}")
    raise SystemExit(finished.exit_code if finished.exit_code is not None else COULD_NOT_MEASURE)


def _run(plan: NightPlan, folder: Path, record: Night) -> Night:
    from harness.nightly.control import NightControl
    from harness.nightly.night import run_night

    control = NightControl(plan.suite.limits.budget_s)
    with stopped_by_signals(control), progress(record.id) as tell:
        return run_night(plan, folder, record, control, tell, above)


def write_junit(path: Path | None, night: Night, folder: Path) -> None:
    """The night's JUnit where CI looks for it. Errors: OSError."""
    if path is not None:
        import os

        from harness.report.nights.junit import night_document
        from harness.report.write import write_export

        write_export(night_document(night, os.path.relpath(folder, path.absolute().parent)), path)


def _show_plan(plan: NightPlan, as_json: bool) -> None:
    pairs, left_out = plan.pairing.pairs, plan.pairing.left_out
    if as_json:
        listed = [
            {"case": p.case.name, "board": p.board.name, "modes": list(p.case.modes), "pinned": p.is_pinned}
            for p in pairs
        ]
        emit_json("nightly-plan", {"suite": plan.suite.suite, "pairs": listed, "left_out": left_out})
        return
    rows = [(p.case.name, p.board.name, ",".join(p.case.modes), "pinned" if p.is_pinned else "") for p in pairs]
    table(f"{plan.suite.suite}: {len(rows)} pairs", ("case", "board", "modes", "latency"), rows)
    for one in left_out:
        note(f"left out: {one.case} on {one.board}: {one.reason}")


def show_night(folder: Path, night: Night, as_json: bool) -> None:
    """The answer of a night that ended."""
    from harness.nightly.judging import counts_of

    if as_json:
        from harness.records.codec import to_json

        emit_json(
            "nightly",
            {"night": str(folder), "page": str(folder / "index.html"), "counts": counts_of(night), **to_json(night)},
        )
        return
    click.echo(clean(night.sentence))
    click.echo(", ".join(f"{count} {word}" for word, count in counts_of(night).items()))
    rows = [
        (c.case, c.board, c.word or "waiting", c.reason, c.detail) for c in night.cells if c.word not in ("pass", "new")
    ]
    if rows:
        table("", ("case", "board", "verdict", "reason", "detail"), rows)
    for one in night.incidents:
        click.echo(clean(f"incident  {one.board}: {one.kind}: {one.detail}"))
    click.echo(f"page      {folder / 'index.html'}")
