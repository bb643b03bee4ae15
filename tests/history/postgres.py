"""A PostgreSQL server of Debian's package, in a folder of its own, reached by its socket alone."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest


def programs() -> Path | None:
    """The folder of initdb and pg_ctl, the newest version's."""
    folders = sorted(path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return folders[-1] if folders else None


def _as_ordinary_user(folder: Path, argv: Sequence[str]) -> None:
    """The server refuses to be root's: then it is that of Debian's user for it, or of nobody."""
    if os.getuid() == 0:
        argv = ["runuser", "-u", _user(), "--", *argv]
    subprocess.run(argv, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)


def _user() -> str:
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        return "nobody"


class Server:
    """A server that can be stopped and started again."""

    def __init__(self, where: Path, folder: Path) -> None:
        self._where, self._folder = where, folder
        self.url = f"postgresql+psycopg://farm@/postgres?host={folder}"

    def start(self) -> None:
        settings = f"-c listen_addresses='' -k {self._folder} -c fsync=off -c synchronous_commit=off"
        words = ["-D", "data", "-l", "log", "-w", "start", "-o", settings]
        _as_ordinary_user(self._folder, [f"{self._where}/pg_ctl", *words])

    def stop(self) -> None:
        _as_ordinary_user(self._folder, [f"{self._where}/pg_ctl", *["-D", "data", "-m", "immediate", "-w", "stop"]])


@contextmanager
def served() -> Iterator[str]:
    """The URL of a server that lives as long as the block."""
    with serving() as server:
        yield server.url


@contextmanager
def serving() -> Iterator[Server]:
    """A server that lives as long as the block, and runs at its begin and its end."""
    where = programs()
    if where is None:
        pytest.skip("needs postgresql (see README: Debian packages)")
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    folder = Path(tempfile.mkdtemp(prefix="harness-postgres-"))
    try:
        if os.getuid() == 0:
            shutil.chown(folder, _user())
        words = ["-D", "data", "-A", "trust", "-U", "farm", "--no-sync", "-E", "UTF8", "--no-locale"]
        _as_ordinary_user(folder, [f"{where}/initdb", *words])
        server = Server(where, folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a PostgreSQL, "" for SQLite: tests of a database run on both."""
    if request.param == "sqlite":
        yield ""
        return
    with served() as url:
        yield url
