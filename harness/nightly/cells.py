"""One pair measured: run, tried again where the way to the board broke, judged, and put into its cell."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness import platforms
from harness.agent.words import REBOOTED, Refused
from harness.errors import GOOD, HarnessError, HostKeyError, InputError, LinkError, LoginError
from harness.nightly.control import CaseClock, NightControl
from harness.nightly.pairing import CasePair
from harness.nightly.suite import NightLimitsFile
from harness.nightly.verdicts import Limits, cell_of, reason_of, unmeasured
from harness.profiling.distribution import usual_us
from harness.records import Board, Case, PowerSupply, Run, TypedCommand
from harness.records.callbacks import LogCallback
from harness.records.nights import Cell
from harness.report import write_report
from harness.runs import folder as store
from harness.runs.resume import FILE as RESUME_FILE
from harness.session import Interrupted, resumable, resume_case, run_case
from harness.session.judged import judged

RUNS, CHECKS = "runs", "health"  # folders of a night
History = Mapping[tuple[str, str], Sequence[Cell]]  # (case, board) -> earlier cells, oldest first


@dataclass
class CellRunner:
    """What all workers of a night share. `judging` lets few compare at once: memory and this PC's cores are few."""

    folder: Path
    limits: NightLimitsFile
    control: NightControl
    history: History
    log: LogCallback
    power_cycle: bool = True
    goes_on: bool = False  # with what an earlier process of this night left
    runs_name: str = RUNS
    judging: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(2))

    def measured(self, pair: CasePair, cell: Cell, heard: Callable[[str], None]) -> Cell:
        """The cell of one pair, whatever happens to its board."""
        began_s = self.control.since_s
        clock = CaseClock(self.control, pair.budget_s, heard)
        try:
            folder, run, tries = self._tried(pair, clock)
            cell = replace(cell, run=folder.relative_to(self.folder).as_posix(), tries=tries)
            limits = Limits(pair.max_slower_percent, pair.max_drift_percent)
            cell = cell_of(cell, run, limits, self.history.get((cell.case, cell.board), ()))
        except (KeyboardInterrupt, Interrupted) as error:
            detail = _OVER[clock.over or self.control.over or "stopped"]
            cell = self._without(cell, clock.over or "stopped", detail, error)
        except HarnessError as error:
            cell = self._without(cell, reason_of(error), error.message, error)
        except Exception as error:  # a night does not end for one pair, whatever it is
            cell = self._without(cell, reason_of(error), f"{type(error).__name__}: {error}", error)
        return replace(cell, began_s=began_s, duration_s=round(self.control.since_s - began_s, 3))

    def _without(self, cell: Cell, reason: str, detail: str, error: BaseException) -> Cell:
        folder = getattr(error, "run_folder", None)
        if isinstance(folder, Path):
            cell = replace(cell, run=folder.relative_to(self.folder).as_posix())
            with suppress(HarnessError, OSError):  # this PC's disk may be what broke
                write_report(folder)
        return unmeasured(cell, reason, detail)

    # ---- the way there, tried again; a number never is

    def _tried(self, pair: CasePair, clock: CaseClock) -> tuple[Path, Run, int]:
        board = pair.board if self.power_cycle else replace(pair.board, power=PowerSupply())
        folder = self._left(pair) if self.goes_on else None
        if folder is not None and (run := _judged_run(folder)) is not None:
            return folder, run, 0
        for tries in range(self.limits.retries + 1):
            try:
                return (*self.once(board, pair.case, self.folder / self.runs_name, clock, folder), tries)
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
    ) -> tuple[Path, Run]:
        """Run a case, or go on with what `folder` holds of it, and judge it. Errors: as of `run_and_judge`."""
        platform = board.identity.platform
        going_on = folder is not None and (folder / RESUME_FILE).is_file()
        if going_on and folder is not None:
            with suppress(InputError):  # a file that is another by now: the case is begun again
                broken = resumable(board, folder, platforms.load(platform))
                with self._one_of_few() as turn:
                    return _reported(judged(platform, broken.case, clock.tell, lambda expected: turn(
                        resume_case(board, folder, clock.tell, expected))))  # fmt: skip
        with self._one_of_few() as turn:
            return _reported(judged(platform, case, clock.tell, lambda expected: turn(
                run_case(board, case, runs, clock.tell, expected, command=command))))  # fmt: skip

    @contextmanager
    def _one_of_few(self) -> Iterator[Callable[[Path], Path]]:
        """Hands out what a run folder is passed through: from then on this thread judges, one of few at a time."""
        held = False

        def turn(folder: Path) -> Path:
            nonlocal held
            held = self.judging.acquire()
            return folder

        try:
            yield turn
        finally:
            if held:
                self.judging.release()

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
            clock = CaseClock(self.control, case.timeout_s * 4, heard)
            _, run = self.once(board, replace(case, wait_s=self.limits.wait_s), self.folder / CHECKS, clock)
        except Interrupted:
            raise KeyboardInterrupt from None
        except HarnessError as error:
            if reason_of(error) in ("leased", "host", "input"):
                raise
            return error.message
        return _unwell(run, max_us)


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


def _reported(judged_run: tuple[Path, Run]) -> tuple[Path, Run]:
    """With its page, which the index of the night links."""
    with suppress(HarnessError):
        write_report(judged_run[0])
    return judged_run


def _may_be_tried_again(error: HarnessError) -> bool:
    """A link that broke and a board that restarted may be there again; a wrong key or login stays wrong."""
    if isinstance(error, HostKeyError | LoginError):
        return False
    return isinstance(error, LinkError) or (isinstance(error, Refused) and error.word == REBOOTED)


def _judged_run(folder: Path) -> Run | None:
    """A run that was judged before its night was killed."""
    if (folder / RESUME_FILE).is_file():
        return None
    with suppress(HarnessError):
        run = store.load_run(folder)
        if run.state == "complete" and run.verdict is not None and not run.damage:
            return run
    return None
