"""Runs of an earlier harness (tests/data/runs_0_1): they open, render, compare and serve as the run of --previous."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.errors import InputError
from harness.report.markdown import markdown
from harness.report.page import render_tables
from harness.report.summary import toned_lines
from harness.report.tables.run import tables
from harness.runs import resume
from harness.runs.baseline import baseline_path
from harness.runs.folder import load_run
from harness.runs.previous import against
from tests.support.builds import build, harness

OLD = Path(__file__).resolve().parents[1] / "data" / "runs_0_1"
EXPECTED = json.loads((OLD / "expected.json").read_text())
JUDGED = [name for name, expected in EXPECTED.items() if expected["state"] == "complete"]


def ask(*argv: object) -> Result:
    return CliRunner().invoke(cli, [str(part) for part in argv])


def test_every_old_run_is_expected_something_of() -> None:
    assert sorted(EXPECTED) == sorted(file.parent.name for file in OLD.glob("*/run.json"))


@pytest.mark.parametrize("name", EXPECTED)
def test_an_old_run_says_what_it_said(name: str) -> None:
    run, expected = load_run(OLD / name), EXPECTED[name]
    data = tables(run)
    tone, lines = toned_lines(run)
    verdict = run.verdict
    assert verdict is not None and run.damage == run.unknown == ()
    covered, latency = data["coverage"] or {}, (data["time"] or {}).get("latency") or {}
    assert {
        "state": data["run"]["state"],
        "verdict": verdict.word,
        "exit_code": verdict.exit_code,
        "tone": tone,
        "title": data["headline"]["title"],
        "subject": data["headline"]["subject"],
        "layers": [covered["layers_compared"], covered["layers_total"]] if covered else None,
        "bytes": [covered["bytes_compared"], covered["bytes_total"]] if covered else None,
        "standings": {word: count for word, count in data["counts"].items() if count},
        "mean_us": latency.get("mean_us"),
        "modes": [mode["mode"] for mode in data["modes"]],
        "rules": sorted({finding["rule"] for finding in data["findings"]}),
        "problems": len(data["problems"]),
    } == expected
    assert lines[0].endswith(f"{expected['title']} {expected['subject']}".strip()) and expected["title"] in markdown(
        data
    )
    assert expected["title"] in render_tables(data)


@pytest.mark.parametrize("name", EXPECTED)
def test_an_old_run_is_rendered_and_inspected(tmp_path: Path, name: str) -> None:
    page = tmp_path / "page.html"
    result = ask("report", OLD / name, "-o", page)
    assert result.exit_code == 0, result.output
    assert EXPECTED[name]["title"] in page.read_text()
    seen = ask("inspect", OLD / name / "run.json")
    assert seen.exit_code == 0 and "run" in seen.output


@pytest.mark.parametrize("name", JUDGED)
def test_an_old_run_serves_as_the_previous_one(name: str) -> None:
    run = load_run(Path(baseline_path(str(OLD / name), OLD)))
    earlier = against(run, run)
    assert earlier.verdict.change == "same" and earlier.changed == ()
    assert not any(
        getattr(earlier.layers, kind) for kind in ("worse", "better", "no_longer_compared", "newly_compared")
    )
    layers = EXPECTED[name]["layers"]
    assert (earlier.layers.both >= layers[0]) if layers else not earlier.layers.both


@pytest.mark.parametrize("name", sorted(set(EXPECTED) - set(JUDGED)))
def test_an_old_run_that_was_not_judged_is_no_previous_one(name: str) -> None:
    with pytest.raises(InputError, match="its state is"):
        baseline_path(str(OLD / name), OLD)


def test_the_dumps_of_an_old_run_are_compared_with_what_its_record_says_of_them(tmp_path: Path) -> None:
    """Two of them were hashed on the board: run.json beside the folder says so."""
    folder = shutil.copytree(OLD / "x5_diverges", tmp_path / "run")
    result = ask("compare", folder / "reference", folder / "debug", "--json")
    answer = json.loads(result.output)
    assert result.exit_code == 1 and answer["verdict"]["word"] == "diverges"
    assert sum(bool(layer["hashed"]) for layer in answer["layers"]) == 2


def test_what_an_old_broken_run_needs_to_go_on_is_read() -> None:
    loaded = resume.load(OLD / "x3_broken_off")
    assert (loaded.board, loaded.case.name, loaded.case.model.name) == ("emu-x3", "x3_broken_off", "digits_x3.bin")
    assert [path.name for _, path in loaded.case.inputs] == ["digits_input.bin"]
    assert set(loaded.tokens) == {"info", "release", "debug", "profile"}


@pytest.mark.slow
def test_a_new_run_is_held_against_an_old_one(shared_folder: Path, tmp_path: Path) -> None:
    made = build(shared_folder, "digits")
    argv = ["run", made.model, "--board", "emu-x5", "--input", made.input, "--reference", made.reference]
    result = harness(*argv, "--runs", tmp_path, "--previous", OLD / "x5_complete", "--json")
    answer = json.loads(result.stdout)
    assert result.returncode == 0, result.stderr
    assert answer["previous"]["run"] == "x5_complete/emu-x5/20261129T122508Z"
    assert answer["previous"]["layers"]["both"] == 8 and answer["previous"]["verdict"]["change"] == "same"
    assert answer["previous"]["latency"]["why_not"] == ""
