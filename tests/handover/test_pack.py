"""Packages of good runs on emulated boards: the board passes, one with a planted fault is told which output differs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from harness.emulator.model.faults import ENVIRONMENT
from tests.support.builds import harness_here
from tests.support.emulator_kit import branched, input_file, kit_quantized

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pack")
    model, source = branched(), input_file(folder)
    words = ["run", model, "--board", "emu-x5", "--input", f"x={source}", "--reference", kit_quantized(model)]
    words += ["--no-stages", "--mode", "release"]
    assert harness_here(*words, cwd=folder).returncode == 0
    assert harness_here(*words, "--fault", "halved@conv4", "--runs", "bad", cwd=folder).returncode == 1
    return folder


def test_a_good_board_passes_and_a_wrong_one_is_named(home: Path, tmp_path: Path) -> None:
    result = harness_here("pack", "runs", "-o", tmp_path / "a.tar", "--json", cwd=home)
    assert result.returncode == 0, result.stderr
    assert {one["name"] for one in json.loads(result.stdout)["outputs"]} == {"c4", "prob"}
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert all(member.isfile() and member.name.startswith("net-emu-x5-check/") for member in archive)
    subprocess.run(["tar", "xf", "a.tar"], cwd=tmp_path, check=True)
    assert _checked(tmp_path, "") == (0, "PASS: 2 outputs\n")
    code, text = _checked(tmp_path, "halved@conv4")
    assert code == 1 and "FAIL: output c4: relative L2 0.5" in text


def _checked(folder: Path, faults: str) -> tuple[int, str]:
    environment = {**os.environ, **({ENVIRONMENT: faults} if faults else {})}
    script = folder / "net-emu-x5-check" / "check.sh"
    result = subprocess.run(["sh", str(script)], capture_output=True, text=True, env=environment, timeout=120)
    return result.returncode, result.stdout


def test_a_run_that_is_not_good_makes_no_package(home: Path) -> None:
    result = harness_here("pack", "bad", "-o", "b.tar", cwd=home)
    assert result.returncode == 2 and "diverges" in result.stderr and not (home / "b.tar").exists()


def test_a_run_is_typed_again_and_held_against_itself(home: Path, tmp_path: Path) -> None:
    """From another folder; with the model as it is now."""
    result = harness_here("run", "--again", home / "runs", "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert answer["difference"]["different"] is False and answer["command"]["folder"] == str(home)
    assert len(list((home / "runs").rglob("run.json"))) == 2 and not list(tmp_path.iterdir())
    refused = harness_here("run", "--again", home / "runs", "--frames", "3", cwd=tmp_path)
    assert refused.returncode == 2 and "--frames cannot be used with --again" in refused.stderr


def test_a_run_that_came_from_elsewhere_types_nothing(home: Path, tmp_path: Path) -> None:
    """Its command may name an inventory with programs of its own."""
    run = next((home / "runs").rglob("run.json")).parent
    shutil.copytree(run, tmp_path / "net" / "emu-x5" / run.name)
    before = len(list((home / "runs").rglob("run.json")))
    result = harness_here("run", "--again", tmp_path / "net" / "emu-x5" / run.name, cwd=tmp_path)
    assert result.returncode == 2 and "made elsewhere, or moved" in result.stderr
    assert "type it yourself: " in result.stderr
    assert len(list((home / "runs").rglob("run.json"))) == before
