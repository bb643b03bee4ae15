"""One user of a board at a time: the lease of a run, waiting for it, and leases that people take by hand."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import store
from harness.agent import Agent
from harness.agent.leases import hold_lease, owner_name
from harness.agent.words import LeaseFacts, Refused
from harness.errors import BoardError

LOOK_AGAIN_S = 2.0
RUN_LEASE_S = 3600  # a hand-taken lease is stretched to at least this when a run begins under it


@contextmanager
def hold(agent: Agent, board: str, *, nonce: str, wait_s: float, tell: Callable[[str], None]) -> Iterator[None]:
    """Hold the board while this lasts; waits up to `wait_s` for another holder to end. Errors: BoardError.

    Where this user holds the board by `harness boards lease`, that lease serves and is kept afterwards.
    """
    own = kept_token(board)
    if own and _still_ours(agent, board, own):
        yield
        return
    _wait_until_free(agent, wait_s, tell)
    with hold_lease(agent, nonce=nonce):
        yield


def _wait_until_free(agent: Agent, wait_s: float, tell: Callable[[str], None]) -> None:
    """Return when nobody holds the board, or the time is over: taking it then says who does."""
    ends_at = time.monotonic() + wait_s
    while (facts := agent.show_lease()).held and time.monotonic() < ends_at:
        tell(f"waiting for {facts.holder}, who has the board for at most {facts.left_s:.0f} s more")
        time.sleep(min(LOOK_AGAIN_S, max(0.0, ends_at - time.monotonic())))


def _still_ours(agent: Agent, board: str, token: str) -> bool:
    agent.lease_token = token
    try:
        keep_token(board, agent.renew_lease(RUN_LEASE_S))
        return True
    except Refused:
        agent.lease_token = ""
        forget_token(board)
        return False


# --------------------------------------------------------------------------- leases taken by hand


def take(agent: Agent, board: str, seconds: int) -> LeaseFacts:
    """Take or stretch the board's lease for this user on this PC. Errors: BoardError when somebody else has it."""
    own = kept_token(board)
    agent.lease_token = own
    try:
        token = agent.renew_lease(seconds) if own else agent.take_lease(owner_name(), seconds)
    except Refused:
        if not own:
            raise
        agent.lease_token = ""
        token = agent.take_lease(owner_name(), seconds)
    keep_token(board, token)
    return agent.show_lease()


def release(agent: Agent, board: str, *, force: bool) -> bool:
    """Give the board back; `force` ends another's lease too, and its runs are refused from then on.

    Gives whether there was anything to release. Errors: BoardError when somebody else has it and `force` is not set.
    """
    facts = agent.show_lease()
    own = kept_token(board)
    forget_token(board)
    if not facts.held:
        return False
    if force:
        agent.break_lease()
        return True
    if not own:
        raise BoardError(
            f"{board} is held by {facts.holder} since {facts.age_s:.0f} s, for at most {facts.left_s:.0f} s more",
            f"wait, ask, or end it: harness boards release {board} --force",
        )
    agent.lease_token = own
    agent.release_lease()
    return True


def _file(board: str) -> Path:
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local/state")
    return Path(base) / "harness/leases" / f"{store.safe_name(board)}.json"


def kept_token(board: str) -> str:
    """The token of a lease that this user took by hand; "" without one."""
    try:
        return str(json.loads(_file(board).read_text())["token"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def keep_token(board: str, token: str) -> None:
    path = _file(board)
    path.parent.mkdir(parents=True, exist_ok=True)
    store.write_atomically(path, json.dumps({"board": board, "token": token}) + "\n")
    path.chmod(0o600)


def forget_token(board: str) -> None:
    _file(board).unlink(missing_ok=True)
