"""The order of steps in which a wrong result is looked into, as a table and in a line."""

from __future__ import annotations

from harness.records import Run
from harness.records.codec import to_json
from harness.report.values import Row

WORDS = {"done": "done", "not_applicable": "not applicable", "to_do": "to do"}


def step_rows(run: Run) -> list[Row]:
    """`name state detail command symptom` of each step."""
    rows: list[Row] = to_json(run.steps)
    return rows


def steps_sentence(rows: list[Row]) -> str:
    """`4 done, 2 not applicable, 3 to do; next: debug against release: harness run ...`; "" without steps."""
    counts = {word: sum(row["state"] == state for row in rows) for state, word in WORDS.items()}
    shown = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    following = next((row for row in rows if row["state"] == "to_do"), None)
    return f"{shown}; next: {following['name']}: {following['command']}" if following else shown
