"""`--junit` and `--trace` of `harness run`: a wrong file costs no measurement, and hides no verdict."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.cli.export import check_forms, write_forms_beside
from harness.errors import InputError
from tests.support import fixtures_run as runs


@pytest.mark.parametrize("option", ["--junit", "--trace"])
def test_a_folder_that_is_not_there_is_told_before_the_board(tmp_path: Path, option: str) -> None:
    (tmp_path / "m.bin").write_bytes(b"no model")
    words = ["run", "--board", "emu-x5", str(tmp_path / "m.bin"), "--runs", str(tmp_path / "runs")]
    result = CliRunner().invoke(cli, [*words, option, str(tmp_path / "gone" / "a.xml")])
    assert result.exit_code == 2 and "gone" in result.stderr and option in result.stderr
    assert not (tmp_path / "runs").exists()


def test_what_can_be_written_is_let_through(tmp_path: Path) -> None:
    (tmp_path / "old.xml").write_text("old")
    (tmp_path / "link.xml").symlink_to(tmp_path / "old.xml")
    new_runs = tmp_path / "a" / "runs"
    good = (tmp_path / "old.xml", tmp_path / "link.xml", new_runs / "j.xml", tmp_path / "a" / "j.xml", Path(os.devnull))
    for path in good:
        check_forms(path, None, new_runs)
        check_forms(None, path, new_runs)
    check_forms(Path(os.devnull), Path(os.devnull), new_runs)


def test_what_cannot_is_refused(tmp_path: Path) -> None:
    new_runs = tmp_path / "runs"
    with pytest.raises(InputError, match="one file"):
        check_forms(tmp_path / "a.xml", tmp_path / "a.xml", new_runs)
    (tmp_path / "dangling").symlink_to(tmp_path / "gone" / "a.xml")
    for path in (tmp_path, tmp_path / "dangling", new_runs / "case" / "a.xml"):
        with pytest.raises(InputError):
            check_forms(path, None, new_runs)


@pytest.mark.parametrize("exit_code", [1, 3])
def test_a_verdict_that_is_not_good_stays_the_exit_code(
    tmp_path: Path, exit_code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.json").write_text(json.dumps(runs.diverging_run(18, origin=9)))
    target = tmp_path / "gone" / "j.xml"
    write_forms_beside(tmp_path, target, None, exit_code)
    assert "not written" in capsys.readouterr().err
    with pytest.raises(InputError):
        write_forms_beside(tmp_path, target, None, 0)
