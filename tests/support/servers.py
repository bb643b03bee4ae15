"""Boards for tests, all real: a folder, an OpenSSH sshd and a dropbear without sftp-server on loopback."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.agent import Agent
from harness.boards.flat import compose
from harness.emulator.servers import jail
from harness.emulator.servers.serve import Served, serve
from harness.records import Board
from harness.transports import Transport, open_transport
from tests.transports.telnetd import telnet_board

KINDS = ("local", "ssh-openssh", "ssh-dropbear", "openssh-openssh", "openssh-dropbear", "jail")


def needs(*programs: str) -> None:
    """Skip where a program is missing, with its name."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    missing = [p for p in programs if not shutil.which(p, path=path)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (see README: Debian packages)")


def local_board(root: Path, **fields: object) -> Board:
    return compose(name="local", platform="hbdnn", soc="x5", transport="local", address=str(root), **fields)  # type: ignore[arg-type]


def ssh_board(served: Served, transport: str = "ssh", name: str = "served", **fields: object) -> Board:
    return compose(
        name=name,
        platform="hbdnn",
        soc="x5",
        transport=transport,
        address=served.address,
        port=served.port,
        user=served.user,
        identity=served.identity,
        known_hosts=served.known_hosts,
        connect_timeout_s=20.0,
        **fields,  # type: ignore[arg-type]
    )


@contextlib.contextmanager
def board_of(kind: str, root: Path, environment: dict[str, str] | None = None) -> Iterator[Board]:
    """A board of one of KINDS whose home is `root`."""
    root.mkdir(parents=True, exist_ok=True)
    if kind == "local":
        yield local_board(root)
        return
    if kind == "telnet":
        with telnet_board(root) as board:
            yield board
        return
    if kind == "jail":
        with jailed(root.with_name(f"{root.name}-jail"), root) as board:
            yield board
        return
    transport, server = kind.split("-")
    needs("sshd" if server == "openssh" else "dropbear", "ssh-keygen")
    with serve(root, server, environment or {}) as served:
        yield ssh_board(served, transport)


AGENT_KINDS = ("dash", "bash", "mksh", "busybox", "jail")


@contextlib.contextmanager
def jailed(root: Path, home: Path) -> Iterator[Board]:
    """A board that is busybox ash and nothing else behind dropbear; `home` is seen under this PC's own path."""
    why = jail.lacking()
    if why:
        pytest.skip(f"no root of its own for a board here: {why}")
    home.mkdir(parents=True, exist_ok=True)
    jail.build_root(root, (), "console=ttyS1 nmem=16M@0x7000000")
    with serve(root, "dropbear", entry=jail.enter_command(root, str(home), str(home.parents[1]))) as served:
        yield ssh_board(served, "ssh")


def busybox_path(folder: Path) -> str:
    """A folder that holds busybox's programs and nothing else: a small board's PATH."""
    needs("busybox")
    folder.mkdir(parents=True, exist_ok=True)
    program = shutil.which("busybox")
    assert program
    for applet in subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split():
        if not (folder / applet).exists():
            (folder / applet).symlink_to(program)
    return str(folder)


@contextlib.contextmanager
def agent_of(kind: str, root: Path) -> Iterator[Agent]:
    """An installed agent under one shell: dash and bash on a local board, busybox ash on a board of busybox alone."""
    if kind == "busybox":
        small = board_of("ssh-dropbear", root / "home", {"PATH": busybox_path(root / "bin")})
        with small as board, open_transport(board.endpoint) as link:
            yield installed(link, ("busybox", "ash"))
        return
    if kind == "jail":
        with jailed(root / "jail", root / "home") as board, open_transport(board.endpoint) as link:
            yield installed(link)
        return
    needs(kind)
    with open_transport(local_board(root / "home").endpoint) as link:
        yield installed(link, (kind,))


def installed(link: Transport, shell: tuple[str, ...] = ("sh",), **fields: Any) -> Agent:
    agent = Agent(link, "work folder", shell=shell, **fields)
    agent.install()
    agent.hello()
    return agent
