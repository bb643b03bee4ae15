"""Places of a labgrid coordinator as boards: `managed: {by: labgrid, place: x5-07}` in hosts.yaml.

The place is held by a process of its own, the keeper: it speaks to the coordinator, and gives the place back when the
pipe to this process closes, however this process ended.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from harness.boards.managers import BoardManager
from harness.errors import BoardInUseError, ConfigError, HarnessError, HostError, LinkError
from harness.files.user_folders import state_folder
from harness.records import Endpoint
from harness.transports.base import printable
from harness_labgrid.keeper import alive

COORDINATOR = "127.0.0.1:20408"  # labgrid's own default
ANSWER_S = 40.0  # to reach the coordinator and to learn its places
RELEASE_S = 20.0
ADDRESS_HINT = "is its exporter running? or give the board `address:` in hosts.yaml"
LONGEST_LINE = 64 * 1024

_KINDS: dict[str, type[HarnessError]] = {"in use": BoardInUseError, "usage": ConfigError, "host": HostError}


@dataclass
class Keeper:
    """The process that holds a place; its answers are lines of JSON."""

    process: subprocess.Popen[bytes]
    waiting: bytes = b""

    def answer(self, ends_at: float) -> dict[str, Any]:
        """The next line. Errors: HostError where there is none in time, or the process ended without one."""
        assert self.process.stdout is not None
        while b"\n" not in self.waiting:
            left_s = ends_at - time.monotonic()
            if left_s <= 0 or len(self.waiting) > LONGEST_LINE:
                raise HostError("labgrid: no answer of its keeper in time", "is the coordinator in trouble?")
            if not select.select([self.process.stdout], [], [], left_s)[0]:
                continue
            piece = os.read(self.process.stdout.fileno(), 65536)
            if not piece:
                raise HostError(f"labgrid: its keeper ended: {self._last_words()}", "pip install labgrid")
            self.waiting += piece
        line, _, self.waiting = self.waiting.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self) -> str:
        assert self.process.stderr is not None
        self.process.wait(RELEASE_S)
        lines = self.process.stderr.read(LONGEST_LINE).decode("utf-8", "replace").strip().splitlines()
        return printable(lines[-1]) if lines else f"exit code {self.process.returncode}"

    def end(self) -> dict[str, Any]:
        """Close the pipe: the keeper gives the place back, and says what became of it."""
        assert self.process.stdin is not None and self.process.stdout is not None
        last: dict[str, Any] = {}
        with suppress(OSError):
            self.process.stdin.close()
        ends_at = time.monotonic() + RELEASE_S
        with suppress(HostError, ValueError):
            while "ended" not in last:
                last = self.answer(ends_at)
        return last


@contextmanager
def held(
    endpoint: Endpoint, keys: Mapping[str, object], wait_s: float, tell: Callable[[str], None]
) -> Iterator[Endpoint]:
    """Hold a place; gives how its board is reached. Address, port and user of hosts.yaml win over the place's."""
    user = f"harness-{endpoint.name}-{secrets.token_hex(4)}"  # who shares a name can free another's place
    folder = state_folder() / "labgrid"
    with alive(folder, user):
        wish = {"user": user, "state": str(folder), "wait_s": wait_s}
        with _kept(endpoint, Keeper(_started(wish, keys)), wait_s, tell) as reached:
            yield reached


@contextmanager
def _kept(endpoint: Endpoint, keeper: Keeper, wait_s: float, tell: Callable[[str], None]) -> Iterator[Endpoint]:
    began = time.monotonic()
    try:
        answer = keeper.answer(began + ANSWER_S)
        while "waiting" in answer:
            tell(f"waiting: {answer['waiting']}")
            answer = keeper.answer(max(time.monotonic(), began + wait_s) + ANSWER_S)
        if "error" in answer:
            kind = _KINDS.get(str(answer.get("kind")), HostError)
            raise kind(
                f"board {endpoint.name}: {printable(str(answer['error']))}", printable(str(answer.get("hint", "")))
            )
        yield _reached(endpoint, answer)
    except BaseException:
        keeper.end()
        raise
    last = keeper.end()
    if last.get("ended") == "lost":
        raise BoardInUseError(
            f"board {endpoint.name}: {printable(str(last.get('why', 'its place was lost')))}",
            "somebody else may have used the board during the run: run again",
        )


def _started(wish: Mapping[str, object], keys: Mapping[str, object]) -> subprocess.Popen[bytes]:
    """In a session of its own: what ends this process or its group leaves the keeper time to give the place back."""
    wish = {
        **wish,
        "coordinator": str(keys.get("coordinator") or os.environ.get("LG_COORDINATOR") or COORDINATOR),
        "place": str(keys["place"]),
        "resource": str(keys.get("resource") or ""),
    }
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    command = [sys.executable, "-m", "harness_labgrid.keeper", json.dumps(wish)]
    return subprocess.Popen(command, start_new_session=True, **pipes)


def _reached(endpoint: Endpoint, answer: Mapping[str, Any]) -> Endpoint:
    """Errors: ConfigError where the place says several addresses, LinkError where nobody says one."""
    if endpoint.address:
        return endpoint
    network = answer.get("network")
    if not isinstance(network, dict):
        kind, hint = (ConfigError, "") if answer.get("several") else (LinkError, ADDRESS_HINT)
        raise kind(f"board {endpoint.name}: {printable(str(answer.get('no_network')))}", hint)
    return replace(
        endpoint,
        address=str(network["address"]),
        port=int(network.get("port") or endpoint.port),
        user=endpoint.user or str(network.get("username") or ""),
        jump=endpoint.jump or str(network.get("jump") or ""),
    )


LABGRID = BoardManager(held, keys={"place": str, "coordinator": str, "resource": str}, needed=("place",))
