"""Faults planted in networks of benchmarks/truth.py: compared, cut out op by op, and compared again alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks import truth
from benchmarks.truth_parts.truth_score import PlantedCase
from harness import platforms
from harness.consistency.compare import CompareSettings, compare
from harness.consistency.policy import load_policy
from harness.handover.replay import Replayed, replay
from harness.handover.reproduction import BothSides, OpFolder, write_ops


def again(case: PlantedCase, folder: Path) -> Iterator[tuple[OpFolder, Replayed]]:
    """Every op that the whole comparison blames, and what its own folder gives."""
    dumps = truth.board_dumps(case, case.values, folder / "run")
    repeats = [truth.board_dumps(case, {**case.values, **v}, folder / f"again{i}") for i, v in enumerate(case.again)]
    storages = platforms.load(truth.PLATFORM).storages
    settings = CompareSettings(
        storages, load_policy(), platform=truth.PLATFORM, repeats=repeats, previous=case.before, hashes=False
    )
    comparison = compare(case.reference, dumps, settings)
    assert comparison.origins
    target = folder / "out"
    target.mkdir()
    for one in write_ops(BothSides(case.reference, dumps, settings, comparison), target):
        yield one, replay(target, one)
