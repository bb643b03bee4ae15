"""The pairs of a night run by the workers of a farm. Everything around them is that of a night on one PC."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness import __version__
from harness.errors import HostError, MeasurementError
from harness.farm.attempts import Attempt
from harness.farm.case_files import FilesOfNight
from harness.farm.job import CASE, CHECK, FarmJob, JobLimits
from harness.farm.link import FarmLink
from harness.farm.run_archive import unpacked
from harness.history.farm_jobs import MEASURED, JobResult
from harness.nightly.cells import CellRunner, MeasuredCell, judged_run
from harness.nightly.control import STOPPED, CaseClock
from harness.nightly.pairing import CasePair
from harness.records import Board, Case, Run
from harness.records.callbacks import ProgressCallback
from harness.records.codec import from_json
from harness.records.nights import Cell

_BUDGET_S = 3600.0  # of a block or a health check; both have limits of their own below it


@dataclass(frozen=True)
class FarmMeasured(MeasuredCell):
    """A cell whose board is free again, while its worker judges; `left` is empty."""

    attempt: Attempt = field(kw_only=True)
    job: FarmJob = field(kw_only=True)

    @property
    def has_failed(self) -> bool:
        """As the worker says."""
        return self.attempt.has_failed


@dataclass
class FarmRunner(CellRunner):
    """As a CellRunner, its boards elsewhere. Verdicts are made from the runs that come home, by the same functions."""

    link: FarmLink = field(kw_only=True)
    files: FilesOfNight = field(kw_only=True)
    farm_id: str = field(kw_only=True)

    def measured(self, pair: CasePair, cell: Cell, heard: Callable[[str], None]) -> MeasuredCell | Cell:
        """One pair as its board left it, to be judged; where it could not be measured, its cell."""
        cell = replace(cell, began_s=self.control.since_s)
        began_s = self.control.since_s

        def work() -> MeasuredCell | Cell:
            heard("on the farm")
            job = self._job(pair, cell, f"{self.link.night}/{cell.case}/{cell.board}")
            attempt = self.link.run(job, self.limits.retries)
            if attempt.state == MEASURED:
                return FarmMeasured(cell, pair, Run(), attempt=attempt, job=job)
            return self._home(pair, cell, attempt)

        ended = self._whatever_happens(cell, self._clock(heard), work)
        duration_s = round(self.control.since_s - began_s, 3)
        if isinstance(ended, FarmMeasured):
            return replace(ended, cell=replace(ended.cell, duration_s=duration_s))
        assert isinstance(ended, Cell)
        return replace(ended, began_s=began_s, duration_s=duration_s)

    def judged(self, measured: MeasuredCell) -> Cell:
        """The cell of what was measured, whatever happens; for one of the judges."""
        if not isinstance(measured, FarmMeasured):
            return CellRunner.judged(self, measured)

        def work() -> Cell:
            return self._home(measured.pair, measured.cell, self._judged_attempt(measured.job, measured.attempt))

        return self._whatever_happens(measured.cell, self._clock(lambda _step: None), work)

    def _judged_attempt(self, job: FarmJob, attempt: Attempt) -> Attempt:
        """The attempt that is judged at last; one whose worker was lost meanwhile goes on by another one's hand."""
        while not self.link.is_judged(attempt):
            attempt = self.link.run(job, self.limits.retries, attempt)
        return attempt

    def _clock(self, heard: Callable[[str], None]) -> CaseClock:
        return CaseClock(self.control, _BUDGET_S, heard)

    # ---- what comes home

    def _home(self, pair: CasePair, cell: Cell, attempt: Attempt) -> Cell:
        """The cell of an attempt that ended: judged anew from its run, with the history that this PC has."""
        result = self.link.jobs.result(attempt.place)
        own, run = self._unpacked(result)
        tries = own.tries + attempt.place[1] - 1
        if run is None:
            own = replace(own, started_utc=cell.started_utc, began_s=cell.began_s, duration_s=cell.duration_s)
            return replace(own, tries=tries)
        return CellRunner.judged(self, MeasuredCell(replace(cell, run=own.run, tries=tries), pair, run))

    def _unpacked(self, result: JobResult) -> tuple[Cell, Run | None]:
        """The worker's own cell, and the run where it was judged. Errors: HostError for what is none."""
        read = from_json(Cell, json.loads(result.text or "null"))
        if read is None or read.damage:
            raise HostError("a worker's result is not readable", "use one version of harness on all PCs of a farm")
        run = unpacked(result.archive, self.folder, read.value.run)
        return replace(read.value, run=run), judged_run(self.folder / run) if run else None

    # ---- health, sittings

    def check(self, board: Board, case: Case | None, max_us: float | None, heard: Callable[[str], None]) -> str:
        """Why the board failed its health check; "" where it is well. Errors: as of CellRunner."""
        heard("health check on the farm")
        pair = CasePair(replace(case, wait_s=self.limits.wait_s), board, _BUDGET_S, False) if case else None
        key = f"{self.link.night}/health/{board.name}/{secrets.token_hex(4)}"
        job = replace(self._job(pair, Cell("", board.name), key, board), kind=CHECK)
        job = replace(job, limits=replace(job.limits, max_us=max_us))
        attempt = self.link.run(job, self.limits.retries)
        value = json.loads(self.link.jobs.result(attempt.place).text or "{}")
        if value.get("reason") == STOPPED:
            raise KeyboardInterrupt
        if value.get("error"):
            raise MeasurementError(str(value["error"]))
        return str(value.get("failure", ""))

    def block(self, board: Board, case: Case, runs: Path, tell: ProgressCallback) -> tuple[Path, Run]:
        """One block of a sitting. Errors: MeasurementError where it gave no run."""
        tell("on the farm", 0, -1)
        pair = CasePair(case, board, _BUDGET_S, False)
        key = f"{self.link.night}/{runs.name}/{case.name}/{board.name}/{secrets.token_hex(4)}"
        job = replace(self._job(pair, Cell(case.name, board.name), key), folder=runs.name)
        attempt = self._judged_attempt(job, self.link.run(job, self.limits.retries))
        own, run = self._unpacked(self.link.jobs.result(attempt.place))
        if run is None:
            raise MeasurementError(own.detail)
        return self.folder / own.run, run

    def _job(self, pair: CasePair | None, cell: Cell, run_key: str, board: Board | None = None) -> FarmJob:
        board = pair.board if pair is not None else board
        assert board is not None
        identity, limits = board.identity, self.limits
        left_s = max(1.0, limits.budget_s - self.control.since_s)
        times = (pair.budget_s if pair else _BUDGET_S, left_s, limits.wait_s, limits.retries, limits.retry_pause_s)
        return FarmJob(
            *(self.link.night, run_key, 0, CASE, board.name, identity.platform, identity.soc),
            *(self.farm_id, __version__, JobLimits(*times, self.power_cycle), cell),
            case=pair.case if pair else None,
            files=self.files.of_pair(pair) if pair else (),
        )
