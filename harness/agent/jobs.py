"""Commands that run on the board, detached, under a token that this side makes: losing the link neither kills nor
doubles them. What was sensed meanwhile, and now."""

from __future__ import annotations

import math
import re
import secrets
import time
from collections.abc import Callable, Mapping

from harness.agent import words
from harness.agent.link import ASK_TIMEOUT_S, AgentLink
from harness.agent.words import Clocks, RunState, SensorReading, escape, rebooted
from harness.errors import AgentError, BoardError, InputError, ToolError, UserError
from harness.records import Invocation
from harness.transports.base import OUTPUT_LIMIT_BYTES

LOG_LIMIT_BYTES = 64 * 2**20
OVERTIME_S = 60.0  # for a board that is slow to end a tool, before it is no longer believed
WATCH_S, LONGEST_WATCH_S = 5, 20  # one long look at a run; the board sleeps meanwhile


def job_text(
    invocation: Invocation, folder: str, timeout_s: float, sense_every_s: float, log_limit_bytes: int
) -> bytes:
    """A job as the agent reads it. Errors: UserError, InputError for what cannot be run."""
    if not invocation.argv:
        raise UserError("no command to run")
    if timeout_s <= 0:
        raise InputError(f"invalid time limit of {timeout_s:g} s", "give a positive number of seconds (--timeout)")
    lines = [f"arg={escape(word)}" for word in invocation.argv]
    lines += [f"env={name}={escape(value)}" for name, value in _checked(invocation.environment).items()]
    lines += [f"folder={escape(folder)}", f"timeout_s={max(1, round(timeout_s))}"]
    lines += [f"log_limit_bytes={log_limit_bytes}", f"sense_s={round(sense_every_s) if sense_every_s >= 1 else 0}"]
    return "\n".join([*lines, "end=1", ""]).encode()


def _checked(environment: Mapping[str, str]) -> Mapping[str, str]:
    for name in environment:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise UserError(f"{name!r} is not a valid environment variable name")
    return environment


class Jobs:
    """The jobs of one board and its sensors. Errors of every method: see Agent."""

    def __init__(self, link: AgentLink) -> None:
        self._link = link

    def start(
        self,
        invocation: Invocation,
        folder: str,
        timeout_s: float,
        *,
        sense_every_s: float = 0.0,
        log_limit_bytes: int = LOG_LIMIT_BYTES,
        token: str = "",
    ) -> str:
        """Start a command, detached, in a folder under `new_folder` that is not there yet; gives its token.
        Its output goes to `log.txt` there. The board itself ends it, with all that it started, after `timeout_s`.
        `HARNESS_PATH` in the environment is put before the board's PATH, `HARNESS_LIBRARIES` before LD_LIBRARY_PATH.
        """
        token = token or secrets.token_hex(8)
        job = job_text(invocation, folder, timeout_s, sense_every_s, log_limit_bytes)
        self._link.ask("start", token, stdin=job)
        return token

    def poll(self, token: str, wait_s: int = 0) -> RunState:
        """How a run is; with `wait_s` the board answers when it ends, or after that time."""
        answer = self._link.ask("poll", token, str(wait_s), timeout_s=ASK_TIMEOUT_S + wait_s)
        return words.read_state(answer)

    def wait(self, token: str, tell: Callable[[str], None] | None = None, limit_s: float = math.inf) -> RunState:
        """Wait for the end of a run, over broken links too; `limit_s` is the time after which the board ends it.

        Errors: Refused when the board was rebooted; BoardError when it lost the run or does not end it; ToolError when
        the tool printed without end.
        """
        overdue_at = time.monotonic() + limit_s + OVERTIME_S
        state = self.poll(token, 1)
        while state.state == "running":
            if time.monotonic() > overdue_at:
                message = f"the board did not stop the tool within {OVERTIME_S:g} s of its time limit"
                raise BoardError(
                    f"{self._link.where}: {message}", "check /proc/uptime and `kill` on the board, or reboot it"
                )
            state = self._look(token, state, tell)
        if state.state == "log_limit":
            raise ToolError(
                f"{self._link.where}: the tool exceeded the output limit and was stopped",
                "see the log in the run folder",
            )
        if state.state == "rebooted":
            raise rebooted(f"{self._link.where}: the run was lost: the board rebooted")
        if state.state == "lost":
            raise BoardError(
                f"{self._link.where}: the run was lost: its supervisor was killed on the board",
                "check the board's memory, and its kernel log",
            )
        return state

    def _look(self, token: str, state: RunState, tell: Callable[[str], None] | None) -> RunState:
        """One long look, the longer the run is; `tell` is called every second meanwhile and may end it by raising."""
        watch_s = round(min(LONGEST_WATCH_S, max(WATCH_S, state.duration_s / 2)))
        if tell is None:
            return self.poll(token, watch_s)
        began = time.monotonic()

        def waiting() -> None:
            tell(f"{state.duration_s + time.monotonic() - began:.0f} s, {state.log_bytes} bytes of log")

        waiting()
        with self._link.patience.while_waiting(waiting):
            return self.poll(token, watch_s)

    def stop(self, token: str) -> None:
        """End a run and everything it started; one that has ended stays as it is."""
        self._link.ask("stop", token)

    def samples(self, token: str) -> list[SensorReading]:
        """What was sensed during a run (`sense_every_s`)."""
        return words.read_samples(self._link.ask("samples", token, limit_bytes=OUTPUT_LIMIT_BYTES).rest)

    def sense(self) -> SensorReading:
        """Temperatures, frequencies and loads now. Errors: AgentError where the board tells none."""
        samples = words.read_samples(self._link.ask("sense").rest)
        if not samples:
            raise AgentError(f"{self._link.where}: the agent read no sensors")
        return samples[0]

    def clocks(self) -> Clocks:
        """Governors and highest frequencies of the board's clocks."""
        return words.read_clocks(self._link.ask("clocks"))
