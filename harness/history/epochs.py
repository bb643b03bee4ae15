"""What has to stay the same for two latencies to be of one series, and what stands beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from harness.records import Run
from harness.records.nights.history import EpochOfPair, HistoryEntry

_EPOCH_VERSIONS = ("runtime", "hbrt", "platform")  # of the board, never of what built the model
SHOWN = ("image", "kernel", "governors", *_EPOCH_VERSIONS)
VERSIONS = ("model", "builder", *_EPOCH_VERSIONS, "image", "kernel", "harness")  # what may make a layer another one


def epoch_of(run: Run) -> str:
    """Board, image, runtime, clocks and workload in one word: another one starts a new series."""
    facts, case = run.board.facts, run.case
    image, kernel = str(facts.get("image", "")), str(facts.get("kernel", ""))
    parts = {
        "board": [run.board.name, run.board.soc, run.board.emulated, image, kernel],
        "versions": {name: run.versions.get(name, "") for name in _EPOCH_VERSIONS},
        "governors": dict(run.telemetry.governors),
        "workload": [
            *(case.model_name, str(case.core), case.threads, case.frames, case.time_s, case.beside),
            dict(case.options),
        ],
        "modes": sorted({mode.mode.split("-")[0] for mode in run.modes}),
    }
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.md5(text.encode("utf-8", "backslashreplace"), usedforsecurity=False).hexdigest()[:12]


def facts_of(run: Run) -> dict[str, str]:
    """What a person calls an epoch by, and what built the model; without what is not known."""
    governors = ", ".join(f"{name} {value}" for name, value in sorted(run.telemetry.governors.items()))
    facts = {
        "image": str(run.board.facts.get("image", "")),
        "kernel": str(run.board.facts.get("kernel", "")),
        "governors": governors,
        "harness": run.harness_version,
        **{name: str(run.versions.get(name, "")) for name in ("builder", *_EPOCH_VERSIONS)},
    }
    return {name: value for name, value in facts.items() if value}


def changes_between(before: HistoryEntry, now: HistoryEntry, names: Sequence[str] = VERSIONS) -> tuple[str, ...]:
    """What is another thing, each as `runtime 3.7.2 to 3.7.3`."""
    sides = [{**entry.facts, "model": entry.model_md5[:12]} for entry in (before, now)]
    pairs = ((name, *(side.get(name) or "unknown" for side in sides)) for name in names)
    return tuple(f"{name} {old} to {new}" for name, old, new in pairs if old != new)


def epochs_of(entries: Sequence[HistoryEntry]) -> list[EpochOfPair]:
    """The epochs of one pair's entries, oldest first."""
    epochs: list[EpochOfPair] = []
    groups: list[list[HistoryEntry]] = []
    for entry in entries:
        if entry.epoch and (not groups or groups[-1][0].epoch != entry.epoch):
            groups.append([])
        if entry.epoch:
            groups[-1].append(entry)
    for place, group in enumerate(groups):
        changed = changes_between(groups[place - 1][-1], group[0], SHOWN) if place else ()
        changed = changed or (("workload",) if place else ())
        epochs.append(EpochOfPair(group[0].epoch, group[0].started_utc, group[-1].started_utc, len(group), changed))
    return epochs


def fed_of(run: Run) -> str:
    """One word for all inputs of a run; "" where one of them is not known."""
    sums: Mapping[str, str] = {one.tensor: one.md5 for one in run.case.inputs}
    if not sums or not all(sums.values()):
        return ""
    text = json.dumps(sorted(sums.items()))
    return hashlib.md5(text.encode("utf-8", "backslashreplace"), usedforsecurity=False).hexdigest()[:12]
