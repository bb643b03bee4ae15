"""This PC breaks while a board is at work: its disk fills, the process is killed, two processes take one run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.rig import SERVERS, Rig, rig_of, until
from tests.faults.test_board import small_disk
from tests.faults.test_run import inventory, left_behind
from tests.support.builds import ExampleModel, build
from tests.support.servers import needs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def digits(shared_folder: Path) -> ExampleModel:
    return build(shared_folder, "digits")


@pytest.fixture(params=SERVERS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    needs("sshd", "dropbear", "ssh-keygen")
    with rig_of(tmp_path / "board", request.param) as made:
        yield made


def argv_of(digits: ExampleModel, hosts: Path, runs: Path, *more: str) -> list[str]:
    words = ["run", digits.reference, "--board", "rig", "--hosts", hosts, "--input", digits.input, "--frames", "3"]
    return [sys.executable, "-m", "harness", *map(str, words), "--runs", str(runs), *more]


def report(run: Path, page: Path) -> dict[str, Any]:
    argv = [sys.executable, "-m", "harness", "report", str(run), "-o", str(page), "--json"]
    result = subprocess.run(argv, capture_output=True, text=True, check=True)
    record: dict[str, Any] = json.loads(result.stdout)
    return record


def test_a_disk_of_this_pc_that_fills_is_said_and_the_run_stays_readable(
    digits: ExampleModel, rig: Rig, tmp_path: Path
) -> None:
    hosts = inventory(rig)
    with small_disk(tmp_path / "runs", 8) as runs:
        (runs / "filler").write_bytes(bytes(shutil.disk_usage(runs).free - 1_200_000))
        argv = argv_of(digits, hosts, runs, "--pull", "all")
        result = subprocess.run(argv, capture_output=True, text=True, cwd=tmp_path, timeout=120)
        assert result.returncode == 3 and "Traceback" not in result.stderr
        assert "No space left on device" in result.stderr and str(runs) in result.stderr, result.stderr
        (file,) = runs.rglob("run.json")
        run = json.loads(file.read_text())
        assert (run["state"], run["verdict"]["word"]) == ("failed", "not_measured")
        assert run["stopped_at"].startswith("collecting") and "No space" in run["problems"][0]
        assert [p.name for p in runs.rglob(".*")] == []
        assert report(file.parent, tmp_path / "page.html")["problems"]
    assert left_behind(rig) == []


def test_a_disk_of_this_pc_that_is_full_is_said_before_the_board_is_touched(
    digits: ExampleModel, rig: Rig, tmp_path: Path
) -> None:
    hosts = inventory(rig)
    with small_disk(tmp_path / "runs", 1) as runs:
        (runs / "filler").write_bytes(bytes(shutil.disk_usage(runs).free))
        result = subprocess.run(argv_of(digits, hosts, runs), capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert result.returncode == 3 and f"{runs}" in result.stderr and "No space left on device" in result.stderr, (
        result.stderr
    )
    assert not (rig.root / "work").exists()


def test_a_killed_run_is_read_as_broken_off_and_one_at_work_is_left_alone(
    digits: ExampleModel, rig: Rig, tmp_path: Path
) -> None:
    slow = tmp_path / "python"
    slow.write_text(f'#!/bin/sh\ncase "$*" in *debug*) sleep 20 ;; esac\nexec "{sys.executable}" "$@"\n')
    slow.chmod(0o755)
    hosts = inventory(rig, options={"python": str(slow)})
    host = subprocess.Popen(argv_of(digits, hosts, tmp_path / "runs"), cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        until(lambda: any(rig.root.glob("work/runs/*/debug")))
        (file,) = (tmp_path / "runs").rglob("run.json")
        resume = [sys.executable, "-m", "harness", "run", "--resume", str(file.parent), "--hosts", str(hosts)]
        second = subprocess.run(resume, capture_output=True, text=True, cwd=tmp_path, timeout=60)
        assert second.returncode == 2 and "in progress in another process" in second.stderr, second.stderr
        assert report(file.parent, tmp_path / "live.html")["problems"] == []
    finally:
        os.kill(host.pid, signal.SIGKILL)
        host.wait()
    assert json.loads(file.read_text())["state"] == "running", "nobody could write how it ended"
    record = report(file.parent, tmp_path / "page.html")
    assert "interrupted" in " ".join(record["problems"]) and record["headline"]["tone"] == "stop", record["headline"]
    page = (tmp_path / "page.html").read_text()
    assert "interrupted" in page and "running debug" in page
    result = subprocess.run(resume, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert result.returncode == 0, result.stderr
    run = json.loads(file.read_text())
    assert run["state"] == "complete" and any("interrupted" in note for note in run["notes"])
    assert left_behind(rig) == []


def test_what_an_earlier_try_left_on_the_board_is_no_result(digits: ExampleModel, rig: Rig, tmp_path: Path) -> None:
    """The host dies in a mode, the board reboots: the mode is made again, in an empty folder."""
    slow = tmp_path / "python"
    slow.write_text(f'#!/bin/sh\ncase "$*" in *debug*) sleep 8 ;; esac\nexec "{sys.executable}" "$@"\n')
    slow.chmod(0o755)
    hosts = inventory(rig, options={"python": str(slow)})
    host = subprocess.Popen(argv_of(digits, hosts, tmp_path / "runs"), cwd=tmp_path, stderr=subprocess.DEVNULL)
    until(lambda: any(rig.root.glob("work/jobs/*/job")) and any(rig.root.glob("work/runs/*/debug/log.txt")))
    host.kill()
    host.wait()
    rig.reboot()
    (debug,) = rig.root.glob("work/runs/*/debug")
    (debug / "t00000.bin").write_bytes(b"half")
    (debug / "t99999.bin").write_bytes(b"of another time")
    for ended in rig.root.glob("work/jobs/*"):  # what a power cut leaves of a file that was just renamed
        (ended / "end").write_bytes(b"")
    slow.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (file,) = (tmp_path / "runs").rglob("run.json")
    resume = [sys.executable, "-m", "harness", "run", "--resume", str(file.parent), "--hosts", str(hosts)]
    result = subprocess.run(resume, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    run = json.loads(file.read_text())
    names = {row["name"] for mode in run["modes"] for row in mode["files"]}
    assert "t00000.bin" in names and "t99999.bin" not in names
    assert left_behind(rig) == []
