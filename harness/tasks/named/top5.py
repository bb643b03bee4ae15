"""Whether the right class is among the five of the highest scores."""

from __future__ import annotations

from collections.abc import Mapping

from harness.tasks.metric import Array, TaskMetric, Truth, scores_of
from harness.tasks.ranks import is_among


def measure(outputs: Mapping[str, Array], truth: Truth) -> float | None:
    """1 or 0; None for five classes or fewer."""
    scores = scores_of(outputs)
    if scores is None or truth.label is None or scores.size <= 5:
        return None
    return is_among(scores, truth.label, 5)


ENTRY = TaskMetric("top-5", "a label, and one output with scores of more than five classes", measure, "points")
