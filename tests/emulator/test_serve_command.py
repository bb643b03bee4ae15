"""`harness emulator serve`: a real server in front of a board, reachable by a plain ssh client, gone after Ctrl-C."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from harness.emulator.servers import jail
from tests.cli.answers import answer_of
from tests.support import emulator_kit as kit
from tests.support.builds import harness
from tests.support.servers import needs


def start(*argv: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "harness", "emulator", "serve", *argv]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))


def read_json(process: subprocess.Popen[str]) -> dict[str, object]:
    """The JSON object that the command prints before it waits."""
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line.rstrip() == "}":
            break
    return answer_of(text, "emulator-serve")


def port_is_closed(port: int) -> bool:
    import socket

    with socket.socket() as sock:
        sock.settimeout(1)
        return sock.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh client on this PC")
@pytest.mark.parametrize("server", ["openssh", "dropbear"])
def test_a_served_board_answers_an_ssh_client_and_is_gone_after_it_is_stopped(server: str) -> None:
    process = start("emu-x5", "--server", server, "--json")
    try:
        served = read_json(process)
        login = f"{served['user']}@{served['address']}"
        options = ["-o", f"UserKnownHostsFile={served['known_hosts']}", "-o", "StrictHostKeyChecking=yes",
                   "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-i", str(served["identity"])]  # fmt: skip
        argv = ["ssh", "-F", "/dev/null", *options, "-p", str(served["port"]), login, "bin/hrt_model_exec", "-v"]
        result = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        assert result.stdout.strip() == "1.24.5", result.stderr
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=30)
        finally:
            process.kill()
    for _ in range(50):
        if port_is_closed(int(str(served["port"]))):
            break
        time.sleep(0.1)
    assert port_is_closed(int(str(served["port"])))


def test_what_it_prints_is_an_entry_for_the_inventory() -> None:
    needs("sshd")
    process = start("emu-x5")
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.strip().startswith("tools:"):
            break
    process.terminate()
    process.communicate(timeout=30)
    entry = yaml.safe_load("".join(lines))["boards"]["emu-x5-served"]
    assert entry["platform"] == "hbdnn" and entry["address"] == "127.0.0.1" and entry["tools"]


def test_an_unknown_board_is_refused_with_the_nearest_name() -> None:
    process = start("emu-x55")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2 and "emu-x5" in errors


@pytest.mark.slow
@pytest.mark.skipif(bool(jail.lacking()), reason=jail.lacking() or "-")
def test_a_board_with_a_root_of_its_own_is_served_and_runs_a_model(tmp_path: Path) -> None:
    process = start("emu-t40")
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.strip().startswith("emulated:"):
                break
        (tmp_path / "hosts.yaml").write_text("".join(lines))
        argv = ["run", "--board", "emu-t40-served", kit.branched("t40"), "--mode", "release", "--hosts", "hosts.yaml"]
        result = harness(*argv, cwd=tmp_path)
        assert result.returncode == 0 and "EMULATED" in result.stdout.upper(), result.stderr
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=30)
        finally:
            process.kill()


def test_a_server_that_a_board_cannot_have_is_refused() -> None:
    process = start("emu-t41", "--server", "openssh")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2 and "dropbear" in errors
