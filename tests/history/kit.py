"""Folders of nights and runs, written as harness writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.records import (
    BoardOfRun,
    CaseOfRun,
    Comparison,
    Coverage,
    FedInput,
    Layer,
    NamedFile,
    Run,
    Verdict,
)
from harness.records.codec import to_json
from harness.records.nights import BoardOfNight, Cell, CellLatency, Night
from harness.runs.folder import save_run

LAYERS = {"conv1": "a1", "conv2": "b1", "softmax": "c1"}


def run_of(
    case: str = "yolo",
    board: str = "x5-01",
    day: int = 1,
    layers: Mapping[str, str] | None = None,
    model: str = "m1",
    runtime: str = "3.7.2",
    fed: str = "photo",
) -> Run:
    """A whole run with hashes of layers."""
    rows = tuple(
        Layer(place, name, name, "Conv", "exact", valid_md5_board=md5, valid_md5_reference=md5)
        for place, (name, md5) in enumerate((layers if layers is not None else LAYERS).items())
    )
    verdict = Verdict("consistent", "all layers are exact", 0)
    return Run(
        id=f"{case}/{board}/{stamp(day)}",
        state="complete",
        started_utc=f"2026-11-{day:02d}T02:00:00Z",
        case=CaseOfRun(case, NamedFile("net.bin", 10, model), inputs=(FedInput("x", md5=fed),)),
        board=BoardOfRun(board, "hbdnn", "x5"),
        versions={"runtime": runtime},
        comparison=Comparison(verdict, Coverage(3, 3, 30, 30), rows),
        verdict=verdict,
    )


def stamp(day: int) -> str:
    return f"202611{day:02d}T020000Z"


def write_run(root: Path, run: Run) -> Path:
    folder = root / run.case.name / run.board.name / run.id.rpartition("/")[2]
    folder.mkdir(parents=True)
    save_run(folder, run)
    return folder


def cell_of_run(run: Run, median_us: float | None = 5000.0, word: str = "pass", epoch: str = "e1") -> Cell:
    latency = None if median_us is None else CellLatency(median_us, median_us * 0.99, median_us * 1.01)
    return Cell(
        run.case.name,
        run.board.name,
        "ended",
        word,
        consistency="consistent",
        run=f"runs/{run.id}",
        started_utc=run.started_utc,
        model_md5=run.case.model.md5 if run.case.model else "",
        epoch=epoch,
        latency=latency,
    )


def write_night(nights: Path, suite: str, day: int, runs: Sequence[tuple[Run, Cell]]) -> Path:
    """The folder of a night with its runs."""
    folder = nights / suite / stamp(day)
    folder.mkdir(parents=True)
    for run, cell in runs:
        write_run(folder / "runs", replace(run, id=cell.run.removeprefix("runs/")))
    boards = tuple(BoardOfNight(name, "hbdnn", "x5") for name in dict.fromkeys(cell.board for _, cell in runs))
    night = Night(
        id=f"{suite}/{stamp(day)}",
        suite=suite,
        state="complete",
        started_utc=f"2026-11-{day:02d}T02:00:00Z",
        cells=tuple(cell for _, cell in runs),
        boards=boards,
        sentence="All pairs are good",
        exit_code=0,
    )
    (folder / "night.json").write_text(json.dumps(to_json(night)))
    return folder


def seeded(nights: Path, days: int = 14, suite: str = "lab") -> None:
    """Nights of one pair whose latency stays and whose layers do."""
    for day in range(1, days + 1):
        run = run_of(day=day)
        write_night(nights, suite, day, [(run, cell_of_run(run, 5000.0 + day % 3))])
