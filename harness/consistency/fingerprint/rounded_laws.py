"""One offset or one factor for all values of an op, before its result was rounded to integers.

A requantization works on real values; what it makes of them is rounded after that, so no integer law holds exactly.
Each integer stands for a step's width of real values, on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.consistency.fingerprint.error_stats import Errors
from harness.consistency.fingerprint.places import FEW
from harness.consistency.fingerprint.values import Law, Pairs
from harness.consistency.grid import HALF, grid_step

Array = npt.NDArray[Any]
LEAST_VALUES = 6  # of the reference, away from the ends
SURE_OFFSET = 1  # steps: below, an offset cannot be told from another rounding
ROOM = 1e-6
OFF_GRID = 0.02  # of a step: values that lie on no grid point
MOSTLY = 0.6  # of the wrong elements
NEAR_GRID = 0.75  # steps (rms): rounding of the result gives 0.29, that of weights and inputs the rest
FAR_FROM_GRID = 6.0
EVEN = 0.1  # steps: the signed mean of what rounding does, and what a wrong slope may add (rms)
MOST_BEYOND = 0.5  # of the elements, half a step and more away: rounding alone leaves none
NEAR_CENTRE = 4  # steps around the zero point that a straight line through the values tells


def rounded_law(p: Pairs, *, knows_zero_point: bool = True) -> Law | None:
    """The offset, else the factor, that gives the board's integers within rounding; None for none.

    Of dumps that tell no zero point, the one that makes a factor fit is looked for, and named in the sentence.
    """
    low, high = p.rails
    inside = (p.x > low) & (p.x < high) & (p.r > low) & (p.r < high)
    x, r = p.x[inside], p.r[inside]
    if len(np.unique(r)) < LEAST_VALUES:
        return None
    law = _offset(p, x, r) or _factor(p, x - p.zero_point, r - p.zero_point)
    if law is not None or knows_zero_point:
        return law
    return next(filter(None, (_about(p, x, r, centre) for centre in _centres(p, x, r))), None)


def _centres(p: Pairs, x: Array, r: Array) -> Iterator[int]:
    """Zero points that a factor may turn the values about, the likeliest first: where a line has board = reference."""
    slope, start = np.polyfit(r, x, 1)
    if abs(slope - 1) < ROOM:
        return
    fixed = float(start / (1 - slope))
    near = range(math.floor(fixed) - NEAR_CENTRE, math.ceil(fixed) + NEAR_CENTRE + 1)
    yield from sorted((z for z in near if p.rails[0] <= z <= p.rails[1]), key=lambda z: abs(z - fixed))


def _about(p: Pairs, x: Array, r: Array, centre: int) -> Law | None:
    law = _factor(replace(p, zero_point=centre), x - centre, r - centre)
    if law is None:
        return None
    sentence = f"{law.sentence}, with a zero point of {centre} (the dumps tell none)"
    return Law(law.kind, sentence, {**law.figures, "zero_point": centre})


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


def not_quantized(e: Errors) -> str:
    """The sentence for a board whose values lie beside the grid of a quantized reference, and near it: the op, or its
    result, was computed in floats. "" where that is not so."""
    step = grid_step(e.reference) if e.is_float and e.comparable and not e.nonfinite_wrong else 0.0
    if not step or e.count < FEW or grid_step(e.board):
        return ""
    board, reference = (side.astype(np.float64) / step for side in (e.board, e.reference))
    beside = np.abs(board - np.rint(board))[np.rint(reference) != 0]  # zeros of a ReLU are on both grids
    off = board - reference
    apart = np.abs(off)
    if np.mean(beside > OFF_GRID) < MOSTLY or np.sqrt(np.mean(apart**2)) > NEAR_GRID or apart.max() > FAR_FROM_GRID:
        return ""
    if abs(float(off.mean())) > EVEN or float(np.mean(apart > HALF)) > MOST_BEYOND or _slope(off, reference) > EVEN:
        return ""
    return (
        f"the reference's values are multiples of {step:.6g}, the board's lie between them, {np.mean(apart):.2g} of a "
        "step away on average: not quantized here, but computed in floats"
    )


def _slope(off: Array, reference: Array) -> float:
    """How much of the error is a factor: its part along the reference, rms in steps."""
    size = float(np.linalg.norm(reference))
    return abs(float(np.vdot(off, reference))) / size / math.sqrt(off.size) if size else 0.0
