"""A board is free when its tool is: verdicts come later, from few threads. References are computed once a night."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from harness.agent import Agent
from harness.boards.connect import open_board
from harness.errors import InputError
from harness.nightly.cells import CellRunner, MeasuredCell
from harness.nightly.control import CaseClock, NightControl
from harness.nightly.judges import Judges
from harness.nightly.night import plan_of
from harness.records.nights import Cell
from harness.review.kept_references import ReferenceFolders
from harness.runs.folder import load_run
from tests.nightly.lab import SUITE, Lab, planted

LAYERS = "layers: {model: net.bin, reference: net_quantized_model.onnx, modes: [release]}"


def quiet(_line: str) -> None:
    return None


def runner_of(
    folder: Path, lab: Lab, control: NightControl | None = None
) -> tuple[CellRunner, list[Cell | MeasuredCell]]:
    """Every pair of the lab's suite, measured and not judged."""
    plan = plan_of(lab.write_suite([LAYERS], SUITE), lab.folder / "hosts.yaml")
    runner = CellRunner(folder / "night", plan.suite.limits, control or NightControl(600), {}, quiet)
    pairs = plan.pairing.pairs
    return runner, [runner.measured(pair, Cell(pair.case.name, pair.board.name), quiet) for pair in pairs]


def test_a_board_is_free_before_its_case_is_judged_and_one_reference_does_for_all(tmp_path: Path) -> None:
    lab = Lab(tmp_path, {"b1": "", "b2": ""})
    runner, measured = runner_of(tmp_path, lab)
    for one in measured:
        assert isinstance(one, MeasuredCell) and not one.has_failed
        run = load_run(runner.folder / one.cell.run)
        assert run.verdict is None and run.state == "complete"
        assert run.rehashed is not None and not run.rehashed.damaged  # no verdict asked for it
        assert not list((tmp_path / "work" / one.cell.board / "runs").iterdir())
        with open_board(one.pair.board) as (board, transport):
            agent = Agent.of(transport, board.folders.work, board.limits)
            agent.install()
            assert not agent.lease.show().held
    files = [sorted((runner.folder / one.cell.run / "reference").iterdir()) for one in measured]  # type: ignore[union-attr]
    assert [[path.stat().st_ino for path in folder] for folder in files] == [
        [path.stat().st_ino for path in files[0]]
    ] * 2
    cells = [runner.judged(one) for one in measured if isinstance(one, MeasuredCell)]
    assert [cell.word for cell in cells] == ["pass", "pass"]
    assert all((runner.folder / cell.run / "report.html").is_file() for cell in cells)


def test_a_copy_that_was_damaged_on_the_board_is_met_without_a_verdict(tmp_path: Path) -> None:
    spoil = f'setup: [[sh, -c, "for f in {tmp_path}/work/b1/cache/*; do echo >>$f; done"]]'
    lab = Lab(tmp_path, {"b1": spoil})
    runner, (one,) = runner_of(tmp_path, lab)
    assert isinstance(one, MeasuredCell)
    assert runner.judged(one).word == "pass"
    (note,) = [note for note in load_run(runner.folder / one.cell.run).notes if "was damaged" in note]
    assert note.startswith("verified before the board was given back") or "release failed" in note


def test_a_tool_that_failed_puts_its_board_in_doubt_at_once(tmp_path: Path) -> None:
    runner, (one,) = runner_of(tmp_path, Lab(tmp_path, {"b1": planted("crash@infer")}))
    assert isinstance(one, MeasuredCell) and one.has_failed
    assert (runner.judged(one).word, runner.judged(one).reason) == ("unmeasured", "tool")


def test_a_stopped_night_judges_no_more_and_keeps_what_it_takes_to_go_on(tmp_path: Path) -> None:
    control = NightControl(600)
    runner, (one,) = runner_of(tmp_path, Lab(tmp_path, {"b1": ""}), control)
    control.stop()
    assert isinstance(one, MeasuredCell)
    cell = runner.judged(one)
    assert (cell.word, cell.reason, cell.run) == ("unmeasured", "stopped", one.cell.run)
    assert (runner.folder / cell.run / "resume.json").is_file()


def test_after_its_budget_a_night_still_judges_what_was_measured() -> None:
    control = NightControl(0.0)
    with pytest.raises(KeyboardInterrupt):
        CaseClock(control, 600, quiet).tell("running", 0, -1)
    CaseClock(control, 600, quiet, is_judging=True).tell("judging", 0, -1)
    control.stop()
    with pytest.raises(KeyboardInterrupt):
        CaseClock(control, 600, quiet, is_judging=True).tell("judging", 0, -1)


def test_few_judge_at_a_time_and_who_brings_too_much_waits() -> None:
    judges, gate = Judges(count=2, most_waiting=2), threading.Event()
    judges.start()
    at_work = [judges.take(gate.wait) for _ in range(2)]
    waiting = [judges.take(gate.wait) for _ in range(2)]
    one_more = threading.Thread(target=judges.take, args=(gate.wait,), daemon=True)
    one_more.start()
    one_more.join(0.3)
    assert one_more.is_alive() and not any(event.is_set() for event in (*at_work, *waiting))
    gate.set()
    one_more.join(20)
    assert not one_more.is_alive() and all(event.wait(20) for event in (*at_work, *waiting))


def test_a_reference_that_could_not_be_computed_is_tried_again(tmp_path: Path) -> None:
    def fails() -> None:
        raise InputError("the ONNX is being written")

    kept, folder = ReferenceFolders(), tmp_path / "reference"
    for _ in range(2):
        with pytest.raises(InputError, match="being written"):
            kept.open("key", folder, fails)  # type: ignore[arg-type]
