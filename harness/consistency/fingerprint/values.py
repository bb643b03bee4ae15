"""Faults that change every value in the same way, wherever it stands: shift, scale, zero point, saturation.

Each test rebuilds the board's tensor from the reference's; only a rebuilt tensor that is equal element for
element counts (floats: within a few units in the last place). Several tests may succeed on poor data (few
distinct values): then all are returned, and none is certain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.consistency.metrics.int_sums import joint_histogram
from harness.records.json_values import Json

Array = npt.NDArray[Any]
SHIFTS = tuple(k for k in range(-8, 9) if k)
LARGEST_HALF = 65504.0  # of float16
SAMPLE = 1 << 16  # pairs that are looked at first
ULPS = 4.0  # of float results: one for the product, one for its rounding, and as much again
ROUNDINGS: dict[str, Callable[[Array], Array]] = {
    "floor": np.floor,
    "nearest": np.rint,
    "half up": lambda v: np.floor(v + 0.5),
    "towards zero": np.trunc,
}


@dataclass(frozen=True)
class Law:
    """A rule that makes the board's tensor out of the reference's."""

    kind: str
    sentence: str
    figures: dict[str, Json]


@dataclass(frozen=True)
class Pairs:
    """Distinct or all (board, reference) values, and what their dtype and scale allow."""

    x: Array
    r: Array
    rails: tuple[float, float]
    zero_point: int

    @property
    def whole(self) -> bool:
        """Whether the values are of an integer dtype, which ends at rails."""
        return math.isfinite(self.rails[0])

    @property
    def inside(self) -> Array:
        """Where the board is not at a rail, so that nothing was clipped."""
        return (self.x > self.rails[0]) & (self.x < self.rails[1])


def pairs(board: Array, reference: Array, rails: tuple[float, float] | None, zero_point: int = 0) -> Pairs:
    """Pairs of values of two arrays of one shape; for 8-bit integers each distinct pair once."""
    if rails is None:
        x, r = board.reshape(-1), reference.reshape(-1)
        good = np.isfinite(x) & np.isfinite(r)
        return Pairs(x[good].astype(np.float64), r[good].astype(np.float64), (-math.inf, math.inf), 0)
    if board.dtype.itemsize == reference.dtype.itemsize == 1:
        return Pairs(*_distinct(board, reference), rails, zero_point)
    return Pairs(board.reshape(-1).astype(np.int64), reference.reshape(-1).astype(np.int64), rails, zero_point)


def _distinct(board: Array, reference: Array) -> tuple[Array, Array]:
    flat = [np.ascontiguousarray(side).reshape(-1) for side in (board, reference)]
    at = np.nonzero(joint_histogram(flat[0], flat[1]))
    x, r = (index.astype(np.uint8).view(side.dtype).astype(np.int64) for index, side in zip(at, flat, strict=True))
    return x, r


def laws(p: Pairs, dtype: np.dtype[Any]) -> list[Law]:
    """Every law that rebuilds the board exactly, likeliest first; [] where the values alone do not tell."""
    if not len(p.x):
        return []
    tests = (_offset, _shift, _scale, _clip) if p.whole else (_float_offset, _float_shift, _float_scale, _float_clip)
    candidates = [law for test in tests for law in test(p, dtype)]
    if any(law.kind == "shift" for law in candidates):
        candidates = [law for law in candidates if law.kind != "scale"]  # a power of two is a shift
    return candidates


# ------------------------------------------------------------------------- integers


def _same(p: Pairs, rebuilt: Array) -> bool:
    return bool((np.clip(rebuilt, *p.rails) == p.x).all())


def _offset(p: Pairs, _: np.dtype[Any]) -> Iterator[Law]:
    inside = p.inside
    if not inside.any():
        return
    first = int(np.argmax(inside))
    by = int(p.x[first] - p.r[first])
    if by and _same(p, p.r + by):
        yield Law(
            "zero_point", f"board = reference {by:+d} on every element, clipped at the dtype limits", {"offset": by}
        )


def _centres(p: Pairs) -> tuple[int, ...]:
    return (p.zero_point,) if p.zero_point == 0 else (p.zero_point, 0)


def _shift(p: Pairs, _: np.dtype[Any]) -> Iterator[Law]:
    for k in SHIFTS:
        for centre in _centres(p):
            exact = (p.r - centre) * 2.0**k
            for name, rounding in ROUNDINGS.items() if k < 0 else (("floor", np.floor),):
                if _same(p, rounding(exact) + centre):
                    yield Law("shift", _shift_sentence(k, centre, name), {"bits": k, "centre": centre})
                    return


def _shift_sentence(k: int, centre: int, rounding: str) -> str:
    factor = f"{2**k}" if k > 0 else f"1/{2**-k}"
    about = f" about {centre}" if centre else ""
    how = f", rounded {rounding}" if k < 0 else ""
    return f"board = reference x {factor}{about}{how}, clipped at the dtype limits: a shift of {abs(k)} bit"


def _scale(p: Pairs, _: np.dtype[Any]) -> Iterator[Law]:
    """Each pair allows an interval of factors; what is left of all of them is the factor, or nothing is."""
    inside = p.inside
    for centre in _centres(p):
        for below, above, rounding in ((0.5, 0.5, np.rint), (0.0, 1.0, np.floor)):
            factor = _factor(p.x[inside] - centre, p.r[inside] - centre, below, above)
            if factor is not None and _same(p, rounding((p.r - centre) * factor) + centre):
                yield Law("scale", f"board = reference x {factor:.6g}, rounded and clipped", {"factor": factor})
                return


def _factor(x: Array, r: Array, below: float, above: float) -> float | None:
    used = r != 0
    if np.count_nonzero(used) < 2:
        return None
    ends = np.stack([(x[used] - below) / r[used], (x[used] + above) / r[used]])
    low, high = float(ends.min(axis=0).max()), float(ends.max(axis=0).min())
    if not low <= high:
        return None
    return _roundest(low, high)


def _roundest(low: float, high: float) -> float:
    """The number with the fewest digits in the interval: 1.1 rather than 1.0998."""
    for digits in range(12):
        step = 10.0**-digits
        candidate = round((low + high) / 2 / step) * step
        if low < candidate < high:
            return candidate
    return (low + high) / 2


def thinned(pair: tuple[Array, Array]) -> tuple[Array, Array]:
    """About SAMPLE pairs out of all, in float64: what does not hold for them does not hold."""
    every = max(1, pair[0].size // SAMPLE)
    first, second = (side.reshape(-1)[::every].astype(np.float64) for side in pair)
    return first, second


def _is_clipped(clipped: Array, whole: Array, low: float, high: float, room: float) -> bool:
    return bool((np.abs(np.clip(whole, low, high) - clipped) <= room).all())


def clip_law(board: Array, reference: Array, room: float) -> Law | None:
    """One side is the other clipped at its own ends, within `room`, and beyond it where it is clipped."""
    for clipped, whole, sentence in (
        (board, reference, "board = reference clipped to {}"),
        (reference, board, "the reference is clipped to {}, the board is not"),
    ):
        low, high = float(clipped.min()), float(clipped.max())
        if not low < high or not _is_clipped(*thinned((clipped, whole)), low, high, room):
            continue
        c, w = clipped.astype(np.float64), whole.astype(np.float64)
        beyond = (w > high + 2 * room) | (w < low - 2 * room)
        if np.count_nonzero(beyond) >= 4 and _is_clipped(c, w, low, high, room):
            text = sentence.format(f"{low:.6g} to {high:.6g}")
            return Law("saturation", f"{text}; inside they are within rounding", {"low": low, "high": high})
    return None


def _clip(p: Pairs, _: np.dtype[Any]) -> Iterator[Law]:
    low, high = p.x.min(), p.x.max()
    if bool((np.clip(p.r, low, high) == p.x).all()):
        yield Law("saturation", _clip_sentence(p, low, high), {"low": float(low), "high": float(high)})


def _clip_sentence(p: Pairs, low: Any, high: Any) -> str:
    cuts = [f"above at {high:.6g}"] if (p.r > high).any() else []
    cuts += [f"below at {low:.6g}"] if (p.r < low).any() else []
    return f"board = reference clipped {' and '.join(cuts)}; all values inside are equal"


# ------------------------------------------------------------------------- floats


def _tolerance(p: Pairs, dtype: np.dtype[Any], size: Array) -> Array:
    return np.asarray(size * (float(np.finfo(dtype).eps) * ULPS) + float(np.finfo(dtype).tiny))


def _float_offset(p: Pairs, dtype: np.dtype[Any]) -> Iterator[Law]:
    """A sum rounded once to the type of the tensor: each pair allows an interval of offsets, as in _scale.

    A board that rounds otherwise leaves the mean, within one unit in the last place of every element.
    """
    d = p.x - p.r
    last_place = np.spacing(np.maximum(np.abs(p.x), np.abs(p.r)).astype(dtype)).astype(np.float64)
    half = np.spacing(np.abs(p.x).astype(dtype)).astype(np.float64) / 2
    low, high = float((d - half).max()), float((d + half).min())
    by = (low + high) / 2 if low <= high else float(d.mean())
    rebuilt = bool(((p.r + by).astype(dtype) == p.x).all())
    close = abs(by) > 2 * float(np.median(last_place)) and bool((np.abs(d - by) <= last_place + abs(by) * 1e-6).all())
    if by and (rebuilt or close):
        yield Law("zero_point", f"board = reference {by:+.6g} on every element", {"offset": by})


def _float_shift(p: Pairs, dtype: np.dtype[Any]) -> Iterator[Law]:
    factor = _ratio(p)
    if factor is None or factor <= 0:
        return
    k = round(math.log2(factor))
    if k and _multiplied(p, dtype, 2.0**k):
        yield Law("shift", f"board = reference x 2^{k} on every element", {"bits": k})


def _float_scale(p: Pairs, dtype: np.dtype[Any]) -> Iterator[Law]:
    factor = _ratio(p)
    if factor is not None and abs(factor - 1) > 64 * np.finfo(dtype).eps and _multiplied(p, dtype, factor):
        yield Law("scale", f"board = reference x {factor:.6g} on every element", {"factor": factor})


def _ratio(p: Pairs) -> float | None:
    """Slope through zero; None where the reference is zero or holds too few values to tell a factor."""
    power = float(np.dot(p.r, p.r))
    if not power or np.count_nonzero(p.r) < 2:
        return None
    return float(np.dot(p.x, p.r)) / power


def _multiplied(p: Pairs, dtype: np.dtype[Any], factor: float) -> bool:
    rebuilt = p.r * factor
    return bool((np.abs(rebuilt - p.x) <= _tolerance(p, dtype, np.abs(rebuilt))).all())


def _float_clip(p: Pairs, dtype: np.dtype[Any]) -> Iterator[Law]:
    yield from _clip(p, dtype)
