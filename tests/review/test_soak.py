"""What a soak's turns say together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.records import Failure, ModeOfRun, Run, SoakPlan, SoakStretch, Workload
from harness.report.drawings.soak import soak_drawing
from harness.report.page import render
from harness.report.tables.soak import soak_table
from harness.review.soak import _differing, at_words, drift_of, soak_of, word_on
from harness.session.turns import soak_turns

Names = tuple[str, ...] | None


def turn(at_s: float, us: float | None = 1000.0, differing: Names = (), failed: str = "") -> SoakStretch:
    failure = Failure("crash", failed) if failed else None
    hot = {"cpu": 50 + at_s / 100}
    return SoakStretch(at_s, f"profile-{at_s:g}", usual_us=us, temperatures_c=hot, differing=differing, failure=failure)


STEADY = [turn(60.0 * n) for n in range(10)]


@pytest.mark.parametrize(
    ("turns", "limit", "word", "code", "says"),
    [
        (STEADY, None, "steady", 0, "outputs equal in 10 turns"),
        (STEADY, 1.0, "steady", 0, "drift +0.0%"),
        ([*STEADY, turn(7980, differing=("out",))], None, "unsteady", 1, "turn 11 after 2 h 13 min"),
        ([*STEADY, turn(600, us=None, failed="memory")], None, "unsteady", 1, "turn 11 failed after 10 min: memory"),
        ([turn(60.0 * n, us=1000 + 20 * n) for n in range(12)], 5.0, "unsteady", 1, "more than the 5 % allowed"),
        ([turn(60.0 * n, us=1000 + 20 * n) for n in range(12)], None, "steady", 0, "drift +"),
        ([turn(0.0), turn(60.0)], 5.0, "not_measured", 3, "drift is not known"),
        ([turn(0.0)], None, "not_measured", 3, "outputs of 1 of 1 turns compared"),
        ([turn(60.0 * n, differing=None) for n in range(9)], None, "not_measured", 3, "outputs of 0 of 9 turns"),
        ([*STEADY[:2], *(replace(one, differing=None) for one in STEADY)], None, "not_measured", 3, "2 of 12 turns"),
        ([*STEADY, turn(600.0, differing=None)], None, "not_measured", 3, "outputs of 10 of 11 turns compared"),
        ([*STEADY, turn(600.0, differing=None), turn(660.0, differing=("out",))], None, "unsteady", 1, "turn 12"),
        ([turn(0.0, us=None, failed="no model")], None, "not_measured", 3, "no model"),
        ([], None, "not_measured", 3, "no turn was run"),
    ],
)
def test_the_word_on_a_soak(turns: list[SoakStretch], limit: float | None, word: str, code: int, says: str) -> None:
    answer = word_on(soak_of(turns, SoakPlan(3600, limit), 600.0))
    assert (answer.word, answer.exit_code) == (word, code) and says in answer.detail


def test_outputs_of_which_only_padding_can_differ_are_not_called_different() -> None:
    assert _differing({"a": "1"}, {"a": "1"}) == ()
    assert _differing({"a": "1"}, {"a": "2"}) == ("a",)
    assert _differing({"a": "1", "b": "1"}, {"a": "1"}) == ("b",)
    assert _differing({"a": "file:1"}, {"a": "file:2"}) is None
    assert _differing({"a": "file:1", "b": "1"}, {"a": "file:2", "b": "2"}) == ("b",)


def test_a_few_turns_have_no_drift() -> None:
    assert drift_of([1.0] * 7) is None and drift_of([1.0] * 6 + [2.0] * 2) == 1.0
    assert [at_words(s) for s in (12, 240, 7980)] == ["12 s", "4 min", "2 h 13 min"]


def test_a_resumed_soak_goes_on_with_the_next_turn_and_ends_in_time() -> None:
    kept = [ModeOfRun("profile", duration_s=3.0, at_s=0.0), ModeOfRun("profile-2", duration_s=3.0, at_s=4.0)]
    went_on = list(soak_turns(("profile",), SoakPlan(7.0), Workload(), lambda: kept))
    assert went_on == []  # 7 seconds have been soaked; the pause since is none
    at_s, following = next(iter(soak_turns(("profile",), SoakPlan(70.0), Workload(), lambda: kept)))
    assert following.name == "profile-3" and 7.0 <= at_s < 10.0


def test_a_resumed_soak_first_runs_what_its_last_turn_lacks() -> None:
    names = ("profile", "release", "profile-2")
    kept = [ModeOfRun(name, duration_s=3.0, at_s=4.0 * n) for n, name in enumerate(names)]
    rest = soak_turns(("profile", "release"), SoakPlan(11.0), Workload(), lambda: kept)
    assert [turn.name for _, turn in rest] == ["release-2"]
    rest = soak_turns(("profile", "release"), SoakPlan(70.0), Workload(), lambda: kept)
    assert [next(rest)[1].name for _ in range(3)] == ["release-2", "profile-3", "release-3"]


def test_a_soak_that_only_fails_ends() -> None:
    ended = [ModeOfRun(f"profile-{n}", at_s=float(n), failure=Failure("crash", "x")) for n in range(1, 4)]
    assert list(soak_turns(("profile",), SoakPlan(1e6), Workload(), lambda: ended)) == []


def test_the_page_has_every_series_on_one_axis_with_its_marks() -> None:
    soak = soak_of([*STEADY, turn(600.0, differing=("out",))], SoakPlan(), 660.0)
    drawn = soak_drawing(soak_table(Run(soak=soak)))
    assert drawn is not None and drawn["marks"] == [100.0]
    assert [band["name"] for band in drawn["bands"]] == ["latency of a frame", "cpu, highest"]
    assert all(0 <= place <= 100 for band in drawn["bands"] for line in band["lines"] for place in line)
    page = render(Run(state="complete", soak=soak))
    assert 'id="soak"' in page and "Outputs changed first in turn 11" in page


@pytest.mark.parametrize("place", [99, -1, 11])
def test_places_that_are_none_of_the_turns_name_no_turn(place: int) -> None:
    soak = replace(soak_of([*STEADY, turn(600.0)], SoakPlan(), 660.0), first_bad=place, first_failure=place)
    page = render(Run(state="complete", soak=soak))
    assert 'id="soak"' in page and "Outputs changed first" not in page and "failed," not in page
