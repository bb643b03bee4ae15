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


@contextmanager
def served() -> Iterator[str]:
    """The URL of a server that lives as long as the block."""
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
        settings = f"-c listen_addresses='' -k {folder} -c fsync=off -c synchronous_commit=off"
        _as_ordinary_user(folder, [f"{where}/pg_ctl", *["-D", "data", "-l", "log", "-w", "start", "-o"], settings])
        try:
            yield f"postgresql+psycopg://farm@/postgres?host={folder}"
        finally:
            _as_ordinary_user(folder, [f"{where}/pg_ctl", *["-D", "data", "-m", "immediate", "-w", "stop"]])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
