"""Which setting of a sweep is best, and what may be said of the whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.cli.series.sweep import _whole
from harness.errors import InputError
from harness.records import Failure, Latency, Run, Setting, SweepPlan, SweepPoint
from harness.report.drawings.sweep import sweep_drawing
from harness.report.page import render
from harness.report.tables.sweep import sweep_table
from harness.review.sweep import chosen, rate_of, with_front, word_on


def point(threads: int, us: float | None, fps: float | None, failed: bool = False) -> SweepPoint:
    failure = Failure("memory", "L2 memory not enough") if failed else None
    return SweepPoint(Setting(threads), (f"profile-{threads}",), usual_us=us, fps=fps, failure=failure)


POINTS = (point(1, 1000, 950), point(2, 1400, 1400), point(4, 2400, 1405), point(8, 5000, 1390))


@pytest.mark.parametrize(
    ("latency_us", "fps", "best"),
    [
        (None, None, None),
        (1200, None, 0),
        (1500, None, 1),
        (9000, None, 1),  # the rate of 4 threads is 0.4 % higher: a tie, and 2 threads are faster
        (None, 900, 0),
        (None, 1000, 1),
        (1200, 1000, None),
        (3000, 1402, 2),
    ],
)
def test_the_best_is_what_was_asked_for(latency_us: float | None, fps: float | None, best: int | None) -> None:
    sweep = chosen(POINTS, SweepPlan((), latency_us, fps))
    assert sweep.best == best
    words = {0: "goal_met", 1: "goal_missed"} if latency_us or fps else {0: "swept"}
    word = word_on(sweep)
    assert word.word == words[word.exit_code] and (word.exit_code == 1) == (bool(latency_us or fps) and best is None)


def test_a_failed_setting_is_never_best_and_leaves_a_missed_goal_open() -> None:
    points = (point(1, 1000, 950), point(2, 900, 2000, failed=True))
    assert chosen(points, SweepPlan((), 1100, None)).best == 0
    word = word_on(chosen(points, SweepPlan((), 500, None)))
    assert (word.word, word.exit_code) == ("not_measured", 3) and "L2 memory not enough" in word.detail
    assert word_on(chosen((point(1, None, None, failed=True),), SweepPlan())).exit_code == 3


def test_a_rate_that_is_not_known_meets_no_goal() -> None:
    points = (point(1, 1000, None),)
    assert chosen(points, SweepPlan((), None, 1)).best is None
    assert chosen(points, SweepPlan((), 2000, None)).best == 0


def test_the_front_is_what_nothing_beats() -> None:
    assert [one.is_on_front for one in with_front(POINTS)] == [True, True, False, False]
    same = with_front((point(1, 1000, 900), point(2, 1000, 900)))
    assert [one.is_on_front for one in same] == [True, True]


def test_a_rate_without_the_tools_own_figure_is_of_the_loop() -> None:
    assert rate_of(Latency(1000.0, frames=200, total_us=100_000.0)) == 2000.0
    assert rate_of(Latency(1000.0)) is None


def test_no_numbers_of_the_picture_lie_on_each_other() -> None:
    crowd = tuple(point(n, 1000 + 3 * (n % 7), 900 + 2 * (n % 5)) for n in range(1, 40))
    drawn = sweep_drawing(sweep_table(Run(sweep=chosen(with_front(crowd), SweepPlan((), 1005, None)))))
    assert drawn is not None and len(drawn["marks"]) == 39
    boxes = [
        (m["label"]["x"], m["label"]["y"] - 10, m["label"]["x"] + 7 * len(m["number"]), m["label"]["y"])
        for m in drawn["marks"]
        if m["label"]
    ]
    assert boxes
    for n, one in enumerate(boxes):
        for other in boxes[n + 1 :]:
            assert not (one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3])


@pytest.mark.parametrize("place", [99, -1, len(POINTS)])
def test_a_best_place_that_is_none_of_the_points_names_none(place: int) -> None:
    page = render(Run(state="complete", sweep=replace(chosen(POINTS, SweepPlan((), 1500, None)), best=place)))
    assert 'id="sweep"' in page and "<b>Best:</b>" not in page


@pytest.mark.parametrize("text", ["9" * 5000, "0", "-1", "\u00b2", "x"])
def test_threads_that_are_no_number_are_refused_in_short_words(text: str) -> None:
    with pytest.raises(InputError, match="takes whole numbers from 1") as refused:
        _whole(text)
    assert len(refused.value.message) < 120 and _whole("16") == 16
