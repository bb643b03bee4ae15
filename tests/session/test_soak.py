"""`harness soak` by the real command line, on an emulated board."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.builds import ExampleModel, build, harness


@pytest.fixture(scope="module")
def digits(shared_folder: Path) -> ExampleModel:
    return build(shared_folder, "digits")


def of(cwd: Path) -> dict[str, Any]:
    (file,) = cwd.rglob("run.json")
    run: dict[str, Any] = json.loads(file.read_text())
    return run


def soak(digits: ExampleModel, cwd: Path, *more: str) -> Any:
    argv = ["soak", digits.model, "--board", "emu-x5", "--input", digits.input, "--frames", "20", *more]
    return harness(*argv, cwd=cwd)


@pytest.mark.slow
def test_a_sound_board_is_steady_and_the_first_output_that_changes_is_named(
    digits: ExampleModel, tmp_path: Path
) -> None:
    sound, odd = tmp_path / "sound", tmp_path / "odd"
    for cwd in (sound, odd):
        cwd.mkdir()
    result = soak(digits, sound, "--hours", "0.002")
    assert result.returncode == 0 and "Steady" in result.stdout, result.stdout + result.stderr
    run = of(sound)
    assert len(run["soak"]["stretches"]) > 1 and run["soak"]["estimated"]
    assert all(one["differing"] == [] for one in run["soak"]["stretches"])
    assert run["modes"][1]["at_s"] == pytest.approx(0, abs=1) and not (sound / "resume.json").exists()
    changed = soak(digits, odd, "--hours", "0.002", "--fault", "nondeterminism@conv2")
    assert changed.returncode == 1 and "changed, first in turn 2" in changed.stdout


@pytest.mark.slow
def test_an_interrupted_soak_goes_on(digits: ExampleModel, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "harness", "soak", str(digits.model), "--board", "emu-x5", "--hours", "0.005"]
    child = subprocess.Popen([*argv, "--frames", "5"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while time.monotonic() < until and not list(tmp_path.rglob("profile-2")):
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    (folder,) = {file.parent for file in tmp_path.rglob("run.json")}
    assert child.returncode == 3 and "harness soak --resume" in err
    before = of(tmp_path)
    assert len(before["soak"]["stretches"]) >= 1
    assert harness("run", "--resume", folder, cwd=tmp_path).returncode == 2
    result = harness("soak", "--resume", folder, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    after = of(tmp_path)
    names = [mode["mode"] for mode in after["modes"]]
    assert len(names) == len(set(names))
    assert after["soak"]["lasted_s"] >= 0.8 * 0.005 * 3600  # the last turn's cleaning up is no part of it
    assert after["soak"]["stretches"][0]["usual_us"] == before["soak"]["stretches"][0]["usual_us"]
