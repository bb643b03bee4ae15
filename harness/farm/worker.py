"""The process on a PC whose boards it runs: jobs come by Dask, results go into the database, boards are leased as ever.

A job is not Dask's once it has begun: it has a thread of its own here, and ends with its result in the database whether
the scheduler is still there or not. So a scheduler that restarts costs nothing that runs.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from harness import __version__
from harness.errors import HarnessError, HostError
from harness.farm.case_files import lay_out, mirror_of
from harness.farm.job import CASE, FarmJob, read_job
from harness.farm.run_archive import packed
from harness.history.farm_database import FarmDatabase
from harness.history.farm_jobs import ENDED, MEASURED, FarmJobs, JobResult
from harness.names import safe_name
from harness.nightly.cells import CellRunner, MeasuredCell
from harness.nightly.control import NightControl
from harness.nightly.judges import Judges
from harness.nightly.verdicts import reason_of, unmeasured
from harness.records import Board
from harness.records.callbacks import LogCallback
from harness.records.codec import to_json
from harness.records.nights import Cell
from harness.review.kept_references import ReferenceFolders

BEAT_S = 2.0
REFUSED, CLAIMED = "refused", "claimed"  # states of an answer, beside those of a row
Answer = Mapping[str, str | bool]


@dataclass(frozen=True)
class WorkerFacts:
    """What a worker says of itself to who looks at the farm."""

    name: str
    host: str
    pid: int
    version: str
    farm_id: str
    boards: Mapping[str, str] = field(default_factory=dict)  # name -> platform and soc


class FarmWorker:
    """Boards of this PC at the service of a farm. Call `start` first, and `end` at last."""

    def __init__(
        self,
        boards: Mapping[str, Board],
        database: FarmDatabase,
        folder: Path,
        log: LogCallback,
        name: str = "",
        runner: type[CellRunner] = CellRunner,
    ) -> None:
        self.boards, self.folder, self.log, self._runner = boards, folder.absolute(), log, runner
        self.database, self.jobs = database, FarmJobs(database)
        described = {board.name: f"{board.identity.platform} {board.identity.soc}" for board in boards.values()}
        host = socket.gethostname()
        own = f"{name or host}/{os.getpid()}-{os.urandom(3).hex()}"
        self.facts = WorkerFacts(own, host, os.getpid(), __version__, database.prepare(), described)
        self._at_work: dict[tuple[str, int], NightControl] = {}
        self._references: dict[str, ReferenceFolders] = {}
        self._files = threading.Lock()
        self._outbox: queue.Queue[Callable[[], object]] = queue.Queue()
        self._pool = ThreadPoolExecutor(2 * len(boards), thread_name_prefix="job")
        self._judges = Judges()
        self._over = threading.Event()

    def start(self) -> None:
        """Judge, say that this process goes on, and write what jobs gave. Errors: HostError without a database."""
        self.jobs.beat(self.facts.name)
        self._judges.start()
        for work in (self._beat, self._send):
            threading.Thread(target=work, name=work.__name__, daemon=True).start()

    def take(self, value: object) -> Future[Answer]:
        """Run a job in a thread of its own; the answer is its state, never an exception of its board."""
        return self._pool.submit(self._run, value)

    @property
    def is_busy(self) -> bool:
        """Whether something runs, or is not written yet."""
        return bool(self._at_work) or self._outbox.unfinished_tasks > 0

    def stop(self) -> None:
        """Stop what runs on the boards, clean them and give them back."""
        for control in list(self._at_work.values()):
            control.stop()

    def end(self) -> None:
        """No more signs of life."""
        self._over.set()
        self.database.close()

    # ---- one job

    def _run(self, value: object) -> Answer:
        try:
            job = read_job(value)
            board = self._accepted(job)
            if not self.jobs.claim(job.night, job.place, job.board, self.facts.name):
                return {"state": CLAIMED}
        except HarnessError as error:
            self.log(f"refused: {error.message}")
            return {"state": REFUSED, "why": error.message}
        control = NightControl(job.limits.night_s)
        self._at_work[job.place] = control
        self.log(f"{job.board}: {job.cell.case or 'health check'}: begins, attempt {job.attempt}")
        return self._case(job, board, control) if job.kind == CASE else self._check(job, board, control)

    def _accepted(self, job: FarmJob) -> Board:
        """The board of a job. Errors: HostError for a job that is not for this worker."""
        me, board = self.facts.name, self.boards.get(job.board)
        if job.version != __version__:
            raise HostError(f"worker {me} has harness {__version__}, the night {job.version}", "update one of them")
        if job.farm_id != self.facts.farm_id:
            raise HostError(f"worker {me} writes to another database than the night reads", "give both one --history")
        if board is None:
            raise HostError(f"worker {me} has no board {job.board}", "harness farm status")
        if (board.identity.platform, board.identity.soc) != (job.platform, job.soc):
            own = f"{board.identity.platform} {board.identity.soc}"
            raise HostError(
                f"{job.board} is {job.platform} {job.soc} where the night was submitted, {own} at worker {me}",
                "use one hosts.yaml on all PCs of a farm",
            )
        return board

    def _case(self, job: FarmJob, board: Board, control: NightControl) -> Answer:
        runner = self._runner_of(job, control)
        try:
            with self._files:
                mirror = lay_out(self.database, job.night, job.files)
            result = runner.measured(job.pair(board, mirror), job.cell, lambda _step: None)
        except (HarnessError, OSError) as error:
            result = unmeasured(job.cell, reason_of(error), str(error))
        except Exception as error:  # a worker does not end for one job, whatever it is
            result = unmeasured(job.cell, "bug", f"{type(error).__name__}: {error}")
        if isinstance(result, Cell):
            return self._ended(job, result)
        failed = result.has_failed
        self._outbox.put(partial(self.jobs.measured, job.place, self.facts.name, failed))
        self._judges.take(partial(self._judge, job, runner, result))
        return {"state": MEASURED, "failed": failed}

    def _judge(self, job: FarmJob, runner: CellRunner, result: MeasuredCell) -> None:
        self._ended(job, runner.judged(result))

    def _check(self, job: FarmJob, board: Board, control: NightControl) -> Answer:
        runner, text = self._runner_of(job, control), {"failure": "", "error": "", "reason": ""}
        try:
            case = None
            if job.case is not None:
                with self._files:
                    case = job.pair(board, lay_out(self.database, job.night, job.files)).case
            text["failure"] = runner.check(board, case, job.limits.max_us, lambda _step: None)
        except KeyboardInterrupt:
            text |= {"error": "the night was stopped", "reason": "stopped"}
        except HarnessError as error:
            text |= {"error": error.message, "reason": reason_of(error)}
        except Exception as error:
            text |= {"error": f"{type(error).__name__}: {error}", "reason": reason_of(error)}
        return self._written(job, json.dumps(text), b"")

    def _runner_of(self, job: FarmJob, control: NightControl) -> CellRunner:
        folder = self.folder.joinpath(*(safe_name(part) for part in job.night.split("/")))
        references = self._references.setdefault(job.night, ReferenceFolders())
        limits, goes_on = job.night_limits(), job.attempt > 1
        return self._runner(
            *(folder, limits, control, {}, self.log, job.limits.power_cycle, goes_on),
            *(job.folder, self._judges, references),
        )

    # ---- what came of it

    def _ended(self, job: FarmJob, cell: Cell) -> Answer:
        self.log(f"{job.board}: {cell.case}: {cell.word}{f' ({cell.reason})' if cell.reason else ''}: {cell.detail}")
        archive = b""
        folder = self.folder.joinpath(*(safe_name(part) for part in job.night.split("/")))
        with suppress(OSError, HarnessError):
            archive = packed(folder / cell.run) if cell.run else b""
        mirror = str(mirror_of(job.night))
        cell = replace(cell, detail=cell.detail.replace(mirror, ""))
        return self._written(job, json.dumps(to_json(cell)), archive)

    def _written(self, job: FarmJob, text: str, archive: bytes) -> Answer:
        def write() -> None:
            if not self.jobs.ended(job.place, self.facts.name, JobResult(text, archive)):
                self.log(f"{job.board}: attempt {job.attempt} was given up meanwhile: its result does not count")
            self._at_work.pop(job.place, None)

        self._outbox.put(write)
        return {"state": ENDED}

    def _send(self) -> None:
        """Write what jobs gave, in order, however long the database is away."""
        while not self._over.is_set():
            work = self._outbox.get()
            while not self._over.is_set():
                with suppress(HostError):
                    work()
                    break
            self._outbox.task_done()

    def _beat(self) -> None:
        while not self._over.wait(BEAT_S):
            with suppress(HostError):
                for place in self.jobs.beat(self.facts.name):
                    if place in self._at_work:
                        self._at_work[place].stop()
