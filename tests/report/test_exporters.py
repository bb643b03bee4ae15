"""Formats of a run: harness's own, and those of packages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.extensions import packages
from tests.extensions.installed import install

RUN = Path(__file__).resolve().parents[1] / "data/runs_0_1"
MODULE = """\
from harness.report.exporting import Exporter
GOOD = Exporter("the case", lambda run: run.case.name + "\\n")
BAD = Exporter("a bug", lambda run: str(1 / 0))
"""


@pytest.fixture
def run() -> str:
    return str(next(RUN.rglob("run.json")))


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    packages.forget()
    yield
    packages.forget()


def report(*argv: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, ["report", *argv])
    return result.exit_code, result.stdout, result.stderr


def test_each_format_of_harness_is_printed_and_no_page_is_written(run: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.json").write_bytes(Path(run).read_bytes())
    assert report(str(folder), "--as", "markdown")[1].startswith("### ")
    assert "findings" in json.loads(report(str(folder), "--as", "json")[1])
    assert report(str(folder), "--as", "html")[1].lower().startswith("<!doctype html>")
    assert [path.name for path in folder.iterdir()] == ["run.json"]
    assert report(str(folder), "--as", "json", "-o", str(tmp_path / "a.json"))[0] == 0
    assert json.loads((tmp_path / "a.json").read_text())


def test_a_name_that_is_none_is_told_with_those_that_are(run: str) -> None:
    code, _, err = report(run, "--as", "markdwn")
    assert code == 2 and "unknown exporter 'markdwn'" in err and "did you mean 'markdown'?" in err
    listed = [line.split()[0] for line in report(run, "--as", "list")[1].splitlines()]
    assert listed == ["card", "html", "json", "junit", "markdown", "sarif", "trace"]


def test_a_package_gives_a_format_and_one_that_fails_is_no_traceback(
    run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = {"harness.exporters": {"good": "formats_a:GOOD", "bad": "formats_a:BAD"}}
    monkeypatch.syspath_prepend(str(install(tmp_path, "formats", entries, {"formats_a": MODULE})))
    packages.forget()
    assert report(run, "--as", "good")[1] == json.loads(Path(run).read_text())["case"]["name"] + "\n"
    code, _, err = report(run, "--as", "bad")
    assert code == 2 and "'bad' of an installed package failed: ZeroDivisionError" in err and "Traceback" not in err
