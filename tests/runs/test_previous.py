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
from harness.runs.previous import find_previous, judged
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
            "latency": {"mean_us": mean_us, "threads": 1, "core": "0"},
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
    assert judged(GOOD, change, 5.0).exit_code == 3
    assert judged(GOOD, change, None) == GOOD


def test_slower_than_allowed_is_measured_and_bad() -> None:
    change = against(run(1000.0), run(1060.0)).latency
    assert change.percent == pytest.approx(6.0)
    assert judged(GOOD, change, 5.0).word == "slower" and judged(GOOD, change, 5.0).exit_code == 1
    assert judged(GOOD, change, 6.1) == GOOD
    assert judged(GOOD, replace(change, percent=5.0), 5.0) == GOOD, "as slow as is allowed is allowed"
    bad = Verdict("diverges", "conv2", 1)
    assert judged(bad, change, 5.0) == bad


def test_what_was_not_the_same_is_named() -> None:
    now = run()
    now["case"]["model"]["md5"], now["board"]["name"] = "other", "x5-02"
    changed = against(run(), now).changed
    assert [(row.what, row.before, row.now) for row in changed] == [
        ("model (md5)", "m", "other"),
        ("board name", "x5-01", "x5-02"),
    ]


def test_the_newest_complete_run_of_a_folder_is_meant(tmp_path: Path) -> None:
    keep(tmp_path, "20261117T010000Z", run())
    newest = keep(tmp_path, "20261118T010000Z", run())
    keep(tmp_path, "20261119T010000Z", run() | {"state": "failed"})
    (tmp_path / "20261120T010000Z").mkdir()
    (tmp_path / "20261120T010000Z/run.json").write_text("{")
    assert find_previous(tmp_path) == newest
    assert find_previous(newest.parent) == newest == find_previous(newest)


def test_a_run_that_was_not_judged_is_refused(tmp_path: Path) -> None:
    broken = keep(tmp_path, "20261119T010000Z", run() | {"state": "failed"})
    with pytest.raises(InputError, match="'failed'"):
        find_previous(broken)
    with pytest.raises(InputError, match="no complete run"):
        find_previous(tmp_path)


def test_a_damaged_run_is_refused_and_passed_over_in_a_folder(tmp_path: Path) -> None:
    damaged = keep(tmp_path, "20261119T010000Z", run() | {"modes": 3})
    with pytest.raises(InputError, match=r"damaged.*modes is not a list: 3"):
        find_previous(damaged)
    whole = keep(tmp_path, "20261118T010000Z", run())
    assert find_previous(tmp_path) == whole


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
    assert harness(*argv, cwd=tmp_path).returncode == 0
    slow = ["--fault", "slow@conv2:by=20", "--previous", "runs", "--max-slower", "50", "--float", digits.onnx]
    result = harness(*argv, *slow, cwd=tmp_path)
    assert result.returncode == 1, (result.stdout, result.stderr)
    assert "Slower than the previous run" in result.stdout and "float     8 of 8 layers" in result.stdout
    newest = json.loads(find_previous(tmp_path / "runs").read_text())
    assert newest["verdict"]["word"] == "slower"
    assert [(row["op"], row["layers"], row["ended"]) for row in newest["policy"]["waivers"]] == [("conv9", 0, False)]
    assert {row["word"] for row in newest["comparison"]["extras"]["three_way"]} <= {"fine", "note"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "word"),
    [
        (["--max-slower", "5"], "--previous"),
        (["--float", "x.onnx"], "--reference"),
        (["--previous", "nowhere"], "no complete run"),
        (["--float", "gone.onnx", "--reference", "DIGITS"], "gone.onnx"),
    ],
)
def test_half_a_question_is_refused(digits: ExampleModel, tmp_path: Path, more: list[str], word: str) -> None:
    more = [str(digits.reference) if part == "DIGITS" else part for part in more]
    result = harness("run", digits.model, "--board", "emu-x5", *more, cwd=tmp_path)
    assert result.returncode == 2 and word in result.stderr, result.stderr
