"""The gate's own promises, each by a real pytest: locks, dead workers, what CI may skip, what `quick` leaves out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gate import EXCUSES, starts_programs

ROOT = Path(__file__).resolve().parents[2]
CONFTEST = """
import sys; sys.path.insert(0, {root!r})
from tests.gate import *
"""
ONE_MACHINE = """
import time
from pathlib import Path
import pytest
from tests.support.alone import alone

@pytest.fixture(scope="module")
def machine():
    with alone(Path({folder!r}) / "machine.lock"):
        busy = Path({folder!r}) / "busy"
        busy.touch(exist_ok=False)  # fails when another worker has it
        yield
        busy.unlink()

@pytest.mark.parametrize("number", range(4))
@pytest.mark.xdist_group("machine")
def test_it(machine, number):
    time.sleep(0.05)
"""
KILLER = """
import os, pytest
from pathlib import Path

@pytest.mark.xdist_group("one")
def test_kills():
    with (Path({folder!r}) / "runs").open("a") as file:
        file.write("x")
    os._exit(9)

@pytest.mark.xdist_group("one")
def test_after():
    pass
"""


def inner(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """pytest on `folder`, as a user would start it."""
    (folder / "conftest.py").write_text(CONFTEST.format(root=str(ROOT)))
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_") and k != "CI"}
    clean |= {"PYTHONPATH": str(ROOT)} | environment
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={folder / 'base'}", *words]
    return subprocess.run(argv, cwd=folder, env=clean, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["load", "worksteal", "loadgroup"])
def test_one_worker_at_a_time_has_the_machine(tmp_path: Path, scheduler: str) -> None:
    for name in ("test_one.py", "test_other.py"):
        (tmp_path / name).write_text(ONE_MACHINE.format(folder=str(tmp_path)))
    result = inner(tmp_path, "-n", "3", "--dist", scheduler)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "8 passed" in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["load", "loadfile", "loadgroup"])
def test_a_test_that_kills_its_worker_runs_once(tmp_path: Path, scheduler: str) -> None:
    (tmp_path / "test_it.py").write_text(KILLER.format(folder=str(tmp_path)))
    result = inner(tmp_path, "-n", "2", "--dist", scheduler, "--max-worker-restart", "4")
    assert result.returncode == 1, result.stdout + result.stderr
    assert (tmp_path / "runs").read_text() == "x"
    assert "1 passed" in result.stdout and "crashed" in result.stdout


SKIPS = """
import pytest

def test_samples():
    pytest.skip("real vendor output is not here (set HARNESS_SAMPLES)")

def test_server():
    pytest.skip("needs sshd")
"""


def test_what_is_left_out_is_said_with_its_number(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(SKIPS)
    result = inner(tmp_path)
    assert result.returncode == 0
    assert "LEFT OUT on this machine" in result.stdout and "1 test: needs sshd" in result.stdout


LACKS = """
import subprocess
import pytest
from harness.errors import HostError

def test_starts_it():
    subprocess.run(["program-that-is-not-here"])

def test_harness_misses_it():
    raise HostError("ssh is not installed on this PC", "apt-get install openssh-client")

def test_file():
    open("no-such-file")
"""


@pytest.mark.slow
def test_a_program_that_no_test_asked_for_is_left_out_by_name_too(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(LACKS)
    result = inner(tmp_path)
    assert result.returncode == 1 and "1 failed, 2 skipped" in result.stdout
    assert "1 test: needs program-that-is-not-here" in result.stdout and "1 test: needs ssh " in result.stdout
    assert "3 failed" in inner(tmp_path, CI="true").stdout


@pytest.mark.slow
def test_in_ci_a_missing_program_fails_and_an_excuse_does_not(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(SKIPS)
    result = inner(tmp_path, CI="true")
    assert result.returncode == 1
    assert "skipped in CI: needs sshd" in result.stdout and "1 failed, 1 skipped" in result.stdout


@pytest.mark.slow
def test_in_ci_a_module_that_skips_itself_fails(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("import pytest\npytest.importorskip('no_such_module')\n")
    assert inner(tmp_path).returncode == 5, "nothing ran, nothing failed"
    result = inner(tmp_path, CI="true")
    assert result.returncode == 2 and "skipped in CI" in result.stdout, result.stdout


def test_every_excuse_has_a_skip_that_uses_it() -> None:
    reasons = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py") if path.name != "gate.py")
    assert [excuse for excuse in EXCUSES if excuse not in reasons] == []


def test_no_test_relies_on_the_groups_of_one_scheduler() -> None:
    used = [p.name for p in (ROOT / "tests").rglob("*.py") if re.search(r"mark\.xdist_group", p.read_text())]
    assert used == [Path(__file__).name]
    assert "loadgroup" not in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("import subprocess\n", True),
        ("from subprocess import run\n", True),
        ("def f():\n    import multiprocessing\n", True),
        ("from tests.support.servers import needs\n", True),
        ("from tests.support import builds\n", True),
        ("from tests.faults.rig import rig_of\n", True),
        ("import json\n", False),
        ("# subprocess\n", False),
    ],
)
def test_a_module_that_starts_programs_is_known(tmp_path: Path, text: str, starts: bool) -> None:
    (tmp_path / "test_it.py").write_text(text)
    assert starts_programs(tmp_path / "test_it.py") is starts
