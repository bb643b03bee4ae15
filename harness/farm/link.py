"""From a night to its farm: jobs are sent by Dask, what came of them is read from the database.

Dask brings a job to the worker that has its board, and says at once that it ended. Whatever Dask loses (a worker, the
scheduler, all it knew) the database still says: which attempts began, and what came of them.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from harness.errors import HostError
from harness.farm.addresses import Certificates
from harness.farm.attempts import REFUSED, UNBEGUN, Attempt, Watcher
from harness.farm.extra import dask, security
from harness.farm.job import FarmJob, written
from harness.history.farm_jobs import ENDED, LOST, MEASURED, FarmJobs, JobRow
from harness.nightly.control import STOPPED, NightControl
from harness.records.callbacks import LogCallback

CONNECT_S = 10.0
AGAIN_S = 1.0
A_TURN_S = 2.0
STOP_LIMIT_S = 90.0  # for a worker to clean a board once its night was stopped
AGAIN = (STOPPED, "budget")  # reasons of results of an earlier sitting of the night, which go on
FINAL = (MEASURED, ENDED, LOST, REFUSED, UNBEGUN)


@dataclass(frozen=True)
class FarmAccess:
    """How the farm is reached."""

    scheduler: str
    certificates: Certificates | None = None
    wait_s: float = 120.0  # for a scheduler that is away


def connected(access: FarmAccess, wait_s: float) -> Any:
    """A client of Dask. Errors: HostError where the scheduler is not reached within `wait_s`."""
    distributed, ends_at = dask(), time.monotonic() + wait_s
    while True:
        limit_s = min(CONNECT_S, max(1.0, ends_at - time.monotonic()))
        try:
            return distributed.Client(
                access.scheduler,
                security=security(access.certificates),
                timeout=limit_s,
                set_as_default=False,
                name="harness",
            )
        except (OSError, RuntimeError) as error:
            if time.monotonic() >= ends_at:
                words = " ".join(str(error).split())[:200]
                hint = "start it: harness farm scheduler; check address and certificates (docs/farm.md)"
                raise HostError(f"{access.scheduler}: the scheduler is not reachable: {words}", hint) from error
        time.sleep(AGAIN_S)


class FarmLink:
    """The farm of one night. Call `start` first, `end` at last."""

    def __init__(
        self,
        access: FarmAccess,
        jobs: FarmJobs,
        night: str,
        control: NightControl,
        log: LogCallback,
        lost_after_s: float,
    ) -> None:
        self.jobs, self.night, self._control, self._log, self._access = jobs, night, control, log, access
        self._watcher = Watcher(jobs, night, lost_after_s, log)
        self._lock, self._sent = threading.Lock(), 0
        self._client: Any = None
        self._before: list[JobRow] | None = None

    def start(self) -> None:
        """Connect. Errors: HostError."""
        self.client()
        self._watcher.start()

    def end(self) -> None:
        """Forget the farm; what runs on it goes on."""
        self._watcher.end()
        with suppress(Exception):  # whatever Dask says of a scheduler that is gone
            if self._client is not None:
                self._client.close(timeout=5)

    def client(self) -> Any:
        """The client of Dask, made anew where its scheduler restarted. Errors: HostError."""
        with self._lock:
            if self._client is None or self._client.status not in ("running", "connecting"):
                is_first = self._client is None
                self._client = connected(self._access, CONNECT_S if is_first else self._access.wait_s)
                if not is_first:
                    self._log("scheduler: connected again")
            return self._client

    # ---- one job

    def run(self, job: FarmJob, tries: int, lost: Attempt | None = None) -> Attempt:
        """The attempt of a job that counts: measured or ended. `tries` of the way to it, beyond the first; `lost` is an
        attempt that was measured, and then lost.

        Errors: HostError where no worker runs it; KeyboardInterrupt where the night was stopped before.
        """
        attempt = lost or self._earlier(job)
        number = attempt.place[1] if attempt else 0
        if attempt is not None and attempt.state == LOST:
            attempt = None
        for extra in range(tries + 1):
            if attempt is None:
                number += 1
                attempt = self._begun(replace(job, attempt=number))
            if attempt.state != LOST and not self._was_cut(attempt):
                return attempt
            if extra < tries:
                self._log(f"{job.board}: {job.cell.case or 'health check'}: tried again after attempt {number}")
            attempt = None
        raise HostError(f"{job.board}: its worker was lost {tries + 1} times", "harness farm status; look at its PC")

    def is_judged(self, attempt: Attempt) -> bool:
        """Wait until it is; False where its worker was lost meanwhile. Errors: KeyboardInterrupt of a stopped night."""
        self._waited(attempt, (ENDED, LOST))
        self._watcher.dropped(attempt)
        return attempt.state == ENDED

    def _earlier(self, job: FarmJob) -> Attempt | None:
        """The attempt of an earlier sitting of this night that still counts."""
        rows = [row for row in self._rows() if row.run_key == job.run_key]
        if not rows:
            return None
        last = rows[-1]
        attempt = self._watcher.watched(Attempt((last.run_key, last.attempt), job.board, worker=last.worker))
        attempt.rise(last.state)
        if last.state == ENDED and self._reason(attempt) in AGAIN:
            attempt.state = LOST
        self._waited(attempt, FINAL)
        return attempt

    def _rows(self) -> list[JobRow]:
        """All attempts of the night so far, read once: they are those of earlier sittings."""
        with self._lock:
            if self._before is None:
                self._before = self.jobs.rows(self.night)
            return self._before

    def _was_cut(self, attempt: Attempt) -> bool:
        """Whether it ended because its worker was stopped, while the night goes on."""
        return attempt.state == ENDED and not self._control.over and self._reason(attempt) == STOPPED

    def _reason(self, attempt: Attempt) -> str:
        value = json.loads(self.jobs.result(attempt.place).text or "{}")
        return str(value.get("reason", "")) if isinstance(value, dict) else ""

    def _begun(self, job: FarmJob) -> Attempt:
        """Send a job until somebody has begun it; gives it as it ended, or was measured, or lost."""
        while True:
            attempt = self._watcher.watched(Attempt(job.place, job.board))
            future = self._submitted(job, attempt)
            try:
                self._waited(attempt, FINAL)
            finally:
                if attempt.state != MEASURED:
                    self._watcher.dropped(attempt)
                with suppress(Exception):
                    future.release()
            if attempt.state == REFUSED:
                raise HostError(attempt.why, "harness farm status")
            if attempt.state != UNBEGUN:
                return attempt

    def _submitted(self, job: FarmJob, attempt: Attempt) -> Any:
        from harness.farm.tasks import measure

        client = self.client()
        with self._lock:
            self._sent += 1
            key = f"{job.run_key}#{job.attempt}.{self._sent}"
        future = client.submit(
            measure, written(job), key=key, pure=False, retries=0, resources={f"board.{job.board}": 1}
        )
        future.add_done_callback(_hearer(attempt))
        return future

    def _waited(self, attempt: Attempt, states: tuple[str, ...]) -> None:
        """Errors: KeyboardInterrupt where the night was stopped, and the worker had its time to clean the board."""
        stopped_at: float | None = None
        while not attempt.wait(states, A_TURN_S):
            if self._control.over != STOPPED:
                continue
            stopped_at = stopped_at or time.monotonic()
            if not attempt.worker and attempt.state == "" and time.monotonic() - stopped_at > 2 * A_TURN_S:
                raise KeyboardInterrupt
            if time.monotonic() - stopped_at > STOP_LIMIT_S:
                raise KeyboardInterrupt
            with suppress(HostError):
                self.jobs.stop(attempt.place)


def _hearer(attempt: Attempt) -> Callable[[Any], None]:
    """What Dask calls when it has done with a job."""

    def hear(future: Any) -> None:
        if future.status == "finished":
            try:
                answer = future.result()
            except Exception:  # nobody waits for it any more: the database was quicker
                return
            attempt.has_failed = bool(answer.get("failed"))
            attempt.why = str(answer.get("why", ""))
            if answer["state"] in (MEASURED, REFUSED):  # what has ended counts when the database has it
                attempt.rise(answer["state"])
            return
        error = future.exception() if future.status == "error" else None
        if type(error).__name__ == "NoValidWorkerError":
            attempt.why = f"no worker for board {attempt.board}: harness farm worker {attempt.board} on its PC"
            attempt.rise(REFUSED)
        attempt.is_given_up = True

    return hear
