"""Which modes of a case run, in which order, how often, and with which workload."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.records import ModeOfRun, Setting, SoakPlan, SweepPlan, Workload
from harness.records.workload import PROFILE_MODE


@dataclass(frozen=True)
class Turn:
    """One start of a mode; `name` is its own in run.json and of its folder, `label` is for people."""

    mode: str
    name: str
    workload: Workload
    label: str = ""


def turns(
    modes: Sequence[str], times: Mapping[str, int], workload: Workload, sweep: SweepPlan | None
) -> Iterator[Turn]:
    """The turns of a case in order. `times` says how often a mode runs (--repeat, --rounds); others run once.

    Rounds of a sweep go through all settings before the next begins: what warms the board up meets all of them.
    """
    if sweep is not None:
        yield from _settings(sweep.settings, times.get(PROFILE_MODE, 1), workload)
        return
    for mode in modes:
        for turn in range(times.get(mode, 1)):
            yield Turn(mode, mode if turn == 0 else f"{mode}-{turn + 1}", workload)


def _settings(settings: Sequence[Setting], rounds: int, workload: Workload) -> Iterator[Turn]:
    for round_ in range(rounds):
        for place, setting in enumerate(settings):
            count = f"{round_ * len(settings) + place + 1} of {rounds * len(settings)}"
            name = setting.modes(place, rounds)[round_]
            yield Turn(PROFILE_MODE, name, setting.of(workload), f"{count}: {setting.label}")


MOST_FAILURES = 3  # of a soak's modes in a row: the board is not going to recover by itself


def soak_turns(
    modes: Sequence[str], plan: SoakPlan, workload: Workload, ran: Callable[[], Sequence[ModeOfRun]]
) -> Iterator[tuple[float, Turn]]:
    """(seconds since the soak began, turn) until its time is over, or until modes only fail.

    `ran` gives the modes that have ended: a resumed soak first runs what its last turn lacks, then goes on with the
    next turn; its pause is no time.
    """
    kept = [mode for mode in ran() if mode.at_s is not None]
    before_s = max((mode.at_s + (mode.duration_s or 0.0) for mode in kept if mode.at_s is not None), default=0.0)
    began = time.monotonic() - before_s
    count = max((number_of(mode.mode) for mode in kept), default=0)
    ended = {mode.mode for mode in kept}
    lacks = [mode for mode in modes if count and turn_name(mode, count) not in ended]
    while lacks or time.monotonic() - began < plan.duration_s or not count:
        count += 0 if lacks else 1
        now, lacks = lacks or modes, []
        for mode in now:
            last = [one for one in ran() if one.at_s is not None][-MOST_FAILURES:]
            if len(last) == MOST_FAILURES and all(one.failure for one in last):
                return
            at_s = time.monotonic() - began
            label = f"turn {count}, {at_s / 3600:.2f} of {plan.duration_s / 3600:g} h"
            yield at_s, Turn(mode, turn_name(mode, count), workload, label)


def turn_name(mode: str, count: int) -> str:
    """`release` in the first turn, `release-2` in the second."""
    return mode if count == 1 else f"{mode}-{count}"


def number_of(name: str) -> int:
    """Which turn of its mode a name is: `release` is 1, `release-2` is 2."""
    end = name.rpartition("-")[2]
    return int(end) if re.fullmatch("[0-9]{1,18}", end) else 1
