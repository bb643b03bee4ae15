"""Known issues: matched by fingerprint, until their day, red when worse. Slower boards and models told apart."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.nightly.judging import judged
from harness.nightly.known import KnownIssue, fingerprint_of, known_issues
from harness.records.nights import BoardOfNight, Cell, CellLatency, LayerSince, Night, Ticket


def slower(case: str, board: str, percent: float = 3.0, alarm: str = "confirmed") -> Cell:
    latency = CellLatency(5150.0, percent=percent, alarm=alarm, sentence=f"{percent:+.1f} %")
    return Cell(case, board, "ended", "slower", consistency="consistent", latency=latency)


def differing(case: str, board: str, layer: str = "conv2", layers: int = 2) -> Cell:
    changed = LayerSince(layer, "s/1", layers)
    return Cell(case, board, "ended", "differs", consistency="diverges", changed=changed)


def night(*cells: Cell, issues: tuple[KnownIssue, ...] = (), today: str = "2026-11-20") -> Night:
    boards = tuple(BoardOfNight(name, after="good") for name in dict.fromkeys(cell.board for cell in cells))
    rest = tuple(
        Cell(f"ok{n}", board.name, "ended", "pass", consistency="consistent") for n in range(9) for board in boards
    )
    whole = Night(id="s/1", suite="s", state="complete", cells=(*cells, *rest), boards=boards)
    return judged(whole, issues=issues, today=today)


def issue(cell: Cell, until: str = "2026-11-30", percent: float | None = None, layers: int | None = None) -> KnownIssue:
    return KnownIssue("T-097", fingerprint_of("s", cell.word, [cell]), until, percent, layers, (cell.board,))


def the_ticket(result: Night) -> Ticket:
    (ticket,) = result.tickets
    return ticket


def test_a_known_issue_does_not_turn_the_night_red_until_its_day() -> None:
    cell = slower("yolo", "t40-01", 2.6)
    known = issue(cell, percent=2.6)
    result = night(cell, issues=(known,))
    assert (result.exit_code, the_ticket(result).known, the_ticket(result).until) == (0, "T-097", "2026-11-30")
    assert "yolo is slower on t40-01 (known: T-097)" in result.sentence
    assert night(cell, issues=(known,), today="2026-12-01").exit_code == 1
    assert night(cell, issues=()).exit_code == 1


@pytest.mark.parametrize(
    ("cells", "known", "worse"),
    [
        ((slower("c", "b", 4.0),), issue(slower("c", "b"), percent=2.6), "+4.0 %, known are +2.6 %"),
        ((slower("c", "b", 3.0),), issue(slower("c", "b"), percent=2.6), ""),
        ((slower("c", "b"), slower("c", "b2")), issue(slower("c", "b")), "also on b2"),
        ((differing("c", "b", layers=5),), issue(differing("c", "b"), layers=2), "5 layers, known are 2"),
    ],
)
def test_it_turns_red_when_it_worsens(cells: tuple[Cell, ...], known: KnownIssue, worse: str) -> None:
    result = night(*cells, issues=(known,))
    assert the_ticket(result).worse == worse
    assert result.exit_code == (1 if worse else 0)


def test_another_first_layer_is_another_finding() -> None:
    known = issue(differing("c", "b", "conv2"))
    assert night(differing("c", "b", "conv1"), issues=(known,)).exit_code == 1
    assert night(differing("c", "b", "conv2"), issues=(known,)).exit_code == 0


def test_issues_come_from_a_file_or_a_command_and_trouble_with_them_is_told(tmp_path: Path) -> None:
    entry = {"ticket": "T-1", "fingerprint": "ab", "until": "2026-11-30", "percent": 2.6}
    (tmp_path / "known.yaml").write_text("issues:\n- {ticket: T-1, fingerprint: ab, until: 2026-11-30, percent: 2.6}\n")
    expected = [KnownIssue("T-1", "ab", "2026-11-30", 2.6)]
    assert known_issues("known.yaml", tmp_path) == (expected, "")
    printing = [sys.executable, "-c", f"print({json.dumps(json.dumps({'issues': [entry]}))})"]
    assert known_issues(printing, tmp_path) == (expected, "")
    for source in (
        "absent.yaml",
        [sys.executable, "-c", "raise SystemExit(4)"],
        [sys.executable, "-c", "print('{')"],
        ["/no/program"],
    ):
        issues, problem = known_issues(source, tmp_path)
        assert issues == [] and problem.startswith("known issues: "), source
    assert known_issues("", tmp_path) == ([], "")


def test_a_board_that_is_slower_with_the_same_models_is_its_incident() -> None:
    result = night(*(slower(f"c{n}", "b1", alarm="lasting") for n in range(3)), Cell("c0", "b2", "ended", "pass"))
    assert [(one.board, one.kind, len(one.cases)) for one in result.incidents] == [("b1", "slower", 3)]
    assert (result.tickets, result.exit_code) == ((), 3)


def test_models_that_a_sitting_found_slower_are_tickets_however_many_on_one_board() -> None:
    result = night(*(slower(f"c{n}", "b1") for n in range(6)))
    assert result.incidents == ()
    assert len(result.tickets) == 6
    assert all(not cell.blamed for cell in result.cells)


def test_one_case_that_lasts_on_every_board_is_no_boards_fault() -> None:
    result = night(*(slower("c", f"b{n}", alarm="lasting") for n in range(4)))
    assert result.incidents == ()
    assert the_ticket(result).everywhere
    assert replace(the_ticket(result), fingerprint="").word == "slower"
