"""`--beside`: the load runs while modes run, and never longer, and is never taken for something else."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.profiling import profile
from harness.records import BoardOfRun, CaseOfRun, Latency, Run
from harness.runs.baseline import likeness
from harness.runs.previous import against
from tests.support.builds import ExampleModel, build, harness


@pytest.fixture(scope="module")
def digits(shared_folder: Path) -> ExampleModel:
    return build(shared_folder, "digits")


def run_of(beside: str) -> Run:
    times = profile(Latency(100.0, min_us=99.0, max_us=101.0, frames=100), ())
    return Run(case=CaseOfRun(beside=beside), board=BoardOfRun("b", "hbdnn", "x5"), profile=times)


def test_a_run_under_a_load_is_compared_with_its_like_only() -> None:
    plain, loaded, other = run_of(""), run_of("cat /dev/video0"), run_of("yes")
    assert likeness(plain) != likeness(loaded) != likeness(other)
    for before, now in ((plain, loaded), (loaded, plain), (loaded, other)):
        latency = against(before, now).latency
        assert latency.percent is None and "load beside" in latency.why_not
    same = against(loaded, replace(loaded, id="2")).latency
    assert same.percent == pytest.approx(0) and not same.why_not


def of(cwd: Path) -> dict[str, Any]:
    (file,) = cwd.rglob("run.json")
    run: dict[str, Any] = json.loads(file.read_text())
    return run


def beats(file: Path) -> int:
    return len(file.read_text().splitlines()) if file.exists() else 0


def stays_still(file: Path) -> bool:
    """Whether nobody writes into it any more."""
    before = beats(file)
    time.sleep(0.7)
    return before > 0 and beats(file) == before


@pytest.mark.slow
def test_the_load_runs_during_the_modes_and_is_gone_afterwards(digits: ExampleModel, tmp_path: Path) -> None:
    beat = tmp_path / "beat"
    load = f"(while :; do echo x >> {beat}; sleep 0.1; done) & echo started; wait"  # what it started goes, too
    result = harness("run", digits.model, "--board", "emu-x5", "--mode", "profile", "--beside", load, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "measured under a load" in result.stdout and "do not show it" in result.stdout
    run = of(tmp_path)
    assert run["case"]["beside"] == load and [m["mode"] for m in run["modes"]] == ["info", "profile", "beside"]
    assert next(tmp_path.rglob("beside/log.txt")).read_text().strip() == "started"
    assert stays_still(beat)


@pytest.mark.slow
@pytest.mark.parametrize(("load", "how"), [("exit 7", "exit code 7"), ("sleep 3", "exit code 0")])
def test_a_load_that_ends_first_is_no_measurement_under_it(
    digits: ExampleModel, tmp_path: Path, load: str, how: str
) -> None:
    argv = ["run", digits.model, "--board", "emu-x5", "--mode", "release,profile", "--beside", load]
    result = harness(*argv, cwd=tmp_path)
    assert result.returncode == 3 and how in result.stdout + result.stderr
    run = of(tmp_path)
    assert run["verdict"]["word"] == "not_measured"
    assert all(m["failure"]["kind"] == "load_ended" for m in run["modes"] if m["mode"] == "profile")


@pytest.mark.slow
def test_ctrl_c_stops_the_load_too(digits: ExampleModel, tmp_path: Path) -> None:
    beat = tmp_path / "beat"
    load = f"while :; do echo x >> {beat}; sleep 0.1; done"
    argv = [sys.executable, "-m", "harness", "run", str(digits.model), "--board", "emu-x5", "--beside", load]
    child = subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while time.monotonic() < until and not list(tmp_path.rglob("release")):
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 3 and "--resume" in err
    assert stays_still(beat)
    (folder,) = {file.parent for file in tmp_path.rglob("run.json")}
    assert harness("run", "--resume", folder, cwd=tmp_path).returncode == 0
    assert [m["mode"] for m in of(tmp_path)["modes"]].count("beside") == 1
    assert stays_still(beat)
