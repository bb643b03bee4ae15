"""Mean distance of joints from their truth (MPJPE), in the truth's unit; of a window, its middle frame."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.tasks.joints import joints_like, middle
from harness.tasks.metric import Array, TaskMetric, Truth


def measure(outputs: Mapping[str, Array], truth: Truth) -> float | None:
    """The mean over labelled joints; None where none is."""
    joints = None if truth.joints is None else joints_like(outputs, truth.joints)
    if joints is None or truth.joints is None:
        return None
    distances = np.linalg.norm(middle(joints) - truth.joints, axis=-1)
    labelled = ~np.isnan(truth.joints).any(axis=-1)
    return float(distances[labelled].mean()) if labelled.any() else None


ENTRY = TaskMetric("MPJPE", "joints, and one output [..., joints, 2 or 3]", measure, "", higher_is_better=False)
