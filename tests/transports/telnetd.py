"""A real busybox telnetd on loopback whose sessions begin in a given folder."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.boards.flat import compose
from harness.emulator.servers.serve import free_port
from harness.records import Board

# Asks as a board's login does; the terminal echoes the name and not the password.
LOGIN = """\
printf 'Ingenic T40\\n# not a prompt\\nboard login: '; read -r user
printf 'Password: '; stty -echo; read -r password; stty echo; echo
[ "$user/$password" = "root/let me in" ] || { echo 'Login incorrect'; printf 'board login: '; read -r user; exit 1; }
"""


@contextlib.contextmanager
def telnet_board(root: Path, login: str = "", shell: str = "/bin/sh", **fields: object) -> Iterator[Board]:
    """A board whose home is `root`; `login` is shell text that runs before its shell."""
    busybox = shutil.which("busybox")
    if not busybox or "telnetd" not in subprocess.run([busybox, "--list"], capture_output=True, text=True).stdout:
        pytest.skip("needs busybox with telnetd (Debian: busybox-static)")
    root.mkdir(parents=True, exist_ok=True)
    entry = root.with_name(f"{root.name}-login.sh")
    entry.write_text(f"#!/bin/sh\n{login}cd {shlex.quote(str(root))} || exit 1\nexport HOME=$PWD\nexec {shell}\n")
    entry.chmod(0o755)
    port = free_port()
    server = subprocess.Popen(
        [busybox, "telnetd", "-F", "-b", "127.0.0.1", "-p", str(port), "-l", str(entry)], stdin=subprocess.DEVNULL
    )
    try:
        _wait(port)
        yield compose(
            **{"name": "cam", "platform": "hbdnn", "soc": "x5", "transport": "telnet", "address": "127.0.0.1"}  # type: ignore[arg-type]
            | {"port": port, "connect_timeout_s": 20.0}
            | fields
        )
    finally:
        server.kill()
        server.wait()


def _wait(port: int) -> None:
    ends_at = time.monotonic() + 20
    while time.monotonic() < ends_at:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError("busybox telnetd does not listen")
