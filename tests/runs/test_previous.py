"""A run held against an earlier one: verdicts, layers, latency, and what was not the same."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import InputError
from harness.records import Earlier, Verdict
from harness.records.codec import to_json
from harness.report.markdown import markdown
from harness.report.page import render_tables
from harness.runs import previous
from harness.runs.baseline import baseline_path, find_baseline
from harness.runs.previous import judged
from tests.records.kit import lines, tables, typed
from tests.support.builds import ExampleModel, build, harness
from tests.support.fixtures_run import ALL

GOOD = Verdict("consistent", "64 of 64 layers, all exact", 0)


def run(mean_us: float = 1000.0, word: str = "consistent", **layers: str) -> dict[str, Any]:
    """As much of a run as an earlier one is asked for."""
    return {
        "format": 1,
        "id": "case/board/20261119T010000Z",
        "state": "complete",
        "started_utc": "2026-11-19T01:00:00Z",
        "case": {"model": {"name": "m.bin", "bytes": 1, "md5": "m"}, "threads": 1, "core": 0},
        "board": {"name": "x5-01", "platform": "hbdnn", "soc": "x5", "emulated": False},
        "verdict": {"word": word, "detail": "", "exit_code": 0},
        "comparison": {
            "verdict": {"word": word, "detail": "", "exit_code": 0},
            "coverage": dict.fromkeys(("layers_compared", "layers_total", "bytes_compared", "bytes_total"), 1),
            "layers": [
                {"index": place, "name": name, "op": name, "op_kind": "Conv", "verdict": verdict}
                for place, (name, verdict) in enumerate(layers.items())
            ],
        },
        "profile": {
            "ops": [],
            "segments": [],
            "unattributed_us": 0.0,
            "source": "profile",
            "estimated": False,
            "latency": {
                "mean_us": mean_us,
                "min_us": mean_us * 0.999,
                "max_us": mean_us * 1.002,
                "frames": 200,
                "threads": 1,
                "core": "0",
            },
            "split_us": {"BPU": mean_us / 2},
        },
    }


def against(before: dict[str, Any], now: dict[str, Any]) -> Earlier:
    return previous.against(typed(before), typed(now))


def keep(folder: Path, stamp: str, record: dict[str, Any]) -> Path:
    (folder / stamp).mkdir(parents=True)
    (folder / stamp / "run.json").write_text(json.dumps(record))
    return folder / stamp / "run.json"


def test_two_equal_runs_are_the_same_in_everything() -> None:
    earlier = against(run(a="exact"), run(a="exact"))
    assert earlier.verdict.change == "same" and earlier.changed == ()
    assert earlier.latency.percent == 0 and earlier.layers.both == 1
    assert not any(
        getattr(earlier.layers, kind) for kind in ("worse", "better", "no_longer_compared", "newly_compared")
    )


def test_layers_are_told_by_what_became_of_them() -> None:
    before = run(a="exact", b="within", c="differs", d="exact", e="not_compared")
    changes = against(before, run(a="within", b="differs", c="exact", e="exact", word="diverges")).layers
    names = {kind: [row["name"] for row in rows] for kind, rows in to_json(changes).items() if kind != "both"}
    assert names == {"worse": ["a", "b"], "better": ["c"], "newly_compared": ["e"], "no_longer_compared": ["d"]}
    assert changes.both == 3


@pytest.mark.parametrize(
    ("before", "now", "change"),
    [
        ("consistent", "diverges", "worse"),
        ("diverges", "consistent_within", "better"),
        ("consistent", "not_measured", "other"),
        ("diverges", "not_deterministic", "same"),
    ],
)
def test_a_word_that_cannot_be_ranked_is_no_change_for_the_better(before: str, now: str, change: str) -> None:
    assert against(run(word=before), run(word=now)).verdict.change == change


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        (("profile", "source"), "release", "measured by"),
        (("profile", "estimated"), True, "estimated"),
        (("profile", "latency", "threads"), 8, "threads: 8 before, 1 now"),
        (("profile", "latency", "mean_us"), None, "the earlier run has none"),
        (("profile", "latency", "mean_us"), "nan", "the earlier run has none"),
        (("board", "soc"), "x3", "different SoCs"),
    ],
)
def test_latencies_of_another_kind_are_not_held_against_each_other(path: tuple[str, ...], value: Any, why: str) -> None:
    before: Any = run()
    part = before
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    change = against(before, run()).latency
    assert why in change.why_not and change.percent is None
    assert (judged(GOOD, change, 5.0)[0].exit_code, judged(GOOD, change, 5.0)[1]) == (3, "not_comparable")
    assert judged(GOOD, change, None) == (GOOD, "")


def test_slower_than_allowed_is_measured_and_bad() -> None:
    change = against(run(1000.0), run(1060.0)).latency
    assert change.percent == pytest.approx(6.0) and change.low_percent is not None and change.low_percent > 5.0
    word, gate = judged(GOOD, change, 5.0)
    assert (word.word, word.exit_code, gate) == ("slower", 1, "slower") and "bounds +5." in word.detail
    assert judged(GOOD, change, 6.5) == (GOOD, "not_slower")
    assert judged(GOOD, change, 6.0) == (GOOD, "undecided"), "what the bounds do not settle is not bad"
    assert judged(GOOD, replace(change, low_percent=5.0), 5.0)[0] == GOOD, "as slow as is allowed is allowed"
    bad = Verdict("diverges", "conv2", 1)
    assert judged(bad, change, 5.0) == (bad, "slower")


def test_one_slow_frame_of_two_hundred_is_not_slower() -> None:
    now = run(23.0)
    now["profile"]["latency"] |= {"mean_us": 122.7, "min_us": 22.6, "max_us": 20000.0}
    change = against(run(23.0), now).latency
    assert change.percent == pytest.approx(0.0, abs=1.0) and change.mean_now_us == 122.7
    assert judged(GOOD, change, 5.0)[1] in ("not_slower", "undecided")


def test_a_mean_alone_has_no_interval_and_does_not_gate() -> None:
    now = run(1060.0)
    now["profile"]["latency"] = {"mean_us": 1060.0, "threads": 1, "core": "0"}
    change = against(run(1000.0), now).latency
    word, gate = judged(GOOD, change, 5.0)
    assert (word.exit_code, gate) == (3, "not_comparable") and "--rounds" in word.detail


def test_what_was_not_the_same_is_named() -> None:
    now = run()
    now["case"]["model"]["md5"], now["board"]["name"] = "other", "x5-02"
    changed = against(run(), now).changed
    assert [(row.what, row.before, row.now) for row in changed] == [
        ("model (md5)", "m", "other"),
        ("board name", "x5-01", "x5-02"),
    ]


def test_a_slower_verdict_of_estimates_says_so() -> None:
    runs = run(1000.0), run(1060.0)
    for one in runs:
        one["profile"]["estimated"] = True
    assert "(estimated)" in judged(GOOD, against(*runs).latency, 5.0)[0].detail
    assert "(estimated)" not in judged(GOOD, against(run(1000.0), run(1060.0)).latency, 5.0)[0].detail


NOW = {"id": "case/x5-01/20261130T010000Z", "started_utc": "2026-11-30T01:00:00Z"}


def baseline_of(place: Path, now: dict[str, Any]) -> tuple[str, str]:
    """(started_utc of the baseline or "", why there is none)."""
    before, why = find_baseline(place, typed(now | NOW))
    return before.started_utc if before else "", why


def on_day(day: int, **more: Any) -> dict[str, Any]:
    record: dict[str, Any] = copy.deepcopy(run()) | {"started_utc": f"2026-11-{day}T01:00:00Z", "id": f"c/b/{day}"}
    for key, value in more.items():
        place, _, name = key.partition("__")
        if name:
            record[place][name] = value
        else:
            record[place] = value
    return record


def test_the_newest_complete_run_of_a_folder_is_meant(tmp_path: Path) -> None:
    keep(tmp_path, "20261117T010000Z", on_day(17))
    newest = keep(tmp_path, "20261118T010000Z", on_day(18))
    keep(tmp_path, "20261119T010000Z", on_day(19, state="failed"))
    keep(tmp_path, "20261121T010000Z", on_day(21, modes=3))
    (tmp_path / "20261120T010000Z").mkdir()
    (tmp_path / "20261120T010000Z/run.json").write_text("{")
    assert baseline_of(tmp_path, run()) == ("2026-11-18T01:00:00Z", "")
    assert baseline_path(str(tmp_path), tmp_path) == str(tmp_path)
    assert baseline_path(str(newest), tmp_path) == str(newest) == baseline_path(str(newest.parent), tmp_path)


@pytest.mark.parametrize(
    ("unlike", "word"),
    [
        ({"case__threads": 8}, "threads 8 (now 1)"),
        ({"case__core": 1}, "core 1 (now 0)"),
        ({"case__inputs": [{"tensor": "x", "bytes": 4}]}, "input sizes 4 (now none)"),
        ({"board__soc": "x5h"}, "soc hbdnn x5h (now hbdnn x5)"),
        ({"modes": [{"mode": "profile"}]}, "modes profile (now none)"),
    ],
)
def test_only_a_like_run_is_taken_from_a_folder_and_what_differs_is_named(
    tmp_path: Path, unlike: dict[str, Any], word: str
) -> None:
    keep(tmp_path, "20261118T010000Z", on_day(18, **unlike))
    assert baseline_of(tmp_path, run()) == (
        "",
        f"1 complete run of m.bin on x5-01 in {tmp_path.name}, none like this one: the newest has {word}",
    )
    keep(tmp_path, "20261117T010000Z", on_day(17))
    assert baseline_of(tmp_path, run()) == ("2026-11-17T01:00:00Z", "")


BAD = [{"gate": "slower"}, {"verdict__word": "slower"}, *({"verdict__word": word} for word in
       ("diverges", "not_deterministic", "board_fault", "incomplete", "not_comparable", "not_measured"))]  # fmt: skip


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_or_slower_run_of_a_folder_is_passed_over_and_told(tmp_path: Path, bad: dict[str, Any]) -> None:
    keep(tmp_path, "20261118T010000Z", on_day(18, **bad))
    word = next(iter(bad.values())).replace("_", " ")
    assert baseline_of(tmp_path, run()) == (
        "",
        f"no good run like this one of m.bin on x5-01 in {tmp_path.name}, 1 like run passed over: {word}",
    )
    keep(tmp_path, "20261117T010000Z", on_day(17))
    assert baseline_of(tmp_path, run()) == ("2026-11-17T01:00:00Z", f"1 newer run passed over: {word}")


@pytest.mark.parametrize("word", ["consistent_within", "consistent_accumulated", "not_compared"])
def test_a_good_run_of_any_word_is_a_baseline(tmp_path: Path, word: str) -> None:
    keep(tmp_path, "20261118T010000Z", on_day(18, verdict__word=word, gate="undecided"))
    assert baseline_of(tmp_path, run()) == ("2026-11-18T01:00:00Z", "")


def test_the_night_after_a_regression_is_held_against_the_last_good_night(tmp_path: Path) -> None:
    keep(tmp_path, "20261117T010000Z", on_day(17))
    keep(tmp_path, "20261118T010000Z", on_day(18, verdict__word="diverges"))
    keep(tmp_path, "20261119T010000Z", on_day(19, case__threads=8))
    keep(tmp_path, "20261120T010000Z", on_day(20, verdict__word="slower", gate="slower"))
    before, words = find_baseline(tmp_path, typed(run() | NOW))
    assert before is not None and before.started_utc == "2026-11-17T01:00:00Z"
    assert words == "2 newer runs passed over: slower, diverges"
    now = run() | NOW
    now["previous"] = to_json(replace(previous.against(before, typed(now)), passed_over=words))
    assert words in "\n".join(lines(now)) and words in render_tables(tables(now))


@pytest.mark.parametrize(
    "other",
    [{"case__model": {"name": "other.bin", "bytes": 1, "md5": "m"}}, {"board__name": "x5-02"}, {"state": "failed"}],
)
def test_a_folder_without_a_run_of_this_model_and_board_has_no_baseline(tmp_path: Path, other: dict[str, Any]) -> None:
    assert "no complete run of m.bin on x5-01" in baseline_of(tmp_path, run())[1]
    keep(tmp_path, "20261118T010000Z", on_day(18, **other))
    assert "no complete run of m.bin on x5-01" in baseline_of(tmp_path, run())[1]


def test_a_run_is_no_baseline_of_an_earlier_one_or_of_itself(tmp_path: Path) -> None:
    keep(tmp_path, "20261201T010000Z", on_day(30) | {"started_utc": "2026-12-01T01:00:00Z"})
    keep(tmp_path, "20261130T010000Z", on_day(30) | NOW)
    assert not baseline_of(tmp_path, run())[0]


def test_what_is_named_must_be_there_and_judged(tmp_path: Path) -> None:
    broken = keep(tmp_path, "20261119T010000Z", run() | {"state": "failed"})
    with pytest.raises(InputError, match="'failed'"):
        baseline_path(str(broken), tmp_path)
    with pytest.raises(InputError, match="no such run or folder"):
        baseline_path(str(tmp_path / "nowhere"), tmp_path)
    damaged = keep(tmp_path, "20261120T010000Z", run() | {"modes": 3})
    with pytest.raises(InputError, match=r"damaged.*modes is not a list: 3"):
        baseline_path(str(damaged), tmp_path)
    assert baseline_path("auto", tmp_path / "runs") == str(tmp_path / "runs"), "the first night has no folder yet"


def test_no_baseline_stands_in_the_headline_and_in_the_tables() -> None:
    now: Any = copy.deepcopy(ALL["consistent"]())
    now |= {"gate": "no_baseline", "previous": {"why_none": "no complete run of m.bin on x5-01 in runs"}}
    text = "\n".join(lines(now))
    assert "Not compared with an earlier run (gate: no_baseline): no complete run of m.bin" in text
    assert "not slower" not in text.lower() and tables(now)["gate"] == "no_baseline"
    assert "no_baseline" in render_tables(tables(now)) and "gate: no" in markdown(tables(now))


def test_page_summary_and_ticket_tell_of_the_earlier_run() -> None:
    now: Any = copy.deepcopy(ALL["diverging"]())
    now["previous"] = to_json(against(ALL["consistent"](), now))
    now["policy"] = {
        "name": "p",
        "source": "p.yaml",
        "waivers": [{"op": "conv<1>", "tensor": "", "reason": "ticket 12", "until": "2026-01-01", "ended": True}],
    }
    data = tables(now)
    page = render_tables(data)
    for words in (
        "Compared with the previous run",
        "Layers worse",
        "Waivers of the policy",
        "ticket 12",
        "conv&lt;1&gt;",
    ):
        assert words in page, words
    text = "\n".join(lines(now))
    assert "before    consistent before, diverges now (worse)" in text
    assert "diverges now" in markdown(data)


# --------------------------------------------------------------------------- by the real command line


@pytest.fixture(scope="module")
def digits(shared_folder: Path) -> ExampleModel:
    return build(shared_folder, "digits")


@pytest.mark.slow
def test_a_night_says_what_changed_since_the_night_before(digits: ExampleModel, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("policy: p\nextends: default\nwaivers:\n  - {op: conv9, reason: ticket 12, until: 2099-01-01}\n")
    argv = ["run", digits.model, "--board", "emu-x5", "--input", digits.input, "--reference", digits.reference]
    argv += ["--frames", "20", "--policy", policy]
    first = harness(*argv, "--previous", "auto", "--max-slower", "5", "--json", cwd=tmp_path)
    assert first.returncode == 0 and json.loads(first.stdout)["gate"] == "no_baseline", first.stderr
    slow = ["--fault", "slow@conv2:by=20", "--previous", "runs", "--max-slower", "50", "--float", digits.onnx]
    result = harness(*argv, *slow, cwd=tmp_path)
    assert result.returncode == 1, (result.stdout, result.stderr)
    assert "Slower than the previous run" in result.stdout and "float     8 of 8 layers" in result.stdout
    newest = json.loads(max((tmp_path / "runs").rglob("run.json"), key=lambda file: file.parent.name).read_text())
    assert newest["verdict"]["word"] == "slower"
    assert [(row["op"], row["layers"], row["ended"]) for row in newest["policy"]["waivers"]] == [("conv9", 0, False)]
    assert {row["word"] for row in newest["comparison"]["extras"]["three_way"]} <= {"fine", "note"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "word"),
    [
        (["--max-slower", "5"], "--previous"),
        (["--float", "x.onnx", "--no-stages"], "--reference"),
        (["--stage", "float=gone"], "no such file or folder"),
        (["--previous", "nowhere"], "no such run or folder"),
        (["--float", "gone.onnx", "--reference", "DIGITS"], "gone.onnx"),
    ],
)
def test_half_a_question_is_refused(digits: ExampleModel, tmp_path: Path, more: list[str], word: str) -> None:
    more = [str(digits.reference) if part == "DIGITS" else part for part in more]
    result = harness("run", digits.model, "--board", "emu-x5", *more, cwd=tmp_path)
    assert result.returncode == 2 and word in result.stderr, result.stderr


@pytest.mark.slow
def test_rounds_give_a_tool_that_prints_means_an_interval(digits: ExampleModel, tmp_path: Path) -> None:
    argv = ["run", digits.model, "--board", "emu-x5", "--input", digits.input, "--mode", "profile", "--rounds", "3"]
    argv += ["--frames", "20", "--previous", "auto", "--json"]
    folders = [json.loads(harness(*argv, cwd=tmp_path).stdout) for _ in range(2)]
    assert [one["gate"] for one in folders if "gate" in one] == ["no_baseline"]
    known = folders[1]["profile"]["distribution"]
    assert (known["basis"], known["count"]) == ("rounds", 3)
    assert known["low_us"] <= known["median_us"] <= known["high_us"]
    assert [mode["mode"] for mode in folders[1]["modes"]] == ["info", "profile", "profile-2", "profile-3"]
    assert folders[1]["previous"]["latency"]["basis"] == "rounds"
