"""The board's own monitors beside profile runs, one a round; what they print is on the axis of the frames."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.session.alongside.monitors import is_wanted
from tests.support.builds import build, harness

CASES = [("j6m", "DDR read", 8), ("x5", "DDR read BPU", 60)]  # X5's tool takes whole minutes, and plays them at once


@pytest.mark.slow
@pytest.mark.parametrize(("soc", "ddr", "time_s"), CASES)
def test_ddr_traffic_is_on_the_axis_of_a_profile(
    soc: str, ddr: str, time_s: int, shared_folder: Path, tmp_path: Path
) -> None:
    model = build(shared_folder, "digits", soc).model
    wait = ["--wait", "60", "--mode", "profile", "--time", str(time_s), "--option", "monitor=true"]
    harness("run", model, "--board", f"emu-{soc}", *wait, "--json", cwd=tmp_path, check=True)
    (file,) = tmp_path.glob("runs/*/*/*/run.json")
    run = json.loads(file.read_text())
    (series,) = [one for one in run["timeline"]["series"] if one["name"] == ddr]
    assert time_s - 5 <= len(series["points"]) <= time_s + 1 and all(value > 0 for _, value in series["points"])
    assert "Over time" in next(tmp_path.glob("runs/*/*/*/report.html")).read_text()


@pytest.mark.parametrize("word", ["true", "Yes", "1", "on", True])
def test_words_that_ask_for_a_monitor(word: object) -> None:
    assert is_wanted(word)


@pytest.mark.parametrize("word", ["false", "NO", "0", "off", False, None])
def test_words_that_ask_for_none(word: object) -> None:
    assert not is_wanted(word)


def test_another_word_is_refused_before_the_board(tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(b"no model")
    given = ["--mode", "profile", "--option", "monitor=banana", "--runs", str(tmp_path / "runs")]
    result = CliRunner().invoke(cli, ["run", "--board", "emu-x5", str(tmp_path / "m.bin"), *given])
    assert result.exit_code == 2 and "monitor=banana" in result.stderr and "true" in result.stderr
    assert not (tmp_path / "runs").exists()
