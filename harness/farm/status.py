"""What a farm looks like now: its workers with their boards, and what runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.farm.worker import WorkerFacts
from harness.history.farm_database import FarmDatabase
from harness.history.farm_jobs import FarmJobs, JobRow
from harness.records.codec import from_json

METRIC = "harness"  # under which a worker tells its facts with every sign of life


@dataclass(frozen=True)
class FarmStatus:
    """Workers by name, and the attempts that go on, in the order in which they began."""

    scheduler: str
    workers: tuple[WorkerFacts, ...]
    jobs: tuple[JobRow, ...] = ()
    others: int = 0  # Dask workers that are none of harness


def status_of(client: Any, scheduler: str, database: FarmDatabase | None) -> FarmStatus:
    """Errors: HostError where the database does not answer."""
    workers, rows = workers_of(client), tuple[JobRow, ...]()
    if database is not None:
        database.prepare()
        rows = tuple(FarmJobs(database).rows())
    return FarmStatus(scheduler, tuple(workers), rows, len(_identities(client)) - len(workers))


def workers_of(client: Any) -> list[WorkerFacts]:
    """The workers of harness that the scheduler knows, by name."""
    metrics = [identity.get("metrics") for identity in _identities(client)]
    read = [from_json(WorkerFacts, one.get(METRIC)) for one in metrics if isinstance(one, dict)]
    return sorted((one.value for one in read if one is not None and not one.damage), key=lambda facts: facts.name)


def _identities(client: Any) -> list[Mapping[str, object]]:
    return list(client.scheduler_info(n_workers=-1)["workers"].values())
