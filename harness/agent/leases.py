"""One user of a board at a time: its lease, and holding it while something lasts, renewed in the background."""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from harness.agent import words
from harness.agent.link import ASK_TIMEOUT_S, GONE, AgentLink
from harness.agent.words import REBOOTED, Answer, LeaseFacts, Refused, escape, refusal
from harness.errors import HarnessError, LinkError, MeasurementError
from harness.transports.base import CommandResult, CommandTimeout

GUARD_REFUSED = 97  # exit code of `guard` when the lease is over
_BOOT_ID = 'cat "${HARNESS_BOOT_ID:-/proc/sys/kernel/random/boot_id}"'
LEASE_S = 120  # a dead host's lease ends by itself after this time at most
TRY_AGAIN_S = 2.0  # after a renewal that the link did not carry


class Lease:
    """The lease of one board. Once it is taken, every call over the link carries its token. Errors: see Agent."""

    def __init__(self, link: AgentLink) -> None:
        self.link = link

    def take(self, owner: str, seconds: int, nonce: str = "") -> str:
        """Take the board for `seconds`, counted by the board; gives the token. Errors: BoardError when it is leased.

        Runs that an earlier holder left behind are ended; the same `nonce` (hex) is the same holder. Every later call
        over this link carries the token.
        """
        nonce = nonce or secrets.token_hex(8)
        self.link.lease_token = self.link.lease_boot = ""  # taking ends every call that carries another token
        answer = self.link.ask("lease", "take", escape(owner), str(seconds), nonce, timeout_s=120.0)
        return self._leased(answer)

    def _leased(self, answer: Answer) -> str:
        self.link.lease_token, self.link.lease_boot = answer.text("lease"), words.boot_id(answer.find("boot"))
        return self.link.lease_token

    def check(self) -> None:
        """Errors: BoardError when the lease that this link holds is over, or somebody else has the board."""
        self.link.lease_boot = words.boot_id(self.link.ask("lease", "check").find("boot"))

    def run_guarded(self, argv: Sequence[str], timeout_s: float) -> CommandResult:
        """Run a command of the inventory on the board, not repeated. Errors: BoardError when the board is not ours."""
        result = self.link.transport.run(self.link.command("guard", *argv), timeout_s=timeout_s)
        answer = words.read_answer(result.out)
        if result.code == GUARD_REFUSED and answer.whole and answer.error:
            raise refusal(self.link.where, "guard", answer)
        if result.code in GONE and not result.out and self.link.lease_token:
            self.check()  # an agent's file that a power cut has left empty does nothing, and ends well
        return result

    def refuse_other_boot(self) -> None:
        """Errors: Refused where the board was restarted since the lease was taken. The agent's own file, which a power
        cut may have damaged, is not asked."""
        result = self.link.run(["sh", "-c", _BOOT_ID], ASK_TIMEOUT_S, None)
        now = words.boot_id(result.out.decode("ascii", "replace").strip())
        if self.link.lease_boot and now and now != self.link.lease_boot:
            raise words.rebooted(f"{self.link.where}: the board rebooted during the run")

    def renew(self, seconds: int) -> str:
        """Hold the board for `seconds` from now; gives the new token. Errors: BoardError when the lease is over."""
        return self._leased(self.link.ask("lease", "renew", str(seconds)))

    def release(self) -> None:
        """Give the board back. Errors: BoardError when the lease was over."""
        self.link.ask("lease", "release")
        self.link.lease_token = ""

    def break_off(self) -> None:
        """End whoever's lease: the holder's later calls are refused."""
        self.link.lease_token = ""
        self.link.ask("lease", "break")

    def show(self) -> LeaseFacts:
        """Who holds the board."""
        return words.read_lease(self.link.ask("lease", "show"))


def owner_name() -> str:
    """Who holds a lease, for people: user, PC and process."""
    return f"{getpass.getuser()}@{socket.gethostname()} (process {os.getpid()})"


@contextmanager
def hold_lease(lease: Lease, seconds: int = LEASE_S, owner: str = "", nonce: str = "") -> Iterator[Keeper]:
    """Take the board and keep it until the context ends. Errors: BoardError when somebody else has it.

    A lease that was lost meanwhile (the board rebooted, or this PC slept) is seen at the next call to the agent,
    which the board refuses, and in `Keeper.lost`.
    """
    began = time.monotonic()
    lease.take(owner or owner_name(), seconds, nonce)
    with kept(lease, seconds, began) as keeper:
        try:
            yield keeper
        finally:
            keeper.end()
            with suppress(MeasurementError):  # the link is gone or the lease is over: it ends by itself
                lease.release()


@contextmanager
def kept(lease: Lease, seconds: int, began: float) -> Iterator[Keeper]:
    """Renew a lease that was taken at `began` (of time.monotonic()), and do not give it back.

    Where what is done in the context fails because the board was rebooted, or is another's by now, that is what is
    raised, whatever it looks like: a power cut empties files, and the next holder ends commands.
    """
    keeper = Keeper(lease, seconds, began)
    try:
        yield keeper
    except MeasurementError as error:
        no_answer = isinstance(error, LinkError) and not isinstance(error, CommandTimeout)
        if not no_answer:
            _say_if_lost(lease, error)
        raise
    finally:
        keeper.end()


def _say_if_lost(lease: Lease, error: MeasurementError) -> None:
    """Errors: Refused, for a reboot first."""
    if isinstance(error, Refused) and error.word == REBOOTED:
        return
    try:
        lease.refuse_other_boot()
        if not isinstance(error, Refused):
            lease.check()
    except Refused as refused:
        raise refused from error
    except HarnessError:
        return


class Keeper:
    """Renews a lease every third of its time, also when the link was gone in between."""

    def __init__(self, lease: Lease, seconds: int, began: float) -> None:
        self.lost: HarnessError | None = None
        self.ends_at = began + seconds  # of time.monotonic(): until then nobody else can have had the board
        self._lease, self._seconds = lease, seconds
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
                if self._lease.show().left_s > self._seconds:  # a longer one, taken by hand, is left as it is
                    self._lease.check()
                else:
                    self._lease.renew(self._seconds)
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
        self._thread.join(self._lease.link.patience.at_most(10.0))
