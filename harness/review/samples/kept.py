"""What a run folder keeps of its samples while they go on: a line for each, and the layers of those that were debugged.

A resumed run reads it again; what is damaged is run again, never guessed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.files.safe import append_file, write_file
from harness.records import Comparison, Layer, Sample
from harness.records.codec import from_json, to_json

LINES = "samples.jsonl"
LAYERS = "samples-layers.jsonl"
FIGURES = "samples-figures.json"
LINE_BYTES = 16 * 2**20


@dataclass(frozen=True)
class PassFigures:
    """Bytes and times of all batches, over the resumes of a run."""

    pushes: int = 0
    sent_bytes: int = 0
    pulled_bytes: int = 0
    session_s: float = 0.0
    rss_mb: tuple[float, ...] = ()  # after each batch
    folder: str = ""  # on the board, of the batch that is there


def append(folder: Path, samples: Sequence[Sample]) -> None:
    """Add finished samples. Errors: OSError."""
    lines = "".join(json.dumps(to_json(sample)) + "\n" for sample in samples)
    append_file(folder / LINES, lines.encode(), folder)


def read(folder: Path) -> dict[str, Sample]:
    """Finished samples by stem; of several lines of one the last."""
    samples: dict[str, Sample] = {}
    for line in _lines(folder / LINES):
        read_one = from_json(Sample, line)
        if read_one is not None and not read_one.damage:
            samples[read_one.value.stem] = read_one.value
    return samples


LayerFigures = tuple[str, str, str, str, float | None]  # name, op, op kind, verdict, relative L2


def figures_of(layer: Layer) -> LayerFigures:
    """What is kept of a layer."""
    return layer.name, layer.op, layer.op_kind, layer.verdict, layer.metrics.relative_l2 if layer.metrics else None


def append_layers(folder: Path, stem: str, comparison: Comparison) -> None:
    """Add the layers of one sample: name, op and figure only."""
    rows = [list(figures_of(layer)) for layer in comparison.layers]
    line = json.dumps({"stem": stem, "rows": to_json(rows)}) + "\n"
    append_file(folder / LAYERS, line.encode(), folder)


def read_layers(folder: Path) -> dict[str, list[LayerFigures]]:
    """Layers by stem: (name, op, op kind, verdict, relative L2)."""
    by_stem: dict[str, list[LayerFigures]] = {}
    for line in _lines(folder / LAYERS):
        if isinstance(line, dict) and isinstance(line.get("stem"), str) and isinstance(line.get("rows"), list):
            by_stem[line["stem"]] = [row for row in map(_row, line["rows"]) if row is not None]
    return by_stem


def _row(row: Any) -> LayerFigures | None:
    if not isinstance(row, list) or len(row) != 5 or not all(isinstance(one, str) for one in row[:4]):
        return None
    try:
        size = None if row[4] is None else float(row[4])
    except (TypeError, ValueError, OverflowError):
        return None
    return row[0], row[1], row[2], row[3], size


def save_figures(folder: Path, figures: PassFigures) -> None:
    """Keep bytes and times of the pass so far. Errors: OSError."""
    write_file(folder / FIGURES, json.dumps(to_json(figures)).encode(), folder)


def read_figures(folder: Path) -> PassFigures:
    """What `save_figures` kept; all zero where it is not there, or damaged."""
    path = folder / FIGURES
    try:
        result = from_json(PassFigures, json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None
    except (OSError, ValueError, RecursionError):
        return PassFigures()
    return PassFigures() if result is None or result.damage else result.value


def clear(folder: Path) -> None:
    """Forget every sample."""
    for name in (LINES, LAYERS, FIGURES):
        (folder / name).unlink(missing_ok=True)


def _lines(path: Path) -> Iterator[Any]:
    if not path.is_file():
        return
    with path.open("rb") as file:
        while line := file.readline(LINE_BYTES):
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                continue  # cut short where the run was ended
