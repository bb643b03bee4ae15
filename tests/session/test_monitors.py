"""The board's own monitors beside profile runs, one a round; what they print is on the axis of the frames."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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
