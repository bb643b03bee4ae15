"""The place of a class among scores."""

from __future__ import annotations

import numpy as np

from harness.tasks.metric import Array


def is_among(scores: Array, label: int, most: int) -> float | None:
    """1 where fewer than `most` classes stand before `label`; of equal scores the lower index stands first, as argmax
    and stable sorts have it. None for a label that is no class of the scores; NaN is never a hit."""
    if not 0 <= label < scores.size:
        return None
    own = scores[label]
    before = int(np.count_nonzero(scores > own)) + int(np.count_nonzero(scores[:label] == own))
    return float(not np.isnan(own) and before < most)
