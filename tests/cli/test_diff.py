"""`harness diff`: what it takes, prints, writes and ends with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from tests.support import fixtures_run as runs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = {"good": runs.consistent_run, "again": runs.consistent_run, "bad": runs.diverging_run}
    made |= {"hostile": runs.hostile_run, "failed": runs.failed_run}
    for name, run in made.items():
        place = tmp_path / name / "board" / "20261120T091400Z"
        place.mkdir(parents=True)
        (place / "run.json").write_text(json.dumps(run()), encoding="utf-8")
    return tmp_path


def diff(folder: Path, *argv: str) -> Result:
    given = [str(folder / word) if (folder / word).exists() else word for word in argv]
    return CliRunner().invoke(cli, ["diff", *given])


def test_it_takes_case_folders_run_folders_and_run_json(folder: Path) -> None:
    result = diff(folder, "good", "again/board/20261120T091400Z", "bad/board/20261120T091400Z/run.json")
    assert result.exit_code == 0, result.output
    assert "B against A: the verdict is the same, consistent" in result.stdout
    assert "C against A: verdict consistent, then diverges (worse); 24 layers worse" in result.stdout
    assert "within the noise" in result.stdout


def test_the_json_has_a_format_and_the_page_is_written(folder: Path) -> None:
    page = folder / "page.html"
    result = diff(folder, "good", "bad", "--json", "-o", str(page))
    data = json.loads(result.stdout)
    assert (data["format"], data["different"], [run["label"] for run in data["runs"]]) == (1, True, ["A", "B"])
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("argv", "code"),
    [(("good", "again"), 0), (("good", "bad"), 1), (("failed", "good"), 1), (("good", "bad", "again"), 1)],
)
def test_exit_codes_tell_of_differences_only_when_asked(folder: Path, argv: tuple[str, ...], code: int) -> None:
    assert diff(folder, *argv).exit_code == 0
    assert diff(folder, *argv, "--exit-code").exit_code == code


def test_runs_that_hold_nothing_to_compare_are_not_called_the_same(folder: Path) -> None:
    other = folder / "failed2"
    other.mkdir()
    (other / "run.json").write_text(json.dumps(runs.failed_run()), encoding="utf-8")
    result = diff(folder, "failed", "failed2", "--exit-code")
    assert result.exit_code == 3
    assert "neither layers nor times of B could be held against A" in result.stdout


def test_hostile_names_do_not_steer_the_terminal(folder: Path) -> None:
    for extra in ((), ("--json",)):
        result = diff(folder, "hostile", "good", *extra)
        assert result.exit_code == 0, result.output
        assert "\x1b[31m" not in result.stdout and "\u202e" not in result.stdout


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((), "0 runs given, expected 2 to 20"),
        (("good",), "1 run given, expected 2 to 20"),
        (("good",) * 21, "21 runs given, expected 2 to 20"),
        (("good", "good/board"), "is the same run as"),
        (("good", "absent"), "absent: no run.json found"),
    ],
)
def test_wrong_runs_are_usage_errors(folder: Path, argv: tuple[str, ...], message: str) -> None:
    result = diff(folder, *argv)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_a_damaged_run_json_is_refused_whole_and_named_in_parts(folder: Path) -> None:
    file = folder / "again" / "board" / "20261120T091400Z" / "run.json"
    value = json.loads(file.read_text(encoding="utf-8"))
    value["comparison"]["layers"][3]["verdict"] = 7
    file.write_text(json.dumps(value), encoding="utf-8")
    assert "damaged in places" in diff(folder, "good", "again").stdout
    file.write_text(runs.damaged_text(runs.consistent_run()), encoding="utf-8")
    result = diff(folder, "good", "again")
    assert result.exit_code == 2
    assert "not a readable run.json" in result.stderr
