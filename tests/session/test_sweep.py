"""`harness sweep` by the real command line, on emulated boards."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness import platforms
from harness.cli.series.sweep import settings_of
from harness.errors import InputError
from harness.records import BoardIdentity
from tests.support.builds import ExampleModel, build, harness


@pytest.fixture(scope="module")
def digits(shared_folder: Path) -> ExampleModel:
    return build(shared_folder, "digits")


def board(platform: str, soc: str) -> BoardIdentity:
    return BoardIdentity("b", platform, soc)


def labels(platform: str, soc: str, **axes: list[str]) -> list[str]:
    dialect = platforms.load(platform)
    own = {name: list(values) for name, values in dialect.sweep_axes(board(platform, soc)).items()}
    return [setting.label for setting in settings_of(dialect, board(platform, soc), own | axes)]


def test_a_chip_says_what_is_worth_trying() -> None:
    assert labels("hbdnn", "x5") == [f"threads {n}, any core" for n in (1, 2, 4, 8)]
    assert labels("hbdnn", "x3", threads=["1"]) == ["threads 1, any core", "threads 1, core 1"]
    assert labels("ucp", "s600", threads=["1"]) == [
        "threads 1, any core",
        "threads 1, core 1",
        "threads 1, core 1, l2 24:0:0:0",
        "threads 1, core 1,2, l2 12:12:0:0",
        "threads 1, core 1,2,3,4, l2 6:6:6:6",
    ]
    assert labels("ucp", "s100") == [f"threads {n}, any core" for n in (1, 2, 4, 8)]
    assert labels("ort", "", threads=["3"]) == ["threads 3, any core"]


def test_memory_that_is_named_takes_the_place_of_the_presets() -> None:
    assert labels("ucp", "j6p", threads=["1"], core=["1,2"], l2=["8:8:0:0", "4:4:0:0"]) == [
        "threads 1, core 1,2, l2 8:8:0:0",
        "threads 1, core 1,2, l2 4:4:0:0",
    ]


def test_what_is_varied_cannot_be_fixed_too() -> None:
    dialect = platforms.load("hbdnn")
    for text in ("threads=2", "core=1", "roi=1,2,3,4"):
        with pytest.raises(InputError, match="--option"):
            settings_of(dialect, board("hbdnn", "x5"), {"threads": ["1"], "core": ["0"], "roi": ["1"]}, (text,))


def of(cwd: Path) -> dict[str, Any]:
    (file,) = cwd.rglob("run.json")
    run: dict[str, Any] = json.loads(file.read_text())
    return run


@pytest.mark.slow
def test_one_session_gives_table_picture_and_the_best_setting(digits: ExampleModel, tmp_path: Path) -> None:
    argv = ["sweep", digits.model, "--board", "emu-x5", "--threads", "1,2", "--frames", "50", "--rate-fps", "4900"]
    result = harness(*argv, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "Goal met" in result.stdout and "threads 2, any core" in result.stdout
    run = of(tmp_path)
    assert run["state"] == "complete" and run["verdict"]["word"] == "goal_met"
    assert [point["setting"]["threads"] for point in run["sweep"]["points"]] == [1, 2]
    assert run["sweep"]["best"] == 1 and all(point["estimated"] for point in run["sweep"]["points"])
    assert [one["name"] for one in run["pushed"]].count(digits.model.name) == 1
    page = next(tmp_path.rglob("report.html")).read_text()
    assert "Latency against throughput" in page and '<g class="point k-best">' in page
    assert "| 2 | threads 2, any core |" in harness("report", "runs", "--markdown", cwd=tmp_path).stdout
    missed = harness(*argv[:-2], "--latency-ms", "0.0001", "--runs", "other", cwd=tmp_path)
    assert missed.returncode == 1 and "Goal not met" in missed.stdout
    held = harness("run", digits.model, "--board", "emu-x5", "--mode", "profile", "--previous", "auto", cwd=tmp_path)
    assert (
        held.returncode == 0
        and "no_baseline"
        in json.loads(
            next(f for f in tmp_path.rglob("run.json") if "sweep" not in json.loads(f.read_text())).read_text()
        )["gate"]
    )


@pytest.mark.slow
def test_a_setting_that_fails_says_what_of_and_the_others_go_on(shared_folder: Path, tmp_path: Path) -> None:
    model = build(shared_folder, "digits", "s600").model
    argv = ["sweep", model, "--board", "emu-s600", "--threads", "1", "--core", "1,2", "--core", "0", "--frames", "5"]
    result = harness(*argv, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "does not fit the model" in result.stdout and "1 of 2 settings measured, 1 failed" in result.stdout
    points = of(tmp_path)["sweep"]["points"]
    assert (
        points[0]["failure"]
        and points[0]["usual_us"] is None
        and points[0]["setting"]["options"] == {"l2": "12:12:0:0"}
    )
    assert points[1]["failure"] is None and points[1]["usual_us"] > 0
    alone = harness(*argv[:6], "--core", "1,2", "--frames", "5", "--runs", "alone", "--json", cwd=tmp_path)
    assert alone.returncode == 3 and json.loads(alone.stdout)["verdict"]["word"] == "not_measured"


@pytest.mark.slow
def test_an_interrupted_sweep_keeps_what_it_measured_and_goes_on(digits: ExampleModel, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "harness", "sweep", str(digits.model), "--board", "emu-x5", "--frames", "20"]
    child = subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while time.monotonic() < until and not list(tmp_path.rglob("profile-02*")):
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 3, err
    (folder,) = {file.parent for file in tmp_path.rglob("run.json")}
    assert f"harness sweep --resume runs/{digits.model.stem}/emu-x5/{folder.name}" in err
    before = of(tmp_path)
    assert before["state"] == "interrupted" and before["sweep"]["points"][0]["usual_us"] > 0
    assert before["sweep"]["points"][3]["usual_us"] is None
    refused = harness("run", "--resume", folder, cwd=tmp_path)
    assert refused.returncode == 2 and "harness sweep --resume" in refused.stderr
    assert harness("sweep", "--resume", folder, "--threads", "1", cwd=tmp_path).returncode == 2
    result = harness("sweep", "--resume", folder, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    after = of(tmp_path)
    assert after["state"] == "complete" and after["verdict"]["word"] == "swept"
    assert [m["mode"] for m in after["modes"]].count("profile-01-threads1-core0") == 1
    assert after["sweep"]["points"][0] == before["sweep"]["points"][0]
    assert all(point["usual_us"] > 0 for point in after["sweep"]["points"])
