"""A slowdown that was accepted is the level: in the gate, in the file beside the nights, on the trend page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.history.accepted import FILE, load_accepted, of_pair
from harness.history.epochs import epochs_of
from harness.nightly.looking_back import series_before
from harness.records.nights import Cell, Night
from harness.records.nights.history import AcceptedLevel, HistoryEntry
from harness.regressions.accepting import with_accepted
from harness.regressions.finding import can_find
from harness.regressions.gate import GateLimits
from harness.regressions.judge import final, suspected
from harness.regressions.series import NightPoint, baseline
from harness.report.nights.trends import render_trend
from tests.cli.answers import answer_of
from tests.history.kit import cell_of_run, run_of, stamp, write_night

LIMITS = GateLimits()


def night(day: int) -> str:
    return f"lab/{stamp(day)}"


def points(days: int = 20, slower_from: int = 15, change: float = 1.04) -> list[NightPoint]:
    """Nights of which the last ones were called slower, by a sitting, with the model that came then."""
    chance = np.random.default_rng(5)
    series = []
    for day in range(1, days + 1):
        is_slow = day >= slower_from
        value_us = 5000.0 * chance.normal(1, 0.005) * (change if is_slow else 1.0)
        word, alarm = ("slower", "confirmed" if day == slower_from else "known") if is_slow else ("pass", "")
        series.append(NightPoint(night(day), value_us, "e1", "m2" if is_slow else "m1", word, alarm))
    return series


def level(first: int = 15, through: int = 20) -> AcceptedLevel:
    return AcceptedLevel("yolo", "x5-01", night(first), night(through), "wanted")


def judged(series: list[NightPoint], value_us: float, model: str = "m2", sitting: str = "") -> tuple[str, str]:
    suspect = suspected(series, NightPoint(night(21), value_us, "e1", model), LIMITS)
    word = final(suspect, sitting if suspect.wants_a_sitting else "")
    return word.word, word.alarm


def test_after_it_the_new_level_passes_and_without_it_does_not() -> None:
    assert judged(points(), 5200.0) == ("slower", "known")
    assert judged(with_accepted(points(), [level()]), 5200.0) == ("pass", "")
    assert judged(with_accepted(points(), []), 5200.0) == ("slower", "known")


def test_a_later_slowdown_is_held_against_the_new_level() -> None:
    series = with_accepted(points(), [level()])
    assert judged(series, 5200.0 * 1.05, "m3", "slower") == ("slower", "confirmed")
    assert judged(series, 5200.0 * 1.05, "m2") == ("pass", "waiting"), "the model is what it was: it has to last"
    assert judged(series, 5000.0, "m3", "faster") == ("faster", "confirmed"), "the old level is an improvement now"


def test_nights_after_it_are_not_accepted_with_it() -> None:
    series = points(20)
    later = [replace(one, value_us=one.value_us * 1.06) if one.night >= night(19) else one for one in series]
    read = with_accepted(later, [level(15, 20)])
    assert [one.word for one in read[-3:]] == ["pass", "slower", "slower"], "another change among the accepted nights"
    read = with_accepted(points(20), [level(15, 18)])
    assert [one.word for one in read[-3:]] == ["pass", "slower", "slower"], "seen after it was accepted"
    assert [one.night for one in baseline(read, "e1")] == [night(day) for day in range(15, 19)]


def test_the_spread_of_the_board_is_still_that_of_all_its_nights() -> None:
    before, after = can_find(points()[:14]), can_find(points(), [level()])
    assert before is not None and after is not None
    assert after.in_1_night_pct == pytest.approx(before.in_1_night_pct, rel=0.25)


def test_other_suites_and_epochs_are_left_alone() -> None:
    other = [replace(one, night=one.night.replace("lab/", "else/")) for one in points()]
    assert with_accepted(other, [level()]) == other
    assert with_accepted(points(10), [level()]) == points(10), "its night is not among them"
    mixed = [replace(one, epoch="e0") if one.night < night(5) else one for one in points()]
    assert [one.epoch for one in with_accepted(mixed, [level()])[:4]] == ["e0"] * 4


# --------------------------------------------------------------------------- the command, its file, the page


@pytest.fixture
def nights(tmp_path: Path) -> Path:
    """Twelve nights, the last three of which are slower."""
    for day in range(1, 13):
        run = run_of(day=day, model="m2" if day > 9 else "m1")
        cell = cell_of_run(run, 5000.0 + day % 3 + (200 if day > 9 else 0), "slower" if day > 9 else "pass")
        write_night(tmp_path / "nights", "lab", day, [(run, cell)])
    return tmp_path / "nights"


def history(nights: Path, *argv: str) -> Result:
    return CliRunner().invoke(cli, ["history", *argv, "--nights", str(nights)])


def accepted_of(nights: Path) -> list[AcceptedLevel]:
    return of_pair(load_accepted(nights), "yolo", "x5-01")


def next_baseline(nights: Path) -> list[str]:
    """The nights that the next one of the suite would be held against."""
    tonight = Night(id="lab/next", suite="lab", cells=(Cell("yolo", "x5-01"),))
    lines: list[str] = []
    series = series_before(nights, tonight, nights / "lab/next", "", lines.append)
    assert lines == []
    return [one.night for one in baseline(series["yolo", "x5-01"], "e1")]


def test_the_command_accepts_and_revokes(nights: Path) -> None:
    assert next_baseline(nights) == [night(day) for day in range(1, 10)]
    result = history(
        nights, "accept", "yolo", "--board", "x5-01", "--reason", 'wanted: "larger" input\n# not a comment'
    )
    assert result.exit_code == 0 and "revoke yolo --board x5-01" in result.output
    (one,) = accepted_of(nights)
    assert (one.night, one.through, one.reason) == (night(10), night(12), 'wanted: "larger" input\n# not a comment')
    assert one.by and one.at_utc
    assert next_baseline(nights) == [night(day) for day in (10, 11, 12)]
    assert CliRunner().invoke(cli, ["history", "rebuild", str(nights)]).exit_code == 0
    assert next_baseline(nights) == [night(day) for day in (10, 11, 12)], "the file is the truth"
    answer = answer_of(history(nights, "yolo", "--json").output, "history")
    assert answer["series"][0]["accepted"][0]["night"] == night(10)
    assert 2 < answer["series"][0]["can_find"]["in_1_night_pct"] < 4
    assert f"accepted as the level from {night(10)} on" in history(nights, "yolo").output
    answer = answer_of(history(nights, "revoke", "yolo", "--json").output, "history-revoke")
    assert answer["revoked"]["night"] == night(10) and accepted_of(nights) == []
    assert next_baseline(nights) == [night(day) for day in range(1, 10)]


def test_a_night_can_be_named_and_accepted_again(nights: Path) -> None:
    for reason in ("first", "second"):
        result = history(nights, "accept", "yolo", "--night", stamp(11), "--reason", reason, "--json")
        answer = answer_of(result.output, "history-accept")
    assert answer["accepted"]["night"] == night(11) and answer["file"] == str(nights / FILE)
    assert [one.reason for one in accepted_of(nights)] == ["second"]


def test_what_cannot_be_accepted_says_why(nights: Path) -> None:
    result = history(nights, "accept", "yolo", "--night", "20270101T000000Z", "--reason", "x")
    assert result.exit_code == 2 and "has no night '20270101T000000Z'" in result.output and night(12) in result.output
    result = history(nights, "accept", "resnet", "--reason", "x")
    assert result.exit_code == 2 and "the history holds nothing of resnet" in result.output
    assert history(nights, "accept", "yolo", "--reason", " ").exit_code == 2
    result = history(nights, "revoke", "yolo")
    assert result.exit_code == 2 and "no level of yolo is accepted" in result.output
    run = run_of(day=13)
    write_night(nights, "lab", 13, [(run, cell_of_run(run))])
    result = history(nights, "accept", "yolo", "--reason", "x")
    assert result.exit_code == 2 and "is pass: nothing is to be accepted" in result.output
    run = run_of(board="x5-02", day=14)
    write_night(nights, "lab", 14, [(run, cell_of_run(run))])
    result = history(nights, "accept", "yolo", "--reason", "x")
    assert result.exit_code == 2 and "on several boards: x5-01, x5-02" in result.output


def test_a_file_that_cannot_be_read_is_said_and_accepts_nothing(nights: Path) -> None:
    (nights / FILE).write_text("accepted:\n  - {case: yolo, bord: x5-01}\n")
    result = history(nights, "yolo")
    assert result.exit_code == 2 and f"{FILE}:2" in result.output and "unknown key 'bord'" in result.output
    lines: list[str] = []
    tonight = Night(id="lab/next", suite="lab", cells=(Cell("yolo", "x5-01"),))
    series = series_before(nights, tonight, nights / "lab/next", "", lines.append)
    assert len(series["yolo", "x5-01"]) == 12 and "no level is accepted" in lines[0]


def test_the_trend_page_marks_it() -> None:
    entries = [
        HistoryEntry("yolo", "x5-01", f"2026-11-{day:02d}T02:00:00Z", night=one.night, word=one.word, alarm=one.alarm,
                     epoch="e1", median_us=one.value_us, model_md5=one.artefact)
        for day, one in enumerate(points(), 1)
    ]  # fmt: skip
    marked = render_trend(entries, epochs_of(entries), (), "1", [replace(level(), reason="a <b> reason")])
    assert 'class="t-accepted"' in marked and "accepted as the new level" in marked and "a &lt;b&gt; reason" in marked
    assert "A change is found from" in marked
    assert 'class="t-accepted"' not in render_trend(entries, epochs_of(entries), (), "1")
