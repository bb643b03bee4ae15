"""`harness farm submit`: a night as `harness nightly` runs it, its boards on several PCs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import hosts_option, json_option, note
from harness.cli.farm.farm_options import lost_after_option, reached, scheduler_option, tls_options
from harness.cli.farm.history_options import history_option
from harness.cli.farm.nightly import into_option, junit_option, show_night, write_junit
from harness.cli.farm.signals import stopped_by_signals
from harness.cli.progress import above, progress
from harness.errors import COULD_NOT_MEASURE

if TYPE_CHECKING:
    from harness.farm.submit import FarmSettings
    from harness.nightly.night import NightPlan
    from harness.records.nights import Night


@click.command(name="submit")
@click.argument("suite", required=False, metavar="[SUITE]", type=click.Path(path_type=Path))
@click.option(
    "--resume",
    metavar="NIGHT",
    type=click.Path(path_type=Path),
    help="Go on with a night that was stopped or killed, given its folder: what workers did meanwhile counts.",
)
@into_option
@junit_option
@scheduler_option
@hosts_option
@history_option
@lost_after_option
@tls_options
@json_option
def submit(
    suite: Path | None,
    resume: Path | None,
    nights: Path,
    hosts: Path | None,
    junit: Path | None,
    as_json: bool,
    **farm: Any,
) -> None:
    """Run a suite on a farm: the plan, verdicts, files and exit codes of `harness nightly`.

    The inventory lists the boards of all PCs, as their workers have them. Models and inputs go to the workers by
    themselves; reports come back. A board without a worker is unmeasured.

    Exit codes: as `harness nightly`; 3 too where scheduler or database are not reachable.

    \b
    Examples:
      harness farm submit suite.yaml --scheduler tls://farm-pc:8786 --history postgresql+psycopg://farm@db/harness
      harness farm submit --resume nights/x5-nightly/20261120T010000Z
    """
    from harness.nightly import night as nightly

    if (suite is None) == (resume is None):
        raise click.UsageError("Missing argument 'SUITE', or --resume NIGHT; one of both.")
    scheduler, url, lost_after_s = (farm.pop(key) for key in ("scheduler", "url", "lost_after_s"))
    access = reached(scheduler, **farm)
    if resume is not None:
        nightly.refuse_unfit_folder(resume)
        folder = resume.absolute()
        settled, record = nightly.reopened(folder)
    else:
        assert suite is not None
        settled = nightly.plan_of(suite, hosts)
        folder, record = None, None
    settings = _settings(access, url or settled.suite.history, folder.parents[1] if folder else nights, lost_after_s)
    if folder is None or record is None:
        folder, record = nightly.begin(settled, nights)
        note(f"night {record.id}: {folder}")
    finished = _run(settings, settled, folder, record)
    write_junit(junit, finished, folder)
    show_night(folder, finished, as_json)
    if finished.state == "interrupted":
        note(f"resume: harness farm submit --resume {folder}")
    raise SystemExit(finished.exit_code if finished.exit_code is not None else COULD_NOT_MEASURE)


def _settings(access: tuple[str, Any], url: str, nights: Path, lost_after_s: float) -> FarmSettings:
    """Before a night begins. Errors: HostError where dask is not installed, or scheduler or database do not answer."""
    from harness.farm import extra
    from harness.farm.link import FarmAccess, connected
    from harness.farm.submit import FarmSettings
    from harness.history.database import url_of
    from harness.history.farm_database import FarmDatabase

    extra.settle(lost_after_s)
    settings = FarmSettings(FarmAccess(*access), url_of(nights, url), lost_after_s=lost_after_s)
    connected(settings.access, 0.0).close(timeout=5)
    database = FarmDatabase(settings.database, 0.0)
    try:
        database.prepare()
    finally:
        database.close()
    return settings


def _run(settings: FarmSettings, plan: NightPlan, folder: Path, record: Night) -> Night:
    from harness.farm.submit import submit_night
    from harness.nightly.control import NightControl

    control = NightControl(plan.suite.limits.budget_s)
    with stopped_by_signals(control), progress(record.id) as tell:
        return submit_night(settings, plan, folder, record, control, tell, above)
