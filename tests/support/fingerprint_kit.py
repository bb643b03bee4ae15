"""Tensors that look like a network's, and a kind of fault named for a pair of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.consistency.fingerprint.classify import classify
from harness.consistency.fingerprint.context import FingerprintContext
from harness.consistency.fingerprint.kinds import KINDS
from harness.consistency.metrics.pointwise import measure
from harness.records import Fingerprint, TensorSpec

Array = np.ndarray[Any, np.dtype[Any]]


def smooth(shape: tuple[int, ...], seed: int) -> Array:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    for axis in range(2, len(shape)):
        x = x + np.roll(x, 1, axis) + 0.5 * np.roll(x, 2, axis)
    return x


def activation(shape: tuple[int, ...] = (1, 32, 28, 28), dtype: str = "i1", seed: int = 0, relu: bool = False) -> Array:
    x = np.maximum(smooth(shape, seed), 0) if relu else smooth(shape, seed)
    if np.dtype(dtype).kind == "f":
        return x.astype(dtype)
    top = min(np.iinfo(dtype).max, 30_000)
    low = np.iinfo(dtype).min
    return np.clip(np.rint(x * top / np.abs(x).max()), low, top).astype(dtype)


NAMES = {"i1": "s8", "u1": "u8", "i2": "s16", "i4": "s32", "f2": "f16", "f4": "f32"}


def spec_of(array: Array, layout: str = "") -> TensorSpec:
    return TensorSpec("t", NAMES[array.dtype.str[1:]], array.shape, layout or ("NCHW" if array.ndim == 4 else ""))


def named(
    board: Array, reference: Array, context: FingerprintContext | None = None, spec: TensorSpec | None = None
) -> Fingerprint:
    spec = spec or spec_of(reference)
    result = classify(board, reference, spec, measure(board, reference, spec, spec), context)
    assert result.kind in KINDS and result.evidence
    return result


def clipped(values: Array, like: Array) -> Array:
    info = np.iinfo(like.dtype)
    return np.clip(values, info.min, info.max).astype(like.dtype)
