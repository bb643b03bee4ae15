"""Boards for tests, all real: a folder, an OpenSSH sshd and a dropbear without sftp-server on loopback."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.emulator.serve import Served, serve
from harness.records import Board, Limits

KINDS = ("local", "ssh-openssh", "ssh-dropbear", "openssh-openssh", "openssh-dropbear")


def needs(*programs: str) -> None:
    """Skip where a program is missing, with its name."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    missing = [p for p in programs if not shutil.which(p, path=path)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (see README: Debian packages)")


def local_board(root: Path, **fields: object) -> Board:
    return Board(name="local", platform="hbdnn", soc="x5", transport="local", address=str(root), **fields)  # type: ignore[arg-type]


def ssh_board(served: Served, transport: str = "ssh", name: str = "served", **fields: object) -> Board:
    return Board(
        name=name,
        platform="hbdnn",
        soc="x5",
        transport=transport,
        address=served.address,
        port=served.port,
        user=served.user,
        identity=served.identity,
        known_hosts=served.known_hosts,
        limits=Limits(connect_timeout_s=20.0),
        **fields,  # type: ignore[arg-type]
    )


@contextlib.contextmanager
def board_of(kind: str, root: Path, environment: dict[str, str] | None = None) -> Iterator[Board]:
    """A board of one of KINDS whose home is `root`."""
    root.mkdir(parents=True, exist_ok=True)
    if kind == "local":
        yield local_board(root)
        return
    transport, server = kind.split("-")
    needs("sshd" if server == "openssh" else "dropbear", "ssh-keygen")
    with serve(root, server, environment or {}) as served:
        yield ssh_board(served, transport)
