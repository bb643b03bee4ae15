"""One network: the table of `harness explore`, then every configuration built and run, and the two orders compared."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import spearmanr

from harness.emulator.rooms import soc_named
from harness.precision.explore.explore import ExploreRequest, Exported, explore, export
from harness.precision.explore.measured import ExploredRow
from harness.precision.figures import SQNR
from harness.precision.prepared import PreparedModel, prepare
from harness.precision.sensitivity import NO_TASK
from harness.runs.folder import load_run

LEAST = 0.9
SOC, BOARD = "x5", "emu-x5"


@dataclass(frozen=True)
class MeasuredPair:
    """One configuration: SQNR of the worst output as explored, and of what the board wrote, in dB."""

    name: str
    explored_db: float
    board_db: float


@dataclass(frozen=True)
class OrderAgreement:
    """All configurations of one network and the rank correlation of their two figures."""

    pairs: tuple[MeasuredPair, ...]

    @property
    def spearman(self) -> float:
        """-1..1; NaN where all of one side are equal."""
        explored, board = ([getattr(one, key) for one in self.pairs] for key in ("explored_db", "board_db"))
        return float(spearmanr(explored, board).statistic)


def agreement(model: Path, folder: Path, count: int, names: Sequence[str] = ()) -> OrderAgreement:
    """Explore, then export, build and run `count` configurations that are evenly spread over the table, or the named.

    What is explored and what is run is the first sample; ranges are of all of them. Errors: RuntimeError for a build
    or a run that fails.
    """
    subject = prepare(model, soc_named(SOC), folder / "cal", {}, 1)
    request = ExploreRequest(tuple(names), NO_TASK)
    explored = explore(subject, request, folder / "explored", lambda what, completed, total: None)
    rows = [row for row in explored.ordered(SQNR) if not row.same_as]
    pairs = [_pair(subject, row, folder, number) for number, row in enumerate(_spread(rows, count))]
    return OrderAgreement(tuple(pairs))


def _spread(rows: Sequence[ExploredRow], count: int) -> list[ExploredRow]:
    """So many of them, from the best to the worst, at even distances."""
    if len(rows) <= count:
        return list(rows)
    return [rows[round(place * (len(rows) - 1) / (count - 1))] for place in range(count)]


def _pair(subject: PreparedModel, row: ExploredRow, folder: Path, number: int) -> MeasuredPair:
    name = row.configuration.name
    exported = export(subject, row.configuration, folder / "explored" / name)
    wrong = [one for one in exported.findings if one.severity == "error"]
    if wrong:
        raise RuntimeError(f"{name}: lint refuses what explore wrote: {wrong[0].message}")
    explored_db = SQNR.of(row.answer)
    assert explored_db is not None
    return MeasuredPair(name, explored_db, _on_board(exported, folder, f"c{number:02}"))


def _on_board(exported: Exported, folder: Path, stem: str) -> float:
    """SQNR of the worst output as the board wrote it, against the float model, from the run's own comparison."""
    config, model = exported.files[0], f"{stem}.bin"
    argv = ("emulator", "build", "net.onnx", "--soc", SOC, "--calibration", exported.samples, "--config", config)
    _harness(*argv, "-o", model, folder=folder, codes=(0,))
    run = ("run", model, "--board", BOARD, "--mode", "release", "--input", "cal/000.npy", "--reference", "net.onnx")
    # 3: inner layers are not dumped, so a run whose output is near enough is not measured as a whole.
    _harness(*run, "--no-stages", "--case", stem, folder=folder, codes=(0, 1, 3))
    comparison = load_run(folder / "runs" / stem).comparison
    if comparison is None:
        raise RuntimeError(f"{stem}: the run compared nothing")
    levels = [layer.metrics.sqnr_db for layer in comparison.layers if layer.is_output and layer.metrics is not None]
    known = [level for level in levels if level is not None]
    if not known:
        raise RuntimeError(f"{stem}: no output of the board was compared")
    return min(known)


def _harness(*argv: str | Path, folder: Path, codes: tuple[int, ...]) -> None:
    """The real command line in its own process. Errors: RuntimeError for an exit code that is none of these."""
    words = [sys.executable, "-m", "harness", *map(str, argv)]
    own = {**os.environ, "HARNESS_HOME": str(folder / "home")}  # no board that somebody else on this PC has
    result = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=600, env=own)
    if result.returncode not in codes:
        raise RuntimeError(f"{' '.join(words[2:])}: exit {result.returncode}\n{result.stdout}{result.stderr}")
