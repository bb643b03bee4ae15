"""Joints of an output beside those of the truth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.tasks.metric import Array


def joints_like(outputs: Mapping[str, Array], wanted: Array) -> Array | None:
    """[..., j, c] of the one output that ends with the truth's axes: a frame, or several of a window; None without one.

    A flat output of exactly as many values is taken too.
    """
    shaped = [value for value in outputs.values() if value.ndim >= 2 and value.shape[-2:] == wanted.shape[-2:]]
    flat = [value for value in outputs.values() if value.size == wanted.size]
    if len(shaped) == 1:
        return np.asarray(shaped[0], np.float64).reshape(-1, *wanted.shape[-2:])
    return np.asarray(flat[0], np.float64).reshape(1, *wanted.shape[-2:]) if len(flat) == 1 else None


def middle(frames: Array) -> Array:
    """The frame in the middle of a window."""
    kept: Array = frames[len(frames) // 2]
    return kept
