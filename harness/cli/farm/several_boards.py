"""`harness run --board a --board b`: one model on several boards at once, and their vote."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from harness.cli.common import clean, emit_json, note, say_error
from harness.cli.farm.signals import stopped_by_signals
from harness.cli.progress import progress
from harness.cli.run_options import typed_command
from harness.cli.tables import table
from harness.consistency.checks.repeatability import vote
from harness.errors import COULD_NOT_MEASURE, GOOD, MEASURED_BAD, HarnessError
from harness.files import safe
from harness.names import safe_name
from harness.nightly.cells import CellRunner
from harness.nightly.control import A_LOOK_S, CaseClock, NightControl
from harness.nightly.suite import NightLimitsFile
from harness.nightly.verdicts import outputs_of
from harness.records import Board, Case, Run, Vote
from harness.records.codec import to_json

VOTE = "vote.json"
NO_BUDGET_S = 10.0**9  # a command that is typed ends by Ctrl-C


@dataclass(frozen=True)
class BoardResult:
    """What one of the boards gave: a judged run, or why there is none."""

    board: str
    folder: Path | None
    run: Run | None
    error: HarnessError | None = None

    @property
    def exit_code(self) -> int:
        """As a run on this board alone would end."""
        if self.error is not None:
            return self.error.exit_code
        return self.run.verdict.exit_code if self.run and self.run.verdict else COULD_NOT_MEASURE


def run_several(cases: Sequence[tuple[Board, Case]], runs: Path, as_json: bool) -> int:
    """Run every case on its board, print each and the vote; gives the exit code of the worst: 1, else 3, else 0."""
    results = _measured(cases, runs)
    boards = {one.board: outputs_of(one.run) for one in results if one.run is not None}
    ballot = vote({board: outputs for board, outputs in boards.items() if outputs})
    case = cases[0][1].name
    path = runs / safe_name(case) / VOTE
    answer = _answer(case, results, ballot)
    safe.make_folder(path.parent, runs)
    safe.write_file(path, (json.dumps(to_json(answer), indent=1) + "\n").encode("utf-8", "backslashreplace"), runs)
    if as_json:
        emit_json("run-boards", {**answer, "file": str(path)})
    else:
        _show(results, ballot, path)
    return _worst([one.exit_code for one in results])


def _worst(codes: Sequence[int]) -> int:
    return next((code for code in (MEASURED_BAD, COULD_NOT_MEASURE) if code in codes), max(codes, default=GOOD))


def _measured(cases: Sequence[tuple[Board, Case]], runs: Path) -> list[BoardResult]:
    control = NightControl(NO_BUDGET_S)
    limits = NightLimitsFile(retries=0)
    runner = CellRunner(runs, limits, control, {}, note)
    runner.judges.start()
    command = typed_command()

    def one(board: Board, case: Case, heard: Callable[[str], None]) -> BoardResult:
        clock = CaseClock(control, NO_BUDGET_S, heard)
        try:
            left = runner.once(board, case, runs, clock, command=command)
            folder, run = left.folder, runner.judged_now(left, clock)
        except HarnessError as error:
            return BoardResult(board.name, error.run_folder, None, error)
        except KeyboardInterrupt:
            return BoardResult(board.name, None, None, HarnessError("interrupted before the run began"))
        return BoardResult(board.name, folder, run)

    steps: dict[str, str] = {}
    with stopped_by_signals(control), progress(cases[0][1].name) as tell, ThreadPoolExecutor(len(cases)) as pool:
        futures: list[Future[BoardResult]] = [
            pool.submit(one, board, case, partial(steps.__setitem__, board.name)) for board, case in cases
        ]
        while not all(future.done() for future in futures):
            tell("; ".join(f"{name}: {step}" for name, step in sorted(steps.items())), 0, -1)
            time.sleep(A_LOOK_S)
    return [future.result() for future in futures]


def _answer(case: str, results: Sequence[BoardResult], ballot: Vote) -> dict[str, object]:
    boards = [
        {
            "board": one.board,
            "run": one.run.id if one.run else "",
            "folder": str(one.folder) if one.folder else "",
            "verdict": one.run.verdict.word if one.run and one.run.verdict else "not_measured",
            "exit_code": one.exit_code,
            "error": one.error.message if one.error else "",
        }
        for one in results
    ]
    return {"case": case, "boards": boards, "vote": ballot, "conclusion": _conclusion(results, ballot)}


def _conclusion(results: Sequence[BoardResult], ballot: Vote) -> str:
    """Who is to blame, where the vote can say it."""
    bad = [one.board for one in results if one.exit_code == MEASURED_BAD]
    blamed = [board for board in ballot.dissenting if board in bad]
    if blamed:
        return f"board: {', '.join(blamed)}"
    return (
        "model or toolchain: all boards give the same, and it is bad" if bad and ballot.agree and len(bad) > 1 else ""
    )


def _show(results: Sequence[BoardResult], ballot: Vote, path: Path) -> None:
    rows = []
    for one in results:
        verdict = one.run.verdict if one.run else None
        word = verdict.word.replace("_", " ") if verdict else "not measured"
        detail = verdict.detail if verdict else one.error.message if one.error else ""
        rows.append((one.board, word, detail, str(one.folder / "report.html") if one.folder else ""))
    table("", ("board", "verdict", "detail", "report"), rows)
    click.echo(clean(f"vote      {ballot.detail}"))
    if conclusion := _conclusion(results, ballot):
        click.echo(clean(f"so        {conclusion}"))
    click.echo(f"vote.json {path}")
    for one in results:
        if one.error is not None:
            say_error(one.error)
