"""Mistakes in turning integers into real values: zero point left in, scale left out, another scale, bytes misread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.records import Fingerprint, TensorSpec

Array = npt.NDArray[Any]
F64 = npt.NDArray[np.float64]
NEAR = 1e-3  # of a step: float32 products of small integers are this close
LEAST_DISTINCT = 8  # integers, or a rule says little


def dequantization_mistake(board: Array, reference: Array, spec: TensorSpec) -> Fingerprint | None:
    """Board floats against the reference's stored integers: the rule that makes the first out of the second exactly."""
    if board.dtype.kind in "iu":
        return _of_integers(board, reference)
    q = spec.quantization
    if q is None or board.dtype.kind != "f" or reference.dtype.kind not in "iu" or not np.isfinite(board).all():
        return None
    if np.unique(reference).size < LEAST_DISTINCT:
        return None
    scales, zeros = (_along(values, q.axis, reference.ndim) for values in (q.scales, q.zero_points or (0,)))
    real = np.asarray(board, np.float64)
    for sentence, steps, scale in _rules(reference, scales, zeros):
        if bool((np.abs(real - steps * scale) <= NEAR * np.abs(scale)).all()):
            return Fingerprint("dequantization", True, sentence, sentence)
    factor = _factor(real, np.asarray(reference - zeros, np.float64))
    if factor is None or scales.size > 1:
        return None
    text = f"dequantized with a scale of {factor:.6g} instead of {float(scales.reshape(-1)[0]):.6g}"
    return Fingerprint("dequantization", True, text, text, {"factor": factor / float(scales.reshape(-1)[0])})


def _of_integers(board: Array, reference: Array) -> Fingerprint | None:
    """One side signed, the other not: the same bytes, or values that were moved to the other's range."""
    if reference.dtype.kind not in "iu" or board.dtype.itemsize != reference.dtype.itemsize or not board.size:
        return None
    sign = {"i": "signed", "u": "unsigned"}[board.dtype.kind]
    if np.array_equal(np.ascontiguousarray(board).view(reference.dtype), reference):
        return Fingerprint("dequantization", True, f"the same bytes, read as {sign}", f"the same bytes, read as {sign}")
    by = (board.astype(np.int64) - reference.astype(np.int64)).reshape(-1)
    if abs(int(by[0])) != 1 << (8 * board.dtype.itemsize - 1) or not bool((by == by[0]).all()):
        return None
    text = f"the same values, {by[0]:+d} to be {sign}: right where the zero point is {by[0]:+d}, too"
    return Fingerprint("dequantization", True, text, text, {"offset": int(by[0])})


def _along(values: tuple[float, ...] | tuple[int, ...], axis: int | None, rank: int) -> F64:
    shape = [1] * rank
    if len(values) > 1 and axis is not None:
        shape[axis] = -1
    return np.asarray(values if len(values) > 1 else values[:1], np.float64).reshape(shape)


def _rules(reference: Array, scales: F64, zeros: F64) -> Iterator[tuple[str, F64, F64]]:
    """(what was done, steps, scale): the board is their product."""
    steps = np.asarray(reference, np.float64)
    one = np.ones_like(scales)
    if zeros.any():
        yield f"zero point {_text(zeros)} not subtracted", steps, scales
        yield "integers without scale: the zero point is subtracted only", steps - zeros, one
    yield "integers without scale: the stored values as they are", steps, one
    if scales.size > 1:
        yield (
            "scale of channel 0 used for all channels",
            steps - zeros,
            scales.reshape(-1)[:1].reshape([1] * steps.ndim),
        )
    if reference.dtype.itemsize == 1:
        signed = reference.dtype.kind == "i"
        other = np.asarray(reference.view(np.uint8 if signed else np.int8), np.float64)
        how = "unsigned" if signed else "signed"
        yield f"the same bytes, read as {how}, then dequantized", other - zeros, scales
        if zeros.any():
            yield f"the same bytes, read as {how}, zero point not subtracted", other, scales


def _text(zeros: F64) -> str:
    return f"{int(zeros.reshape(-1)[0])}" if zeros.size == 1 else "of each channel"


def _factor(real: F64, steps: F64) -> float | None:
    """The one scale that makes all real values out of the steps; None where none does."""
    power = float(np.dot(steps.reshape(-1), steps.reshape(-1)))
    factor = float(np.dot(real.reshape(-1), steps.reshape(-1))) / power if power else 0.0
    if not factor or not bool((np.abs(real - steps * factor) <= NEAR * abs(factor)).all()):
        return None
    return factor
