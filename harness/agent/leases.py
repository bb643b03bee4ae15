"""Holding a lease while something lasts: renewed in the background, given back at the end."""

from __future__ import annotations

import getpass
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from harness.agent import Agent
from harness.errors import CouldNotMeasure, HarnessError

LEASE_S = 120  # a dead host's lease ends by itself after this time at most


def owner_name() -> str:
    """Who holds a lease, for people: user, PC and process."""
    return f"{getpass.getuser()}@{socket.gethostname()} (process {os.getpid()})"


@contextmanager
def hold_lease(agent: Agent, seconds: int = LEASE_S, owner: str = "", nonce: str = "") -> Iterator[Keeper]:
    """Take the board and keep it until the context ends. Errors: BoardError when somebody else has it.

    A lease that was lost meanwhile (the board rebooted, or this PC slept) is seen at the next call to the agent,
    which the board refuses, and in `Keeper.lost`.
    """
    agent.take_lease(owner or owner_name(), seconds, nonce)
    keeper = Keeper(agent, seconds)
    try:
        yield keeper
    finally:
        keeper.end()


class Keeper:
    """Renews a lease every third of its time."""

    def __init__(self, agent: Agent, seconds: int) -> None:
        self.lost: HarnessError | None = None
        self._agent, self._seconds = agent, seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()

    def _renew(self) -> None:
        while not self._over.wait(self._seconds / 3):
            try:
                self._agent.renew_lease(self._seconds)
            except HarnessError as error:
                self.lost = error
                return

    def end(self) -> None:
        self._over.set()
        self._thread.join(10.0)
        with suppress(CouldNotMeasure):  # the link is gone or the lease is over: it ends by itself
            self._agent.release_lease()
