"""A run is about the files that it began with; others of the same names are refused, whenever they came."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.builds import ExampleModel, build, harness

pytestmark = (
    pytest.mark.slow
)  # a process of the whole command each; tests/session/test_sessions.py has the first of them


@pytest.fixture(scope="module")
def digits(shared_folder: Path) -> ExampleModel:
    return build(shared_folder, "digits")


@dataclass(frozen=True)
class Desk:
    """Copies of everything a case can name, a board, and the folder of a run of it that was interrupted."""

    folder: Path
    run: Path

    def file(self, name: str) -> Path:
        return self.folder / name

    def resume(self) -> subprocess.CompletedProcess[str]:
        return harness("run", "--resume", self.run, "--hosts", self.file("hosts.yaml"), cwd=self.folder)

    def record(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((self.run / "run.json").read_text())
        return record


def lay_desk(digits: ExampleModel, folder: Path, **board: Any) -> None:
    """Files and a board of `folder`'s own."""
    folder.mkdir(exist_ok=True)
    shutil.copy(digits.model, folder / "model.bin")
    shutil.copy(digits.input, folder / "input.bin")
    shutil.copy(digits.onnx, folder / "float.onnx")
    shutil.copy(digits.reference, folder / "quantized.onnx")
    (folder / "map.yaml").write_text("# board tensor: reference tensor\n{}\n")
    (folder / "policy.yaml").write_text("policy: own\nextends: default\n")
    (folder / "build.csv").write_text("Node,ON,Subgraph,Type\nconv1,BPU,id(0),HzSQuantizedConv\n")
    argv = ["reference", "quantized.onnx", "--input", "input.bin", "-o", "reference"]
    harness(*argv, cwd=folder, check=True)
    root = folder / "home/boards/x5"
    fields = {"platform": "hbdnn", "soc": "x5", "transport": "local", "work": str(folder / "work"), "emulated": True}
    fields |= {"tools": [str(root / "bin")], **board}
    (folder / "hosts.yaml").write_text(yaml.safe_dump({"boards": {"mine": fields}}))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield from _home(tmp_path)


def _home(folder: Path) -> Iterator[Path]:
    """Emulated boards of this folder's own."""
    before = os.environ["HARNESS_HOME"]
    os.environ["HARNESS_HOME"] = str(folder / "home")
    try:
        assert harness("boards", "check", "emu-x5").returncode == 0  # lays the root whose tools the board uses
        yield folder
    finally:
        os.environ["HARNESS_HOME"] = before


CASE = ["run", "model.bin", "--board", "mine", "--hosts", "hosts.yaml", "--input", "input.bin", "--frames", "3"]
WHOLE = [*CASE, "--reference", "reference", "--float", "float.onnx", "--graph", "quantized.onnx", "--map", "map.yaml"]
WHOLE += ["--policy", "policy.yaml", "--case", "two words"]


@pytest.fixture(scope="module")
def desk(digits: ExampleModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    for _ in _home(folder):
        lay_desk(digits, folder)
        argv = [sys.executable, "-m", "harness", *WHOLE, "--mode", "release,profile", "--fault", "hang@perf"]
        process = subprocess.Popen(argv, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        wait_for_mode(folder, "profile")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 3, err
        yield Desk(folder, next(folder.rglob("run.json")).parent)


def wait_for_mode(folder: Path, mode: str) -> None:
    ends_at = time.monotonic() + 60
    while time.monotonic() < ends_at:
        for file in folder.rglob("resume.json"):
            if f'"{mode}": "' in file.read_text():
                return
        time.sleep(0.05)
    raise AssertionError(f"{mode} was never started")


def changed(path: Path) -> Callable[[], None]:
    """Change the last byte of a file in place, as a build that writes over its own output does; gives the way back."""
    before = path.read_bytes()
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))

    def restore() -> None:
        path.write_bytes(before)

    return restore


NAMES = ["model.bin", "input.bin", "float.onnx", "quantized.onnx", "map.yaml", "policy.yaml", "reference/t00002.npy"]


@pytest.mark.parametrize("name", NAMES)
def test_a_run_is_not_gone_on_with_by_another_file_of_the_same_name(desk: Desk, name: str) -> None:
    """A model rebuilt in place gave exit 0 with the new one's latency; a changed input was blamed on dumping."""
    was = hashlib.md5(desk.file(name).read_bytes()).hexdigest()
    record = desk.record()
    restore = changed(desk.file(name))
    try:
        now = hashlib.md5(desk.file(name).read_bytes()).hexdigest()
        result = desk.resume()
    finally:
        restore()
    assert result.returncode == 2, result.stdout + result.stderr
    assert name in result.stderr and was in result.stderr and now in result.stderr
    errors = " ".join(result.stderr.split())
    assert "start a new run: " in errors and f"harness {shlex.join([*WHOLE, '--mode', 'release,profile'])}" in errors
    assert desk.record() == record and (desk.run / "resume.json").exists()


@pytest.mark.parametrize("name", ["quantized.onnx", "reference/t00002.npy", "input.bin"])
def test_a_file_that_is_gone_is_said_with_the_md5_it_had(desk: Desk, name: str) -> None:
    was = hashlib.md5(desk.file(name).read_bytes()).hexdigest()
    desk.file(name).rename(desk.file("away"))
    try:
        result = desk.resume()
    finally:
        desk.file("away").rename(desk.file(name))
    assert result.returncode == 2 and "no longer exists" in result.stderr and was in result.stderr, result.stderr


def test_a_table_of_the_toolchain_that_came_later_is_another_build(desk: Desk) -> None:
    later = desk.file("hb_mapper_makertbin.log")
    later.write_text("2026-11-20 09:14:00,000 INFO Start to Horizon NN Model Convert.\n")
    try:
        result = desk.resume()
    finally:
        later.unlink()
    assert result.returncode == 2 and "did not exist" in result.stderr and later.name in result.stderr, result.stderr


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("soc", "x3", "soc was 'x5', now 'x3'"),
        ("environment", {"ODD_WORD": "hunter2"}, "environment: ODD_WORD"),
        ("libraries", ["/opt/other"], "libraries was []"),
    ],
)
def test_a_board_of_other_settings_is_not_gone_on_with(desk: Desk, key: str, value: Any, word: str) -> None:
    hosts = desk.file("hosts.yaml")
    before = hosts.read_text()
    inventory = yaml.safe_load(before)
    inventory["boards"]["mine"][key] = value
    hosts.write_text(yaml.safe_dump(inventory))
    try:
        result = desk.resume()
    finally:
        hosts.write_text(before)
    assert result.returncode == 2, result.stderr
    assert word in result.stderr and "hunter2" not in result.stderr


def test_another_board_under_the_same_name_is_not_gone_on_with(desk: Desk) -> None:
    record = desk.record()
    facts = record["board"]["facts"] | {"kernel": "4.14.87", "cpu": "another"}
    (desk.run / "run.json").write_text(json.dumps(record | {"board": record["board"] | {"facts": facts}}))
    try:
        result = desk.resume()
        after = desk.record()
    finally:
        (desk.run / "run.json").write_text(json.dumps(record))
    assert result.returncode == 2, result.stderr
    assert "kernel was '4.14.87'" in result.stderr
    assert [mode["mode"] for mode in after["modes"]] == ["release"]


def test_a_run_keeps_its_files_and_the_command_that_made_it(desk: Desk) -> None:
    record = desk.record()
    by_role = {one["role"]: one for one in record["case"]["files"]}
    assert sorted(by_role) == ["float model", "graph", "input", "mapping", "model", "policy", "reference"]
    model = desk.file("model.bin").read_bytes()
    assert by_role["model"] == {
        "role": "model", "name": "model.bin", "bytes": len(model), "md5": hashlib.md5(model).hexdigest(),
        "sha256": hashlib.sha256(model).hexdigest(),
    }  # fmt: skip
    assert by_role["reference"]["files"] == sum(file.is_file() for file in desk.file("reference").rglob("*"))
    command = record["command"]
    assert command["folder"] == str(desk.folder)
    assert shlex.split(command["line"])[-len(command["argv"]) :] == command["argv"]
    assert command["argv"][:2] == ["harness", "run"] and "--case 'two words'" in command["line"]
    page = (desk.run / "report.html").read_text()
    assert str(desk.folder) not in page and "--case" not in page


def test_a_run_goes_on_when_its_files_are_what_they_were(desk: Desk, tmp_path: Path) -> None:
    """Change times do not count; and a broken run may be moved."""
    os.utime(desk.file("model.bin"))
    moved = Path(shutil.copytree(desk.run, tmp_path / "moved"))
    result = harness("run", "--resume", moved, "--hosts", desk.file("hosts.yaml"), cwd=tmp_path)
    assert result.returncode in (0, 1), result.stderr
    assert json.loads((moved / "run.json").read_text())["state"] == "complete"


def test_a_run_that_kept_no_md5s_is_not_gone_on_with(desk: Desk, tmp_path: Path) -> None:
    """Runs of harness 0.1.0 that were broken off."""
    moved = Path(shutil.copytree(desk.run, tmp_path / "moved"))
    resume = json.loads((moved / "resume.json").read_text())
    (moved / "resume.json").write_text(json.dumps({key: resume[key] for key in ("board", "case", "nonce", "tokens")}))
    result = harness("run", "--resume", moved, "--hosts", desk.file("hosts.yaml"), cwd=desk.folder)
    assert result.returncode == 2 and "has no md5s" in result.stderr, result.stderr


# --------------------------------------------------------------------------- while a run goes on


def test_a_model_that_is_rebuilt_before_it_is_sent_is_refused(digits: ExampleModel, home: Path) -> None:
    """The run has hashed its files and waits for the board, which another user has."""
    lay_desk(digits, home)
    harness("boards", "lease", "mine", "--minutes", "5", "--hosts", "hosts.yaml", cwd=home, check=True)
    elsewhere = os.environ | {"XDG_STATE_HOME": str(home / "another user")}
    argv = [sys.executable, "-m", "harness", *CASE, "--mode", "release", "--wait", "60"]
    waiting = subprocess.Popen(argv, cwd=home, env=elsewhere, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    ends_at = time.monotonic() + 60
    while not list(home.rglob("run.json")) and time.monotonic() < ends_at:
        time.sleep(0.05)
    was = hashlib.md5((home / "model.bin").read_bytes()).hexdigest()
    changed(home / "model.bin")
    harness("boards", "release", "mine", "--hosts", "hosts.yaml", cwd=home, check=True)
    _, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 2, err
    assert "model.bin" in err and was in err and "start a new run" in err
    record = json.loads(next(home.rglob("run.json")).read_text())
    assert record["modes"] == [] and record["verdict"]["word"] == "not_measured"
    assert str(home) not in str(record["problems"]) + str(record["verdict"]), "that goes into tickets"


def after_the_run(home: Path, digits: ExampleModel, victim: str) -> subprocess.CompletedProcess[str]:
    """A run whose board's `after` command, on this PC and before the run is judged, changes a file."""
    script = home / "after.sh"
    script.write_text(f"#!/bin/sh\nprintf x >>'{home / victim}'\n")
    script.chmod(0o755)
    lay_desk(digits, home, power={"after": [str(script)]})
    return harness(*CASE, "--reference", "reference", "--mode", "release,debug", "--policy", "policy.yaml", cwd=home)


@pytest.mark.parametrize("victim", ["reference/t00002.npy", "policy.yaml"])
def test_a_file_that_changes_before_the_run_is_judged_gives_no_verdict(
    digits: ExampleModel, home: Path, victim: str
) -> None:
    result = after_the_run(home, digits, victim)
    assert result.returncode == 2, result.stdout + result.stderr
    assert victim in result.stderr and "was md5" in result.stderr
    record = json.loads(next(home.rglob("run.json")).read_text())
    assert record["verdict"]["word"] == "not_measured" and record["comparison"] is None
    assert record["stopped_at"] == "judging" and str(home) not in str(record["problems"]) + str(record["verdict"])


def test_a_model_that_is_rebuilt_after_it_was_sent_is_noted(digits: ExampleModel, home: Path) -> None:
    result = after_the_run(home, digits, "model.bin")
    assert result.returncode == 0, result.stdout + result.stderr
    notes = json.loads(next(home.rglob("run.json")).read_text())["notes"]
    assert any("changed on this PC after upload" in note and "model.bin" in note for note in notes)
