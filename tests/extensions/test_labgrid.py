"""examples/labgrid, installed as a user would: places of a real coordinator and exporter, a board behind a real sshd,
jobs that are killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.emulator.horizon.board import prepare
from harness.emulator.servers.serve import Served, free_port, serve
from tests.support.emulator_kit import INPUT_SHAPE, branched

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/labgrid"
PLACE = "x5-01"
HANGING = ("HARNESS_EMULATOR_FAULTS", "hang@infer")
pytestmark = pytest.mark.slow


def until(what: Callable[[], object], limit_s: float = 30.0) -> None:
    ends_at = time.monotonic() + limit_s
    while not what():
        assert time.monotonic() < ends_at, "it did not come to that"
        time.sleep(0.1)


@dataclass
class Lab:
    """A coordinator that can be stopped and started, with one place."""

    folder: Path
    site: Path
    served: Served
    port: int = field(default_factory=free_port)
    programs: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Coordinator and exporter (which ends with its coordinator), and the place."""
        self.programs.append(_program("labgrid-coordinator", "-l", self.address, folder=self.folder))
        client = [str(Path(sys.executable).with_name("labgrid-client")), "-x", self.address, "-p", PLACE]
        with self.as_user("looker") as session:  # waits until it answers
            words = ("-c", self.address, "-n", "pc1", "exporter.yaml")
            self.programs.append(_program("labgrid-exporter", *words, folder=self.folder))
            if PLACE not in session.places:  # it is written to disk every 15 s
                subprocess.run([*client, "create"], check=True, capture_output=True)
                subprocess.run([*client, "add-match", "pc1/desk/NetworkService"], check=True, capture_output=True)
            until(lambda: session.resources)

    def stop(self) -> None:
        for program in self.programs:
            program.kill()
            program.wait()
        self.programs.clear()

    @contextmanager
    def as_user(self, user: str) -> Iterator[Any]:
        """A session of somebody else."""
        from harness_labgrid.coordinator import Coordinator

        session = Coordinator(self.address, f"elsewhere/{user}", 20.0)
        try:
            yield session
        finally:
            session.close()

    def holder(self) -> str:
        with self.as_user("looker") as session:
            return str(session.places[PLACE].acquired)

    def job(self, folder: Path, *argv: str, place: str = PLACE, fault: str = "") -> subprocess.Popen[str]:
        """A command of harness in a process of its own."""
        root, served = prepare("x5"), self.served
        board = {
            **{"platform": "hbdnn", "soc": "x5", "emulated": True, "identity": served.identity},
            **{"known_hosts": served.known_hosts, "tools": [f"{root}/bin"], "work": str(folder / "work")},
            "managed": {"by": "labgrid", "place": place, "coordinator": self.address},
        }
        if fault:
            board["environment"] = {"HARNESS_EMULATOR_FAULTS": fault}
        (folder / "hosts.yaml").write_text(json.dumps({"boards": {"lent": board}}))
        paths = f"{self.site}{os.pathsep}{ROOT}"
        environment = os.environ | {"PYTHONPATH": paths, "XDG_STATE_HOME": str(self.folder / "state")}
        command = [sys.executable, "-m", "harness", *argv, "--hosts", "hosts.yaml"]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=folder, env=environment, **pipes)

    def ended(self, folder: Path, *argv: str, **more: str) -> tuple[int, str]:
        """Exit code, and all that it printed."""
        process = self.job(folder, *argv, **more)
        text = "".join(process.communicate(timeout=120))
        assert "Traceback" not in text, text
        return process.returncode, text


def _program(name: str, *argv: str, folder: Path) -> subprocess.Popen[bytes]:
    path = Path(sys.executable).with_name(name)
    assert path.is_file(), "labgrid is not installed: pip install 'harness[test]'"
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen([path, *argv], cwd=folder, stdout=log, stderr=log)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    pytest.importorskip("labgrid")
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("labgrid")
    pip = [sys.executable, "-m", "pip", "-q", "install", "--no-deps", "--no-build-isolation", "--target"]
    source = shutil.copytree(EXAMPLE, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([*pip, str(folder / "site"), str(source)], check=True, capture_output=True)
    sys.path.insert(0, str(folder / "site"))
    with ExitStack() as stack:
        lab = Lab(folder, folder / "site", stack.enter_context(serve(prepare("x5"))))
        network = {"address": "127.0.0.1", "port": lab.served.port, "username": lab.served.user}
        (folder / "exporter.yaml").write_text(json.dumps({"desk": {"NetworkService": network}}))
        stack.callback(lab.stop)
        lab.start()
        yield lab
    sys.path.remove(str(folder / "site"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = branched()
    for name in ("net.bin", "net_quantized_model.onnx"):
        (tmp_path / name).write_bytes(model.with_name(name).read_bytes())
    np.random.default_rng(0).standard_normal(INPUT_SHAPE).astype(np.float32).tofile(tmp_path / "x.bin")
    return tmp_path


RUN = ("run", "net.bin", "--board", "lent", "--input", "x.bin", "--mode", "release")


def test_a_case_runs_on_a_place_and_gives_it_back(lab: Lab, folder: Path) -> None:
    code, text = lab.ended(folder, *RUN, "--reference", "net_quantized_model.onnx")
    assert code == 0, text
    record = json.loads(next((folder / "runs").rglob("run.json")).read_text())
    assert record["board"]["address"] == "127.0.0.1" and record["verdict"]["word"] == "consistent"
    assert any(note.startswith(f"the board was lent by labgrid (place {PLACE}") for note in record["notes"])
    assert lab.holder() == ""
    log = (lab.folder / "labgrid-coordinator.log").read_text(errors="replace")
    assert f"{PLACE}: place acquired by " in log and "/harness-lent-" in log
    with lab.as_user("looker") as session:
        assert list(session.reservations()) == []


def test_a_killed_job_leaves_no_locked_place(lab: Lab, folder: Path) -> None:
    job = lab.job(folder, *RUN, fault="hang@infer")
    until(lab.holder)
    job.kill()  # SIGKILL
    job.communicate()
    until(lambda: not lab.holder())
    assert list((lab.folder / "state/harness/labgrid").iterdir()) == []


def test_a_place_whose_keeper_was_killed_too_is_freed_by_the_next_job(lab: Lab, folder: Path) -> None:
    job = lab.job(folder, *RUN, fault="hang@infer")
    until(lab.holder)
    held_by = lab.holder()
    keeper = _keeper_of(job.pid)
    os.kill(keeper, signal.SIGKILL)
    assert lab.ended(folder, "boards", "check", "lent")[0] == 3, "freed under a job that still runs"
    job.kill()
    job.communicate()
    assert lab.holder() == held_by, "labgrid itself frees nothing"
    code, text = lab.ended(folder, "boards", "check", "lent")
    assert code == 0, text
    assert lab.holder() == ""


def _keeper_of(pid: int) -> int:
    children = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    return next(int(line.split()[0]) for line in children.splitlines() if "harness_labgrid.keeper" in line)


def test_another_user_has_it_and_is_named_and_waited_for(lab: Lab, folder: Path) -> None:
    with lab.as_user("anna") as anna:
        anna.acquire(PLACE)
        code, text = lab.ended(folder, *RUN)
        assert code == 3 and f"board lent: place {PLACE} is held by elsewhere/anna" in text
        assert "--wait SECONDS" in text and lab.holder() == "elsewhere/anna"
        waiting = lab.job(folder, *RUN, "--wait", "60")
        with lab.as_user("looker") as session:
            until(lambda: list(session.reservations()))
        threading.Timer(0.5, anna.release, (PLACE,)).start()
        text = "".join(waiting.communicate(timeout=60))
        assert waiting.returncode == 0, text
    assert lab.holder() == ""


def test_places_and_coordinators_that_are_not_there(lab: Lab, folder: Path) -> None:
    code, text = lab.ended(folder, *RUN, place="x5-1")
    assert code == 2 and "has no place 'x5-1'" in text and f"did you mean '{PLACE}'?" in text
    lab.stop()
    code, text = lab.ended(folder, *RUN)
    assert code == 3 and f"the coordinator at {lab.address} does not answer" in text
    lab.start()


def test_a_coordinator_that_restarts_during_a_run_is_asked_again(lab: Lab, folder: Path) -> None:
    job = lab.job(folder, *RUN, fault="hang@infer")
    until(lab.holder)
    lab.stop()
    lab.start()
    until(lab.holder)
    assert "/harness-lent-" in lab.holder()
    job.terminate()
    job.communicate(timeout=60)
    until(lambda: not lab.holder())
