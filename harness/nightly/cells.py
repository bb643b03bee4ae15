"""One pair measured: run, tried again where the way to the board broke, judged, and put into its cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from harness import platforms
from harness.agent.words import REBOOTED, Refused
from harness.errors import GOOD, HarnessError, HostKeyError, InputError, LinkError, LoginError
from harness.nightly.control import CaseClock, NightControl
from harness.nightly.judges import Judges
from harness.nightly.pairing import CasePair
from harness.nightly.suite import NightLimitsFile
from harness.nightly.verdicts import Limits, cell_of, reason_of, unmeasured
from harness.profiling.distribution import usual_us
from harness.records import Board, Case, PowerSupply, Run, TypedCommand
from harness.records.callbacks import LogCallback, ProgressCallback
from harness.records.nights import Cell
from harness.regressions.series import NightPoint
from harness.report import write_report
from harness.review.kept_references import ReferenceFolders
from harness.runs import folder as store
from harness.runs.resume import FILE as RESUME_FILE
from harness.session import Interrupted, resumable, resume_case, run_case
from harness.session.judged import MeasuredRun, measured, run_and_judge

RUNS, CHECKS = "runs", "health"  # folders of a night
CHECK_SHARE = 4  # a health check takes so many times the limit of one mode, with all that is around it
Ended = TypeVar("Ended")
History = Mapping[tuple[str, str], Sequence[NightPoint]]  # (case, board) -> earlier nights, oldest first


@dataclass(frozen=True)
class MeasuredCell:
    """A cell whose board is free again: `left` is to be judged, or was judged by an earlier process of this night."""

    cell: Cell
    pair: CasePair
    left: MeasuredRun | Run

    @property
    def has_failed(self) -> bool:
        """Whether a tool failed: its board is in doubt until the run is judged."""
        run = self.left if isinstance(self.left, Run) else store.load_run(self.left.folder)
        return any(mode.failure for mode in run.modes)


@dataclass
class CellRunner:
    """What all workers of a night share. A board is held while its case is measured; `judges` do the rest."""

    folder: Path
    limits: NightLimitsFile
    control: NightControl
    history: History
    log: LogCallback
    power_cycle: bool = True
    goes_on: bool = False  # with what an earlier process of this night left
    runs_name: str = RUNS
    judges: Judges = field(default_factory=Judges)
    references: ReferenceFolders = field(default_factory=ReferenceFolders)

    def measured(self, pair: CasePair, cell: Cell, heard: Callable[[str], None]) -> MeasuredCell | Cell:
        """One pair as its board left it, to be judged; where it could not be measured, its cell."""
        began_s = self.control.since_s
        clock = CaseClock(self.control, pair.budget_s, heard)

        def work() -> MeasuredCell:
            folder, left, tries = self._tried(pair, clock)
            run = folder.relative_to(self.folder).as_posix()
            return MeasuredCell(replace(cell, run=run, tries=tries), pair, left)

        ended = self._whatever_happens(cell, clock, work)
        duration_s = round(self.control.since_s - began_s, 3)
        if isinstance(ended, Cell):
            return replace(ended, began_s=began_s, duration_s=duration_s)
        return replace(ended, cell=replace(ended.cell, began_s=began_s, duration_s=duration_s))

    def judged(self, measured: MeasuredCell) -> Cell:
        """The cell of what was measured, whatever happens; for one of the judges."""
        cell, pair = measured.cell, measured.pair
        clock = CaseClock(self.control, pair.budget_s, lambda _step: None, is_judging=True)

        def work() -> Cell:
            run = measured.left if isinstance(measured.left, Run) else _judged(measured.left, clock)
            limits = Limits(pair.max_slower_percent, pair.max_drift_percent)
            return cell_of(cell, run, limits, self.history.get((cell.case, cell.board), ()))

        return self._whatever_happens(cell, clock, work)

    def _whatever_happens(self, cell: Cell, clock: CaseClock, work: Callable[[], Ended]) -> Ended | Cell:
        """What `work` gives, or the cell of a pair that has no verdict."""
        try:
            return work()
        except (KeyboardInterrupt, Interrupted) as error:
            detail = _OVER[clock.over or self.control.over or "stopped"]
            return self._without(cell, clock.over or "stopped", detail, error)
        except HarnessError as error:
            return self._without(cell, reason_of(error), error.message, error)
        except Exception as error:  # a night does not end for one pair, whatever it is
            return self._without(cell, reason_of(error), f"{type(error).__name__}: {error}", error)

    def _without(self, cell: Cell, reason: str, detail: str, error: BaseException) -> Cell:
        folder = getattr(error, "run_folder", None)
        if isinstance(folder, Path):
            cell = replace(cell, run=folder.relative_to(self.folder).as_posix())
            with suppress(HarnessError, OSError):  # this PC's disk may be what broke
                write_report(folder)
        return unmeasured(cell, reason, detail)

    # ---- the way there, tried again; a number never is

    def _tried(self, pair: CasePair, clock: CaseClock) -> tuple[Path, MeasuredRun | Run, int]:
        board = pair.board if self.power_cycle else replace(pair.board, power=PowerSupply())
        folder = self._left(pair) if self.goes_on else None
        if folder is not None and (run := judged_run(folder)) is not None:
            return folder, run, 0
        for tries in range(self.limits.retries + 1):
            try:
                left = self.once(board, pair.case, self.folder / self.runs_name, clock, folder)
                return left.folder, left, tries
            except (LinkError, Refused) as error:
                if tries == self.limits.retries or not _may_be_tried_again(error):
                    raise
                self.log(f"{board.name}: {pair.case.name}: {error.message}: trying the way there again")
                folder = error.run_folder
            self.control.pause(self.limits.retry_pause_s)
            clock.tell("trying again", 0, -1)
        raise AssertionError("the last try gives or raises")

    def _left(self, pair: CasePair) -> Path | None:
        """The newest run folder of this pair that an earlier process of this night left."""
        from harness.names import safe_name

        parent = self.folder / self.runs_name / safe_name(pair.case.name) / safe_name(pair.board.name)
        folders = sorted(path.parent for path in parent.glob("*/run.json"))
        return folders[-1] if folders else None

    def once(
        self,
        board: Board,
        case: Case,
        runs: Path,
        clock: CaseClock,
        folder: Path | None = None,
        command: TypedCommand | None = None,
    ) -> MeasuredRun:
        """Run a case, or go on with what `folder` holds of it. Errors: as of `session.measured`."""
        platform = board.identity.platform
        if folder is not None and (folder / RESUME_FILE).is_file():
            with suppress(InputError):  # a file that is another by now: the case is begun again
                broken = resumable(board, folder, platforms.load(platform))
                going_on = folder
                return measured(
                    *(platform, broken.case, clock.tell),
                    lambda expected: resume_case(board, going_on, clock.tell, expected),
                    self.references,
                )
        return measured(
            *(platform, case, clock.tell),
            lambda expected: run_case(board, case, runs, clock.tell, expected, command=command),
            self.references,
        )

    def block(self, board: Board, case: Case, runs: Path, tell: ProgressCallback) -> tuple[Path, Run]:
        """One block of a sitting. Errors: as of `run_and_judge`."""
        return run_and_judge(board, case, runs, tell)

    # ---- health

    def check(self, board: Board, case: Case | None, max_us: float | None, heard: Callable[[str], None]) -> str:
        """Why the board failed its health check; "" where it is well. Errors: HarnessError where it could not be asked
        (somebody else has it), KeyboardInterrupt where the night is over.

        Without a `case` it is asked whether it answers and has its tools.
        """
        from harness.boards.connect import look_at

        try:
            if case is None:
                facts = look_at(board)
                return "" if facts["state"] == "ready" else f"{facts['state']}: {facts['remark']}"
            limit_s = case.timeout_s * CHECK_SHARE
            clock = CaseClock(self.control, limit_s, heard)
            left = self.once(board, replace(case, wait_s=self.limits.wait_s), self.folder / CHECKS, clock)
            run = self.judged_now(left, CaseClock(self.control, limit_s, heard, is_judging=True))
        except (KeyboardInterrupt, Interrupted):
            if not self.control.over:
                return f"its health check took longer than {limit_s:g} s"
            raise KeyboardInterrupt from None
        except HarnessError as error:
            if reason_of(error) in ("leased", "host", "input"):
                raise
            return error.message
        return _unwell(run, max_us)

    def judged_now(self, left: MeasuredRun, clock: CaseClock) -> Run:
        """By one of the judges, waited for. Errors: those of judging."""
        ended: list[Run | BaseException] = []

        def work() -> None:
            try:
                ended.append(_judged(left, clock))
            except BaseException as error:
                ended.append(error)

        self.judges.take(work).wait()
        if isinstance(ended[0], BaseException):
            raise ended[0]
        return ended[0]


_OVER = {"stopped": "the night was stopped", "budget": "the time for it was over"}


def _unwell(run: Run, max_us: float | None) -> str:
    if run.verdict is None or run.verdict.exit_code != GOOD or run.comparison is None:
        return run.verdict.detail if run.verdict else "the run was not judged"
    if max_us is None:
        return ""
    if run.profile is None:
        return "it tells no latency"
    now_us = usual_us(run.profile.latency)
    return "" if now_us <= max_us else f"a frame takes {now_us:.0f} µs, at most {max_us:g} µs are known"


def _judged(left: MeasuredRun, clock: CaseClock) -> Run:
    """With its page, which the index of the night links."""
    clock.tell("judging", 0, -1)
    folder, run = left.judged(clock.tell)
    with suppress(HarnessError):
        write_report(folder)
    return run


def _may_be_tried_again(error: HarnessError) -> bool:
    """A link that broke and a board that restarted may be there again; a wrong key or login stays wrong."""
    if isinstance(error, HostKeyError | LoginError):
        return False
    return isinstance(error, LinkError) or (isinstance(error, Refused) and error.word == REBOOTED)


def judged_run(folder: Path) -> Run | None:
    """A run that was judged before its night was killed."""
    if (folder / RESUME_FILE).is_file():
        return None
    with suppress(HarnessError):
        run = store.load_run(folder)
        if run.state == "complete" and run.verdict is not None and not run.damage:
            return run
    return None
