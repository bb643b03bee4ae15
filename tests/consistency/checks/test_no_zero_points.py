"""Quantizations that tell scales and no zero points: these are zero."""

from __future__ import annotations

import numpy as np

from harness.consistency.checks.quantized_tensors import _saturated
from harness.records import Quantization, TensorSpec


def test_a_scale_without_a_zero_point_saturates_about_zero() -> None:
    wanted = np.linspace(-2, 2, 1000)
    stored = np.clip(np.rint(wanted * 100), -128, 127).astype(np.int8)
    scalings = [Quantization((0.01,), points, None) for points in ((), (0,))]
    saturations = [_saturated(stored, wanted, TensorSpec("x", "s8", (1000,), quantization=each)) for each in scalings]
    assert saturations[0] is not None and saturations[0] == saturations[1]
