"""Figures of pairs whose scales, dtypes or shapes are not the same, and figures that grow with the error."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.consistency.metrics.pointwise import measure
from harness.consistency.reading.tensor_files import TensorError, dequantize
from harness.records import Quantization, TensorSpec
from tests.consistency.metrics.test_pointwise import Array, naive

# --------------------------------------------------------------------------- scales


def spec_of(dtype: str, array: Array, scale: float, zero: int = 0) -> TensorSpec:
    return TensorSpec("t", dtype, array.shape, quantization=Quantization((scale,), (zero,)))


def test_scales_that_differ_are_compared_dequantized_in_the_larger_step() -> None:
    values = np.random.default_rng(0).uniform(-5, 5, 1000)
    x = np.rint(values / 0.1).astype(np.int8)
    r = np.rint(values / 0.05).astype(np.int8)
    metrics = measure(x, r, spec_of("s8", x, 0.1), spec_of("s8", r, 0.05))
    real = dequantize(x, Quantization((0.1,))) - dequantize(r, Quantization((0.05,)))
    assert metrics.max_step == pytest.approx(np.abs(real).max() / 0.1)
    assert metrics.max_step <= 1 and metrics.mismatched == 0
    assert metrics.histogram == ()
    shifted = measure(x + np.int8(2), r, spec_of("s8", x, 0.1), spec_of("s8", r, 0.05))
    assert shifted.mismatched > 900 and shifted.mean_step == pytest.approx(2, abs=0.1)


def test_equal_bytes_of_unequal_scales_are_not_equal() -> None:
    x = np.arange(-50, 50, dtype=np.int8)
    metrics = measure(x, x.copy(), spec_of("s8", x, 0.1), spec_of("s8", x, 0.2))
    assert metrics.mismatched > 90 and metrics.relative_l2 == pytest.approx(0.5)


def test_equal_bytes_of_unequal_zero_points_are_not_equal() -> None:
    x = np.arange(-50, 50, dtype=np.int8)
    metrics = measure(x, x.copy(), spec_of("s8", x, 0.1, 0), spec_of("s8", x, 0.1, 3))
    assert (metrics.mismatched, metrics.max_step) == (100, 3.0)


def test_u8_and_s8_of_one_scale_are_compared_in_exact_steps() -> None:
    s = np.arange(-128, 128).astype(np.int8)
    u = (s.astype(np.int16) + 128).astype(np.uint8)
    metrics = measure(u, s, spec_of("u8", u, 0.1, 128), spec_of("s8", s, 0.1, 0))
    assert (metrics.mismatched, metrics.max_step, metrics.relative_l2) == (0, 0.0, 0.0)


def test_a_scale_printed_with_six_digits_is_the_same_scale() -> None:
    x = np.arange(100, dtype=np.int8)
    metrics = measure(x, x.copy(), spec_of("s8", x, 0.00771821), spec_of("s8", x, 0.007718208245933056))
    assert metrics.mismatched == 0


def test_scales_per_channel_weigh_each_channel() -> None:
    rng = np.random.default_rng(0)
    r = rng.integers(-1000, 1000, (2, 3, 4, 5)).astype(np.int32)
    x = r + rng.integers(-2, 3, r.shape).astype(np.int32)
    q = Quantization((0.1, 1.0, 10.0), (0, 5, -5), axis=1)
    spec = TensorSpec("t", "s32", r.shape, "NCHW", quantization=q)
    metrics = measure(x, r, spec, spec)
    real = naive(dequantize(x, q), dequantize(r, q))
    assert metrics.relative_l2 == pytest.approx(real["l2"] / real["ref"], rel=1e-12)
    assert metrics.max_abs == pytest.approx(real["max"])
    assert metrics.max_step == float(np.abs(x - r).max())


def test_floats_against_integers_use_the_integers_scale() -> None:
    q = np.arange(-100, 100, dtype=np.int8)
    metrics = measure(q.astype(np.float32) * np.float32(0.5), q, None, spec_of("s8", q, 0.5))
    assert metrics.mismatched == 0 and metrics.max_step == 0.0
    with pytest.raises(TensorError) as caught:
        measure(q.astype(np.float32), q)
    assert caught.value.reason == "dtype_differs"


def test_shapes_that_differ_are_an_error() -> None:
    with pytest.raises(TensorError) as caught:
        measure(np.zeros((2, 3)), np.zeros((3, 2)))
    assert caught.value.reason == "shape_differs"


def test_booleans_and_foreign_byte_order_are_values_like_any_other() -> None:
    assert measure(np.array([True, False]), np.array([1, 0], np.uint8)).mismatched == 0
    big = np.arange(20, dtype=">i2")
    assert measure(big, np.arange(20, dtype="<i2")).mismatched == 0


# --------------------------------------------------------------------------- monotone


@given(
    hnp.arrays(np.float32, 40, elements=st.floats(-100, 100, width=32)),
    hnp.arrays(np.float32, 40, elements=st.floats(-1, 1, width=32)),
    st.floats(1.0, 1000.0),
)
@settings(max_examples=80, deadline=None)
def test_a_larger_error_never_has_a_smaller_figure(reference: Array, error: Array, factor: float) -> None:
    wide, r = error.astype(np.float64), reference.astype(np.float64)
    small, large = measure(r + wide, r), measure(r + factor * wide, r)
    for name in ("relative_l2", "max_abs", "max_abs_over_range"):
        low, high = getattr(small, name), getattr(large, name)
        assert low is None or high >= low * (1 - 1e-9)


@given(hnp.arrays(np.int8, 40), st.lists(st.integers(0, 39), unique=True, min_size=1), st.integers(0, 39))
@settings(max_examples=80, deadline=None)
def test_one_more_wrong_element_never_lowers_a_count(reference: Array, places: list[int], more: int) -> None:
    board = reference.copy()
    board[places] ^= 1
    before = measure(board, reference)
    if more not in places:
        board[more] ^= 4
    after = measure(board, reference)
    assert after.mismatched >= before.mismatched
    assert (after.max_step or 0) >= (before.max_step or 0)


def test_sqnr_is_the_relative_norm_in_decibels() -> None:
    r = np.random.default_rng(0).standard_normal(1000)
    metrics = measure(r * 1.1, r)
    assert metrics.sqnr_db == pytest.approx(20, abs=1e-6)
    assert measure(r, r.copy()).sqnr_db is None
    assert math.isclose(10 ** (-(metrics.sqnr_db or 0) / 20), metrics.relative_l2 or 0)
