"""Jobs of a farm past one PC: every attempt is made once, and its result is written by the PC that ran it.

`UNIQUE(run_key, attempt)` is what holds that: whoever inserts the row runs the attempt, and only that one ends it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.history.farm_database import FarmDatabase

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

RUNNING, MEASURED, ENDED, LOST = "running", "measured", "ended", "lost"
JobPlace = tuple[str, int]  # run_key and attempt


@dataclass(frozen=True)
class JobRow:
    """One attempt, without its files."""

    run_key: str
    attempt: int
    board: str
    worker: str
    state: str
    failed: bool = False  # a tool did


@dataclass(frozen=True)
class JobResult:
    """What an attempt gave: JSON, and the small files of its run as an archive."""

    text: str
    archive: bytes


class FarmJobs:
    """The jobs in a database. Errors: HostError where it is away for longer than it is waited for."""

    def __init__(self, database: FarmDatabase) -> None:
        self.database = database

    # ---- by the worker that runs them

    def claim(self, night: str, place: JobPlace, board: str, worker: str) -> bool:
        """Make an attempt one's own; False where another worker has it, or had it."""
        from sqlalchemy import insert, select
        from sqlalchemy.exc import IntegrityError

        from harness.history.farm_tables import JOBS

        claim = secrets.token_hex(16)
        row = {"night": night, "run_key": place[0], "attempt": place[1], "board": board, "worker": worker}
        row |= {"claim": claim, "state": RUNNING, "stop": False, "failed": False, "result": ""}
        try:
            self.database.run(lambda connection: connection.execute(insert(JOBS).values(row)))
            return True
        except IntegrityError:  # perhaps this very row, where the link broke after it was written
            chosen = select(JOBS.c.claim).where(_at(place))
            return bool(self.database.run(lambda connection: connection.execute(chosen).scalar()) == claim)

    def measured(self, place: JobPlace, worker: str, failed: bool) -> bool:
        """The board is free again, and what it gave is being judged; False where the attempt was given up."""
        return self._changed(place, worker, {"state": MEASURED, "failed": failed}, (RUNNING,))

    def ended(self, place: JobPlace, worker: str, result: JobResult) -> bool:
        """Keep what came of an attempt; False where it was given up meanwhile: another attempt counts then."""
        values: Mapping[str, object] = {"state": ENDED, "result": result.text, "archive": result.archive}
        return self._changed(place, worker, values, (RUNNING, MEASURED))

    def beat(self, worker: str) -> set[JobPlace]:
        """Say that a worker goes on; gives those of its jobs that are to stop."""
        from sqlalchemy import insert, select, update

        from harness.history.farm_tables import JOBS, WORKERS

        rising = update(WORKERS).where(WORKERS.c.worker == worker).values(beats=WORKERS.c.beats + 1)
        at_work = (JOBS.c.worker == worker) & JOBS.c.state.in_((RUNNING, MEASURED))
        chosen = select(JOBS.c.run_key, JOBS.c.attempt).where(at_work & JOBS.c.stop)

        def work(connection: Connection) -> set[JobPlace]:
            if connection.execute(rising).rowcount == 0:
                connection.execute(insert(WORKERS).values(worker=worker, beats=1))
            return {(row.run_key, row.attempt) for row in connection.execute(chosen)}

        return self.database.run(work, 0.0)

    def _changed(self, place: JobPlace, worker: str, values: Mapping[str, object], states: Sequence[str]) -> bool:
        from sqlalchemy import update

        from harness.history.farm_tables import JOBS

        own = _at(place) & (JOBS.c.worker == worker) & JOBS.c.state.in_(states)
        change = update(JOBS).where(own).values(dict(values))
        return self.database.run(lambda connection: connection.execute(change).rowcount) == 1

    # ---- by who submitted them

    def rows(self, night: str = "") -> list[JobRow]:
        """Every attempt of a night, in the order in which they began; of all nights what goes on now."""
        from sqlalchemy import select

        from harness.history.farm_tables import JOBS

        wanted = JOBS.c.night == night if night else JOBS.c.state.in_((RUNNING, MEASURED))
        columns = (JOBS.c.run_key, JOBS.c.attempt, JOBS.c.board, JOBS.c.worker, JOBS.c.state, JOBS.c.failed)
        chosen = select(*columns).where(wanted).order_by(JOBS.c.id)
        return [JobRow(*row) for row in self.database.run(lambda connection: connection.execute(chosen).all(), 0.0)]

    def beats(self) -> dict[str, int]:
        """How far every worker has counted."""
        from sqlalchemy import select

        from harness.history.farm_tables import WORKERS

        chosen = select(WORKERS.c.worker, WORKERS.c.beats)
        return {row.worker: row.beats for row in self.database.run(lambda c: c.execute(chosen).all(), 0.0)}

    def give_up(self, place: JobPlace) -> bool:
        """Take an attempt for lost: what it may still give does not count. False where it has ended meanwhile."""
        from sqlalchemy import update

        from harness.history.farm_tables import JOBS

        change = update(JOBS).where(_at(place) & (JOBS.c.state != ENDED)).values(state=LOST)
        return self.database.run(lambda connection: connection.execute(change).rowcount) == 1

    def stop(self, place: JobPlace) -> None:
        """Ask whoever runs an attempt to stop its tool and clean its board."""
        from sqlalchemy import update

        from harness.history.farm_tables import JOBS

        change = update(JOBS).where(_at(place)).values(stop=True)
        self.database.run(lambda connection: connection.execute(change))

    def result(self, place: JobPlace) -> JobResult:
        """Of an attempt that has ended."""
        from sqlalchemy import select

        from harness.history.farm_tables import JOBS

        chosen = select(JOBS.c.result, JOBS.c.archive).where(_at(place))
        row = self.database.run(lambda connection: connection.execute(chosen).one())
        return JobResult(row.result, row.archive or b"")


def _at(place: JobPlace) -> ColumnElement[bool]:
    from harness.history.farm_tables import JOBS

    return (JOBS.c.run_key == place[0]) & (JOBS.c.attempt == place[1])
