"""Mistakes in turning integers into real values: zero point left in, scale left out, another scale, bytes misread.

A rule holds for every element or not at all, and is asked part by part: in float64, a large dump would be many times
its file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.consistency.grid import grid_step
from harness.consistency.metrics.pointwise import quantizations
from harness.consistency.reading.layouts import TensorError
from harness.records import Fingerprint, TensorSpec

Array = npt.NDArray[Any]
F64 = npt.NDArray[np.float64]
NEAR = 1e-3  # of a step: float32 products of small integers are this close
LEAST_DISTINCT = 8  # integers, or a rule says little
BYTE = 256  # steps
PART = 1 << 20  # elements of a tensor that are looked at in one go
_NO_SCALE = "integers without scale: the stored values as they are"
_ZERO_ONLY = "integers without scale: the zero point is subtracted only"


@dataclass(frozen=True)
class _Slab:
    """Elements of both sides, with the scales and zero points that broadcast to them."""

    board: Array
    reference: Array
    scales: F64
    zeros: F64

    @property
    def real(self) -> F64:
        return np.asarray(self.board, np.float64)

    @property
    def stored(self) -> F64:
        return np.asarray(self.reference, np.float64)

    @property
    def steps(self) -> F64:
        return self.stored - self.zeros

    @property
    def other_sign(self) -> F64:
        """The reference's bytes, read with the other sign."""
        other = np.uint8 if self.reference.dtype.kind == "i" else np.int8
        return np.asarray(self.reference.view(other), np.float64)

    def parts(self) -> Iterator[_Slab]:
        """Slabs of at most PART elements where the longest axis allows it."""
        if self.board.size <= PART:
            yield self
            return
        axis = int(np.argmax(self.board.shape))
        rows = max(1, PART // (self.board.size // self.board.shape[axis]))
        for at in range(0, self.board.shape[axis], rows):
            yield _Slab(*(_cut(side, axis, at, rows) for side in (self.board, self.reference, self.scales, self.zeros)))


def _cut(side: Array, axis: int, at: int, rows: int) -> Array:
    return side if side.shape[axis] == 1 else side[(slice(None),) * axis + (slice(at, at + rows),)]


Rule = Callable[[_Slab], tuple[F64, F64]]  # (steps, scale): the board is their product


def dequantization_mistake(board: Array, reference: Array, spec: TensorSpec) -> Fingerprint | None:
    """Board floats against the reference's stored integers: the rule that makes the first out of the second exactly.

    Arrays of one shape, axes as `spec` (the reference's) labels them; None where no rule holds.
    """
    if board.dtype.kind in "iu":
        return _of_integers(board, reference)
    whole = _whole(board, reference, spec)
    if whole is None or not all(bool(np.isfinite(part.board).all()) for part in whole.parts()):
        return None
    if not _varies(whole):
        return None
    for sentence, rule in _rules(whole):
        if all(_near(part.real, *rule(part)) for part in whole.parts()):
            multiple = sentence == _ZERO_ONLY or (sentence == _NO_SCALE and not whole.zeros.any())
            shift = _as_shift(whole.scales) if multiple else ""
            return Fingerprint("dequantization", not shift, f"{sentence}{shift}", sentence)
    return _of_other_figures(whole) if whole.scales.size == 1 else None


def _of_other_figures(whole: _Slab) -> Fingerprint | None:
    """One scale, or one zero point, that is not this tensor's."""
    scale = float(whole.scales.reshape(-1)[0])
    factor = _factor(whole)
    if factor is not None:
        text = f"dequantized with a scale of {factor:.6g} instead of {scale:.6g}"
        return Fingerprint("dequantization", True, text, text, {"factor": factor / scale, "scale": factor})
    first = next(whole.parts())
    by = float(np.rint((first.real / first.scales - first.steps).reshape(-1)[0]))
    if not by or not all(_near(part.real, part.steps + by, part.scales) for part in whole.parts()):
        return None
    zero = int(whole.zeros.reshape(-1)[0])
    text = f"zero point {int(zero - by)} subtracted instead of {zero}"
    return Fingerprint("dequantization", True, text, text, {"zero_point": int(zero - by)})


def real_values_mistake(board: Array, reference: Array) -> Fingerprint | None:
    """The same where the reference holds real values that are whole steps of a scale: integers that were left without
    it, or bytes read with the other sign. Arrays of floats of one shape; None where neither rebuilds the board."""
    step = grid_step(reference)
    if not step or not np.isfinite(board).all():
        return None
    steps = np.rint(np.asarray(reference, np.float64) / step)
    if np.unique(steps.reshape(-1)[:PART]).size < LEAST_DISTINCT:
        return None
    if bool((board == np.rint(board)).all()) and abs(step - 1) > NEAR:
        by = np.asarray(board, np.float64) - steps
        if np.ptp(by) == 0:
            zero = f", and its zero point {int(by.flat[0])} is not subtracted" if by.flat[0] else ""
            text = f"integers without scale: each is a step of {step:.6g}{zero}"
            shift = "" if zero else _as_shift(np.array([step]))
            return Fingerprint("dequantization", not shift, f"{text}{shift}", text, {"scale": step})
    return _other_sign(np.asarray(board, np.float64) / step - steps)


def _as_shift(scales: F64) -> str:
    """What else makes integers of real values: a shift, where the scale is a power of two; "" where it is none."""
    bits = -np.log2(scales.reshape(-1))
    by = float(np.rint(bits[0]))
    if not by or (np.abs(bits - by) > NEAR).any():
        return ""
    return f"; or a shift off by {abs(by):.0f} bit{'s' * (abs(by) > 1)}: the board is the reference x {2.0**by:.6g}"


def _other_sign(off: F64) -> Fingerprint | None:
    """Steps by which each value is off: none, or the 256 of a byte."""
    turned = np.abs(np.abs(off) - BYTE) <= NEAR * BYTE
    still = np.abs(off) <= NEAR * BYTE
    if not turned.any() or not (turned | still).all() or not still.any() or len(np.unique(np.sign(off[turned]))) > 1:
        return None
    how = "unsigned" if off[turned].flat[0] > 0 else "signed"
    text = f"the same bytes, read as {how}: {np.count_nonzero(turned)} values are 256 steps off"
    return Fingerprint("dequantization", True, text, text)


def _whole(board: Array, reference: Array, spec: TensorSpec) -> _Slab | None:
    """Both sides with the reference's scales; None where it has none that fit, or the sides are of other kinds."""
    if board.dtype.kind != "f" or reference.dtype.kind not in "iu":
        return None
    try:
        q = quantizations(board, reference, None, spec)[1]
    except TensorError:
        return None
    if q is None:
        return None
    scales, zeros = (_along(values, q.axis, reference.ndim) for values in (q.scales, q.zero_points or (0,)))
    return _Slab(board, reference, scales, zeros)


def _varies(whole: _Slab) -> bool:
    seen: set[int] = set()
    for part in whole.parts():
        seen.update(np.unique(part.reference).tolist())
        if len(seen) >= LEAST_DISTINCT:
            return True
    return False


def _near(real: F64, steps: F64, scale: F64) -> bool:
    return bool((np.abs(real - steps * scale) <= NEAR * np.abs(scale)).all())


def _of_integers(board: Array, reference: Array) -> Fingerprint | None:
    """One side signed, the other not: the same bytes, or values that were moved to the other's range."""
    if reference.dtype.kind not in "iu" or board.dtype.itemsize != reference.dtype.itemsize or not board.size:
        return None
    sign = {"i": "signed", "u": "unsigned"}[board.dtype.kind]
    one = np.ones((1,) * board.ndim)
    parts = _Slab(board, reference, one, one).parts
    if all(np.array_equal(np.ascontiguousarray(p.board).view(reference.dtype), p.reference) for p in parts()):
        return Fingerprint("dequantization", True, f"the same bytes, read as {sign}", f"the same bytes, read as {sign}")
    by = int(board.flat[0]) - int(reference.flat[0])
    if abs(by) != 1 << (8 * board.dtype.itemsize - 1) or not all(_moved(part, by) for part in parts()):
        return None
    text = f"the same values, {by:+d} to be {sign}: right where the zero point is {by:+d}, too"
    return Fingerprint("dequantization", True, text, text, {"offset": by})


def _moved(part: _Slab, by: int) -> bool:
    return bool((part.board.astype(np.int64) - part.reference.astype(np.int64) == by).all())


def _along(values: Sequence[float], axis: int | None, rank: int) -> F64:
    shape = [1] * rank
    if len(values) > 1 and axis is not None:
        shape[axis] = -1
    return np.asarray(values if len(values) > 1 else values[:1], np.float64).reshape(shape)


def _rules(whole: _Slab) -> Iterator[tuple[str, Rule]]:
    """What was done, and how that makes the board's values."""
    one = np.ones(1)
    if whole.zeros.any():
        yield f"zero point {_text(whole.zeros)} not subtracted", lambda part: (part.stored, part.scales)
        yield _ZERO_ONLY, lambda part: (part.steps, one)
    yield _NO_SCALE, lambda part: (part.stored, one)
    if whole.scales.size > 1:
        first = whole.scales.reshape(-1)[:1]
        yield "scale of channel 0 used for all channels", lambda part: (part.steps, first)
        yield from _along_another_axis(whole)
    if whole.reference.dtype.itemsize == 1:
        how = "unsigned" if whole.reference.dtype.kind == "i" else "signed"
        text = f"the same bytes, read as {how}"
        yield f"{text}, then dequantized", lambda part: (part.other_sign - part.zeros, part.scales)
        if whole.zeros.any():
            yield f"{text}, zero point not subtracted", lambda part: (part.other_sign, part.scales)


def _along_another_axis(whole: _Slab) -> Iterator[tuple[str, Rule]]:
    """Scales of the channels, taken along an axis that is not theirs, from the first again where that is longer."""
    own = int(np.argmax(whole.scales.shape))
    for axis, size in enumerate(whole.reference.shape):
        if axis == own or size < 2:
            continue
        shape = [size if i == axis else 1 for i in range(whole.reference.ndim)]
        turned = replace(whole, scales=np.resize(whole.scales.reshape(-1), size).reshape(shape))
        if all(_near(part.real, part.steps, part.scales) for part in turned.parts()):
            words = f"scales of axis {own} (its channels) applied along axis {axis}"
            yield words, lambda part: (part.real, np.ones(1))  # it holds for every part


def _text(zeros: F64) -> str:
    return f"{int(zeros.reshape(-1)[0])}" if zeros.size == 1 else "of each channel"


def _factor(whole: _Slab) -> float | None:
    """The one scale that makes all real values out of the steps; None where none does."""
    power = product = 0.0
    for part in whole.parts():
        steps, real = part.steps.reshape(-1), part.real.reshape(-1)
        power, product = power + float(np.dot(steps, steps)), product + float(np.dot(real, steps))
    factor = product / power if power else 0.0
    if not factor or not all(_near(part.real, part.steps, np.array([factor])) for part in whole.parts()):
        return None
    return factor
