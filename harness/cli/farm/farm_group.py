"""`harness farm`: nights whose boards hang on several PCs, by Dask distributed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.common import WholeHelp, clean, complete_board, emit_json, hosts_option, json_option, note
from harness.cli.farm.farm_options import lost_after_option, reached, scheduler_option, tls_options
from harness.cli.farm.farm_submit import submit
from harness.cli.farm.history_options import history_option
from harness.cli.tables import table
from harness.errors import COULD_NOT_MEASURE


@click.group(cls=WholeHelp)
def command() -> None:
    """Run a suite on boards of several PCs: a scheduler, a worker on each PC, one database, one night.

    \b
    Examples:
      harness farm scheduler --listen tls://0.0.0.0:8786
      harness farm worker x5-01 x5-02 --scheduler tls://farm-pc:8786
      harness farm submit suite.yaml --scheduler tls://farm-pc:8786
      harness farm status --scheduler tls://farm-pc:8786

    Needs `pip install 'harness[dask]'` on each PC, and the variables or options of docs/farm.md: certificates, and
    --history with a PostgreSQL that all PCs reach.
    """


command.add_command(submit)


@command.command(name="scheduler")
@click.option(
    "--listen",
    metavar="ADDRESS",
    default="tcp://127.0.0.1:8786",
    show_default=True,
    help="Where workers and submitting PCs reach it, for example tls://0.0.0.0:8786.",
)
@click.option(
    "--no-worker-after",
    "no_worker_s",
    metavar="SECONDS",
    type=click.IntRange(min=1),
    default=60,
    show_default=True,
    help="A job for whose board there is no worker for so long is unmeasured.",
)
@lost_after_option
@tls_options
@json_option
def scheduler(listen: str, no_worker_s: int, lost_after_s: float, as_json: bool, insecure: bool, **tls: Any) -> None:
    """Be the scheduler of a farm, until Ctrl-C or SIGTERM. It keeps nothing: a restart costs no job that runs.

    Exit codes: 0 stopped; 2 an address or certificates that cannot be; 3 no dask is installed, or the address is taken.

    \b
    Examples:
      harness farm scheduler
      harness farm scheduler --listen tls://0.0.0.0:8786 --tls-ca ca.pem --tls-cert pc.pem --tls-key pc.key
    """
    from harness.farm.service import ServiceAccess, run_scheduler

    address, certificates = reached(listen, **tls, insecure=insecure)

    def ready(own: str) -> None:
        if as_json:
            emit_json("farm-scheduler", {"scheduler": own})
        note(f"scheduler: {own}")

    run_scheduler(ServiceAccess(address, certificates, lost_after_s, no_worker_s), ready)


@command.command(name="worker")
@click.argument("boards", nargs=-1, required=True, metavar="BOARD...", shell_complete=complete_board)
@scheduler_option
@click.option(
    "--runs",
    default=Path("farm-runs"),
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder for what is measured; reports go to who submitted, tensors stay.",
)
@click.option("--name", default="", help="What this worker is called.  [default: the PC's name]")
@click.option(
    "--listen", metavar="HOST", default="", help="Address of this PC for the scheduler, where it has several."
)
@hosts_option
@history_option
@lost_after_option
@tls_options
@json_option
def worker(
    boards: tuple[str, ...],
    scheduler: str,
    runs: Path,
    hosts: Path | None,
    url: str,
    as_json: bool,
    **more: Any,
) -> None:
    """Run the jobs of boards that this PC reaches, until Ctrl-C or SIGTERM: then the boards are cleaned and given back.

    One job a board at a time. Where the scheduler is away, what runs goes on, and the worker comes back to it.

    Exit codes: 0 stopped; 2 a board, an address or certificates that cannot be; 3 dask is not installed, or the
    database does not answer.

    \b
    Examples:
      harness farm worker x5-01 x5-02 --scheduler tls://farm-pc:8786 --history postgresql+psycopg://farm@db/harness
      harness farm worker emu-x5 --scheduler tcp://127.0.0.1:8786
    """
    from harness.boards.inventory import find_board, load_inventory
    from harness.farm.extra import settle
    from harness.farm.service import ServiceAccess, run_worker
    from harness.farm.worker import FarmWorker
    from harness.history.database import url_of
    from harness.history.farm_database import FarmDatabase

    listen, name, lost_after_s = (more.pop(key) for key in ("listen", "name", "lost_after_s"))
    address, certificates = reached(scheduler, **more)
    _refuse_open_listener(listen, address, more["insecure"])
    settle(lost_after_s)
    inventory = load_inventory(hosts)
    known = {board: inventory.get(board) or find_board(board, hosts) for board in dict.fromkeys(boards)}
    database = FarmDatabase(url_of(Path("nights"), url), 300.0, note)
    own = FarmWorker(known, database, runs, note, name)
    if as_json:
        emit_json("farm-worker", {"worker": own.facts, "scheduler": address})
    note(f"worker {own.facts.name}: {', '.join(known)}")
    run_worker(ServiceAccess(address, certificates, lost_after_s, 60.0, listen), own, note)


def _refuse_open_listener(listen: str, address: str, insecure: bool) -> None:
    """Errors: ConfigError for plain TCP at an address that others reach."""
    from harness.farm.addresses import refuse_unsafe

    if listen and address.startswith("tcp://"):
        refuse_unsafe(f"--listen {listen}", listen, "tcp", None, insecure)


@command.command(name="status")
@scheduler_option
@history_option
@tls_options
@json_option
def status(scheduler: str, url: str, insecure: bool, as_json: bool, **tls: Any) -> None:
    """List the workers of a farm with their boards, and the jobs that run, from the database.

    Exit codes: 0 there is a worker; 3 there is none, or the scheduler is not reachable.

    \b
    Examples:
      harness farm status
      harness farm status --scheduler tls://farm-pc:8786 --json
    """
    from harness.farm import extra
    from harness.farm.link import FarmAccess, connected
    from harness.farm.status import status_of
    from harness.history.database import url_of
    from harness.history.farm_database import FarmDatabase

    address, certificates = reached(scheduler, **tls, insecure=insecure)
    extra.settle()
    client = connected(FarmAccess(address, certificates), 0.0)
    database = FarmDatabase(url_of(Path("nights"), url), 0.0)
    try:
        farm = status_of(client, address, database)
    finally:
        client.close(timeout=5)
        database.close()
    if as_json:
        emit_json("farm-status", farm)
    else:
        rows = [(one.name, one.version, " ".join(sorted(one.boards))) for one in farm.workers]
        table(f"{address}: {len(rows)} workers", ("worker", "harness", "boards"), rows)
        running = [(row.run_key, str(row.attempt), row.state, row.worker) for row in farm.jobs]
        if running:
            table("jobs", ("job", "attempt", "state", "worker"), running)
        if farm.others:
            click.echo(clean(f"{farm.others} Dask workers that are none of harness"))
    raise SystemExit(0 if farm.workers else COULD_NOT_MEASURE)
