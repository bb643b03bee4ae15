"""Checks of the comparison: what kind of difference, and how much was seen at all."""

from __future__ import annotations

from collections import Counter

from harness.diagnosis.rules import Found, Look, finding
from harness.records import Comparison


def coverage(look: Look) -> Found:
    comparison = look.comparison
    if comparison is None or comparison.coverage.layers_total == comparison.coverage.layers_compared:
        return
    reasons = Counter(layer.reason or "unknown" for layer in comparison.layers if layer.verdict == "not_compared")
    told = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    seen = comparison.coverage
    yield finding(
        "C-101", f"{seen.layers_compared} of {seen.layers_total} layers compared; not compared: {told or '-'}"
    )


def _first_compared(comparison: Comparison) -> str:
    compared = [layer for layer in comparison.layers if layer.verdict != "not_compared"]
    return min(compared, key=lambda layer: layer.index).name if compared else ""


def from_the_start(look: Look) -> Found:
    """Different from the first compared tensor on, and nearly everywhere: the input, not an op."""
    comparison = look.comparison
    if comparison is None or not comparison.first_difference:
        return
    compared = [layer for layer in comparison.layers if layer.verdict != "not_compared"]
    differing = [layer for layer in compared if layer.verdict == "differs"]
    if comparison.first_difference == _first_compared(comparison) and len(differing) * 10 >= len(compared) * 9:
        yield finding(
            "C-102",
            f"{len(differing)} of {len(compared)} compared layers differ, the first one included",
            subject=comparison.first_difference,
        )


def transforms(look: Look) -> Found:
    """Origins whose pair becomes equal by a transform that the fingerprint names."""
    for origin in look.comparison.origins if look.comparison else ():
        mark = origin.fingerprint
        if mark and mark.transform:
            certain = "" if mark.certain else " (likely)"
            yield finding(
                "C-103",
                f"{origin.tensor}: {mark.kind}{certain}: {mark.evidence}",
                subject=origin.op or origin.tensor,
                advice=f"what makes the pair equal: {mark.transform}",
            )


def observer(look: Look) -> Found:
    told = look.comparison.extras.get("observer") if look.comparison else None
    if isinstance(told, dict) and told.get("same") is False:
        yield finding("C-104", str(told.get("detail", "")))


def determinism(look: Look) -> Found:
    if look.comparison is None:
        return
    kinds = look.comparison.extras.get("determinism")
    told = [(k, v) for k, v in kinds.items() if isinstance(v, dict)] if isinstance(kinds, dict) else []
    for kind, answer in told:
        if answer.get("deterministic") is False:
            yield finding("C-105", f"{kind}: {answer.get('detail', '')}", subject=str(answer.get("first", "")))


CHECKS = (coverage, from_the_start, transforms, observer, determinism)
