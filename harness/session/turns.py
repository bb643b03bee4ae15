"""Which modes of a case run, in which order, how often, and with which workload."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.records import Setting, SweepPlan, Workload
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
