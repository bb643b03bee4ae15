"""The description of a run that is sent to the board."""

from __future__ import annotations

import re
from collections.abc import Mapping

from harness.agent.words import escape
from harness.errors import AskedWrongly, InputError
from harness.records import Invocation


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
