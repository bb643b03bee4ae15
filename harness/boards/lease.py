"""One user of a board at a time: the lease of a run, waiting for it, and leases that people take by hand."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness import names
from harness.agent import Agent
from harness.agent.leases import Keeper, Lease, hold_lease, kept, owner_name
from harness.agent.words import Cleaned, LeaseFacts, Refused
from harness.errors import BoardError
from harness.files.user_folders import state_folder
from harness.runs import folder

LOOK_AGAIN_S = 2.0
CLEAN_LEASE_S = 660  # longer than the board is given for cleaning
RUN_LEASE_S = 3600  # a hand-taken lease is stretched to at least this when a run begins under it


@contextmanager
def hold_board_lease(
    lease: Lease, board: str, *, nonce: str, wait_s: float, tell: Callable[[str], None]
) -> Iterator[Keeper]:
    """Hold the board while this lasts; waits up to `wait_s` for another holder to end. Errors: BoardError.

    Where this user holds the board by `harness boards lease`, that lease serves, for one run at a time, and is kept
    afterwards.
    """
    own, began = load_token(board), time.monotonic()
    ends_at = began + wait_s
    if own and _still_ours(lease, board, own):
        with _one_run(board, ends_at), kept(lease, RUN_LEASE_S, began) as keeper:
            yield keeper
        return
    with _taken(lease, nonce, ends_at, tell) as keeper:
        yield keeper


@contextmanager
def _taken(lease: Lease, nonce: str, ends_at: float, tell: Callable[[str], None]) -> Iterator[Keeper]:
    with ExitStack() as stack:
        keeper = None
        while keeper is None:
            try:  # first of all: a run that was killed and goes on is the holder already, by its nonce
                keeper = stack.enter_context(hold_lease(lease, nonce=nonce))
            except Refused as error:  # somebody has it, or another who waited was quicker
                if error.word != "leased" or time.monotonic() >= ends_at:
                    raise
                _wait_until_free(lease, ends_at, tell)
        yield keeper


def _wait_until_free(lease: Lease, ends_at: float, tell: Callable[[str], None]) -> None:
    """Return when nobody holds the board, or the time is over: taking it then says who does."""
    while (facts := lease.show()).held and time.monotonic() < ends_at:
        tell(f"waiting: leased by {facts.holder}, at most {facts.left_s:.0f} s left")
        time.sleep(min(LOOK_AGAIN_S, max(0.0, ends_at - time.monotonic())))


def _still_ours(lease: Lease, board: str, token: str) -> bool:
    """Whether a lease taken by hand is still this user's; one that ends sooner is stretched to RUN_LEASE_S."""
    lease.link.lease_token = token
    try:
        if lease.show().left_s > RUN_LEASE_S:
            lease.check()
        else:
            save_token(board, lease.renew(RUN_LEASE_S))
        return True
    except Refused:
        lease.link.lease_token = ""
        forget_token(board)
        return False


@contextmanager
def _one_run(board: str, ends_at: float) -> Iterator[None]:
    """One run at a time under a lease taken by hand: two would spoil each other's times. Errors: BoardError."""
    path = _file(board).with_suffix(".lock")
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() >= ends_at:
                    raise BoardError(
                        f"{board}: another of your runs is using the board under your lease",
                        "wait for it with --wait SECONDS",
                    ) from error
            time.sleep(min(LOOK_AGAIN_S, max(0.01, ends_at - time.monotonic())))
        yield


# --------------------------------------------------------------------------- leases taken by hand


def take_lease(lease: Lease, board: str, seconds: int) -> LeaseFacts:
    """Take or stretch the board's lease for this user on this PC. Errors: BoardError when somebody else has it."""
    own = load_token(board)
    lease.link.lease_token = own
    try:
        token = lease.renew(seconds) if own else lease.take(owner_name(), seconds)
    except Refused:
        if not own:
            raise
        lease.link.lease_token = ""
        token = lease.take(owner_name(), seconds)
    save_token(board, token)
    return lease.show()


def release(lease: Lease, board: str, *, force: bool) -> bool:
    """Give the board back; `force` ends another's lease too, and its runs are refused from then on.

    Gives whether there was anything to release. Errors: BoardError when somebody else has it and `force` is not set.
    """
    facts = lease.show()
    own = load_token(board)
    forget_token(board)
    if not facts.held:
        return False
    if force:
        lease.break_off()
        return True
    if not own:
        raise BoardError(
            f"{board} is leased by {facts.holder} for {facts.age_s:.0f} s, at most {facts.left_s:.0f} s left",
            f"wait, or end the lease: harness boards release {board} --force",
        )
    lease.link.lease_token = own
    lease.release()
    return True


def clean(agent: Agent, board: str, *, keep_cache: bool) -> Cleaned:
    """Delete what harness left on the board, under a lease. Errors: BoardError when somebody else has the board.

    A lease taken by hand stays; without one nothing of a lease is left there but its number.
    """
    own = load_token(board)
    if own and _still_ours(agent.lease, board, own):
        with kept(agent.lease, RUN_LEASE_S, time.monotonic()):
            return agent.clean(keep_cache=keep_cache)
    agent.lease.take(owner_name(), CLEAN_LEASE_S)
    return agent.clean(keep_cache=keep_cache, last=True)


def _file(board: str) -> Path:
    return state_folder() / "leases" / f"{names.safe_name(board)}.json"


def load_token(board: str) -> str:
    """The token of a lease that this user took by hand; "" without one."""
    try:
        return str(json.loads(_file(board).read_text())["token"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def save_token(board: str, token: str) -> None:
    """Remember the token of a lease that was taken by hand, in a file that only this user reads."""
    path = _file(board)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder.write_atomically(path, json.dumps({"board": board, "token": token}) + "\n")
    path.chmod(0o600)


def forget_token(board: str) -> None:
    """Forget the token of a lease that was taken by hand; fine where there is none."""
    _file(board).unlink(missing_ok=True)
