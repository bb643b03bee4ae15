"""What was checked besides layers: between modes, repeats, stages, outputs, a float reference."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from harness.records import Checks, DebugVsRelease, Determinism, NoiseRow, StageComparison, StageStep, Vote
from harness.records.codec import to_json
from harness.report.values import Row

BOARDS = "between boards"
MOST_STAGED = 40  # tensors of the ladder's table that are listed
MOST_UNSTABLE = 40  # layers that repeats do not agree in, listed; all are in report.json
MOST_NOISY = 20  # layers of a three-way comparison that are listed; all are in report.json


_OF_LAYER = ("position", "mismatched", "finite_only", "nan_board", "nan_reference")


def output_rows(checks_: Checks, layers: list[Row]) -> list[Row]:
    """Effect on the network outputs, with what their row of the comparison tells; None without such a row."""
    by_name = {row["name"]: row for row in reversed(layers)}
    pairs = [(effect, by_name.get(effect.name, {})) for effect in checks_.outputs]
    return [to_json(effect) | {key: layer.get(key) for key in _OF_LAYER} for effect, layer in pairs]


def checks(checks_: Checks, outputs: list[Row]) -> Row:
    """{"sentences": [{"check", "good", "detail"}], "stages", "outputs", "three_way", "quantization",
    "other"}.

    `good` is None where it is not known. `error_propagation` is left out: its figures are those of the layers.
    """
    return {
        "sentences": [
            *_debug_vs_release(checks_.debug_vs_release),
            *_determinism(checks_.determinism),
            *_vote(checks_.vote),
        ],
        "stages": _stages(checks_.stages),
        "outputs": outputs,
        "three_way": _three_way(checks_.three_way),
        "quantization": to_json(checks_.quantization) if checks_.quantization else None,
        "other": to_json(checks_.other),
    }


def _debug_vs_release(answer: DebugVsRelease | None) -> list[Row]:
    return [_sentence("between modes", answer.same, answer.detail)] if answer else []


def _determinism(kinds: Mapping[str, Determinism]) -> list[Row]:
    named = {f"repeats of {kind}".removesuffix(" of "): repeats for kind, repeats in kinds.items()}
    return [_sentence(name, repeats.deterministic, repeats.detail) for name, repeats in named.items()]


def repeat_rows(checks_: Checks) -> list[Row]:
    """What repeats say of each other, per kind of run: {"kind", "runs", "judged", "first", "good", "detail",
    "undecided", "layers"}; a layer that is not the same: {"name", "same", "results", "hashes"}."""
    return [_repeats(kind, repeats) for kind, repeats in checks_.determinism.items()]


def _repeats(kind: str, repeats: Determinism) -> Row:
    return {
        "kind": kind,
        "runs": repeats.runs,
        "judged": repeats.judged,
        "first": repeats.first,
        "good": repeats.deterministic,
        "detail": repeats.detail,
        "undecided": list(repeats.undecided),
        "layers": [
            {"name": name, "same": one.same, "results": one.results, "hashes": list(one.hashes)}
            for name, one in repeats.unstable.items()
        ],
    }


def _vote(vote: Vote | None) -> list[Row]:
    return [_sentence(BOARDS, vote.agree, vote.detail)] if vote else []


def _sentence(check: str, good: bool | None, detail: str) -> Row:
    return {"check": check, "good": good, "detail": detail}


def _stages(compared: StageComparison | None) -> Row | None:
    if compared is None:
        return None
    table = [dict(row) for row in compared.table]
    return {
        "detail": compared.detail,
        "first": compared.first,
        "steps": [_step(step) for step in compared.steps],
        "stages": [{"name": stage.name, "alignment": stage.alignment} for stage in compared.stages],
        "table": table,
        "shown": [row for row in table if _tells(row)],
    }


def _step(step: StageStep) -> Row:
    return {
        "from": step.before,
        "to": step.after,
        "inputs": step.inputs,
        "word": step.word,
        "detail": step.detail,
        "first_difference": step.first_difference,
    }


def _tells(row: Mapping[str, str]) -> bool:
    """Whether a tensor is not exact at every stage that has it."""
    return any(verdict not in ("exact", "") for key, verdict in row.items() if key != "name")


def _three_way(rows: Sequence[NoiseRow] | None) -> Row | None:
    """Counts per word and the noisiest layers, worst first."""
    if not rows:
        return None
    noisy = sorted(rows, key=lambda row: -_ratio(row))
    return {"counts": dict(Counter(row.word for row in rows)), "layers": to_json(noisy)}


def _ratio(row: NoiseRow) -> float:
    """The noise ratio, or -1 where there is none."""
    return -1.0 if row.ratio is None or math.isnan(row.ratio) else row.ratio


def disagreements(checks_row: Row) -> list[str]:
    """Sentences that make the per-layer table doubtful."""
    sentences = [row for row in checks_row["sentences"] if row["good"] is False and row["check"] != BOARDS]
    return [f"{row['check']}: {row['detail']}".rstrip(".") for row in sentences]
