"""A run that is stopped, killed or kept out: the board stays clean, the folder readable, and the run can go on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.support.builds import ExampleModel, build, harness


@pytest.fixture(scope="module")
def digits(shared_folder: Path) -> ExampleModel:
    return build(shared_folder, "digits")


@pytest.fixture(autouse=True)
def own_board(tmp_path: Path) -> Iterator[None]:
    """A board of this test's own: other tests of this worker must not meet its leases."""
    before = os.environ["HARNESS_HOME"]
    os.environ["HARNESS_HOME"] = str(tmp_path / "home")
    yield
    os.environ["HARNESS_HOME"] = before


def run_json(cwd: Path) -> dict[str, Any]:
    (file,) = cwd.rglob("run.json")
    run: dict[str, Any] = json.loads(file.read_text())
    return run


@contextmanager
def started(digits: ExampleModel, cwd: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    argv = ["run", digits.model, "--board", "emu-x5", "--input", digits.input, "--frames", "3", *more]
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", *map(str, argv)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_step(cwd: Path, step: str) -> None:
    """Until resume.json says that this mode was started on the board."""
    for _ in range(300):
        for file in cwd.rglob("resume.json"):
            try:
                if step in json.loads(file.read_text())["tokens"]:
                    return
            except ValueError:
                continue
        time.sleep(0.1)
    raise AssertionError(f"{step} was never started")


def tools_at_work(home: Path) -> list[str]:
    """Command lines of processes whose environment names this test's own board."""
    pids = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if str(home).encode() in environ.read_bytes() and b"hrt_model_exec" in (
                command := (environ.parent / "cmdline").read_bytes()
            ):
                pids.append(command.decode())
        except OSError:
            continue
    return pids


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_leaves_the_board_clean_and_goes_on(
    digits: ExampleModel, tmp_path: Path, how: signal.Signals
) -> None:
    model = Path(shutil.copy(digits.model, tmp_path / "digits_x5.bin"))
    with started(replace(digits, model=model), tmp_path, "--fault", "hang@perf") as process:
        wait_for_step(tmp_path, "profile")
        process.send_signal(how)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "harness run --resume" in err
    assert "Traceback" not in err
    assert tools_at_work(tmp_path / "home") == []
    assert list((tmp_path / "home/boards/x5/work/emu-x5/runs").iterdir()) == []
    run = run_json(tmp_path)
    assert (run["state"], run["stopped_at"]) == ("interrupted", "running profile")
    assert next(tmp_path.rglob("report.html")).is_file()

    folder = next(tmp_path.rglob("run.json")).parent
    whole = model.read_bytes()
    model.write_bytes(whole + b"rebuilt")
    result = harness("run", "--resume", folder, cwd=tmp_path)  # it would have mixed two models, with exit code 0
    assert result.returncode == 2 and hashlib.md5(whole).hexdigest() in result.stderr, result.stderr
    assert "start a new run: " in result.stderr and f"harness run {model} --board emu-x5" in result.stderr
    model.write_bytes(whole)
    result = harness("run", "--resume", folder, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    run = run_json(tmp_path)
    assert run["state"] == "complete"
    assert sorted(mode["mode"] for mode in run["modes"]) == ["debug", "info", "profile", "release"]
    assert not (folder / "resume.json").exists()
    assert run["problems"] == [] and "an earlier attempt failed" in " ".join(run["notes"])


@pytest.mark.slow
def test_a_killed_host_loses_nothing_and_doubles_nothing(digits: ExampleModel, tmp_path: Path) -> None:
    with started(digits, tmp_path, "--fault", "hang@perf", "--timeout", "8") as process:
        wait_for_step(tmp_path, "profile")
        time.sleep(1.0)
        process.send_signal(signal.SIGKILL)
        process.wait()
    at_work = tools_at_work(tmp_path / "home")
    assert at_work, "the run goes on without its host"
    folder = next(tmp_path.rglob("run.json")).parent
    token = json.loads((folder / "resume.json").read_text())["tokens"]["profile"]
    result = harness("run", "--resume", folder, cwd=tmp_path)
    assert result.returncode == 3
    profile = next(mode for mode in run_json(tmp_path)["modes"] if mode["mode"] == "profile")
    assert profile["timed_out"], "the very run that was left on the board was picked up, and the board ended it"
    assert tools_at_work(tmp_path / "home") == []
    assert len(token) == 16


@pytest.mark.slow
def test_a_board_in_use_is_refused_with_its_holder_and_can_be_waited_for(digits: ExampleModel, tmp_path: Path) -> None:
    with started(digits, tmp_path, "--fault", "hang@infer", "--timeout", "20", "--mode", "release") as process:
        wait_for_step(tmp_path, "release")
        other = tmp_path / "other"
        other.mkdir()
        refused = harness("run", digits.model, "--board", "emu-x5", "--mode", "release", cwd=other)
        assert refused.returncode == 3
        assert "held by" in refused.stderr
        waited = harness("run", digits.model, "--board", "emu-x5", "--mode", "release", "--wait", "60", cwd=other)
        process.communicate(timeout=60)
    assert waited.returncode == 0, waited.stderr


@pytest.mark.slow
def test_a_lease_taken_by_hand_serves_its_holder_and_keeps_others_out(
    digits: ExampleModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = harness("boards", "lease", "emu-x5", "--minutes", "5")
    assert "at most 300 s" in taken.stdout
    run = ["run", digits.model, "--board", "emu-x5", "--mode", "release"]
    assert harness(*run, cwd=tmp_path).returncode == 0
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another user"))
    refused = harness(*run, cwd=tmp_path)
    assert refused.returncode == 3
    kept_out = harness("boards", "release", "emu-x5")
    assert kept_out.returncode == 3
    assert "--force" in kept_out.stderr
    assert harness("boards", "release", "emu-x5", "--force").returncode == 0
    assert harness(*run, cwd=tmp_path).returncode == 0


@pytest.mark.slow
def test_what_another_run_left_on_the_board_is_not_read(digits: ExampleModel, tmp_path: Path) -> None:
    """The board's run folder was named by the second: a run that was killed and one begun in that second shared it."""
    assert harness("boards", "check", "emu-x5").returncode == 0  # lays the emulated board's root
    runs = tmp_path / "home/boards/x5/work/emu-x5/runs"
    now = datetime.now(timezone.utc)
    for later in range(60):
        leftover = runs / f"{now + timedelta(seconds=later):%Y%m%dT%H%M%SZ}/release"
        leftover.mkdir(parents=True)
        (leftover / "left_by_another.bin").write_bytes(b"stale")
    result = harness("run", digits.model, "--board", "emu-x5", "--mode", "release", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    files = [file["name"] for mode in run_json(tmp_path)["modes"] for file in mode["files"]]
    assert files and "left_by_another.bin" not in files
    assert len(list(runs.iterdir())) == 60, "and nothing of the other's was removed"


@pytest.mark.slow
def test_a_complete_run_has_nothing_to_resume(digits: ExampleModel, tmp_path: Path) -> None:
    assert harness("run", digits.model, "--board", "emu-x5", "--mode", "release", cwd=tmp_path).returncode == 0
    result = harness("run", "--resume", next(tmp_path.rglob("run.json")).parent, cwd=tmp_path)
    assert result.returncode == 2
    assert "nothing to resume" in result.stderr


@pytest.mark.slow
def test_a_board_that_is_away_is_power_cycled_once_and_the_run_goes_on(digits: ExampleModel, tmp_path: Path) -> None:
    """The power switch starts a server in front of the board; before that nothing listens on its port."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    count = tmp_path / "cycles"
    switch = tmp_path / "switch.sh"
    switch.write_text(f"#!/bin/sh\necho cycle >>'{count}'\n")
    switch.chmod(0o755)
    (tmp_path / "hosts.yaml").write_text(
        f"boards:\n  away: {{platform: ort, address: 127.0.0.1, port: {port}, user: root,"
        f" power: {{cycle: ['{switch}']}}, limits: {{connect_timeout_s: 1}}}}\n"
    )
    result = subprocess.Popen(
        [sys.executable, "-m", "harness", "run", str(digits.onnx), "--board", "away", "--mode", "release"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(600):
        if count.exists():
            break
        time.sleep(0.1)
    result.send_signal(signal.SIGINT)  # the wait for the board's boot is ended by hand
    _, err = result.communicate(timeout=60)
    assert count.read_text() == "cycle\n"
    assert result.returncode == 3
    assert "Traceback" not in err


@pytest.mark.slow
def test_the_inventorys_folders_environment_and_commands_reach_the_board(digits: ExampleModel, tmp_path: Path) -> None:
    """setup and teardown run on the board as argument lists; folders go before what the board has."""
    root = tmp_path / "home/boards/x5"
    assert harness("boards", "check", "emu-x5").returncode == 0  # lays the emulated board's root
    odd = tmp_path / "a b;c"
    odd.mkdir()
    (tmp_path / "hosts.yaml").write_text(
        f"boards:\n  mine:\n    platform: hbdnn\n    soc: x5\n    transport: local\n    work: {tmp_path}/work\n"
        f"    tools: [{root}/bin]\n    libraries: ['{odd}', /opt/lib]\n    environment: {{WORD: 'two words; $(no)'}}\n"
        f"    setup: [[touch, '{tmp_path}/set up; $(x)']]\n    teardown: [[touch, '{tmp_path}/torn down']]\n"
    )
    result = harness("run", digits.model, "--board", "mine", cwd=tmp_path)
    assert result.returncode == 2, "an emulated model on a board that is not marked as emulated"
    vendor = tmp_path / "vendor.bin"
    vendor.write_bytes(b"\x7fBPU" + bytes(range(256)) * 40)
    result = harness("run", vendor, "--board", "mine", cwd=tmp_path)
    assert result.returncode == 3
    assert (tmp_path / "set up; $(x)").exists() and (tmp_path / "torn down").exists()
    environment = run_json(tmp_path)["modes"][0]["environment"]
    assert environment["WORD"] == "two words; $(no)"
    assert environment["HARNESS_LIBRARIES"] == f"{odd}:/opt/lib"


def test_the_boards_own_status_tool_is_read_before_and_after(digits: ExampleModel, tmp_path: Path) -> None:
    """On a board that is not marked as emulated, with played tools on its PATH."""
    tools = tmp_path / "bin"
    tools.mkdir()
    tool = tools / "hrut_somstatus"
    tool.write_text(
        "#!/bin/sh\ncat <<'TEXT'\n=====================1=====================\ntemperature-->\n"
        "\tDDR      : 51.5 (C)\n\tBPU      : 52.5 (C)\n\tCPU      : 53.5 (C)\nTEXT\n"
    )
    tool.chmod(0o755)
    (tools / "hrt_model_exec").write_text("#!/bin/sh\necho nothing here\nexit 1\n")
    (tools / "hrt_model_exec").chmod(0o755)
    (tmp_path / "hosts.yaml").write_text(
        f"boards:\n  me: {{platform: hbdnn, soc: x5, transport: local, work: '{tmp_path}/desk', tools: ['{tools}']}}\n"
    )
    vendor = tmp_path / "vendor.bin"
    vendor.write_bytes(b"\x7fBPU" + bytes(range(256)) * 40)
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{tools}:{before}"
    try:
        assert harness("run", vendor, "--board", "me", cwd=tmp_path).returncode == 3
    finally:
        os.environ["PATH"] = before
    samples = run_json(tmp_path)["telemetry"]["samples"]
    warm = [s for s in samples if s.get("temperatures_c", {}).get("BPU") == 52.5]
    assert [s["phase"] for s in warm] == ["before"], "the run failed before there was an after"
