"""`harness run` over a link that breaks: its verdict, exit code and message, and what it leaves on the board."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.emulator.servers.serve import serve
from tests.faults.rig import SERVERS, Rig, rig_of
from tests.faults.test_board import small_disk
from tests.support.builds import ExampleModel, build
from tests.support.servers import needs

# The same faults are played on the agent in the fast suite; through the whole command they cost a minute.
pytestmark = pytest.mark.slow

MEASURED, COULD_NOT = 0, 3


@pytest.fixture(scope="module")
def digits(shared_folder: Path) -> ExampleModel:
    return build(shared_folder, "digits")


@pytest.fixture(params=SERVERS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    needs("sshd", "dropbear", "ssh-keygen")
    (tmp_path / "board").mkdir()
    with rig_of(tmp_path / "board", request.param) as made:
        yield made


def inventory(rig: Rig, **changes: Any) -> Path:
    """A hosts.yaml with the rig as board `rig`: any Linux with ONNX Runtime.

    Without its optimizer, whose fused kernels give release and debug different values on some processors.
    """
    record = rig.board_record().endpoint
    options = {"python": sys.executable, "optimizations": "disabled"} | changes.pop("options", {})
    fields = {
        "platform": "ort",
        "soc": "x86",
        "options": options,
        "address": record.address,
        "port": record.port,
        "user": record.user,
        "identity": record.identity,
        "known_hosts": record.known_hosts,
        "work": "work",
        "limits": {"connect_timeout_s": 4},
    } | changes
    file = rig.folder / "hosts.yaml"
    file.write_text(json.dumps({"boards": {"rig": fields}}))
    return file


def run(digits: ExampleModel, rig: Rig, cwd: Path, *more: str, **changes: Any) -> subprocess.CompletedProcess[str]:
    argv = ["run", digits.reference, "--board", "rig", "--hosts", inventory(rig, **changes), "--input", digits.input]
    argv += ["--reference", digits.reference, "--option", "optimizations=disabled", "--frames", "3", *more]
    return subprocess.run(
        [sys.executable, "-m", "harness", *map(str, argv)],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=120,
        check=False,
    )


def record(cwd: Path) -> dict[str, Any]:
    (file,) = cwd.rglob("run.json")
    loaded: dict[str, Any] = json.loads(file.read_text())
    return loaded


def left_behind(rig: Rig) -> list[str]:
    """What a run may not leave on the board: folders and state of runs, parts of pushes."""
    work = rig.root / "work"
    remaining = [p for folder in ("runs", "jobs") for p in (work / folder).glob("*")]
    return [str(p) for p in [*remaining, *work.rglob("*.part"), *work.rglob("*.lock")]]


def when(rig: Rig, pattern: str, act: Callable[[], None]) -> threading.Thread:
    """Do something as soon as a path matching a pattern appears on the board."""

    def wait() -> None:
        ends_at = time.monotonic() + 60
        while time.monotonic() < ends_at and not any(rig.root.glob(pattern)):
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_board_over_a_real_link_is_consistent_and_left_clean(digits: ExampleModel, rig: Rig, tmp_path: Path) -> None:
    result = run(digits, rig, tmp_path)
    assert result.returncode == MEASURED, result.stderr
    assert record(tmp_path)["verdict"]["word"] in ("consistent", "consistent_within")
    assert left_behind(rig) == []


@pytest.mark.parametrize("moment", ["work/runs/*/release", "work/runs/*/debug", "work/jobs/*/end"])
def test_a_link_that_is_cut_on_the_way_costs_nothing(
    digits: ExampleModel, rig: Rig, tmp_path: Path, moment: str
) -> None:
    cutting = when(rig, moment, rig.link.cut)
    result = run(digits, rig, tmp_path)
    cutting.join()
    assert result.returncode == MEASURED, result.stderr
    assert record(tmp_path)["verdict"]["word"] in ("consistent", "consistent_within")
    assert left_behind(rig) == []


@pytest.mark.slow
def test_a_link_that_freezes_on_the_way_costs_time_only(digits: ExampleModel, rig: Rig, tmp_path: Path) -> None:
    freezing = when(rig, "work/runs/*/debug", rig.link.frozen.set)
    healing = threading.Timer(25, rig.link.heal)
    healing.start()
    result = run(digits, rig, tmp_path)
    freezing.join()
    healing.join()
    assert result.returncode == MEASURED, result.stderr
    assert record(tmp_path)["verdict"]["word"] in ("consistent", "consistent_within")


def test_a_board_that_reboots_on_the_way_is_said(digits: ExampleModel, rig: Rig, tmp_path: Path) -> None:
    rebooting = when(rig, "work/runs/*/debug", rig.reboot)
    result = run(digits, rig, tmp_path)
    rebooting.join()
    assert result.returncode == COULD_NOT
    assert "reboot" in result.stderr, result.stderr
    run_record = record(tmp_path)
    assert run_record["state"] == "failed" and run_record["stopped_at"]


def test_a_board_that_is_off_is_said_with_its_port(digits: ExampleModel, rig: Rig, tmp_path: Path) -> None:
    hosts_port = rig.link.port
    rig.link.close()
    result = run(digits, rig, tmp_path)
    assert result.returncode == COULD_NOT
    assert f"127.0.0.1:{hosts_port}: connection refused" in result.stderr and "Traceback" not in result.stderr


def test_a_login_that_stalls_is_said(digits: ExampleModel, rig: Rig, tmp_path: Path) -> None:
    rig.link.freeze_after(down=10)
    result = run(digits, rig, tmp_path)
    assert result.returncode == COULD_NOT and "no SSH banner" in result.stderr


def test_a_wrong_key_is_said(digits: ExampleModel, rig: Rig, tmp_path: Path) -> None:
    key = tmp_path / "wrong"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    result = run(digits, rig, tmp_path, identity=str(key))
    assert result.returncode == COULD_NOT and "refused" in result.stderr and "identity" in result.stderr


def test_an_unknown_host_key_is_said_with_what_to_type(digits: ExampleModel, rig: Rig, tmp_path: Path) -> None:
    result = run(digits, rig, tmp_path, known_hosts=str(tmp_path / "none"))
    assert result.returncode == COULD_NOT
    assert "SHA256:" in result.stderr and "harness boards trust rig" in result.stderr


def test_a_changed_host_key_is_said_with_both_fingerprints(digits: ExampleModel, rig: Rig, tmp_path: Path) -> None:
    with serve(tmp_path / "other", "openssh") as other:
        line = Path(other.known_hosts).read_text().split(" ", 1)[1]
    known = tmp_path / "changed"
    known.write_text(f"[127.0.0.1]:{rig.link.port} {line}")
    result = run(digits, rig, tmp_path, known_hosts=str(known))
    assert result.returncode == COULD_NOT
    assert result.stderr.count("SHA256:") == 2 and "--replace" in result.stderr


def test_a_board_without_space_is_said(digits: ExampleModel, tmp_path: Path) -> None:
    needs("sshd", "ssh-keygen")
    with small_disk(tmp_path / "board/root/work", 1), rig_of(tmp_path / "board", "openssh") as rig:
        (rig.root / "work" / "filler").write_bytes(bytes(2**20 - 80_000))
        result = run(digits, rig, tmp_path)
    assert result.returncode == COULD_NOT and "no space" in result.stderr, result.stderr


def test_a_password_never_shows_up_anywhere(
    digits: ExampleModel, rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_PASSWORD_RIG", "correct-horse-battery")
    result = run(digits, rig, tmp_path)
    assert result.returncode == MEASURED, result.stderr
    assert "correct-horse" not in result.stdout + result.stderr
    for path in [*tmp_path.rglob("*"), *rig.root.rglob("*")]:
        if path.is_file():
            assert b"correct-horse" not in path.read_bytes(), path


def test_a_host_killed_on_the_way_is_followed_by_one_that_goes_on(
    digits: ExampleModel, rig: Rig, tmp_path: Path
) -> None:
    argv = [
        "run",
        digits.reference,
        "--board",
        "rig",
        "--hosts",
        inventory(rig),
        "--input",
        digits.input,
        "--frames",
        "3",
    ]
    host = subprocess.Popen(
        [sys.executable, "-m", "harness", *map(str, argv)], cwd=tmp_path, stderr=subprocess.DEVNULL, env=os.environ
    )
    when(rig, "work/runs/*/debug", host.kill).join()
    host.wait()
    (folder,) = [path.parent for path in tmp_path.rglob("run.json")]
    resumed = subprocess.run(
        [sys.executable, "-m", "harness", "run", "--resume", str(folder), "--hosts", str(rig.folder / "hosts.yaml")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        check=False,
    )
    assert resumed.returncode == MEASURED, resumed.stderr
    assert record(tmp_path)["state"] == "complete" and left_behind(rig) == []
