"""Faults that a cosine of 0.99 passes: each differs, and each is called by its right name.

The int8 map is a 48x80x64 activation after ReLU; the float ones are tensors with a mean far from zero.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from harness.consistency.fingerprint.classify import classify
from harness.consistency.metrics.pointwise import measure
from harness.records import Fingerprint, Metrics, TensorSpec

Array = np.ndarray[Any, np.dtype[Any]]
SHAPE = (1, 48, 80, 64)
SPEC = TensorSpec("t", "s8", SHAPE, "NHWC")


@cache
def feature_map() -> Array:
    """int8, NHWC, smooth over rows and columns, about half zero after ReLU."""
    rng = np.random.default_rng(20)
    x = rng.standard_normal(SHAPE)
    for axis in (1, 2):
        x = x + np.roll(x, 1, axis) + 0.5 * np.roll(x, 2, axis)
    x = np.maximum(x * rng.gamma(2.0, 0.5, 64), 0)
    return np.clip(np.rint(x * 127 / np.quantile(x, 0.9999)), -128, 127).astype(np.int8)


@cache
def earlier_frame() -> Array:
    return np.roll(feature_map(), (5, 9), axis=(1, 2))


def more_rounding(r: Array) -> Array:
    x = r.copy()
    at = np.random.default_rng(1).random(r.shape) < 0.005
    x[at & (r < 127)] += 1
    return x


def last_column_zero(r: Array) -> Array:
    x = r.copy()
    x[:, :, -1] = 0
    return x


def stale_bytes(size: int) -> Callable[[Array], Array]:
    def fault(r: Array) -> Array:
        flat, old = r.reshape(-1).copy(), earlier_frame().reshape(-1)
        first = 23 * 4096
        flat[first : first + size] = old[first : first + size]
        return flat.reshape(r.shape)

    return fault


def four_flipped_bits(r: Array) -> Array:
    flat = r.reshape(-1).copy()
    for place, bit in ((1_234, 6), (77_777, 5), (140_000, 6), (240_001, 4)):
        flat.view(np.uint8)[place] ^= 1 << bit
    return flat.reshape(r.shape)


def lower_half_moved(r: Array) -> Array:
    x = r.copy()
    x[:, 24:] = np.roll(r[:, 24:], 1, axis=2)
    return x


INT8_FAULTS: dict[str, tuple[Callable[[Array], Array], str, bool, bool]] = {
    # name: (fault, kind, certain, does a cosine gate of 0.99 pass it?)
    "rounding mode, +1 on 0.5 %": (more_rounding, "rounding", False, True),
    "requantization shift off by one": (lambda r: r >> 1, "shift", True, False),
    "zero point off by one everywhere": (
        lambda r: np.clip(r.astype(int) + 1, -128, 127).astype("i1"),
        "zero_point",
        True,
        True,
    ),
    "last W column zero": (last_column_zero, "stride", False, True),
    "one stale 64 byte line": (stale_bytes(64), "cache_line", False, True),
    "four flipped bits": (four_flipped_bits, "bit_flip", False, True),
    "one stale 4 KiB page": (stale_bytes(4096), "page", False, False),
    "saturates at 63": (lambda r: np.minimum(r, 63).astype("i1"), "saturation", True, False),
    "channels rotated": (lambda r: np.roll(r, 1, axis=3), "permutation", True, False),
    "NHWC read as NCHW": (lambda r: r.transpose(0, 3, 1, 2).reshape(r.shape), "layout", True, False),
    "lower half moved by one pixel": (lower_half_moved, "tile", False, False),
}


def look(board: Array, reference: Array, spec: TensorSpec) -> tuple[Metrics, Fingerprint]:
    metrics = measure(board, reference, spec, spec)
    return metrics, classify(board, reference, spec, metrics)


@pytest.mark.parametrize("name", INT8_FAULTS)
def test_faults_of_an_int8_map_are_seen_and_named(name: str) -> None:
    fault, kind, certain, _ = INT8_FAULTS[name]
    board = np.ascontiguousarray(fault(feature_map()))
    metrics, fingerprint = look(board, feature_map(), SPEC)
    assert metrics.mismatched == np.count_nonzero(board != feature_map()) > 0
    assert metrics.max_step and metrics.max_step >= 1
    assert (fingerprint.kind, fingerprint.certain) == (kind, certain), fingerprint.evidence


def test_cosine_passes_most_of_these_faults_which_is_why_it_is_no_gate() -> None:
    passed = []
    for name, (fault, *_, by_cosine) in INT8_FAULTS.items():
        one_minus = measure(np.ascontiguousarray(fault(feature_map())), feature_map()).one_minus_cosine
        assert one_minus is not None
        if by_cosine:
            assert one_minus <= 0.01, name
        passed.append(one_minus <= 0.01)
    assert sum(passed) >= 6


def test_a_halved_map_has_a_cosine_of_nearly_one_and_an_sqnr_of_six_decibels() -> None:
    metrics, fingerprint = look(feature_map() >> 1, feature_map(), SPEC)
    assert metrics.one_minus_cosine is not None and metrics.one_minus_cosine < 0.001
    assert metrics.sqnr_db == pytest.approx(6, abs=0.3)
    assert fingerprint.figures["bits"] == -1


# --------------------------------------------------------------------------- floats

FLOAT_SPEC = TensorSpec("t", "f32", (1, 64, 40, 40), "NCHW")


@cache
def around_ten() -> Array:
    rng = np.random.default_rng(3)
    return (10 + rng.standard_normal(FLOAT_SPEC.shape)).astype(np.float32)


def all_zero_but_the_outliers(r: Array) -> Array:
    return np.where(np.abs(r) > 500, r, np.float32(0)).astype(np.float32)


def test_doubling_a_float_tensor_is_invisible_to_cosine_and_named_here() -> None:
    metrics, fingerprint = look(around_ten() * np.float32(2), around_ten(), FLOAT_SPEC)
    assert metrics.one_minus_cosine is not None and metrics.one_minus_cosine < 1e-12
    assert metrics.relative_l2 == pytest.approx(1.0)
    assert (fingerprint.kind, fingerprint.certain) == ("shift", True)


def test_an_offset_of_half_is_named() -> None:
    metrics, fingerprint = look(around_ten() + np.float32(0.5), around_ten(), FLOAT_SPEC)
    assert metrics.one_minus_cosine is not None and metrics.one_minus_cosine < 1e-4
    assert (fingerprint.kind, fingerprint.certain) == ("zero_point", True)
    assert fingerprint.figures["offset"] == pytest.approx(0.5, abs=1e-6)


def test_a_random_permutation_of_a_tensor_around_ten_passes_cosine_and_is_named() -> None:
    board = np.random.default_rng(4).permutation(around_ten().ravel()).reshape(FLOAT_SPEC.shape)
    metrics, fingerprint = look(board, around_ten(), FLOAT_SPEC)
    assert metrics.one_minus_cosine is not None and metrics.one_minus_cosine <= 0.01
    assert (fingerprint.kind, fingerprint.certain) == ("permutation", False)


def test_all_but_eight_outliers_zeroed_passes_cosine_and_is_named() -> None:
    reference = np.random.default_rng(5).standard_normal(FLOAT_SPEC.shape).astype(np.float32)
    reference.reshape(-1)[np.arange(8) * 11_000 + 17] = 5000
    metrics, fingerprint = look(all_zero_but_the_outliers(reference), reference, FLOAT_SPEC)
    assert metrics.one_minus_cosine is not None and metrics.one_minus_cosine < 0.001
    assert metrics.mismatch_share > 0.99
    assert fingerprint.kind == "zeroed_region"


def test_one_dead_channel_of_64_is_named() -> None:
    board = around_ten().copy()
    board[:, 33] = 0
    metrics, fingerprint = look(board, around_ten(), FLOAT_SPEC)
    assert metrics.one_minus_cosine is not None and metrics.one_minus_cosine <= 0.01
    assert fingerprint.kind == "dead_channel"
    assert "C 33 of 64" in fingerprint.evidence


def test_one_wild_element_is_one_element_and_no_disaster() -> None:
    reference = np.random.default_rng(6).standard_normal(FLOAT_SPEC.shape).astype(np.float32)
    board = reference.copy()
    board[0, 5, 6, 7] += 100
    metrics, fingerprint = look(board, reference, FLOAT_SPEC)
    assert (metrics.mismatched, fingerprint.kind) == (1, "single_element")
    assert "(0, 5, 6, 7)" in fingerprint.evidence


def test_narrow_integers_do_not_wrap_and_wide_floats_do_not_overflow() -> None:
    assert measure(np.full(20, -128, np.int8), np.full(20, 127, np.int8)).max_step == 255.0
    assert measure(np.full(20, 65535, np.int32), np.full(20, 0, np.int32)).max_step == 65535.0
    r = np.full(20, 1e20, np.float32)
    assert measure(r * np.float32(1.5), r).relative_l2 == pytest.approx(0.5)


def test_what_should_be_zero_and_is_fifty_is_seen() -> None:
    r = np.zeros(1000, np.float32)
    r[::2] = 100
    x = r.copy()
    x[1::2] = 50
    metrics = measure(x, r)
    assert metrics.mismatched == 500 and metrics.max_abs == 50
