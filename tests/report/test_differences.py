"""Several runs side by side: what changed, what is within the noise, what cannot be said."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.profiling.distribution import distribution
from harness.records import Latency
from harness.report.differences.page import render_differences
from harness.report.differences.table import differences
from harness.report.differences.times import UsualTime, time_change
from tests.records.kit import typed
from tests.support import fixtures_run as runs


def table(*several: dict[str, Any]) -> dict[str, Any]:
    return differences([typed(run) for run in several])


def conditions(data: dict[str, Any]) -> dict[tuple[str, str], list[str | None]]:
    return {(row["group"], row["what"]): row["values"] for row in data["conditions"] if row["changed"]}


LARGE = pytest.param("large", marks=pytest.mark.slow)


@pytest.mark.parametrize("name", ["hostile", "interrupted", "no profile", "unordered profile", "accumulated", LARGE])
def test_a_run_beside_itself_has_no_difference(name: str) -> None:
    data = table(runs.ALL[name](), runs.ALL[name]())
    assert not data["different"]
    assert (data["layers"]["rows"], data["conditions"]) == ([], [])


@pytest.mark.parametrize("name", ["failed", "interrupted"])
def test_a_run_without_layers_and_times_is_not_called_the_same(name: str) -> None:
    data = table(runs.ALL[name](), runs.ALL[name]())
    assert data["uncompared"] == ["B"]
    assert "no difference found" not in render_differences(data) or "Neither layers nor times" in render_differences(
        data
    )


def test_every_kind_of_condition_is_named_with_both_values() -> None:
    other = runs.consistent_run()
    other["case"]["model"]["md5"] = "0" * 32
    other["case"]["inputs"][0]["md5"] = "1" * 32
    other["case"]["options"] = {"cache": 2}
    other["case"]["threads"] = 4
    other["versions"]["runtime"] = "9.9"
    other["harness_version"] = "9.0"
    other["board"]["soc"] = "other"
    changed = conditions(table(runs.consistent_run(), other))
    assert set(changed) == {
        ("model", "md5"),
        ("inputs", "images md5"),
        ("settings", "option cache"),
        ("settings", "threads"),
        ("versions", "runtime"),
        ("versions", "harness"),
        ("board", "soc"),
    }
    assert changed["settings", "option cache"] == [None, "2"]
    assert changed["versions", "runtime"] == ["1.24.5", "9.9"]


def test_a_version_that_a_run_does_not_tell_is_shown_and_is_no_change() -> None:
    silent = runs.consistent_run()
    del silent["versions"]["hbrt"]
    data = table(runs.consistent_run(), silent)
    assert [(row["what"], row["changed"]) for row in data["conditions"]] == [("hbrt", False)]
    assert not data["different"]


def test_what_a_board_tells_of_the_moment_is_no_difference() -> None:
    pair = [runs.consistent_run(), runs.consistent_run()]
    for place, run in enumerate(pair):
        run["board"]["facts"] |= {
            "uptime_s": 5.5 + place,
            "clock_offset_s": place,
            "free_bytes": 7 + place,
            "boot": str(place),
        }
    assert not table(*pair)["different"]


def test_bytes_that_differ_because_the_input_does_are_said_to() -> None:
    other = runs.diverging_run()
    other["case"]["inputs"][0]["md5"] = "1" * 32
    assert "(inputs differ too)" in table(runs.consistent_run(), other)["sentences"][0]
    assert "differ too" not in table(runs.consistent_run(), runs.diverging_run())["sentences"][0]


# --------------------------------------------------------------------------- layers


def layers_of(run: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = run["comparison"]["layers"]
    return rows


def test_layers_are_matched_by_name_wherever_they_stand() -> None:
    moved = runs.consistent_run()
    layers_of(moved).reverse()
    assert table(runs.consistent_run(), moved)["layers"]["rows"] == []


def test_new_and_gone_layers_and_worse_ones_are_counted_apart() -> None:
    other = runs.consistent_run()
    del layers_of(other)[3]
    layers_of(other)[10]["name"] = "brand new"
    layers_of(other)[20]["verdict"] = "differs"
    layers_of(other)[21]["verdict"] = "not_compared"
    data = table(runs.consistent_run(), other)["layers"]
    counts = data["counts"][1]
    assert {word: counts[word] for word in ("new", "gone", "worse", "no_longer_compared", "better")} == {
        "new": 1,
        "gone": 2,
        "worse": 1,
        "no_longer_compared": 1,
        "better": 0,
    }
    assert len(data["rows"]) == 5


def test_layers_of_one_name_are_held_apart() -> None:
    twins = [runs.consistent_run() for _ in range(2)]
    for run in twins:
        layers_of(run)[1]["name"] = layers_of(run)[0]["name"]
    layers_of(twins[1])[1]["verdict"] = "differs"
    (row,) = table(*twins)["layers"]["rows"]
    assert row["cells"][1]["change"] == "worse"


def test_bytes_have_one_number_for_equal_contents_over_all_runs() -> None:
    several = [runs.consistent_run() for _ in range(4)]
    for run, md5 in zip(several, ("a" * 32, "b" * 32, "a" * 32, ""), strict=True):
        layers_of(run)[5] |= {"valid_md5_board": md5, "file_md5_board": md5}
    (row,) = table(*several)["layers"]["rows"]
    assert [cell["variant"] for cell in row["cells"]] == [1, 2, 1, None]
    assert [cell["hash"] for cell in row["cells"]] == ["same", "changed", "same", "unknown"]


@pytest.mark.parametrize(("whole", "word"), [("f" * 32, "same"), ("e" * 32, "unknown")])
def test_md5s_of_padded_files_tell_only_that_bytes_are_equal(whole: str, word: str) -> None:
    pair = [runs.consistent_run(), runs.consistent_run()]
    for run, md5 in zip(pair, ("f" * 32, whole), strict=True):
        layers_of(run)[5] |= {"valid_md5_board": "", "file_md5_board": md5}
    data = table(*pair)
    assert data["layers"]["counts"][1]["hash_changed"] == 0
    assert data["layers"]["counts"][1]["hash_unknown"] == (word == "unknown")
    assert not data["different"]


def test_a_run_without_a_comparison_has_no_layers_gone() -> None:
    data = table(runs.consistent_run(), runs.not_compared_run())
    assert data["layers"]["rows"] == []
    assert "layers not compared" in data["sentences"][0]


def test_of_runs_without_a_reference_the_files_of_the_boards_are_held_against_each_other() -> None:
    """Two nights without a reference: whose bytes are equal, whose valid bytes differ, and which are not known."""
    pair = [runs.not_compared_run(), runs.not_compared_run()]
    for run, valid, whole in zip(pair, ("a", "b"), ("1", "2"), strict=True):
        debug = {"mode": "debug", "folder": "debug", "exit_code": 0}
        files = [
            {"name": "same.bin", "bytes": 4, "md5": "e" * 32, "file": "same.bin"},
            {"name": "valid.bin", "bytes": 4, "md5": whole * 32, "valid_md5": valid * 32, "file": "valid.bin"},
            {"name": "padded.bin", "bytes": 4, "md5": whole * 32, "file": "padded.bin"},
            {"name": "log.txt", "bytes": 4, "md5": whole * 32, "file": "log.txt"},
        ]
        run["modes"] = [debug | {"files": files}]
    data = table(*pair)
    counts = data["layers"]["counts"][1]
    assert data["layers"]["total"] == 3 and [row["name"] for row in data["layers"]["rows"]] == ["valid.bin"]
    assert [counts[f"hash_{word}"] for word in ("same", "changed", "unknown")] == [1, 1, 1]
    assert "only files are held against each other" in data["sentences"][0] and "1 file differ" in data["sentences"][0]


# --------------------------------------------------------------------------- times


def timed(*, estimated: bool = False, **latency: Any) -> UsualTime:
    one = Latency(**latency)
    return UsualTime(one.mean_us, distribution(one), estimated)


def frames(middle: float, spread: float = 0.01) -> dict[str, Any]:
    samples = tuple(middle * (1 + spread * math.sin(place * 2.4)) for place in range(100))
    return {"mean_us": middle, "samples_us": samples}


@pytest.mark.parametrize(
    ("before", "now", "word"),
    [
        (frames(1000), frames(1100), "slower"),
        (frames(1100), frames(1000), "faster"),
        (frames(1000, 0.5), frames(1002, 0.5), "within_noise"),
        (frames(1000), {"mean_us": 1100.0}, "noise_unknown"),
        ({"mean_us": 5.0}, {"mean_us": 5.0}, "equal"),
        ({"mean_us": 0.0}, {"mean_us": 5.0}, "not_comparable"),
        ({"mean_us": math.nan}, {"mean_us": 5.0}, "not_comparable"),
        (
            {"mean_us": 100.0, "min_us": 90.0, "max_us": 110.0},
            {"mean_us": 104.0, "min_us": 95.0, "max_us": 115.0},
            "within_noise",
        ),
    ],
)
def test_a_change_is_called_one_only_outside_of_its_noise(before: Any, now: Any, word: str) -> None:
    assert time_change(timed(**before), timed(**now))["word"] == word


@given(
    *(st.floats(allow_nan=True, allow_infinity=True) for _ in range(4)),
    st.lists(st.floats().map(abs), max_size=12),
)
def test_whatever_the_times_are_a_word_is_found_and_its_figures_are_finite(
    mean: float, least: float, most: float, other: float, samples: list[float]
) -> None:
    change = time_change(
        timed(mean_us=mean, min_us=least, max_us=most), timed(mean_us=other, samples_us=tuple(samples))
    )
    assert all(change[key] is None or math.isfinite(change[key]) for key in ("percent", "low_percent", "high_percent"))


def test_estimated_and_measured_times_are_said_to_be_not_comparable_and_never_judged() -> None:
    data = table(runs.consistent_run(), runs.unordered_profile_run())
    change = data["latency"][1]["change"]
    assert (change["word"], change["why_not"]) == ("not_comparable", "estimated against measured")
    words = {row["cells"][1]["change"]["word"] for row in data["ops"]["rows"]}
    assert words == {"not_comparable"}
    assert "estimated against measured" in render_differences(data)


def ops_of(run: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = run["profile"]["ops"]
    return rows


def test_new_and_gone_and_moved_ops_are_named() -> None:
    other = runs.consistent_run()
    gone = ops_of(other).pop(0)
    ops_of(other)[0]["unit"] = "elsewhere"
    ops_of(other).append(gone | {"name": "brand new"})
    data = table(runs.consistent_run(), other)
    counts = data["ops"]["counts"][1]
    assert (counts["new"], counts["gone"], counts["moved"]) == (1, 1, 1)
    assert data["different"]


def test_an_op_that_a_cut_table_does_not_hold_is_not_called_gone() -> None:
    other = runs.consistent_run()
    del ops_of(other)[0]
    other["profile"]["latency"]["problems"] = ["profiler.csv is truncated"]
    counts = table(runs.consistent_run(), other)["ops"]["counts"][1]
    assert counts.get("gone", 0) == 0


# --------------------------------------------------------------------------- many, hostile, private


def test_twenty_runs_fit_and_each_has_a_sentence() -> None:
    several = [runs.diverging_run(20, origin=10) if place % 3 else runs.consistent_run(20) for place in range(20)]
    data = table(*several)
    assert len(data["sentences"]) == 19
    assert all(len(row["cells"]) == 20 for row in data["layers"]["rows"])
    page = render_differences(data)
    assert all(f'<th scope="col">{run["label"]}</th>' in page for run in data["runs"])


def test_a_hostile_run_is_text_on_the_page_and_in_the_table() -> None:
    data = table(runs.hostile_run(), runs.consistent_run())
    page = render_differences(data)
    assert "<script>window" not in page and "<img" not in page and "</style><b>" not in page
    assert page.count("<script>") == 1
    page.encode("utf-8")
    json.dumps(data, allow_nan=False)


PRIVATE = {"name": "secret-laptop", "user": "jdoe", "home": "/home/jdoe", "cache": "/home/jdoe/.cache/harness"}


def test_private_words_of_every_run_are_left_out() -> None:
    pair = [runs.consistent_run(), runs.consistent_run()]
    pair[0]["board"] |= {"address": "10.1.2.3", "user": "boarduser"}
    pair[1]["host"] |= PRIVATE
    pair[1]["case"]["options"] = {"file": "/home/jdoe/x on secret-laptop", "where": "boarduser@10.1.2.3"}
    text = json.dumps(table(*pair)) + render_differences(table(*pair))
    assert "option file" in text
    assert not [word for word in ("secret-laptop", "jdoe", "10.1.2.3", "boarduser") if word in text]


@pytest.mark.parametrize("word", ["worse", "new", "exact", "board", "runs", "layers", "bounds", "differs"])
def test_a_host_that_is_called_like_a_word_of_the_tables_breaks_nothing(word: str) -> None:
    other = runs.diverging_run()
    other["host"] |= {"name": word, "user": word}
    data = table(runs.consistent_run(), other)
    assert data["layers"]["counts"][1]["worse"] == 24
    assert "24 layers worse" in render_differences(data)
