"""A farm on this PC: a scheduler, workers that are hosts of their own on loopback addresses, and the real commands."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from tests.nightly.lab import Lab

LOST_S = "4"


@dataclass
class Farm:
    """Processes of a farm around a lab. `security`: words of TLS for every command, empty for plain TCP."""

    lab: Lab
    url: str = ""
    security: tuple[str, ...] = ()
    port: int = field(default_factory=lambda: free_port())
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.url = self.url or f"sqlite:///{self.lab.folder}/farm.sqlite"

    @property
    def address(self) -> str:
        return f"{'tls' if self.security else 'tcp'}://127.0.0.1:{self.port}"

    def start(self, name: str, *argv: str, **variables: str) -> subprocess.Popen[str]:
        """A command with a state of its own; what it prints goes into NAME.log."""
        home = self.lab.folder / "hosts" / name
        own = {"XDG_STATE_HOME": str(home / "state"), "HARNESS_HISTORY": self.url, **variables}
        with (self.lab.folder / f"{name}.log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "harness", "farm", *argv, *self.security],
                cwd=self.lab.folder,
                env={**os.environ, **own},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.processes.append(process)
        return process

    def scheduler(self, *more: str) -> subprocess.Popen[str]:
        words = ("--listen", self.address, "--lost-after", LOST_S, "--no-worker-after", "20", *more)
        process = self.start("scheduler", "scheduler", *words)
        self.wait_for("scheduler", "scheduler: ", self.log("scheduler").count("scheduler: ") + 1)
        return process

    def worker(self, name: str, *boards: str, host: str = "127.0.0.2", **variables: str) -> subprocess.Popen[str]:
        """A PC: an address, a cache and a state of its own."""
        own = {"HARNESS_HOME": str(self.lab.folder / "hosts" / name / "home"), **variables}
        words = ("--scheduler", self.address, "--listen", host, "--runs", f"hosts/{name}/runs", "--name", name)
        connections = self.log(name).count("connected with")
        process = self.start(name, "worker", *boards, *words, "--lost-after", LOST_S, **own)
        self.wait_for(name, "connected with", connections + 1)
        return process

    def submit(self, *argv: str, name: str = "submit", **variables: str) -> subprocess.Popen[str]:
        words = argv if "--resume" in argv else ("suite.yaml", *argv)
        return self.start(name, "submit", *words, "--scheduler", self.address, "--lost-after", LOST_S, **variables)

    def log(self, name: str) -> str:
        path = self.lab.folder / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def wait_for(self, name: str, text: str, count: int = 1) -> None:
        ends_at = time.monotonic() + 120
        while self.log(name).count(text) < count:
            assert time.monotonic() < ends_at, f"{name} never wrote {text!r}: {self.log(name)}"
            time.sleep(0.1)

    def ended(self, process: subprocess.Popen[str], name: str = "submit") -> int:
        """Exit code of a command that ends by itself."""
        process.communicate(timeout=240)
        assert "Traceback" not in self.log(name), self.log(name)
        return process.returncode

    def attempts(self) -> list[tuple[str, int, str]]:
        """case and board, attempt and state of every job but health checks, from SQLite's file."""
        with sqlite3.connect(self.lab.folder / "farm.sqlite") as connection:
            rows = connection.execute("SELECT run_key, attempt, state FROM harness_farm_jobs ORDER BY id").fetchall()
        jobs = [(key.split("/", 2)[2], attempt, state) for key, attempt, state in rows]
        return [job for job in jobs if not job[0].startswith("health/")]

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


@contextmanager
def farm(lab: Lab, url: str = "", security: tuple[str, ...] = ()) -> Iterator[Farm]:
    pytest.importorskip("distributed", reason="dask is not installed (pip install 'harness[dask]')")
    own = Farm(lab, url, security)
    try:
        yield own
    finally:
        own.close()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
