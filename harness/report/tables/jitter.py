"""A sequence as tables: a row per stage, a row per joint."""

from __future__ import annotations

from harness.records import Run
from harness.records.codec import to_json
from harness.report.values import Row

WORDS = {"float": "float model or input", "quantized": "quantization", "board": "board"}


def jitter_table(run: Run) -> Row | None:
    """The record with words for stages; None for a run that is no sequence."""
    if run.jitter is None:
        return None
    row: Row = to_json(run.jitter)
    for output in row["outputs"]:
        for stage in output["stages"]:
            stage["word"] = WORDS.get(stage["stage"], stage["stage"])
    return row
