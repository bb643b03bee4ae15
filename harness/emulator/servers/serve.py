"""A real sshd, or a real dropbear without sftp-server, in front of an emulated board: on loopback only.

Keys are made for it in a folder of its own; nothing of the user's own ~/.ssh is read or changed. Sessions start in
the board's root with a clean environment. Works as root and as an ordinary user.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import HostError, UserError
from harness.records import Board

START_TIMEOUT_S = 15.0
END_TIMEOUT_S = 5.0
LOOPBACK = "127.0.0.1"
SESSION_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PACKAGES = {
    "sshd": "openssh-server",
    "ssh-keygen": "openssh-client",
    "dropbear": "dropbear-bin",
    "dropbearkey": "dropbear-bin",
}


@dataclass(frozen=True)
class Served:
    """How to reach the server: a transport needs no more than this."""

    address: str
    port: int
    user: str
    identity: str  # private key file
    known_hosts: str
    pid: int  # of the server process

    def reach(self, board: Board) -> Board:
        """The board at this server."""
        fields = {key: getattr(self, key) for key in ("address", "port", "user", "identity", "known_hosts")}
        return replace(board, endpoint=replace(board.endpoint, transport="ssh", **fields))


@contextlib.contextmanager
def serve(
    root: Path,
    server: str = "openssh",
    environment: Mapping[str, str] | None = None,
    *,
    port: int = 0,
    entry: str = "",
    address: str = LOOPBACK,
) -> Iterator[Served]:
    """Serve the folder `root` as a board's home until the context ends; every session of it is ended then too.

    `environment` is added to the sessions' (PATH, HOME and USER are set). `port` 0 takes a free one at `address`, which
    is one of loopback's. `entry` is shell text that enters the board in another way than into its folder; it runs
    $SSH_ORIGINAL_COMMAND.
    Errors: HostError naming the package to install, or what the server said when it did not start.
    """
    if server not in ("openssh", "dropbear"):
        raise UserError(f"unknown server {server!r}", "one of: openssh, dropbear")
    root.mkdir(parents=True, exist_ok=True)
    keys = Path(tempfile.mkdtemp(prefix="harness-serve-"))
    try:
        with serve_with(keys, root.resolve(), server, dict(environment or {}), port, entry, address) as served:
            yield served
    finally:
        shutil.rmtree(keys, ignore_errors=True)


@contextlib.contextmanager
def serve_with(
    keys: Path,
    root: Path,
    server: str,
    environment: dict[str, str],
    port: int = 0,
    entry: str = "",
    address: str = LOOPBACK,
) -> Iterator[Served]:
    """`serve` with a given folder of keys: the same keys again after a restart. Made there when absent."""
    keys.chmod(0o700)
    start = _start_openssh if server == "openssh" else _start_dropbear
    _make_client_key(keys)
    _write_entry(keys, root, environment, entry)
    port = port or free_port(address)
    process, key_line = start(keys, address, port)
    guard = _guard(process.pid)
    try:
        _wait_until_up(process, (address, port), keys / "server.log")
        (keys / "known_hosts").write_text(f"[{address}]:{port} {key_line}\n")
        user = pwd.getpwuid(os.getuid()).pw_name
        yield Served(address, port, user, str(keys / "id"), str(keys / "known_hosts"), process.pid)
    finally:
        guard.kill()
        guard.communicate()
        _end(process, keys)


def free_port(address: str = LOOPBACK) -> int:
    """A TCP port of loopback that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind((address, 0))
        return int(sock.getsockname()[1])


def program(name: str) -> str:
    """The path of a program. Errors: HostError with the package that has it."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/sbin")
    if not path:
        raise HostError(f"{name} is not on this PC", f"apt-get install {_PACKAGES[name]}")
    return path


def _make_client_key(keys: Path) -> None:
    if not (keys / "id").exists():
        _quiet([program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "harness", "-f", str(keys / "id")])


def _quiet(argv: list[str]) -> str:
    result = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    if result.returncode != 0:
        raise HostError(f"{argv[0]} failed: {(result.stderr or result.stdout).strip()[:300]}")
    return result.stdout


def _write_entry(keys: Path, root: Path, environment: dict[str, str], entry: str) -> None:
    """The program that every session runs: the board's root as home, its environment, then the command."""
    exports = {"HOME": str(root), "PATH": SESSION_PATH, "HARNESS_SERVED_BY": str(keys)} | environment
    lines = [f"export {name}={shlex.quote(value)}" for name, value in exports.items()]
    command = 'if [ -n "$SSH_ORIGINAL_COMMAND" ]; then exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"; else exec /bin/sh; fi'
    entering = entry or f"cd {shlex.quote(str(root))} || exit 1\n{command}\n"
    (keys / "enter.sh").write_text("\n".join([*lines, entering]))
    public = (keys / "id.pub").read_text().strip()
    folder = keys / "ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    authorized = folder / "authorized_keys"
    # no port forwarding is forbidden: a board may be a jump host
    authorized.write_text(f'command="/bin/sh {keys}/enter.sh",no-pty {public}\n')
    authorized.chmod(0o600)


# --------------------------------------------------------------------------- the two servers


def _start_openssh(keys: Path, address: str, port: int) -> tuple[subprocess.Popen[bytes], str]:
    sshd = program("sshd")
    host_key = keys / "host_ed25519"
    if not host_key.exists():
        _quiet([program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "harness", "-f", str(host_key)])
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd's privilege separation folder
    config = keys / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress {address}\nHostKey {host_key}\nPidFile none\n"
        f"AuthorizedKeysFile {keys}/ssh/authorized_keys\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPubkeyAuthentication yes\n"
        "PermitRootLogin prohibit-password\nAllowTcpForwarding yes\nX11Forwarding no\nPrintMotd no\n"
        f'SetEnv HOME="{keys}" SHLVL=9\n'
        "MaxStartups 200:30:400\nMaxSessions 64\nUseDNS no\nLogLevel INFO\n"
    )
    sftp = Path("/usr/lib/openssh/sftp-server")
    if sftp.exists():
        config.write_text(config.read_text() + f"Subsystem sftp {sftp}\n")
    kind, blob = host_key.with_suffix(".pub").read_text().split()[:2]
    return _launch([sshd, "-D", "-e", "-f", str(config)], keys), f"{kind} {blob}"


def _start_dropbear(keys: Path, address: str, port: int) -> tuple[subprocess.Popen[bytes], str]:
    dropbear, host_key = program("dropbear"), keys / "host_dropbear"
    if not host_key.exists():
        _quiet([program("dropbearkey"), "-t", "ed25519", "-f", str(host_key)])
    shown = _quiet([program("dropbearkey"), "-y", "-f", str(host_key)])
    kind, blob = next(line.split()[:2] for line in shown.splitlines() if line.startswith("ssh-"))
    # dropbear always reads ~/.ssh/authorized_keys, so it runs where that folder is another one
    argv = [dropbear, "-F", "-E", "-e", "-s", "-r", str(host_key), "-p", f"{address}:{port}", "-P", str(keys / "pid")]
    launcher = [sys.executable, str(Path(__file__).with_name("private_ssh_folder.py")), str(keys / "ssh"), *argv]
    return _launch(launcher, keys), f"{kind} {blob}"


def _launch(argv: list[str], keys: Path) -> subprocess.Popen[bytes]:
    # SHLVL keeps bash, as a login shell under an SSH server, from reading the user's ~/.bashrc
    environment = {"PATH": SESSION_PATH, "SHLVL": "9"}
    with (keys / "server.log").open("ab") as log:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
            env=environment,
        )


def _guard(pid: int) -> subprocess.Popen[bytes]:
    """Ends the server when this process is killed: then the pipe that only this process holds is closed."""
    script = f"read -r _; kill -9 {pid}"
    return subprocess.Popen(["/bin/sh", "-c", script], stdin=subprocess.PIPE, cwd="/", start_new_session=True)


def _wait_until_up(process: subprocess.Popen[bytes], place: tuple[str, int], log: Path) -> None:
    ends_at = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < ends_at:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(place, timeout=2) as sock:
            if sock.recv(4) == b"SSH-":
                return
        time.sleep(0.02)
    log_tail = log.read_text(errors="replace").strip()[-500:] if log.exists() else ""
    raise HostError(f"the SSH server did not start: {log_tail or 'it said nothing'}")


# --------------------------------------------------------------------------- the end


def _end(process: subprocess.Popen[bytes], keys: Path) -> None:
    """End the server, its connections, and everything that was started through it."""
    _kill([process.pid, *_descendants(process.pid)])
    ends_at = time.monotonic() + END_TIMEOUT_S
    looks_without_any = 0
    while looks_without_any < 2 and time.monotonic() < ends_at:  # a program that is just starting has no environment
        remaining = _started_through(str(keys))
        _kill(remaining)
        looks_without_any = 0 if remaining else looks_without_any + 1
        time.sleep(0.02)
    process.wait()


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(entry.name))
    pids, todo = [], [pid]
    while todo:
        children = parents.get(todo.pop(), [])
        pids += children
        todo += children
    return pids


def _started_through(mark_value: str) -> list[int]:
    """Processes of detached runs: they carry the server's mark in their environment."""
    mark = f"HARNESS_SERVED_BY={mark_value}".encode()
    pids = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                pids.append(int(entry.name))
    return pids
