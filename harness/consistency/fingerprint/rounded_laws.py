"""One offset or one factor for all values of an op, before its result was rounded to integers.

A requantization works on real values; what it makes of them is rounded after that, so no integer law holds exactly.
Each integer stands for a step's width of real values, on both sides.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.consistency.fingerprint.values import Law, Pairs

Array = npt.NDArray[Any]
LEAST_VALUES = 6  # of the reference, away from the ends
SURE_OFFSET = 1  # steps: below, an offset cannot be told from another rounding
ROOM = 1e-6


def rounded_law(p: Pairs) -> Law | None:
    """The offset, else the factor, that gives the board's integers within rounding; None for none."""
    low, high = p.rails
    inside = (p.x > low) & (p.x < high) & (p.r > low) & (p.r < high)
    x, r = p.x[inside], p.r[inside]
    if len(np.unique(r)) < LEAST_VALUES:
        return None
    return _offset(p, x, r) or _factor(p, x - p.zero_point, r - p.zero_point)


def _offset(p: Pairs, x: Array, r: Array) -> Law | None:
    d = x - r
    least, most = int(d.min()), int(d.max())
    if most - least > 1 or least * most <= 0 or min(abs(least), abs(most)) < SURE_OFFSET:
        return None
    if not _between(p, p.r + least, p.r + most):
        return None
    words = f"{least:+d}" if least == most else f"{least:+d} or {most:+d}"
    return Law(
        "zero_point", f"board = reference {words} on every element: an offset before rounding", {"offset": least}
    )


def _factor(p: Pairs, x: Array, r: Array) -> Law | None:
    used = np.abs(r) >= 1
    a, b = np.abs(r[used]), x[used] * np.sign(r[used])
    if len(np.unique(a)) < LEAST_VALUES:
        return None
    low = float(((b - 0.5) / (a + np.where(b >= 0.5, 0.5, -0.5))).max())
    high = float(((b + 0.5) / (a - np.where(b >= -0.5, 0.5, -0.5))).min())
    if not 0 < low <= high or low <= 1 <= high:
        return None
    factor = (low + high) / 2
    reach = 0.5 * (1 + factor) + ROOM
    exact = (p.r - p.zero_point) * factor + p.zero_point
    if not _between(p, exact - reach, exact + reach):
        return None
    bits = round(math.log2(factor))
    if bits and low <= 2.0**bits <= high:
        return Law("shift", f"board = reference x 2^{bits} before rounding: a shift of {abs(bits)} bit", {"bits": bits})
    return Law(
        "scale", f"board = reference x {factor:.4g} before rounding ({low:.4g} to {high:.4g})", {"factor": factor}
    )


def _between(p: Pairs, least: Array, most: Array) -> bool:
    """Whether all of the board lies there, clipped at the ends of its type; where the reference is clipped, its real
    value may lie anywhere beyond."""
    least = np.where(p.r <= p.rails[0], p.rails[0], least)
    most = np.where(p.r >= p.rails[1], p.rails[1], most)
    return bool(((p.x >= np.clip(least, *p.rails)) & (p.x <= np.clip(most, *p.rails))).all())
