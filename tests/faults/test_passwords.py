"""Passwords: from the environment, the keyring or a person; on a real sshd and dropbear; and nowhere else."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.cli.answers import answer_of
from tests.faults.rig import SERVERS
from tests.support.builds import build
from tests.support.password_server import MARK, PASSWORD, PasswordServer, password_server

pytestmark = pytest.mark.slow  # with the others: the fast suite stays under five minutes

BACKEND = "keyrings.alt.file.PlaintextKeyring"  # a real backend: a file
NO_BACKEND = "keyring.backends.fail.Keyring"
TRANSPORTS = ("ssh", "openssh")


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PasswordServer]:
    with password_server(tmp_path_factory.mktemp(request.param) / "served", request.param) as made:
        yield made


@pytest.fixture(params=TRANSPORTS)
def hosts(request: pytest.FixtureRequest, server: PasswordServer, tmp_path: Path) -> Path:
    return inventory(server, tmp_path, request.param)


def inventory(server: PasswordServer, folder: Path, transport: str = "ssh", **more: Any) -> Path:
    fields = {"platform": "ort", "soc": "x86", "transport": transport, "address": "127.0.0.1", "port": server.port}
    fields |= {"user": server.user, "known_hosts": str(server.known_hosts), "work": str(folder / "work")}
    fields |= {"options": {"python": sys.executable}} | more
    (folder / "hosts.yaml").write_text(json.dumps({"boards": {"pw": fields}}))
    return folder / "hosts.yaml"


def environment(folder: Path, backend: str = NO_BACKEND, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("SSH_AUTH_SOCK", "SSH_ASKPASS")}
    return kept | {"PYTHON_KEYRING_BACKEND": backend, "XDG_DATA_HOME": str(folder / "data")} | more


def harness(hosts: Path, *argv: str, env: dict[str, str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *argv, "--hosts", str(hosts)],
        input=stdin,
        capture_output=True,
        text=True,
        cwd=hosts.parent,
        env=env,
        timeout=120,
        check=False,
    )


def check(hosts: Path, env: dict[str, str]) -> tuple[int, str]:
    result = harness(hosts, "boards", "check", "pw", "--json", env=env)
    assert "Traceback" not in result.stderr, result.stderr
    return result.returncode, json.loads(result.stdout)["boards"][0]["remark"]


def test_the_environment_opens_a_board(hosts: Path) -> None:
    assert check(hosts, environment(hosts.parent, HARNESS_PASSWORD_PW=PASSWORD)) == (0, "")


@pytest.mark.parametrize("password", ["", "wrong"])
def test_without_the_right_password_the_error_says_where_to_give_it(hosts: Path, password: str) -> None:
    code, remark = check(hosts, environment(hosts.parent, HARNESS_PASSWORD_PW=password))
    assert code == 3
    assert "refused" in remark and "HARNESS_PASSWORD_PW" in remark and "harness boards password pw" in remark


def test_the_keyring_opens_a_board_until_it_forgets(hosts: Path) -> None:
    env = environment(hosts.parent, BACKEND)
    kept = harness(hosts, "boards", "password", "pw", "--json", env=env, stdin=f"{PASSWORD}\n")
    assert BACKEND in answer_of(kept.stdout, "boards-password")["kept_in"]
    assert kept.returncode == 0 and PASSWORD not in kept.stdout + kept.stderr
    assert check(hosts, env) == (0, "")
    assert harness(hosts, "boards", "password", "pw", "--delete", env=env).stdout == "pw: password deleted\n"
    assert check(hosts, env)[0] == 3
    assert harness(hosts, "boards", "password", "pw", "--delete", env=env).stdout == "pw: no password stored\n"


def test_a_kept_password_is_for_one_address(server: PasswordServer, tmp_path: Path) -> None:
    """Another lab's board of the same name is not shown it."""
    env = environment(tmp_path, BACKEND)
    assert harness(inventory(server, tmp_path), "boards", "password", "pw", env=env, stdin=PASSWORD).returncode == 0
    assert check(inventory(server, tmp_path, address="localhost"), env)[0] == 3
    assert check(inventory(server, tmp_path), env) == (0, "")


@pytest.mark.parametrize("text", ["raise ImportError('none')", "def get_password(*a): raise OSError('no bus')"])
def test_without_a_working_keyring_nothing_is_said_and_other_sources_serve(hosts: Path, text: str) -> None:
    (hosts.parent / "keyring.py").write_text(text + "\n")
    env = environment(hosts.parent, PYTHONPATH=str(hosts.parent))
    code, remark = check(hosts, env)
    assert code == 3 and "keyring" not in remark
    assert check(hosts, env | {"HARNESS_PASSWORD_PW": PASSWORD}) == (0, "")


def test_a_password_is_not_kept_where_there_is_no_keyring(server: PasswordServer, tmp_path: Path) -> None:
    hosts = inventory(server, tmp_path)
    result = harness(hosts, "boards", "password", "pw", env=environment(tmp_path), stdin=PASSWORD)
    assert result.returncode == 3 and "cannot store the password" in result.stderr and PASSWORD not in result.stderr
    (tmp_path / "keyring.py").write_text("raise ImportError\n")
    env = environment(tmp_path, PYTHONPATH=str(tmp_path))
    result = harness(hosts, "boards", "password", "pw", env=env, stdin=PASSWORD)
    assert result.returncode == 3 and "pip install keyring" in result.stderr
    assert harness(hosts, "boards", "password", "pw", env=environment(tmp_path), stdin="\n").returncode == 2
    assert harness(hosts, "boards", "password", "emu-x5", env=environment(tmp_path), stdin=PASSWORD).returncode == 2


def test_an_unprotected_keyring_is_used_only_by_choice(server: PasswordServer, tmp_path: Path) -> None:
    env = environment(tmp_path)
    del env["PYTHON_KEYRING_BACKEND"]
    env |= {"XDG_CONFIG_HOME": str(tmp_path / "config"), "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere"}
    result = harness(inventory(server, tmp_path), "boards", "password", "pw", env=env, stdin=PASSWORD)
    assert result.returncode == 3 and "unencrypted" in result.stderr
    assert not any(MARK in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


# --------------------------------------------------------------------------- a person


def typed(argv: list[str], answers: list[str], cwd: Path, env: dict[str, str]) -> tuple[int, str]:
    """A command on a terminal of its own; each question for a password is answered with the next of `answers`."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.execve(sys.executable, [sys.executable, "-m", "harness", *argv], env)
    output, prompts = b"", 0
    ends_at = time.monotonic() + 100
    with suppress(OSError):  # the terminal goes with the command
        while time.monotonic() < ends_at:
            if select.select([terminal], [], [], 1.0)[0]:
                output += os.read(terminal, 65536)
            if output.count(b"assword") + output.count(b"Repeat for conf") > prompts and prompts < len(answers):
                time.sleep(0.2)  # the question stands before the echo is off
                os.write(terminal, answers[prompts].encode() + b"\n")
                prompts += 1
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), output.decode("utf-8", "replace")


def test_a_person_is_asked_once_and_nothing_is_shown(hosts: Path) -> None:
    argv = ["boards", "check", "pw", "--hosts", str(hosts)]
    code, output = typed(argv, [PASSWORD], hosts.parent, environment(hosts.parent))
    assert code == 0, output
    assert output.count("password of") == 1 and "(board pw)" in output and PASSWORD not in output


def test_a_wrong_answer_ends_with_an_error(hosts: Path) -> None:
    argv = ["boards", "check", "pw", "--hosts", str(hosts)]
    code, output = typed(argv, ["wrong"], hosts.parent, environment(hosts.parent))
    assert code == 3 and "refused" in output


# --------------------------------------------------------------------------- nowhere else

SPY = """\
#!/bin/sh
{ printf '%s\\n' "$@"; env; } >>"$SPY_FILE"
exec REAL "$@"
"""


@pytest.fixture
def spied(tmp_path: Path) -> dict[str, str]:
    """A PATH whose `ssh` writes down its arguments and its environment first."""
    import shutil

    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ssh").write_text(SPY.replace("REAL", shutil.which("ssh") or "/usr/bin/ssh"))
    (folder / "ssh").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "SPY_FILE": str(tmp_path / "spied")}


def test_the_ssh_program_gets_no_password_in_its_arguments_and_environment(
    server: PasswordServer, tmp_path: Path, spied: dict[str, str]
) -> None:
    hosts = inventory(server, tmp_path, "openssh")
    for env in (
        environment(tmp_path, HARNESS_PASSWORD_PW=PASSWORD, HARNESS_PASSWORD_OTHER=PASSWORD, **spied),
        environment(tmp_path, BACKEND, **spied),
    ):
        harness(hosts, "boards", "password", "pw", env=environment(tmp_path, BACKEND), stdin=PASSWORD)
        assert check(hosts, env) == (0, "")
    seen = (tmp_path / "spied").read_bytes()
    assert b"SSH_ASKPASS=" in seen and b"BatchMode=no" in seen
    assert MARK not in seen


def test_a_proxy_command_gets_no_password(server: PasswordServer, tmp_path: Path) -> None:
    """paramiko starts it with this process's whole environment."""
    config = tmp_path / "ssh_config"
    script = tmp_path / "proxy.sh"
    script.write_text(f'env >{tmp_path}/seen; exec "{sys.executable}" {tmp_path}/relay.py 127.0.0.1 {server.port}\n')
    (tmp_path / "relay.py").write_text(RELAY)
    config.write_text(f"Host 127.0.0.1\n  ProxyCommand sh {script}\n")
    env = environment(tmp_path, HARNESS_PASSWORD_PW=PASSWORD, HARNESS_SSH_CONFIG=str(config))
    assert check(inventory(server, tmp_path), env) == (0, "")
    seen = (tmp_path / "seen").read_bytes()
    assert b"PATH=" in seen and MARK not in seen


RELAY = """\
import os, socket, sys, threading
far = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def up():
    while data := os.read(0, 65536):
        far.sendall(data)
    far.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while data := far.recv(65536):
    os.write(1, data)
"""


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_run_by_password_leaves_no_trace_of_it(
    server: PasswordServer, tmp_path: Path, shared_folder: Path, transport: str
) -> None:
    digits = build(shared_folder, "digits")
    hosts = inventory(server, tmp_path, transport)
    argv = ["run", str(digits.reference), "--board", "pw", "--input", str(digits.input), "--frames", "3"]
    argv += ["--reference", str(digits.reference), "--option", "optimizations=disabled"]
    result = harness(hosts, *argv, env=environment(tmp_path, HARNESS_PASSWORD_PW=PASSWORD))
    assert result.returncode == 0, result.stderr
    assert PASSWORD not in result.stdout + result.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "run.json" for path in files) and any(path.name == "report.html" for path in files)
    assert [path for path in files if MARK in path.read_bytes()] == []
    assert list(Path("/tmp").glob("hssh-*/answer")) == []
