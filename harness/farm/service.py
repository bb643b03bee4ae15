"""The programs that stay: a scheduler, and a worker that comes back to it whenever it was away."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from harness.errors import HostError
from harness.farm import tasks
from harness.farm.addresses import Certificates
from harness.farm.extra import dask, security, settle
from harness.farm.status import METRIC
from harness.farm.worker import FarmWorker
from harness.records.callbacks import LogCallback
from harness.records.codec import to_json

RECONNECT_S = 1.0
CONNECT_S = 10
MORE_THREADS = 2  # beyond one a board
END_LIMIT_S = 60.0  # for boards to be cleaned once a worker is stopped


@dataclass(frozen=True)
class ServiceAccess:
    """Where a service listens or connects to, `scheme://host:port`, and its certificates. Seconds of its settings."""

    address: str
    certificates: Certificates | None
    lost_after_s: float
    no_worker_s: float
    listen: str = ""  # of a worker: the address of this PC that the scheduler reaches it at


def run_scheduler(access: ServiceAccess, ready: Callable[[str], None]) -> None:
    """Be the scheduler until SIGTERM or Ctrl-C. `ready` hears its address. Errors: HostError where it cannot listen."""
    settle(access.lost_after_s, access.no_worker_s)
    asyncio.run(_schedule(access, ready))


async def _schedule(access: ServiceAccess, ready: Callable[[str], None]) -> None:
    stopping = _stopping()
    scheme, _, place = access.address.partition("://")
    host, _, port = place.rpartition(":")
    distributed = dask()
    try:
        scheduler = distributed.Scheduler(
            host=host.strip("[]"),
            port=int(port),
            protocol=f"{scheme}://",
            security=security(access.certificates),
            dashboard=False,
            dashboard_address="127.0.0.1:0",
        )
        await scheduler
    except (OSError, ValueError) as error:
        raise HostError(f"{access.address}: {error}", "give another --listen HOST:PORT") from error
    try:
        ready(scheduler.address)
        await stopping.wait()
    finally:
        with suppress(Exception):
            await asyncio.wait_for(scheduler.close(), 10)


def run_worker(access: ServiceAccess, worker: FarmWorker, log: LogCallback) -> None:
    """Serve a farm until SIGTERM or Ctrl-C; then what runs is stopped, and its boards are cleaned and given back."""
    settle(access.lost_after_s, access.no_worker_s)
    tasks.serve_by(worker)
    worker.start()
    try:
        asyncio.run(_serve(access, worker, log))
    finally:
        worker.end()


async def _serve(access: ServiceAccess, worker: FarmWorker, log: LogCallback) -> None:
    stopping, was_away = _stopping(), ""
    with tempfile.TemporaryDirectory(prefix="harness-farm-") as scratch:
        while not stopping.is_set():
            try:
                await _one_connection(access, worker, scratch, stopping, log)
                was_away = ""
            except Exception as error:  # of Dask: many kinds; the farm may come back whatever it was
                words = " ".join(str(error).split())[:200] or type(error).__name__
                if words != was_away:
                    log(f"{access.address}: the scheduler is not reachable: {words}")
                was_away = words
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stopping.wait(), RECONNECT_S)
        await _to_the_end(worker)


async def _one_connection(
    access: ServiceAccess, worker: FarmWorker, scratch: str, stopping: asyncio.Event, log: LogCallback
) -> None:
    facts = to_json(worker.facts)
    own = dask().Worker(
        access.address,
        name=worker.facts.name,
        nthreads=len(worker.boards) + MORE_THREADS,
        resources={f"board.{name}": 1 for name in worker.boards},
        security=security(access.certificates),
        host=access.listen or None,
        memory_limit=0,
        death_timeout=CONNECT_S,
        local_directory=scratch,
        dashboard=False,
        dashboard_address="127.0.0.1:0",
        metrics={METRIC: lambda _worker: facts},
    )
    await own
    log(f"{access.address}: connected with {len(worker.boards)} boards")
    ends = [asyncio.create_task(_waited(one)) for one in (own.finished(), stopping.wait())]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for end in ends:
        end.cancel()
    if stopping.is_set():
        worker.stop()
        await _to_the_end(worker)
    else:
        log(f"{access.address}: the connection ended; what runs goes on")
    with suppress(Exception):
        await asyncio.wait_for(own.close(timeout=2, executor_wait=False), 10)


async def _waited(coming: Coroutine[Any, Any, Any]) -> None:
    await coming


async def _to_the_end(worker: FarmWorker) -> None:
    """Until all boards are clean and all results written, END_LIMIT_S at most."""
    ends_at = asyncio.get_running_loop().time() + END_LIMIT_S
    worker.stop()
    while worker.is_busy and asyncio.get_running_loop().time() < ends_at:
        await asyncio.sleep(0.1)


def _stopping() -> asyncio.Event:
    """Set by SIGTERM, SIGINT or SIGHUP."""
    event = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, event.set)
    return event
