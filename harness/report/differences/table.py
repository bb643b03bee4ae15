"""Two to twenty runs as one table: `harness diff` prints it, its page shows it, `--json` is it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from harness import __version__
from harness.records import Run
from harness.records.comparison import ROLES, RUN_VERDICTS, VERDICTS
from harness.report.differences.conditions import GROUPS, changed_conditions
from harness.report.differences.layers import CHANGES, STATES, layer_differences
from harness.report.differences.times import BASES, CHANGED, latency_rows, op_differences, parts_rows
from harness.report.differences.words import OP_WORDS, sentence_of
from harness.report.private import replacing
from harness.report.values import Row
from harness.runs.previous import verdict_change

FORMAT = 1
LEAST, MOST = 2, 20  # runs on one page
LABELS = "ABCDEFGHIJKLMNOPQRST"


def differences(runs: Sequence[Run]) -> Row:
    """What is not the same in `runs`, every one held against the first; no private word of any of them.

    {"format", "harness_version", "runs", "conditions", "same_conditions", "layers", "latency", "parts", "ops",
    "sentences", "different", "uncompared"}; lists of a value for each run are in the order of `runs`.
    """
    assert LEAST <= len(runs) <= MOST
    conditions, same = changed_conditions(runs)
    data: Row = {
        "format": FORMAT,
        "harness_version": __version__,
        "runs": [_run(LABELS[place], run, runs[0]) for place, run in enumerate(runs)],
        "conditions": conditions,
        "same_conditions": same,
        "layers": layer_differences(runs),
        "latency": latency_rows(runs),
        "parts": parts_rows(runs),
        "ops": op_differences(runs),
    }
    data = _mapped(data, cache(_cleaning(runs)))
    data["sentences"] = [sentence_of(data, place) for place in range(1, len(runs))]
    data["different"] = _different(data)
    data["uncompared"] = [LABELS[place] for place in range(1, len(runs)) if not _compared(data, place)]
    return data


def _run(label: str, run: Run, base: Run) -> Row:
    words = [one.verdict.word if one.verdict else "" for one in (base, run)]
    model = run.case.model
    return {
        "label": label,
        "id": run.id,
        "started_utc": run.started_utc,
        "state": run.state,
        "case": run.case.name,
        "model": model.name if model else "",
        "model_md5": model.md5 if model else "",
        "board": run.board.name,
        "soc": run.board.soc,
        "emulated": run.board.emulated,
        "verdict": words[1],
        "detail": run.verdict.detail if run.verdict else "",
        "verdict_change": verdict_change(*words).change,
        "damage": list(run.damage),
    }


def _different(data: Row) -> bool:
    """Whether anything is known to be another than in the first run."""
    return (
        any(row["changed"] for row in data["conditions"])
        or any(run["verdict_change"] != "same" for run in data["runs"])
        or bool(data["layers"]["rows"])
        or any(row["change"] and row["change"]["word"] in CHANGED for row in data["latency"])
        or any(count.get(word) for count in data["ops"]["counts"] for word in (*CHANGED, "moved"))
    )


def _compared(data: Row, place: int) -> bool:
    """Whether a run could be held against the first at all: by a layer, or by its time."""
    counts, change = data["layers"]["counts"][place], data["latency"][place]["change"]
    layers = counts["hash_same"] + counts["hash_changed"] + sum(counts[word] for word in CHANGES)
    return bool(layers) or change["word"] not in ("not_comparable", "noise_unknown")


# Words of the tables themselves: a user or a host that is called like one of them hides nothing.
_OUR_WORDS = {
    *OP_WORDS,
    *CHANGES,
    *VERDICTS,
    *RUN_VERDICTS,
    *ROLES,
    *GROUPS,
    *BASES,
    *STATES,
    "better",
    "worse",
    "other",
}


def _cleaning(runs: Sequence[Run]) -> Callable[[str], str]:
    replaced = replacing(runs)
    return lambda text: text if text in _OUR_WORDS else replaced(text)


def _mapped(value: Any, replaced: Callable[[str], str]) -> Any:
    """Every text of the table cleaned; its keys are our own."""
    if isinstance(value, str):
        return replaced(value)
    if isinstance(value, dict):
        return {key: _mapped(entry, replaced) for key, entry in value.items()}
    return [_mapped(entry, replaced) for entry in value] if isinstance(value, list | tuple) else value
