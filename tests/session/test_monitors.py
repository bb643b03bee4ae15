"""The board's own monitors beside profile runs, one a round; what they print is on the axis of the frames."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.builds import build, harness


@pytest.mark.slow
@pytest.mark.parametrize(("board", "soc", "ddr"), [("emu-x5", "x5", "DDR read BPU"), ("emu-j6m", "j6m", "DDR read")])
def test_ddr_traffic_is_on_the_axis_of_a_profile(
    board: str, soc: str, ddr: str, shared_folder: Path, tmp_path: Path
) -> None:
    model = build(shared_folder, "digits", soc).model
    wait = ["--wait", "60", "--mode", "profile", "--time", "60", "--option", "monitor=true"]
    harness("run", model, "--board", board, *wait, "--json", cwd=tmp_path, check=True)
    (file,) = tmp_path.glob("runs/*/*/*/run.json")
    run = json.loads(file.read_text())
    (series,) = [one for one in run["timeline"]["series"] if one["name"] == ddr]
    assert 55 <= len(series["points"]) <= 61 and all(value > 0 for _, value in series["points"])
    assert "Over time" in next(tmp_path.glob("runs/*/*/*/report.html")).read_text()
