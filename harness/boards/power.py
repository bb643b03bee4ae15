"""Bringing a board back: which of the inventory's power commands to use when, and running them.

The commands (`power:` in hosts.yaml: cycle, off, on, before, after) are argument lists that run on this PC, never
through a shell. The decision is a pure function; a board is never power-cycled more often than the policy allows.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BoardError, HostError, HostKeyError, LinkError, MeasurementError
from harness.records import Endpoint, PowerSupply


@dataclass(frozen=True)
class PowerPolicy:
    """How far recovery may go for one run."""

    max_cycles: int = 1  # a board that needs more is broken, and more harms it
    hook_limit_s: float = 60.0
    boot_limit_s: float = 180.0  # from power on until the board answers
    off_s: float = 5.0  # between off and on, for capacitors to drain
    look_every_s: float = 2.0


def classify(error: MeasurementError) -> str:
    """What kind of trouble an error is. A wrong or changed host key is none that power could cure."""
    if isinstance(error, HostKeyError):
        return "other"
    if isinstance(error, LinkError):
        return "no_link"
    if isinstance(error, BoardError):
        return "rebooted" if "rebooted" in error.message else "other"
    return "other"


def power_steps(
    trouble: str, power: Mapping[str, Sequence[str]], cycles_used: int, policy: PowerPolicy
) -> tuple[str, ...]:
    """Which commands to run, in order; () when there is nothing to be done.

    A board that rebooted by itself is up again: nothing is done to it. `cycle` is preferred to `off` and `on`.
    """
    if trouble not in ("no_link", "hung") or cycles_used >= policy.max_cycles:
        return ()
    if power.get("cycle"):
        return ("cycle",)
    if power.get("off") and power.get("on"):
        return ("off", "on")
    return ()


def run_command(endpoint: Endpoint, supply: PowerSupply, name: str, policy: PowerPolicy | None = None) -> str:
    """Run one of the board's commands on this PC; its output. Nothing when the board has none of that name.

    It gets the board in HARNESS_BOARD and HARNESS_ADDRESS. Errors: HostError when it is missing, fails or hangs.
    """
    argv = supply.commands.get(name)
    if not argv:
        return ""
    limit_s = (policy or PowerPolicy()).hook_limit_s
    what = f"board {endpoint.name}: power command {name!r} ({argv[0]})"
    try:
        result = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit_s,
            env=_environment(endpoint),
            cwd=Path.home(),
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise HostError(f"{what} timed out after {limit_s:g} s", "run it by hand") from error
    except OSError as error:
        raise HostError(f"{what} cannot be run: {error.strerror}", "correct `power:` in hosts.yaml") from error
    output = (result.stdout + result.stderr).decode("utf-8", "replace").strip()
    if result.returncode != 0:
        raise HostError(f"{what} failed with exit code {result.returncode}: {output[-300:]}", "run it by hand")
    return output


def _environment(endpoint: Endpoint) -> dict[str, str]:
    """This PC's environment without passwords."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HARNESS_PASSWORD")}
    return kept | {"HARNESS_BOARD": endpoint.name, "HARNESS_ADDRESS": endpoint.address}


def recover(
    endpoint: Endpoint,
    supply: PowerSupply,
    error: MeasurementError,
    answers: Callable[[], bool],
    cycles_used: int = 0,
    policy: PowerPolicy | None = None,
) -> bool:
    """Try to bring a board back after an error; True when it was power-cycled and answers again.

    `answers` asks the board once. False: nothing may be done, or the board stayed away. Errors: HostError.
    """
    rules = policy or PowerPolicy()
    steps = power_steps(classify(error), supply.commands, cycles_used, rules)
    if not steps:
        return False
    for step in steps:
        if step == "on":
            time.sleep(rules.off_s)
        run_command(endpoint, supply, step, rules)
    return _wait_until(answers, rules)


def _wait_until(answers: Callable[[], bool], policy: PowerPolicy) -> bool:
    ends_at = time.monotonic() + policy.boot_limit_s
    while True:
        with suppress(MeasurementError):
            if answers():
                return True
        if time.monotonic() + policy.look_every_s > ends_at:
            return False
        time.sleep(policy.look_every_s)


@contextmanager
def power_hooks(endpoint: Endpoint, supply: PowerSupply, policy: PowerPolicy | None = None) -> Iterator[None]:
    """Run the board's `before` command, then the context, then `after`, also when the context fails.

    Errors: HostError; when both the context and `after` fail, the context's error is the one that is raised.
    """
    run_command(endpoint, supply, "before", policy)
    try:
        yield
    except BaseException:
        with suppress(HostError):
            run_command(endpoint, supply, "after", policy)
        raise
    run_command(endpoint, supply, "after", policy)
