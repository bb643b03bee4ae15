"""A real sshd or dropbear that takes a password: /etc/shadow is another file for this server alone."""

from __future__ import annotations

import getpass
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.emulator.servers.serve import free_port, program
from tests.support.servers import needs

PASSWORD = "correct-horse-battery"
MARK = PASSWORD.encode()


@dataclass(frozen=True)
class PasswordServer:
    port: int
    user: str
    known_hosts: Path
    log: Path


@contextmanager
def password_server(folder: Path, server: str, password: str = PASSWORD) -> Iterator[PasswordServer]:
    """Serve this PC on loopback; only the password opens it. Needs root, for a mount namespace."""
    needs("sshd", "dropbear", "ssh-keygen", "openssl", "unshare")
    if os.getuid() != 0:
        pytest.skip("needs the right to mount (root)")
    folder.mkdir(parents=True, exist_ok=True)
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input=password, capture_output=True, text=True, check=True
    ).stdout.strip()
    user = getpass.getuser()
    (folder / "shadow").write_text(f"{user}:{hashed}:20000:0:99999:7:::\nsshd:*:20000:0:99999:7:::\n")
    (folder / "shadow").chmod(0o600)
    (folder / "ssh").mkdir()
    port = free_port()
    argv, key_line = (_openssh if server == "openssh" else _dropbear)(folder, port)
    home = Path("~/.ssh").expanduser()
    home.mkdir(mode=0o700, exist_ok=True)
    mounts = f"mount --bind {shlex.quote(str(folder / 'shadow'))} /etc/shadow && mount --bind {folder}/ssh {home}"
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", f'{mounts} && exec "$@"', "sh", *argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": os.defpath + ":/usr/sbin:/sbin", "SHLVL": "9"},
        )
    try:
        _until_it_listens(port, process)
        known = folder / "known_hosts"
        known.write_text(f"[127.0.0.1]:{port} {key_line}\n")
        yield PasswordServer(port, user, known, folder / "server.log")
    finally:
        process.kill()
        process.wait()


def _until_it_listens(port: int, process: subprocess.Popen[bytes]) -> None:
    import socket

    for _ in range(200):
        assert process.poll() is None, "the server did not start"
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as sock:
                if sock.recv(4) == b"SSH-":
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError("the server does not listen")


def _openssh(folder: Path, port: int) -> tuple[list[str], str]:
    key = folder / "host"
    subprocess.run([program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    config = folder / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {key}\nPidFile none\nUsePAM no\nPermitRootLogin yes\n"
        "PasswordAuthentication yes\nKbdInteractiveAuthentication no\nPubkeyAuthentication yes\nUseDNS no\n"
        f"AuthorizedKeysFile {folder}/ssh/authorized_keys\nStrictModes no\n"
    )
    kind, blob = key.with_suffix(".pub").read_text().split()[:2]
    return [program("sshd"), "-D", "-e", "-f", str(config)], f"{kind} {blob}"


def _dropbear(folder: Path, port: int) -> tuple[list[str], str]:
    key = folder / "host"
    subprocess.run([program("dropbearkey"), "-t", "ed25519", "-f", str(key)], check=True, capture_output=True)
    shown = subprocess.run([program("dropbearkey"), "-y", "-f", str(key)], check=True, capture_output=True, text=True)
    kind, blob = next(line.split()[:2] for line in shown.stdout.splitlines() if line.startswith("ssh-"))
    argv = [program("dropbear"), "-F", "-E", "-r", str(key), "-p", f"127.0.0.1:{port}", "-P", str(folder / "pid")]
    return argv, f"{kind} {blob}"
