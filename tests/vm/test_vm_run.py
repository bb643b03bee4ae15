"""`harness run` on a whole machine whose power is cut: the verdict, the exit code, and `--resume` after the boot.

The board has no Python. Its `python3` is a shell script that plays what the real runner said and left before, here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from harness.agent import Agent
from harness.errors import BoardError
from tests.faults.rig import rig_of
from tests.faults.test_run import run as run_on_this_pc
from tests.support.builds import ExampleModel, build
from tests.vm.test_vm import WORK, MachineLab, agent, bench, on_board

__all__ = ["agent", "bench"]  # fixtures
pytestmark = pytest.mark.vm

PATIENCE_S = 400  # a machine in software on a busy PC needs minutes to boot
MODES = ("info", "release", "debug", "profile", "memory")
PLAYED = """#!/bin/sh
for mode in profile debug release memory info; do
  case "$*" in *$mode*) break ;; esac
done
echo $mode >>/data/calls
cp /data/rec/$mode/* . 2>/dev/null
cat /data/rec/$mode.log
[ $mode != "$(cat /data/slow 2>/dev/null)" ] || sleep 12
"""


@pytest.fixture(scope="module")
def digits(shared_folder: Path) -> ExampleModel:
    return build(shared_folder, "digits")


@pytest.fixture(scope="module")
def recorded(digits: ExampleModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on this PC."""
    folder = tmp_path_factory.mktemp("recorded")
    with rig_of(folder / "rig", "dropbear") as rig:
        result = run_on_this_pc(digits, rig, folder, "--pull", "all")
    assert result.returncode == 0, result.stderr
    return next(folder.rglob("run.json")).parent


@pytest.fixture
def played(bench: MachineLab, agent: Agent, recorded: Path, tmp_path: Path) -> Iterator[Path]:
    """The machine plays a run that was recorded here; gives a hosts.yaml with it as board `vm`."""
    for mode in MODES:
        on_board(agent, f"mkdir -p /data/rec/{mode} /data/bin; rm -f /data/calls /data/slow")
        for file in (recorded / mode).iterdir():
            target = f"/data/rec/{mode}.log" if file.name == "log.txt" else f"/data/rec/{mode}/{file.name}"
            agent.link.transport.push(file, target, timeout_s=60)
    (tmp_path / "python3").write_text(PLAYED)
    agent.link.transport.push(tmp_path / "python3", "/data/bin/python3", timeout_s=60)
    on_board(agent, "chmod 755 /data/bin/python3; sync")
    fields = {"platform": "ort", "soc": "a53", "address": "127.0.0.1", "port": bench.port, "user": "root"}
    fields |= {"identity": str(bench.folder / "id"), "known_hosts": str(bench.folder / "known_hosts"), "work": WORK}
    fields |= {"tools": ["/data/bin"], "limits": {"connect_timeout_s": 30, "patience_s": PATIENCE_S}}
    (tmp_path / "hosts.yaml").write_text(json.dumps({"boards": {"vm": fields}}))
    yield tmp_path / "hosts.yaml"


def started(digits: ExampleModel, hosts: Path) -> subprocess.Popen[str]:
    words = ["run", digits.reference, "--board", "vm", "--input", digits.input, "--reference", digits.reference]
    return harness(hosts, *map(str, words), "--option", "optimizations=disabled", "--frames", "3", "--pull", "all")


def harness(hosts: Path, *words: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "harness", *words, "--hosts", str(hosts)]
    return subprocess.Popen(argv, cwd=hosts.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=1200)
    assert "Traceback" not in err, err
    return process.returncode, out + err


def record(hosts: Path) -> dict[str, Any]:
    """Of the run on the machine; the one that was recorded lies in a folder of its own."""
    (file,) = (hosts.parent / "runs").rglob("run.json")
    record_: dict[str, Any] = json.loads(file.read_text())
    return record_ | {"folder": str(file.parent)}


def left_behind(agent: Agent) -> str:
    """What a run may not leave on the board: folders and state of runs, parts of pushes."""
    return on_board(agent, f"ls {WORK}/runs {WORK}/jobs | grep -v :; ls -a {WORK}/cache | grep part")


def when(condition: Callable[[], bool], act: Callable[[], None]) -> threading.Thread:
    def watch() -> None:
        ends_at = time.monotonic() + 400
        while not condition() and time.monotonic() < ends_at:
            time.sleep(0.05)
        act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_a_run_on_the_machine_is_consistent_and_leaves_it_clean(
    digits: ExampleModel, agent: Agent, played: Path
) -> None:
    code, output = ended(started(digits, played))
    assert code == 0, output
    assert record(played)["verdict"]["word"] in ("consistent", "consistent_within")
    assert record(played)["board"]["facts"]["arch"] == "aarch64"
    assert left_behind(agent) == ""


@pytest.mark.parametrize("moment", ["running", "pushing", "pulling"])
def test_a_power_cut_is_said_and_the_run_goes_on_after_the_boot(
    bench: MachineLab, digits: ExampleModel, agent: Agent, played: Path, moment: str
) -> None:
    if moment == "running":
        on_board(agent, "echo debug >/data/slow; sync")
    if moment == "pushing":
        on_board(agent, f"rm -f {WORK}/cache/* {WORK}/cache/.*; sync")
    process = started(digits, played)
    runs = played.parent / "runs"

    def reached() -> bool:
        if moment == "pushing":
            return any(runs.rglob("run.json"))
        if moment == "running":
            return "debug" in on_board(agent, "cat /data/calls")
        return any(runs.rglob("debug/t*.bin"))

    def cut() -> None:
        bench.machine.cut()
        bench.on()

    cutting = when(reached, cut)
    code, output = ended(process)
    cutting.join()
    kept = record(played)
    if code != 0:  # where the link alone broke, a run may survive; under a lease a reboot is always noticed
        assert (code == 3 and "rebooted" in output) or "127.0.0.1" in output, output
        assert kept["verdict"]["word"] == "not_measured" and kept["stopped_at"]
        on_board(agent, "rm -f /data/slow")
        code, output = ended(harness(played, "run", "--resume", kept["folder"]))
    assert code == 0, output
    kept = record(played)
    assert kept["state"] == "complete" and kept["verdict"]["word"] in ("consistent", "consistent_within")
    assert sorted(mode["mode"] for mode in kept["modes"]) == sorted(MODES)
    assert left_behind(agent) == ""


# (what this PC has by then, seconds after it): run.json, what was sent, the token of a mode, files of a mode
CUTS = [("run.json", 0.0), ("pushed", 0.0), ("info", 0.0), ("info", 1.5), ("release", 0.0), ("release", 2.0)]
CUTS += [("release/*", 0.0), ("debug", 0.0), ("debug", 2.0), ("debug", 6.0), ("debug", 14.0), ("debug/*", 0.0)]
CUTS += [("profile", 1.0), ("memory", 1.0)]


def has(runs: Path, what: str) -> bool:
    if what == "run.json" or "/" in what:
        return any(runs.rglob(what))
    name, key = ("run.json", "pushed") if what == "pushed" else ("resume.json", "tokens")
    with suppress(OSError, ValueError):
        return any(what in ("pushed", one) for file in runs.rglob(name) for one in json.loads(file.read_text())[key])
    return False


@pytest.mark.parametrize(("what", "later_s"), CUTS)
def test_a_power_cut_at_any_moment_is_called_a_reboot(
    bench: MachineLab, digits: ExampleModel, agent: Agent, played: Path, what: str, later_s: float
) -> None:
    """It was "this lease has ended", or "incomplete answer: is the board out of memory", in 7 of 10 cuts."""
    on_board(agent, "echo debug >/data/slow; sync")
    process = started(digits, played)

    def cut() -> None:
        time.sleep(later_s)
        bench.machine.cut()
        bench.on()

    cutting = when(lambda: has(played.parent / "runs", what), cut)
    code, output = ended(process)
    cutting.join()
    on_board(agent, "rm -f /data/slow")
    if what == "run.json" and code == 0:
        return  # the board was not held yet, so nothing was lost
    assert code == 3 and "rebooted" in output and "harness run --resume" in output, output
    assert "lease has ended" not in output and "out of memory" not in output, output
    code, output = ended(harness(played, "run", "--resume", record(played)["folder"]))
    assert code == 0, output
    assert sorted(mode["mode"] for mode in record(played)["modes"]) == sorted(MODES)


def test_a_power_cut_ends_a_lease(bench: MachineLab, agent: Agent) -> None:
    agent.lease.take("anna", 600)
    on_board(agent, "sync")
    bench.cut_and_boot(0.0).join()
    other = bench.agent()
    assert not other.lease.show().held
    with pytest.raises(BoardError, match="rebooted"):
        agent.files.new_folder("late")
    other.lease.take("ben", 60)
    other.lease.release()


def test_a_full_disk_of_the_machine_is_said_and_the_next_run_works(
    digits: ExampleModel, agent: Agent, played: Path
) -> None:
    on_board(agent, f"rm -rf {WORK}/cache; dd if=/dev/zero of=/data/filler bs=1048576; true")
    code, output = ended(started(digits, played))
    assert code == 3 and ("no space" in output or "cannot write" in output), output
    assert record(played)["verdict"]["word"] == "not_measured"
    on_board(agent, "rm -f /data/filler; sync")
    assert left_behind(agent) == ""
