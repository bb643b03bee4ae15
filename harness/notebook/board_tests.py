"""What the pytest plugin does with boards: chooses one, holds it, runs on it, and tells what was judged."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.agent.leases import owner_name
from harness.boards.connect import look_at
from harness.boards.health import MAINTENANCE, load_health
from harness.boards.inventory import find_board, has_tag, own_boards
from harness.errors import GOOD, BoardError, HarnessError, InputError
from harness.files import safe
from harness.files.locks import locked
from harness.files.user_folders import state_folder
from harness.names import safe_name
from harness.nightly.cells import CellRunner
from harness.nightly.control import NightControl
from harness.nightly.night import plan_of
from harness.nightly.pairing import CasePair
from harness.nightly.suite import NightLimitsFile, load_suite
from harness.nightly.verdicts import unmeasured
from harness.notebook.loaded import LoadedRun
from harness.notebook.measuring import run as run_in_notebook
from harness.records import Board
from harness.records.nights import Cell
from harness.report import write_report
from harness.report.exporters.junit import suite as suite_of_run
from harness.report.junit import TestCase, TestSuite, document
from harness.report.summary import lines as summary_lines
from harness.report.write import write_export
from harness.runs.folder import load_run
from harness.session import Interrupted

MOST_LINES = 6  # of a summary in a failure
NO_BUDGET_S = 10.0**9


@dataclass(frozen=True)
class BoardOfTest:
    """The board that a test has."""

    name: str
    platform: str
    soc: str
    emulated: bool


def chosen(names: Sequence[str], tags: Sequence[str], hosts: str) -> Board | str:
    """The first board of those that is not in maintenance; a sentence where there is none. Errors: ConfigError."""
    given = Path(hosts) if hosts else None
    boards = [find_board(name, given) for name in names] or (own_boards(given) if tags else [])
    fitting = [board for board in boards if all(has_tag(board, tag) for tag in tags)]
    if not fitting:
        wanted = " ".join([*names, *tags])
        return (
            f"no board is {wanted}"
            if wanted
            else 'no board: @pytest.mark.harness_board("x5-01") or --harness-board NAME'
        )
    for board in fitting:
        if load_health(board.name).word != MAINTENANCE:
            return board
    return f"in maintenance: {', '.join(board.name for board in fitting)}"


@contextmanager
def used(board: Board, wait_s: float) -> Iterator[BoardOfTest]:
    """Hold a board for one test of this PC, by a lock that dies with its process; it must answer.

    Errors: BoardError with the holder where it does not come free in time, LinkError where it does not answer.
    """
    path = state_folder() / "boards" / "tests" / f"{safe_name(board.name)}.lock"
    safe.make_folder(path.parent, state_folder())
    with path.open("a+", encoding="utf-8") as file:
        if not locked(file.fileno(), fcntl.LOCK_EX, wait_s):
            file.seek(0)
            holder = file.read(200).strip() or "another test"
            raise BoardError(f"{board.name}: used by {holder} for more than {wait_s:g} s", "raise harness_wait_s")
        file.truncate(0)
        file.write(owner_name())
        file.flush()
        facts = look_at(board)
        if facts["state"] != "ready":
            raise BoardError(f"{board.name}: {facts['state']}: {facts['remark']}", f"harness boards check {board.name}")
        identity = board.identity
        yield BoardOfTest(board.name, identity.platform, identity.soc, board.emulated is not None)


def run_on(
    board: BoardOfTest, model: str | Path, runs: Path, hosts: str, more: Mapping[str, object]
) -> tuple[LoadedRun, str]:
    """(the run with its report, why it is bad) of a model on a board; "" where it is good.

    Errors: KeyboardInterrupt where the session is ended; InputError and MeasurementError as of `harness.run`.
    """
    if "board" in more or "runs" in more:
        raise InputError("harness_run: board and runs are the test's own", "use the marker and --harness-runs")
    try:
        loaded = run_in_notebook(model, board.name, runs=runs, hosts=hosts or None, **more)  # type: ignore[arg-type]
    except Interrupted:
        raise KeyboardInterrupt from None
    page = write_report(loaded.folder)
    if loaded.verdict.exit_code == GOOD:
        return loaded, ""
    lines = [*summary_lines(loaded.record)[:MOST_LINES], f"report    {page}"]
    return loaded, "\n".join(lines)


# --------------------------------------------------------------------------- suites


def pairs_of(suite: Path, hosts: str) -> Sequence[CasePair]:
    """The pairs of a suite. Errors: ConfigError, InputError."""
    return plan_of(suite, Path(hosts) if hosts else None).pairing.pairs


def measured_pair(pair: CasePair, suite: Path, runs: Path) -> Cell:
    """One pair of a suite, outside of a night: no history, so its latency is measured and not judged."""
    cell = Cell(pair.case.name, pair.board.name)
    health = load_health(pair.board.name)
    if health.word == MAINTENANCE:
        return unmeasured(cell, "maintenance", f"in maintenance: {health.reason}")
    limits: NightLimitsFile = load_suite(suite).limits
    runner = CellRunner(runs.parent, limits, NightControl(NO_BUDGET_S), {}, lambda _line: None, runs_name=runs.name)
    result = runner.measured(pair, cell, lambda _step: None)
    return result if isinstance(result, Cell) else runner.judged(result)


# --------------------------------------------------------------------------- JUnit


def write_junit(path: Path, runs: Sequence[str], broken: Sequence[tuple[str, str, str]]) -> None:
    """One suite a run, and one for tests whose board gave no run. Errors: InputError where it cannot be written."""
    suites: list[TestSuite] = []
    for folder in runs:
        page = os.path.relpath(Path(folder) / "report.html", path.parent)
        try:
            suites.append(suite_of_run(load_run(Path(folder)), page))
        except HarnessError as error:
            broken = [*broken, (Path(folder).name, "", error.message)]
    cases = [
        TestCase(
            f"harness.{board or 'run'}",
            name,
            "error",
            kind="infra",
            message=text.strip().splitlines()[-1][:300],
            text=text,
        )
        for name, board, text in broken
        if text.strip()
    ]
    write_export(document([*suites, *([TestSuite("boards", cases)] if cases else [])]), path)
