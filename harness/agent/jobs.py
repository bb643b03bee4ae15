"""The description of a run that is sent to the board, and waiting for its end."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from harness.agent.words import RunState, escape, rebooted
from harness.errors import AskedWrongly, BoardError, InputError, ToolError
from harness.records import Invocation

if TYPE_CHECKING:
    from harness.agent import Agent

OVERTIME_S = 60.0  # for a board that is slow to end a tool, before it is no longer believed
WATCH_S = 5  # one long look at a run; the board sleeps meanwhile


def job_text(
    invocation: Invocation, folder: str, timeout_s: float, sense_every_s: float, log_limit_bytes: int
) -> bytes:
    """A job as the agent reads it. Errors: AskedWrongly, InputError for what cannot be run."""
    if not invocation.argv:
        raise AskedWrongly("there is no command to run")
    if timeout_s <= 0:
        raise InputError(f"a time limit of {timeout_s:g} s", "give a positive number of seconds (--timeout)")
    lines = [f"arg={escape(word)}" for word in invocation.argv]
    lines += [f"env={name}={escape(value)}" for name, value in _checked(invocation.environment).items()]
    lines += [f"folder={escape(folder)}", f"timeout_s={max(1, round(timeout_s))}"]
    lines += [f"log_limit_bytes={log_limit_bytes}", f"sense_s={round(sense_every_s) if sense_every_s >= 1 else 0}"]
    return "\n".join([*lines, "end=1", ""]).encode()


def _checked(environment: Mapping[str, str]) -> Mapping[str, str]:
    for name in environment:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise AskedWrongly(f"{name!r} is not a name of an environment variable")
    return environment


def wait(agent: Agent, token: str, tell: Callable[[str], None] | None, limit_s: float) -> RunState:
    """Wait for the end of a run: see Agent.wait."""
    overdue_at = time.monotonic() + limit_s + OVERTIME_S
    state = agent.poll(token, 1)
    while state.state == "running":
        if time.monotonic() > overdue_at:
            said = f"the board says that the tool still runs, {OVERTIME_S:g} s after it was to end it"
            raise BoardError(f"{agent.where}: {said}", "do its /proc/uptime and its `kill` work? Restart the board")
        if tell:
            tell(f"{state.duration_s:.0f} s, {state.log_bytes} bytes of log")
        state = agent.poll(token, WATCH_S)
    if state.state == "log_limit":
        raise ToolError(
            f"{agent.where}: the tool printed without end and was ended", "look at the log in the run folder"
        )
    if state.state == "rebooted":
        raise rebooted(f"{agent.where}: the run did not end: the board was rebooted")
    if state.state == "lost":
        raise BoardError(
            f"{agent.where}: the run did not end: its supervisor was killed on the board",
            "is it short of memory? See its kernel log",
        )
    return state
