"""The mean absolute difference, in the tensor's own unit."""

from __future__ import annotations

import numpy as np

from harness.consistency.metrics.by_name import Array, Metric


def measure(board: Array, reference: Array) -> float:
    """The mean of the absolute differences of two tensors of one shape."""
    return float(np.mean(np.abs(board - reference)))


ENTRY = Metric("mean absolute difference", measure)
