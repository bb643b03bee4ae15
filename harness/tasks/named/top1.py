"""Whether the class of the highest score is the right one."""

from __future__ import annotations

from collections.abc import Mapping

from harness.tasks.metric import Array, TaskMetric, Truth, scores_of
from harness.tasks.ranks import is_among


def measure(outputs: Mapping[str, Array], truth: Truth) -> float | None:
    """1 or 0."""
    scores = scores_of(outputs)
    return None if scores is None or truth.label is None else is_among(scores, truth.label, 1)


ENTRY = TaskMetric("top-1", "a label, and one output with a score for each class", measure, "points")
