"""What was checked besides layers: modes against each other, repeats, stages, outputs, a float reference."""

from __future__ import annotations

from collections import Counter

from harness.report.reach import Row, items, rows, section
from harness.report.values import number, text, whole

_SHOWN_APART = ("graph", "growth", "observer", "determinism", "ladder", "outputs", "three_way", "vote")
BOARDS = "boards against each other"
MOST_STAGED = 40  # tensors of the ladder's table that are listed
MOST_UNSTABLE = 40  # layers that repeats do not agree in, listed; all are in report.json
MOST_NOISY = 20  # layers of a three-way comparison that are listed; all are in report.json


_OF_LAYER = ("position", "mismatched", "finite_only", "nan_board", "nan_reference")


def output_rows(extras: Row, layers: list[Row]) -> list[Row]:
    """What is left at the network's outputs, with what their row of the comparison tells; None without such a row."""
    by_name = {row["name"]: row for row in reversed(layers)}
    found = [(row, by_name.get(text(row.get("name")), {})) for row in rows(extras, "outputs")]
    return [row | {key: layer.get(key) for key in _OF_LAYER} for row, layer in found]


def checks(extras: Row, outputs: list[Row]) -> Row:
    """{"sentences": [{"check", "good", "detail"}], "ladder", "outputs", "three_way", "other"}.

    `good` is None where it is not known. `growth` is left out: it holds the figures of the layers a second time.
    """
    return {
        "sentences": [
            *_observer(section(extras, "observer")),
            *_determinism(section(extras, "determinism")),
            *_vote(section(extras, "vote")),
        ],
        "ladder": _ladder(section(extras, "ladder")),
        "outputs": outputs,
        "three_way": _three_way(rows(extras, "three_way")),
        "other": {key: value for key, value in extras.items() if key not in _SHOWN_APART},
    }


def _observer(told: Row) -> list[Row]:
    return [_sentence("modes against each other", told.get("same"), told.get("detail"))] if told else []


def _determinism(told: Row) -> list[Row]:
    if "deterministic" in told:  # one kind of run only, as `harness compare` repeats them
        return [_sentence("repeats", told.get("deterministic"), told.get("detail"))]
    found = [(kind, section(told, kind)) for kind in told]
    return [
        _sentence(f"repeats of {kind}", answer.get("deterministic"), answer.get("detail")) for kind, answer in found
    ]


def repeat_rows(extras: Row) -> list[Row]:
    """What repeats say of each other, per kind of run: {"kind", "runs", "judged", "first", "good", "detail",
    "undecided", "layers"}; a layer that is not the same: {"name", "same", "results", "hashes"}."""
    told = section(extras, "determinism")
    kinds = {"": told} if "deterministic" in told else {kind: section(told, kind) for kind in told}
    return [_repeats(text(kind), answer) for kind, answer in kinds.items()]


def _repeats(kind: str, told: Row) -> Row:
    unstable = section(told, "unstable")
    good = told.get("deterministic")
    return {
        "kind": kind,
        "runs": whole(told.get("runs")),
        "judged": whole(told.get("judged")),
        "first": text(told.get("first")),
        "good": good if isinstance(good, bool) else None,
        "detail": text(told.get("detail")),
        "undecided": [text(name) for name in items(told, "undecided")],
        "layers": [_unstable(text(name), section(unstable, name)) for name in unstable],
    }


def _unstable(name: str, told: Row) -> Row:
    counts = {key: whole(told.get(key)) for key in ("same", "results")}
    return {"name": name, **counts, "hashes": [text(value) for value in items(told, "hashes")]}


def _vote(told: Row) -> list[Row]:
    return [_sentence(BOARDS, told.get("agree"), told.get("detail"))] if told else []


def _sentence(check: str, good: object, detail: object) -> Row:
    return {"check": check, "good": good if isinstance(good, bool) else None, "detail": text(detail)}


_STEP = ("from", "to", "inputs", "word", "detail", "first_difference")


def _ladder(told: Row) -> Row | None:
    if not told:
        return None
    table = [{key: text(value) for key, value in row.items()} for row in rows(told, "table")]
    return {
        "detail": text(told.get("detail")),
        "first": text(told.get("first")),
        "steps": [{key: text(step.get(key)) for key in _STEP} for step in rows(told, "steps")],
        "stages": [{key: text(stage.get(key)) for key in ("name", "alignment")} for stage in rows(told, "stages")],
        "table": table,
        "shown": [row for row in table if _tells(row)],
    }


def _tells(row: Row) -> bool:
    """Whether a tensor is not exact at every stage that has it."""
    return any(verdict not in ("exact", "") for key, verdict in row.items() if key != "name")


def _three_way(told: list[Row]) -> Row | None:
    """Counts per word and the noisiest layers, worst first."""
    if not told:
        return None
    noisy = sorted(told, key=lambda row: -_ratio(row))
    return {"counts": dict(Counter(text(row.get("word")) for row in told)), "layers": noisy}


def _ratio(row: Row) -> float:
    """The noise ratio, or -1 where there is none."""
    found = number(row.get("ratio"))
    return -1.0 if found is None or found != found else found


def disagreements(found: Row) -> list[str]:
    """Sentences that make the per-layer table doubtful."""
    told = [row for row in found["sentences"] if row["good"] is False and row["check"] != BOARDS]
    return [f"{row['check']}: {row['detail']}".rstrip(".") for row in told]
