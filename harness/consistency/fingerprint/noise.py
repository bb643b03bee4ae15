"""Errors of two sizes: the noise of another summation order or a narrower type everywhere, and a fault somewhere.

Noise hides where a fault is, for then every element differs. The two are told apart only by a gap between their sizes:
errors of one distribution, however wide, have none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
GAP = 4.0  # between the largest noise and most of the fault's errors
LEAST_NOISE = 0.05  # of the differing elements; fewer change no region
IN_GAP = 0.15  # of the smaller group's elements may lie in between: a fault's errors have every size
STRAY = 0.005  # of the noise may lie above the emptiest gap
RELATIVE = 0.02  # noise of floats is so small beside their values
SAMPLE = 1 << 16
PER_DECADE = 8


def without_noise(board: Array, reference: Array, wrong: Array) -> tuple[Array, float]:
    """The differing elements that are more than noise, and the largest noise; `wrong` itself and 0 without a gap.

    `wrong` marks the differing elements (bool, the shape of both). NaN and infinity are no noise.
    """
    count = int(np.count_nonzero(wrong))
    if count < 2:
        return wrong, 0.0
    every = max(1, count // SAMPLE)
    sizes = _sizes(board[wrong][::every], reference[wrong][::every])
    whole = board.dtype.kind != "f" and reference.dtype.kind != "f"
    typical, floor = _floors(sizes[np.isfinite(sizes)], whole)
    if not floor:
        return wrong, 0.0
    r = reference[wrong]
    noise = (sizes := _sizes(board[wrong], r)) <= floor
    if board.dtype.kind == "f" and not _beside(sizes[noise], r[noise].astype(np.float64)):
        return wrong, 0.0
    left = wrong.copy()
    left[wrong] = ~noise
    return left, typical


def _sizes(board: Array, reference: Array) -> Array:
    with np.errstate(invalid="ignore"):  # any bytes may lie in a file, also a NaN that signals
        difference = np.subtract(board, reference, dtype=np.float64)
        sizes: Array = np.abs(difference, out=difference)
        return sizes


def _beside(noise: Array, values: Array) -> bool:
    """Whether it is small beside the values: small errors of small values are no noise."""
    return float(np.sqrt(np.mean(noise**2))) <= RELATIVE * float(np.sqrt(np.mean(values**2)))


def _floors(sizes: Array, whole: bool) -> tuple[float, float]:
    """(the emptiest place between the two groups, the size that divides them): above the first lie stray elements of
    the noise. 0 and 0 without a gap."""
    sizes = np.sort(sizes)
    if len(sizes) < 2 or not sizes[-1] > 0:
        return 0.0, 0.0
    if whole:
        floors = np.ones(1)
    else:
        low, high = np.log10(max(sizes[0], sizes[-1] * 1e-12)), np.log10(sizes[-1])
        floors = 10.0 ** np.arange(low, high, 1 / PER_DECADE)
    below = np.searchsorted(sizes, floors, "right")
    above = len(sizes) - np.searchsorted(sizes, floors * GAP, "right")
    between = len(sizes) - below - above
    smaller = np.minimum(below, above)
    good = (above > 0) & (below >= LEAST_NOISE * len(sizes)) & (between <= IN_GAP * smaller)
    if not good.any():
        return 0.0, 0.0
    emptiest = int(np.argmin(np.where(good, between / np.maximum(smaller, 1), np.inf)))
    stray = below <= below[emptiest] * (1 + STRAY)
    last = np.flatnonzero(good & stray)[-1]
    return float(sizes[below[emptiest] - 1]), float(sizes[below[last] - 1])
