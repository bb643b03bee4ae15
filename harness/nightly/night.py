"""A whole night: begun or gone on with, its workers watched, judged, written, and told to who wants to know."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from harness import __version__
from harness.boards.health import BAD, MAINTENANCE, UNKNOWN, load_health, save_health
from harness.boards.inventory import load_inventory, own_boards
from harness.errors import COULD_NOT_MEASURE, HarnessError, InputError
from harness.files import safe
from harness.nightly import night_file as files
from harness.nightly.cells import CellRunner, History
from harness.nightly.confirming import settled_suspicions
from harness.nightly.control import A_LOOK_S, NightControl
from harness.nightly.judges import Judges
from harness.nightly.judging import counts_of, is_sick, judged
from harness.nightly.known import known_issues
from harness.nightly.looking_back import remembered, series_before, with_layers_since
from harness.nightly.pairing import CasePair, Pairing, settle, settled_again
from harness.nightly.suite import NightLimitsFile, SuiteFile, load_suite
from harness.nightly.workers import BoardWorker, now
from harness.records.callbacks import LogCallback, ProgressCallback
from harness.records.codec import to_json
from harness.records.nights import Cell, Incident, Night, UnfitBoard
from harness.report.nights.junit import night_document
from harness.report.nights.page import render_night
from harness.runs.folder import claimed

PAGE, JUNIT = "index.html", "junit.xml"
NOTIFY_LIMIT_S = 60.0
A_BOARD_S = 2.0  # what one board does is shown so long before the next
END_LIMIT_S = 120.0  # for workers to clean their boards once the night was stopped
RunnerMaker = Callable[[Path, NightLimitsFile, NightControl, History, LogCallback, bool, bool], CellRunner]


@dataclass(frozen=True)
class NightPlan:
    """A night before it begins."""

    suite_path: Path
    suite: SuiteFile
    pairing: Pairing
    hosts: Path | None


def plan_of(suite_path: Path, hosts: Path | None) -> NightPlan:
    """Settle who runs what. Errors: ConfigError, InputError for what cannot be run at all."""
    suite = load_suite(suite_path)
    inventory = load_inventory(hosts)
    unwanted = frozenset(name for name in inventory if load_health(name).word in (BAD, MAINTENANCE))
    return NightPlan(suite_path, suite, settle(suite_path, suite, inventory, own_boards(hosts), unwanted), hosts)


def begin(plan: NightPlan, nights: Path) -> tuple[Path, Night]:
    """Make the folder of a new night. Errors: InputError where it cannot be made."""
    folder = files.new_folder(nights, plan.suite.suite)
    cells = tuple(Cell(pair.case.name, pair.board.name) for pair in plan.pairing.pairs)
    left_out = tuple(UnfitBoard(one.case, one.board, one.reason) for one in plan.pairing.left_out)
    night = Night(
        harness_version=__version__,
        id=f"{plan.suite.suite}/{folder.name}",
        suite=plan.suite.suite,
        state="running",
        started_utc=now(),
        cells=cells,
        left_out=left_out,
    )
    files.save_resume(folder, plan.suite_path, plan.hosts)
    return folder, night


def reopened(folder: Path) -> tuple[NightPlan, Night]:
    """A night that did not end, and its plan: the same pairs again. Cells that had no chance yet are waiting.

    Errors: InputError where there is nothing to go on with, or where suite or boards are not what they were.
    """
    words, night = files.load_resume(folder), files.load_night(folder)
    path, hosts = Path(words.suite), Path(words.hosts) if words.hosts else None
    suite = load_suite(path)
    pairs = settled_again(path, suite, load_inventory(hosts), [(cell.case, cell.board) for cell in night.cells])
    cells = tuple(
        cell if cell.state == "ended" and cell.reason not in ("stopped", "budget") else Cell(cell.case, cell.board)
        for cell in night.cells
    )
    night = replace(night, state="running", resumed=night.resumed + 1, cells=cells, tickets=(), incidents=(), votes=())
    return NightPlan(path, suite, Pairing(pairs), hosts), replace(night, sentence="", exit_code=None)


def run_night(
    plan: NightPlan,
    folder: Path,
    night: Night,
    control: NightControl,
    tell: ProgressCallback,
    heard: LogCallback,
    runner_of: RunnerMaker = CellRunner,
) -> Night:
    """Measure what waits, judge the night, write its files and notify. `runner_of` makes what runs its pairs.

    Errors: InputError where another process has it; OSError where its files could not be written.
    """
    with claimed(folder):
        file = files.NightFile(folder, night, heard)
        try:
            file.log(f"night {night.id}: {len(night.cells)} pairs on {len({c.board for c in night.cells})} boards")
            workers = _workers(plan, file, control, runner_of)
            _watched(workers, file, control, tell)
            if workers and not control.over:
                _confirm(plan, file, workers[0].runner)
            night = _ended(plan, file, workers, control)
        except BaseException:
            control.stop()
            raise
        _published(plan, file, night)
        pairs, suite = plan.pairing.pairs, plan.suite
        pages = remembered(night, pairs, folder, suite.history, suite.keep_models, file.log)
        if pages:
            with suppress(OSError):
                _write(folder / PAGE, render_night(night, pages))
    return night


def _workers(
    plan: NightPlan, file: files.NightFile, control: NightControl, runner_of: RunnerMaker
) -> list[BoardWorker]:
    suite = plan.suite
    history = series_before(file.folder.parents[1], file.night, file.folder, suite.history, file.log)
    runner = runner_of(file.folder, suite.limits, control, history, file.log, suite.power_cycle, file.night.resumed > 0)
    waiting = {(cell.case, cell.board): cell for cell in file.night.cells if cell.state != "ended"}
    by_board: dict[str, list[tuple[CasePair, Cell]]] = {}
    for pair in plan.pairing.pairs:
        cell = waiting.get((pair.case.name, pair.board.name))
        if cell is not None:
            by_board.setdefault(pair.board.name, []).append((pair, cell))
    boards = plan.pairing.boards

    def ended(cell: Cell) -> None:
        file.put(cell)
        file.log(f"{cell.board}: {cell.case}: {cell.word}{f' ({cell.reason})' if cell.reason else ''}: {cell.detail}")

    return [
        BoardWorker(
            *(boards[name], pairs, runner, file.put, ended, file.night.id, suite.health, plan.suite_path.parent)
        )
        for name, pairs in by_board.items()
    ]


def _watched(
    workers: Sequence[BoardWorker], file: files.NightFile, control: NightControl, tell: ProgressCallback
) -> None:
    """Until every worker has ended; of a night that was stopped, for END_LIMIT_S more."""
    judges = workers[0].runner.judges if workers else Judges()
    judges.start()
    began, ended_before = time.monotonic(), ended_count(file.cells())
    ended, ended_s = ended_before, 0.0
    for worker in workers:
        worker.thread.start()
    given_up_at: float | None = None
    while busy := [worker for worker in workers if worker.thread.is_alive()]:
        since_s = time.monotonic() - began
        if ended_count(file.cells()) > ended:
            ended, ended_s = ended_count(file.cells()), since_s
        left = time_left(len(file.cells()) - ended, ended - ended_before, ended_s, since_s)
        steps = [f"{worker.board.name}: {worker.step}" for worker in busy if worker.step]
        step = f"; {steps[int(since_s / A_BOARD_S) % len(steps)]}" if steps else ""
        to_judge = f", {judges.waiting} to judge" if judges.waiting else ""
        tell(f"{standing(file.cells())}{left}, {len(busy)} at work{to_judge}{step}", 0, -1)
        if control.over and given_up_at is None:
            given_up_at = time.monotonic() + END_LIMIT_S
            file.log(f"ending: {control.over}")
        if given_up_at is not None and time.monotonic() > given_up_at:
            file.log(f"given up on: {', '.join(worker.board.name for worker in busy)}")
            return
        busy[0].thread.join(A_LOOK_S)


def ended_count(cells: Sequence[Cell]) -> int:
    """How many pairs have a verdict."""
    return sum(cell.state == "ended" for cell in cells)


def standing(cells: Sequence[Cell]) -> str:
    """How far a night is, in a few words."""
    bad = sum(cell.word in ("differs", "slower") for cell in cells)
    unmeasured = sum(cell.word == "unmeasured" for cell in cells)
    words = f"{ended_count(cells)} of {len(cells)} pairs, {bad} bad"
    return words + (f", {unmeasured} unmeasured" if unmeasured else "")


def time_left(remaining: int, ended: int, ended_s: float, since_s: float) -> str:
    """Minutes and seconds at the pace up to the newest verdict, that of number `ended` of this sitting, `ended_s` after
    it began; it runs down until the next verdict comes. "" where nothing is known."""
    left_s = ended_s * (ended + remaining) / ended - since_s if ended else 0.0
    minutes, seconds = divmod(round(left_s), 60)
    return f", {minutes}:{seconds:02} left" if remaining and left_s > 0 else ""


def _confirm(plan: NightPlan, file: files.NightFile, runner: CellRunner) -> None:
    """Suspected latencies get their final word."""
    pairs, of_night = plan.pairing.pairs, (runner.history, file.folder, runner.control, file.log)
    for cell in settled_suspicions(file.cells(), pairs, *of_night, runner.block):
        file.put(cell)


def _ended(plan: NightPlan, file: files.NightFile, workers: Sequence[BoardWorker], control: NightControl) -> Night:
    before = {board.name: board for board in file.night.boards}
    boards = before | {worker.record.name: worker.record for worker in workers}
    is_stopped = control.over == "stopped"
    cells = [cell if cell.state == "ended" else replace(cell, state="waiting", word="") for cell in file.cells()]
    night = replace(
        file.night,
        state="interrupted" if is_stopped else "complete",
        finished_utc=now(),
        duration_s=round((file.night.duration_s or 0.0) + control.since_s, 3),
        cells=tuple(cells),
        boards=tuple(boards.values()),
        problems=(*file.night.problems, *([f"night.json: {file.problem}"] if file.problem else [])),
    )
    root = file.folder.parents[1]
    night = with_layers_since(night, root, file.folder, plan.suite.history, file.log)
    issues, problem = known_issues(plan.suite.known, plan.suite_path.parent)
    night = replace(night, problems=(*night.problems, problem)) if problem else night
    night = judged(night, plan.suite.limits.incident_percent, issues, now()[:10])
    _in_doubt(night.incidents)
    return replace(night, exit_code=COULD_NOT_MEASURE) if is_stopped and night.exit_code == 0 else night


def _in_doubt(incidents: Sequence[Incident]) -> None:
    """A board with an incident has to pass a health check before its next job."""
    for board in {one.board for one in incidents}:
        health = load_health(board)
        if health.word == "good":
            with suppress(HarnessError, OSError):
                reason = "; ".join(one.detail for one in incidents if one.board == board)
                save_health(board, replace(health, word=UNKNOWN, reason=reason, since_utc=now()))


# --------------------------------------------------------------------------- what a night leaves


def _published(plan: NightPlan, file: files.NightFile, night: Night) -> None:
    """night.json, JUnit and the index; then whoever wants to know. Errors: OSError of a full disk, after the rest."""
    failure: OSError | None = None
    written: tuple[Callable[[], None], ...] = (
        lambda: file.close(night),
        lambda: _write(file.folder / JUNIT, night_document(night)),
        lambda: _write(file.folder / PAGE, render_night(night)),
    )
    for write in written:
        try:
            write()
        except OSError as error:
            failure = failure or error
    file.log(f"{night.state}: {night.sentence}: exit code {night.exit_code}")
    if night.state == "complete" and failure is None:
        files.drop_resume(file.folder)
    notify(plan.suite.notify, night, file.folder, file.log)
    if failure is not None:
        raise failure


def _write(path: Path, text: str) -> None:
    safe.write_file(path, text.encode("utf-8", "backslashreplace"))


def notify(argv: Sequence[str], night: Night, folder: Path, log: LogCallback) -> bool:
    """Run the suite's command with the night's JSON on its stdin; whether it worked. A failure is logged, no more.

    Its environment says HARNESS_NIGHT (the folder), HARNESS_EXIT_CODE and HARNESS_SICK (1: nothing was measured).
    """
    if not argv:
        return False
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HARNESS_PASSWORD")}
    environment |= {"HARNESS_NIGHT": str(folder), "HARNESS_EXIT_CODE": str(night.exit_code)}
    environment |= {"HARNESS_SICK": str(int(is_sick(night)))}
    text = json.dumps({**to_json(night), "counts": counts_of(night)}, ensure_ascii=False, allow_nan=False)
    try:
        result = subprocess.run(
            list(argv),
            input=text.encode("utf-8", "backslashreplace"),
            capture_output=True,
            timeout=NOTIFY_LIMIT_S,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log(f"notify {argv[0]}: {error}")
        return False
    if result.returncode != 0:
        words = (result.stderr or result.stdout).decode("utf-8", "replace").strip()[-300:]
        log(f"notify {argv[0]}: exit code {result.returncode}: {words}")
    return result.returncode == 0


def refuse_unfit_folder(folder: Path) -> None:
    """Errors: InputError for what is no folder of a night."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such night", "give the folder that the stopped night printed")
