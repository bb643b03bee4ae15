"""A night on a farm: pairs settled, judged, written and told as on one PC, its boards on as many as there are."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import __version__
from harness.errors import HarnessError, HostError
from harness.farm import extra
from harness.farm.case_files import FilesOfNight
from harness.farm.link import FarmAccess, FarmLink
from harness.farm.runner import FarmRunner
from harness.farm.status import workers_of
from harness.farm.worker import WorkerFacts
from harness.history import farm_files
from harness.history.farm_database import FarmDatabase
from harness.history.farm_jobs import FarmJobs
from harness.nightly.control import NightControl
from harness.nightly.judges import MOST_WAITING, Judges
from harness.nightly.night import NightPlan, RunnerMaker, run_night
from harness.records.callbacks import LogCallback, ProgressCallback
from harness.records.nights import Night

MOST_JUDGES = 64  # that wait for workers to judge; the work is theirs


@dataclass(frozen=True)
class FarmSettings:
    """Where the farm is, which database it has, and how long its parts may be silent. Seconds."""

    access: FarmAccess
    database: str
    database_wait_s: float = 300.0
    lost_after_s: float = extra.LOST_AFTER_S


def submit_night(
    settings: FarmSettings,
    plan: NightPlan,
    folder: Path,
    night: Night,
    control: NightControl,
    tell: ProgressCallback,
    log: LogCallback,
) -> Night:
    """Run a night on the farm. Errors: as of `run_night`; HostError where scheduler or database are not reached at all,
    or where a worker is of another harness or writes elsewhere."""
    extra.settle(settings.lost_after_s)
    database = FarmDatabase(settings.database, settings.database_wait_s, log)
    farm_id = database.prepare()
    link = FarmLink(settings.access, FarmJobs(database), night.id, control, log, settings.lost_after_s)
    try:
        link.start()
        _look_at_workers(workers_of(link.client()), list(plan.pairing.boards), farm_id, log)
        files = FilesOfNight(database, night.id)
        pairs = len(plan.pairing.pairs)  # what waits for its worker's verdict takes no memory: no board waits for it
        judges = Judges(min(MOST_JUDGES, len(plan.pairing.boards) or 1), max(MOST_WAITING, pairs))
        maker = _maker(link, files, farm_id, judges)
        night = run_night(plan, folder, night, control, tell, log, maker)
        if night.state == "complete":
            with suppress(HarnessError):
                farm_files.forget(database, night.id)
        return night
    finally:
        link.end()
        database.close()


def _maker(link: FarmLink, files: FilesOfNight, farm_id: str, judges: Judges) -> RunnerMaker:
    def make(*of_night: Any) -> FarmRunner:
        runner = FarmRunner(*of_night, link=link, files=files, farm_id=farm_id)
        runner.judges = judges
        return runner

    return make


def _look_at_workers(workers: Sequence[WorkerFacts], boards: Sequence[str], farm_id: str, log: LogCallback) -> None:
    """Errors: HostError for a worker with a board of the night that could not run its jobs."""
    for worker in workers:
        own = sorted(set(worker.boards) & set(boards))
        if own and worker.version != __version__:
            raise HostError(
                f"worker {worker.name} ({', '.join(own[:4])}) has harness {worker.version}; this is {__version__}",
                "install one version of harness on all PCs of a farm",
            )
        if own and worker.farm_id != farm_id:
            raise HostError(
                f"worker {worker.name} ({', '.join(own[:4])}) writes to another database than this night reads",
                "give `harness farm worker` and `submit` the same --history URL",
            )
    served = {name for worker in workers for name in worker.boards}
    for name in boards:
        if name not in served:
            log(f"no worker for board {name} yet: harness farm worker {name}, on its PC")
