"""Object keypoint similarity of COCO, with one constant for all joints; of a window, its middle frame."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.tasks.joints import joints_like, middle
from harness.tasks.metric import Array, TaskMetric, Truth

FALLOFF = 0.072  # mean of COCO's constants (2 sigma) of its 17 joints, halved


def measure(outputs: Mapping[str, Array], truth: Truth) -> float | None:
    """exp(-d^2 / (2 s^2 k^2)), the mean over labelled joints; s^2 is the area of the box around the truth's joints.

    None for joints in space: OKS is of pictures.
    """
    wanted = truth.joints
    joints = None if wanted is None or wanted.shape[-1] != 2 else joints_like(outputs, wanted)
    if joints is None or wanted is None:
        return None
    labelled = ~np.isnan(wanted).any(axis=-1)
    seen = wanted[labelled]
    area = float(np.prod(seen.max(axis=0) - seen.min(axis=0))) if len(seen) else 0.0
    if area <= 0:
        return None
    squares = ((middle(joints)[labelled] - seen) ** 2).sum(axis=-1)
    return float(np.exp(-squares / (2 * area * (2 * FALLOFF) ** 2)).mean())


ENTRY = TaskMetric("OKS", "joints in a picture, and one output [..., joints, 2]", measure, "points")
