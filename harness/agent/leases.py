"""Holding a lease while something lasts: renewed in the background, given back at the end."""

from __future__ import annotations

import getpass
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from harness.agent import Agent
from harness.agent.words import REBOOTED, Refused
from harness.errors import CouldNotMeasure, HarnessError, LinkError
from harness.transports.base import CommandTimeout

LEASE_S = 120  # a dead host's lease ends by itself after this time at most
TRY_AGAIN_S = 2.0  # after a renewal that the link did not carry


def owner_name() -> str:
    """Who holds a lease, for people: user, PC and process."""
    return f"{getpass.getuser()}@{socket.gethostname()} (process {os.getpid()})"


@contextmanager
def hold_lease(agent: Agent, seconds: int = LEASE_S, owner: str = "", nonce: str = "") -> Iterator[Keeper]:
    """Take the board and keep it until the context ends. Errors: BoardError when somebody else has it.

    A lease that was lost meanwhile (the board rebooted, or this PC slept) is seen at the next call to the agent,
    which the board refuses, and in `Keeper.lost`.
    """
    began = time.monotonic()
    agent.take_lease(owner or owner_name(), seconds, nonce)
    with kept(agent, seconds, began) as keeper:
        try:
            yield keeper
        finally:
            keeper.end()
            with suppress(CouldNotMeasure):  # the link is gone or the lease is over: it ends by itself
                agent.release_lease()


@contextmanager
def kept(agent: Agent, seconds: int, began: float) -> Iterator[Keeper]:
    """Renew a lease that was taken at `began` (of time.monotonic()), and do not give it back.

    Where what is done in the context fails because the board was rebooted, or is another's by now, that is what is
    raised, whatever it looks like: a power cut empties files, and the next holder ends commands.
    """
    keeper = Keeper(agent, seconds, began)
    try:
        yield keeper
    except CouldNotMeasure as error:
        no_answer = isinstance(error, LinkError) and not isinstance(error, CommandTimeout)
        if not no_answer:
            _say_if_lost(agent, error)
        raise
    finally:
        keeper.end()


def _say_if_lost(agent: Agent, error: CouldNotMeasure) -> None:
    """Errors: Refused, for a reboot first."""
    if isinstance(error, Refused) and error.word == REBOOTED:
        return
    try:
        agent.refuse_other_boot()
        if not isinstance(error, Refused):
            agent.check_lease()
    except Refused as refused:
        raise refused from error
    except HarnessError:
        return


class Keeper:
    """Renews a lease every third of its time, also when the link was gone in between."""

    def __init__(self, agent: Agent, seconds: int, began: float) -> None:
        self.lost: HarnessError | None = None
        self.ends_at = began + seconds  # of time.monotonic(): until then nobody else can have had the board
        self._agent, self._seconds = agent, seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()

    @property
    def surely_holds(self) -> bool:
        """Whether the board is ours whatever happened, for what cannot be asked of the board."""
        return self.lost is None and time.monotonic() < self.ends_at

    def _renew(self) -> None:
        pause_s = self._seconds / 3
        while not self._over.wait(pause_s):
            began = time.monotonic()
            try:
                if self._agent.show_lease().left_s > self._seconds:  # a longer one, taken by hand, is left as it is
                    self._agent.check_lease()
                else:
                    self._agent.renew_lease(self._seconds)
                self.ends_at = began + self._seconds
                pause_s = self._seconds / 3
            except LinkError:  # it may come back, and a run that goes on meanwhile is still ours
                pause_s = min(TRY_AGAIN_S, self._seconds / 3)
            except HarnessError as error:
                self.lost = error
                return

    def end(self) -> None:
        """Renew no more."""
        self._over.set()
        self._thread.join(self._agent.patience.at_most(10.0))
