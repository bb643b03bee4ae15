"""Checks of the comparison: what kind of difference, and how much was seen at all."""

from __future__ import annotations

from collections import Counter

from harness.diagnosis.rules import Findings, RunView, finding
from harness.records import Comparison, Determinism


def coverage(view: RunView) -> Findings:
    """C-101: layers that were not compared, counted by reason."""
    comparison = view.comparison
    if comparison is None or comparison.coverage.layers_total == comparison.coverage.layers_compared:
        return
    reasons = Counter(layer.reason or "unknown" for layer in comparison.layers if layer.verdict == "not_compared")
    reasons_text = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in reasons.most_common())
    seen = comparison.coverage
    lost = [layer for layer in comparison.layers if layer.reason == "missing" and layer.verdict == "not_compared"]
    missing = f"; {lost[0].name} has no dump but should: {lost[0].note}" if lost else ""
    yield finding(
        "C-101",
        f"{seen.layers_compared} of {seen.layers_total} layers compared; not compared: {reasons_text or '-'}{missing}",
        subject=lost[0].name if lost else "",
        advice=LOST_ADVICE if lost else "",
    )


LOST_ADVICE = (
    "check that the run completed and all files were copied; list tensors that a board never dumps under "
    "`coverage: optional:` in a policy file"
)


def _first_compared(comparison: Comparison) -> str:
    compared = [layer for layer in comparison.layers if layer.verdict != "not_compared"]
    return min(compared, key=lambda layer: layer.index).name if compared else ""


def _sees_the_start(comparison: Comparison) -> bool:
    """Whether the first of the reference's tensors was compared, and another one: else the start is not known."""
    known = [layer for layer in comparison.layers if layer.reason != "no_reference"]
    compared = [layer for layer in known if layer.verdict != "not_compared"]
    return len(compared) > 1 and min(known, key=lambda layer: layer.index) in compared


def from_the_start(view: RunView) -> Findings:
    """Different from the first compared tensor on, and nearly everywhere: the input, not an op."""
    comparison = view.comparison
    if comparison is None or not comparison.first_difference:
        return
    compared = [layer for layer in comparison.layers if layer.verdict != "not_compared"]
    differing = [layer for layer in compared if layer.verdict == "differs"]
    if not _sees_the_start(comparison) or any(o.op_kind == "input" for o in comparison.origins):
        return  # of an input that differs C-103 says more
    if comparison.first_difference == _first_compared(comparison) and len(differing) * 10 >= len(compared) * 9:
        yield finding(
            "C-102",
            f"{len(differing)} of {len(compared)} compared layers differ, including the first",
            subject=comparison.first_difference,
        )


def debug_vs_release(view: RunView) -> Findings:
    """Another result in the debug run; where repeats already differ, that explains it and is said instead."""
    answer = view.checks.debug_vs_release
    if answer is not None and answer.same is False and not unstable(view):
        yield finding("C-104", answer.detail)


def determinism(view: RunView) -> Findings:
    """C-105: the same input gave different results in repeated runs."""
    repeats = unstable(view)
    if repeats:
        evidence = "; ".join(f"{kind}: {answer.detail}".removeprefix(": ") for kind, answer in repeats)
        most = max((answer for _, answer in repeats), key=lambda answer: len(answer.unstable))
        yield finding("C-105", evidence, subject=most.first)


def unstable(view: RunView) -> list[tuple[str, Determinism]]:
    """Repeats that are not the same: (mode, answer), the mode "" where only one was repeated."""
    return [(kind, answer) for kind, answer in view.checks.determinism.items() if answer.deterministic is False]


CHECKS = (coverage, from_the_start, debug_vs_release, determinism)
