"""A thread per board: its cases one after another, its health looked after in between."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from harness.agent.leases import owner_name
from harness.boards.health import (
    BAD,
    GOOD,
    MAINTENANCE,
    UNKNOWN,
    BoardUse,
    Health,
    after_check,
    after_job,
    after_trouble,
    load_health,
    save_health,
    save_use,
)
from harness.errors import HarnessError
from harness.nightly.cells import CellRunner, MeasuredCell
from harness.nightly.control import STOPPED
from harness.nightly.pairing import CasePair, health_case
from harness.nightly.suite import HealthFile
from harness.nightly.verdicts import unmeasured
from harness.records import Board, Case
from harness.records.nights import BoardOfNight, Cell

CLEAN_LOOKS = 2  # that make a bad board good again where the suite has no health check
TROUBLES = ("link", "board", "tool")  # reasons that put a board's health in doubt


@dataclass
class BoardWorker:
    """One board of a night. `begun` and `ended` are called with every cell as it begins and ends."""

    board: Board
    pairs: Sequence[tuple[CasePair, Cell]]
    runner: CellRunner
    begun: Callable[[Cell], None]
    ended: Callable[[Cell], None]
    night: str
    health_file: HealthFile | None = None
    suite_folder: Path = Path()
    record: BoardOfNight = field(init=False)
    step: str = ""  # what is being done, for who watches

    def __post_init__(self) -> None:
        identity = self.board.identity
        self._health = load_health(self.board.name)
        self.record = BoardOfNight(
            *(identity.name, identity.platform, identity.soc, self.board.emulated is not None),
            before=self._health.word,
        )
        self._checked_bad = False
        self._pending: list[threading.Event] = []
        self._settled: queue.SimpleQueue[Cell] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self.work, name=f"night {self.board.name}", daemon=True)

    def work(self) -> None:
        """All cases of this board, to the end of the list or of the night; the board is free before all are judged."""
        try:
            for place, (pair, cell) in enumerate(self.pairs):
                if self._health.troubles:
                    self._wait()  # whether the last job was a good one says how many troubles are in a row
                self._use(pair.case.name, len(self.pairs) - place - 1)
                self._one(pair, cell)
        finally:
            with suppress(OSError):
                save_use(self.board.name, None)
            self.step = "judging"
            self._wait()
            self.record = replace(self.record, after=self._health.word, remark=self._health.reason)

    def _one(self, pair: CasePair, cell: Cell) -> None:
        over = self.runner.control.over
        refusal = unmeasured(cell, over, "the night ended before it") if over else self._refusal(cell)
        if refusal is not None:
            self.ended(refusal)
            return
        self.begun(replace(cell, state="running", started_utc=now()))
        result = self.runner.measured(pair, replace(cell, started_utc=now()), self._heard)
        if isinstance(result, Cell):
            self._wait()  # in order: an earlier job does not excuse this one
            self._settle(result)
            self._wait()
            return
        self._pending.append(self.runner.judges.take(partial(self._judge, result)))
        if result.has_failed:
            self._wait()

    # ---- verdicts, which come later than the board's next case

    def _judge(self, measured: MeasuredCell) -> None:
        """For one of the judges."""
        self._settle(self.runner.judged(measured))

    def _settle(self, cell: Cell) -> None:
        self._settled.put(cell)
        self.ended(replace(cell, ended_utc=now()))

    def _wait(self) -> None:
        """Until everything that was measured is judged; what that says of the board is learned, in order."""
        while self._pending:
            self._pending.pop(0).wait()
        while not self._settled.empty():
            self._learn(self._settled.get())

    def _heard(self, step: str) -> None:
        self.step = step

    def _use(self, case: str, waiting: int) -> None:
        with suppress(OSError):
            by = owner_name()
            save_use(self.board.name, BoardUse(self.night, case, now(), waiting, str(self.runner.folder), by))

    # ---- health

    def _refusal(self, cell: Cell) -> Cell | None:
        """The cell of a board that gets no job now; None for one that is well."""
        self._health = load_health(self.board.name)
        if self._health.word == UNKNOWN or (self._health.word == BAD and not self._checked_bad):
            try:
                self._check()
            except KeyboardInterrupt:
                return unmeasured(cell, self.runner.control.over or STOPPED, "the night was stopped")
        if self._health.word == MAINTENANCE:
            return unmeasured(cell, "maintenance", f"in maintenance: {self._health.reason}")
        if self._health.word == BAD:
            return unmeasured(cell, "bad", f"the board is bad: {self._health.reason}")
        return None

    def _check(self) -> None:
        """Health checks until the board is good or bad; one that is bad gets as many as could make it good again.

        A board that cannot be asked (somebody else has it) stays as it is, and its job says why.
        """
        wanted = self.health_file.clean_checks if self.health_file else CLEAN_LOOKS
        was_bad = self._health.word == BAD
        self._checked_bad = self._checked_bad or was_bad
        for _ in range(wanted if was_bad else 1):
            try:
                failure = self.runner.check(self.board, self._case(), self._max_us(), self._heard)
            except HarnessError as error:
                self.runner.log(f"{self.board.name}: no health check: {error.message}")
                return
            self.record = replace(self.record, checks=self.record.checks + 1)
            self._keep(after_check(self._health, failure, wanted))
            self.runner.log(f"{self.board.name}: health check: {failure or 'clean'}: {self._health.word}")
            if failure or self._health.word == GOOD:
                self._checked_bad = self._checked_bad or bool(failure)
                return

    def _case(self) -> Case | None:
        return health_case(self.suite_folder, self.health_file, self.board.identity) if self.health_file else None

    def _max_us(self) -> float | None:
        return self.health_file.max_us if self.health_file else None

    def _learn(self, cell: Cell) -> None:
        """What a job tells of its board."""
        if cell.word == "unmeasured" and cell.reason in TROUBLES:
            self._keep(after_trouble(self._health, f"{cell.reason}: {cell.detail}"))
            self._checked_bad = self._checked_bad or self._health.word == BAD  # not asked again this night
            self.runner.log(f"{self.board.name}: {self._health.word} after {cell.case}: {cell.reason}")
        elif cell.word != "unmeasured" and self._health.troubles:
            self._keep(after_job(self._health))

    def _keep(self, health: Health) -> None:
        try:
            self._health = save_health(self.board.name, health)
        except (HarnessError, OSError):  # this PC's disk: the night goes on with what it knows
            self._health = health


def now() -> str:
    """The time of day, for people; nothing is computed from it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
