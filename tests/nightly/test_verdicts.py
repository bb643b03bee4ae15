"""The word on a pair from its figures and its nights, and a night's incidents, tickets, sentence and code."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from harness.nightly.judging import counts_of, exit_code_of, is_sick, judged
from harness.nightly.night import standing, time_left
from harness.nightly.verdicts import invalid_latency, outputs_of, reason_of, suspect_of, with_level
from harness.records import Finding, Latency, Profile, Run
from harness.records.nights import CELL_REASONS, CELL_WORDS, BoardOfNight, Cell, CellLatency, Night
from harness.regressions.judge import final
from harness.regressions.series import NightPoint
from harness.report.nights.junit import night_document
from harness.report.nights.page import render_night
from tests.export.test_readers import schema

__all__ = ["schema"]

# --------------------------------------------------------------------------- latency


def points(*values: float) -> list[NightPoint]:
    return [NightPoint(f"n{place:02d}", value, "e", "m1") for place, value in enumerate(values)]


def judged_latency(now: float, *before: float, model: str = "m2", estimated: bool = False) -> tuple[str, CellLatency]:
    """The word on a pair of tonight's model, and its latency."""
    one = Cell("c", "b", "ended", "pass", epoch="e", model_md5=model, latency=CellLatency(now, estimated=estimated))
    assert one.latency is not None
    suspect = suspect_of(one, points(*before), 2.0)
    assert suspect is not None
    return final(suspect).word, with_level(one.latency, suspect, final(suspect))


def test_without_an_earlier_night_a_latency_is_new() -> None:
    word, latency = judged_latency(5000)
    assert (word, latency.sentence) == ("new", "no earlier night of this board, image and workload")


@pytest.mark.parametrize(("model", "alarm"), [("m2", "unconfirmed"), ("m1", "waiting")])
def test_an_alarm_is_no_verdict_and_says_what_it_waits_for(model: str, alarm: str) -> None:
    word, latency = judged_latency(5200, *[5000.0] * 9, model=model)
    assert (word, latency.alarm, latency.percent) == ("pass", alarm, 4.0)
    assert judged_latency(5060, *[5000.0] * 9, model=model)[1].alarm == ""


def test_less_than_a_timer_can_tell_is_no_change() -> None:
    assert judged_latency(110, *[100.0] * 8)[1].alarm == ""
    assert judged_latency(110, *[100.0] * 8, estimated=True)[1].alarm == "unconfirmed"


def timed(frames: Iterable[float], *rounds: float) -> Run:
    values = tuple(frames)
    latency = Latency(sum(values) / len(values), samples_us=values, rounds_us=rounds)
    return Run(profile=Profile(latency, (), {}, (), 0.0))


def test_a_session_that_drifts_or_throttles_is_no_point() -> None:
    steady = timed([1000.0] * 100)
    assert invalid_latency(steady, 2.0) is None
    rising = timed([1000.0 + step for step in range(100)])
    assert invalid_latency(rising, 2.0) == (
        "drift",
        "the latency drifted by +7.4% within the session, more than 2 %",
    )
    blocks = timed([1000.0] * 100, 1000.0, 1010.0, 1040.0)
    assert (invalid_latency(blocks, 2.0) or ("",))[0] == "drift"
    assert invalid_latency(blocks, 5.0) is None
    throttled = replace(steady, findings=(Finding("E-111", "warning", "clocks went down", "bpu0 1000 to 500 MHz", ""),))
    assert (invalid_latency(throttled, 2.0) or ("",))[0] == "throttled"


def test_whatever_is_raised_has_a_reason() -> None:
    from harness import errors
    from harness.agent.words import Refused
    from harness.records.nights import CELL_REASONS

    raised = [
        kind("x") for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.HarnessError)
    ]
    reasons = {type(error).__name__: reason_of(error) for error in [*raised, OSError(28, "full"), ZeroDivisionError()]}
    assert set(reasons.values()) <= set(CELL_REASONS)
    assert reasons["HostKeyError"] == reasons["LoginError"] == "link"
    assert (reasons["OSError"], reasons["ZeroDivisionError"], reasons["InputError"]) == ("host", "bug", "input")
    assert reason_of(Refused("x", "", "leased", "")) == "leased"
    assert reason_of(Refused("x", "", "rebooted", "")) == "board"


def test_a_run_without_outputs_votes_for_nothing() -> None:
    assert outputs_of(Run()) == {}


# --------------------------------------------------------------------------- a night


def cell(case: str, board: str, word: str = "pass", reason: str = "", output: str = "good") -> Cell:
    consistency = {"differs": "diverges"}.get(word, "consistent")
    outputs = {"y": output} if word != "unmeasured" else {}
    return Cell(case, board, "ended", word, reason, "as it was", consistency, model_md5="m", outputs=outputs)


def night(*cells: Cell, bad: tuple[str, ...] = ()) -> Night:
    boards = [
        BoardOfNight(name, after="bad" if name in bad else "good") for name in dict.fromkeys(c.board for c in cells)
    ]
    return judged(Night(id="s/1", suite="s", state="complete", cells=cells, boards=tuple(boards)))


def matrix(boards: int = 4, cases: int = 4) -> dict[tuple[str, str], Cell]:
    return {(f"c{c}", f"b{b}"): cell(f"c{c}", f"b{b}") for c in range(cases) for b in range(boards)}


def test_a_good_night_is_zero() -> None:
    result = night(*matrix().values())
    assert (result.exit_code, result.sentence) == (0, "All 16 pairs are good")
    assert (result.tickets, result.incidents) == ((), ())
    assert all(one.vote.agree for one in result.votes)


def test_a_case_that_differs_on_all_boards_is_one_ticket_and_no_incident() -> None:
    cells = matrix() | {("c1", f"b{b}"): cell("c1", f"b{b}", "differs", output="wrong") for b in range(4)}
    result = night(*cells.values())
    assert [(t.case, t.word, t.everywhere, len(t.boards)) for t in result.tickets] == [("c1", "differs", True, 4)]
    assert result.incidents == ()
    assert result.exit_code == 1
    assert result.sentence.startswith("c1 differs on every board")


def test_one_board_that_gives_other_values_is_an_incident_and_no_ticket() -> None:
    cells = matrix() | {(f"c{c}", "b2"): cell(f"c{c}", "b2", "differs", output="other") for c in range(4)}
    result = night(*cells.values())
    assert result.tickets == ()
    assert {(one.board, one.kind) for one in result.incidents} == {("b2", "vote"), ("b2", "alarms")}
    assert {c.case for c in result.cells if c.blamed == "board"} == {"c0", "c1", "c2", "c3"}
    assert result.exit_code == 3


def test_a_single_dissenting_cell_is_the_boards_too() -> None:
    cells = matrix() | {("c1", "b2"): cell("c1", "b2", "differs", output="other")}
    result = night(*cells.values())
    assert [(one.board, one.kind, one.cases) for one in result.incidents] == [("b2", "vote", ("c1",))]
    assert result.tickets == ()


def test_a_regression_beside_a_bad_board_keeps_its_ticket() -> None:
    cells = matrix() | {(f"c{c}", "b2"): cell(f"c{c}", "b2", "unmeasured", "link") for c in range(4)}
    cells |= {("c1", f"b{b}"): cell("c1", f"b{b}", "slower") for b in (0, 1, 3)}
    result = night(*cells.values(), bad=("b2",))
    assert [(t.case, t.word, t.boards) for t in result.tickets] == [("c1", "slower", ("b0", "b1", "b3"))]
    assert {one.board for one in result.incidents} == {"b2"}
    assert result.exit_code == 1


def test_a_case_on_one_board_only_is_judged_all_the_same() -> None:
    result = night(cell("c0", "b0"), cell("c1", "b0"), cell("c2", "b0"), cell("c3", "b0", "differs"))
    assert [t.case for t in result.tickets] == ["c3"]
    assert result.exit_code == 1


def test_what_is_unmeasured_is_never_zero_but_for_maintenance() -> None:
    cells = matrix() | {("c0", "b0"): cell("c0", "b0", "unmeasured", "budget")}
    assert night(*cells.values()).exit_code == 3
    resting = matrix() | {(f"c{c}", "b0"): cell(f"c{c}", "b0", "unmeasured", "maintenance") for c in range(4)}
    result = night(*resting.values())
    assert (result.exit_code, result.incidents) == (0, ())
    waiting = night(*(matrix() | {("c0", "b0"): Cell("c0", "b0")}).values())
    assert waiting.exit_code == 3


def test_a_night_that_measured_nothing_is_sick() -> None:
    result = night(*(cell(f"c{c}", f"b{b}", "unmeasured", "link") for c in range(2) for b in range(2)))
    assert is_sick(result)
    assert result.exit_code == exit_code_of(result) == 3
    assert result.sentence == "Nothing was measured in 4 pairs: link (4)"
    nothing = night(*(cell(f"c{c}", "b0", "unmeasured", "maintenance") for c in range(2)))
    assert (is_sick(nothing), nothing.exit_code) == (True, 3)
    assert counts_of(result) == {"unmeasured": 4}


def test_the_same_night_twice_is_judged_the_same() -> None:
    cells = list(matrix(6, 5).values())
    cells[3] = cell(cells[3].case, cells[3].board, "differs", output="z")
    once = night(*cells)
    assert judged(once) == once
    shuffled = night(*random.Random(2).sample(cells, len(cells)))
    assert {(t.case, t.word, frozenset(t.boards)) for t in once.tickets} == {
        (t.case, t.word, frozenset(t.boards)) for t in shuffled.tickets
    }
    assert set(once.incidents) == set(shuffled.incidents)


# --------------------------------------------------------------------------- what leaves it


def test_junit_says_what_was_not_measured() -> None:
    import xml.etree.ElementTree as ElementTree

    latency = CellLatency(5000, 4990, 5010, sentence="5000 µs, +0.1 % of the level of 9 nights (4995 µs)")
    cells = (
        replace(cell("a.b", "x5-01"), latency=latency, run="runs/a.b/x5-01/1"),
        cell("a.b", "x5-02", "differs"),
        replace(cell("a.b", "x5-03", "slower"), latency=latency),
        cell("a.b", "x5-04", "unmeasured", "link"),
        cell("a.b", "x5-05", "unmeasured", "maintenance"),
    )
    root = ElementTree.fromstring(night_document(night(*cells)).encode())
    (suite,) = root
    assert [root.get(key) for key in ("tests", "failures", "errors")] == ["7", "2", "1"]
    cases = {(one.get("classname"), one.get("name")): one for one in suite.iter("testcase")}
    assert cases["harness.a_b.x5-01", "consistency"].find("system-out") is not None
    assert cases["harness.a_b.x5-01", "latency p50"].find("failure") is None
    assert cases["harness.a_b.x5-03", "latency p50"].find("failure") is not None
    assert cases["harness.a_b.x5-04", "consistency"].find("error") is not None
    assert cases["harness.a_b.x5-05", "consistency"].find("skipped") is not None


def every_cell() -> list[Cell]:
    """A cell of every word and reason, with text that no XML may carry, and two names that are one class name."""
    hostile = "v\x01v ]]> \ud800 \ufffe <b> \u65e5"
    latency = CellLatency(5000, 4990, 5010, sentence="5000 µs, +3.1 % of the level of 9 nights (4850 µs)")
    words = [(word, "") for word in CELL_WORDS if word != "unmeasured"] + [("unmeasured", r) for r in CELL_REASONS]
    cells = [
        replace(
            cell(case, f"x5-{place:02}", *one), detail=hostile, duration_s=1e-5, run=f"runs/{place}", latency=latency
        )
        for case in ("a.b", "a_b", hostile)
        for place, one in enumerate(words)
    ]
    return cells


@pytest.mark.slow
def test_junit_of_a_night_is_valid_by_the_schema_of_jenkins(schema: Any) -> None:
    from lxml import etree

    text = night_document(night(*every_cell()), "nights/s/1").encode("utf-8", "backslashreplace")
    document = etree.fromstring(text)
    assert schema.validate(document), schema.error_log
    assert not schema.validate(etree.fromstring(text.replace(b"<testcase ", b'<testcase line="1" ', 1)))


def test_junit_of_a_night_keeps_the_rules_of_its_readers() -> None:
    import xml.etree.ElementTree as ElementTree

    cells = every_cell()
    text = night_document(night(*cells), "nights/s/1")
    root = ElementTree.fromstring(text.encode("utf-8"))
    cases = list(root.iter("testcase"))
    names = [(one.get("classname"), one.get("name")) for one in cases]
    assert len(names) == len(set(names)), "GitLab keeps the first of equal ones"
    assert {key for one in cases for key in one.attrib} == {"classname", "name", "time"}
    assert all(re.fullmatch(r"\d+\.\d{3}", str(one.get("time"))) for one in root.iter() if "time" in one.attrib)
    for one in cases:
        assert len([child for child in one if child.tag in ("failure", "error", "skipped")]) <= 1
        assert all(child.text and child.get("message") in (child.text or "").replace("\n", " ")
                   for child in one if child.tag in ("failure", "error"))  # fmt: skip
        out = one.find("system-out")
        assert out is None or str(out.text).startswith("[[ATTACHMENT|nights/s/1/runs/")
    assert int(str(root.get("tests"))) == len(cases)
    many = [replace(cells[0], board=f"b{place}") for place in range(1500)]
    cut = ElementTree.fromstring(night_document(night(*many)).encode())
    assert len(list(cut.iter("testcase"))) == 2001 and "1000 more judgements" in ElementTree.tostring(cut).decode()


def test_the_page_shows_hostile_names_as_text_and_the_same_bytes_twice() -> None:
    hostile = "<script>alert(1)</script>\u202e"
    cells = tuple(
        replace(cell(case, board, "differs"), detail=hostile, run=f"runs/{hostile}")
        for case in ("c", hostile)
        for board in ("b", hostile)
    )
    page = render_night(night(*cells))
    assert page == render_night(night(*cells))
    assert "<script>alert" not in page
    assert "\u202e" not in page


def test_a_lab_of_a_hundred_boards_has_a_page() -> None:
    page = render_night(night(*matrix(100, 5).values()))
    assert "Boards by cases" in page
    assert len(page) < 2_000_000


# --------------------------------------------------------------------------- the line of a night that goes on


def test_how_far_a_night_is() -> None:
    cells = [Cell("a", f"b{place}", "ended", word) for place, word in enumerate(("pass", "slower", "unmeasured"))]
    assert standing([Cell("c", "b"), Cell("d", "b")]) == "0 of 2 pairs, 0 bad"
    assert standing([*cells, Cell("c", "b")]) == "3 of 4 pairs, 1 bad, 1 unmeasured"


@pytest.mark.parametrize(
    ("remaining", "ended", "ended_s", "since_s", "left"),
    [
        (4, 0, 0.0, 60.0, ""),
        (4, 2, 60.0, 60.0, ", 2:00 left"),
        (4, 2, 60.0, 85.0, ", 1:35 left"),
        (4, 2, 60.0, 500.0, ""),
        (0, 2, 60.0, 60.0, ""),
        (2, 2, 59.9, 60.0, ", 1:00 left"),
    ],
)
def test_the_time_that_is_left_runs_down(remaining: int, ended: int, ended_s: float, since_s: float, left: str) -> None:
    assert time_left(remaining, ended, ended_s, since_s) == left
