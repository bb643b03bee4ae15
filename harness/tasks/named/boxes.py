"""Boxes matched with the truth's: F1 at an overlap (IoU) of one half."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.tasks.metric import Array, TaskMetric, Truth

OVERLAP = 0.5
LEAST_SCORE = 0.5


def measure(outputs: Mapping[str, Array], truth: Truth) -> float | None:
    """F1 of greedy matching by score, 1 where neither side has a box."""
    boxes = boxes_of(outputs)
    if boxes is None or truth.boxes is None:
        return None
    boxes = boxes[boxes[:, 4] >= LEAST_SCORE]
    matched = matches(boxes, truth.boxes)
    total = len(boxes) + len(truth.boxes)
    return 2 * matched / total if total else 1.0


def boxes_of(outputs: Mapping[str, Array]) -> Array | None:
    """[n, 6]: left, top, right, bottom, score, class. From one output [..., 5 or 6], or boxes [..., n, 4] and a score
    for each (and class scores [..., n, classes])."""
    values = [np.asarray(value, np.float64) for value in outputs.values() if value.ndim >= 2]
    whole = [value.reshape(-1, value.shape[-1]) for value in values if value.shape[-1] in (5, 6)]
    if len(whole) == 1:
        rows = whole[0]
        return rows if rows.shape[1] == 6 else np.concatenate([rows, np.zeros((len(rows), 1))], axis=1)
    corners = [value.reshape(-1, 4) for value in values if value.shape[-1] == 4]
    if len(corners) != 1:
        return None
    count = len(corners[0])
    others = [np.ravel(v) for v in outputs.values() if v.size % max(count, 1) == 0 and v.size != count * 4]
    if not count or len(others) != 1:
        return None
    scores = others[0].reshape(count, -1)
    classes = scores.argmax(axis=1)
    return np.column_stack([corners[0], scores.max(axis=1), classes])


def matches(boxes: Array, wanted: Array) -> int:
    """How many wanted boxes of the same class are matched, the highest score first, each once."""
    free = set(range(len(wanted)))
    count = 0
    for box in boxes[np.argsort(-boxes[:, 4], kind="stable")]:
        fit = [(overlap(box, wanted[place]), place) for place in free if wanted[place][4] == box[5]]
        best = max(fit, default=(0.0, -1))
        if best[0] >= OVERLAP:
            free.discard(best[1])
            count += 1
    return count


def overlap(one: Array, other: Array) -> float:
    """Intersection over union of two boxes."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(wide, 0.0) * max(high, 0.0)
    area = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - shared
    return float(shared / area) if area > 0 else 0.0


ENTRY = TaskMetric(
    "boxes (F1 at IoU 0.5)",
    "boxes, and an output [..., 6] (left, top, right, bottom, score, class), or boxes [..., 4] and their scores",
    measure,
    "points",
)
