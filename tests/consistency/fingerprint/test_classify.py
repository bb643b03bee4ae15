"""Kinds of fault: named with evidence, certain only when nothing else explains the pair, silent on equal pairs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.consistency.fingerprint import classify as fingerprint
from harness.consistency.fingerprint.classify import classify
from harness.consistency.fingerprint.context import FingerprintContext
from harness.consistency.metrics.pointwise import measure
from harness.records import Quantization, TensorSpec
from tests.support.fingerprint_kit import NAMES, Array, activation, clipped, named

# --------------------------------------------------------------------------- nothing wrong


@given(st.sampled_from(sorted(NAMES)), st.integers(0, 1000), st.booleans())
def test_an_equal_pair_is_never_classified(dtype: str, seed: int, relu: bool) -> None:
    r = activation((1, 4, 6, 5), "i1" if dtype == "u1" else dtype, seed, relu)
    assert named(r.copy(), r).kind == "none"


# --------------------------------------------------------------------------- laws of values


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4"])
@pytest.mark.parametrize("bits", [-3, -1, 1, 2])
def test_shifts_are_certain_and_say_how_many_bits(dtype: str, bits: int) -> None:
    r = activation(dtype=dtype)
    board = r >> -bits if bits < 0 else clipped(r.astype(np.int64) << bits, r)
    fingerprint = named(board, r)
    assert (fingerprint.kind, fingerprint.certain, fingerprint.figures["bits"]) == ("shift", True, bits)


@pytest.mark.parametrize("rounding", [np.floor, np.rint, np.trunc])
def test_a_shift_about_the_zero_point_is_found_whatever_the_rounding(rounding: Callable[[Array], Array]) -> None:
    r = (activation().astype(int) // 2 + 128).astype(np.uint8)
    board = (rounding((r.astype(float) - 128) / 2) + 128).astype(np.uint8)
    spec = TensorSpec("t", "u8", r.shape, "NCHW", quantization=Quantization((0.1,), (128,)))
    fingerprint = named(board, r, spec=spec)
    assert (fingerprint.kind, fingerprint.certain) == ("shift", True)


@pytest.mark.parametrize("factor", [1.1, 0.9, 1.5, 0.3])
@pytest.mark.parametrize("dtype", ["i1", "i2", "f4", "f2"])
def test_scales_are_certain_and_give_the_factor(dtype: str, factor: float) -> None:
    r = activation(dtype=dtype)
    board = (r * r.dtype.type(factor)) if r.dtype.kind == "f" else clipped(np.rint(r * factor), r)
    fingerprint = named(board, r)
    assert (fingerprint.kind, fingerprint.certain) == ("scale", True)
    assert fingerprint.figures["factor"] == pytest.approx(factor, rel=2e-3)


@pytest.mark.parametrize("by", [-5, 1, 20])
@pytest.mark.parametrize("dtype", ["i1", "i2", "i4"])
def test_zero_points_are_certain_and_give_the_offset(dtype: str, by: int) -> None:
    r = activation(dtype=dtype)
    fingerprint = named(clipped(r.astype(np.int64) + by, r), r)
    assert (fingerprint.kind, fingerprint.certain, fingerprint.figures["offset"]) == ("zero_point", True, by)


@pytest.mark.parametrize("dtype", ["f4", "f2"])
def test_an_offset_of_floats_is_found_although_each_sum_is_rounded(dtype: str) -> None:
    r = activation(dtype=dtype)
    fingerprint = named((r.astype(np.float64) + 0.0123).astype(dtype), r)
    assert fingerprint.kind == "zero_point"
    assert fingerprint.figures["offset"] == pytest.approx(0.0123, rel=0.02)


@pytest.mark.parametrize("dtype", ["i1", "i2", "f4"])
def test_saturation_names_the_limit(dtype: str) -> None:
    r = activation(dtype=dtype)
    limit = np.asarray(np.abs(r.astype(np.float64)).max() * 0.6).astype(dtype)
    fingerprint = named(np.clip(r, -limit, limit), r)
    assert (fingerprint.kind, fingerprint.certain) == ("saturation", True)
    assert fingerprint.figures["high"] == float(limit)


def test_poor_data_is_named_but_never_certain() -> None:
    r = np.zeros((1, 4, 6, 6), np.int8)
    r[0, :, 2:4, 2:4] = 1
    fingerprint = named(r * np.int8(0), r)
    assert not fingerprint.certain
    small = np.array([0, 2, 0, 4], np.int8)
    assert not named(small // np.int8(2), small).certain


# --------------------------------------------------------------------------- scattered


@pytest.mark.parametrize("share", [0.005, 0.2, 0.6])
def test_scattered_single_steps_are_rounding(share: float) -> None:
    rng = np.random.default_rng(0)
    r = activation()
    step = (rng.random(r.shape) < share) * rng.choice([-1, 1], r.shape)
    fingerprint = named(clipped(r.astype(int) + step, r), r)
    assert (fingerprint.kind, fingerprint.certain) == ("rounding", False)


def test_another_order_of_sums_is_rounding() -> None:
    r = activation(dtype="f4")
    board = r * (1 + 2e-7 * np.random.default_rng(0).standard_normal(r.shape)).astype(np.float32)
    assert named(board, r).kind == "rounding"


def test_shuffled_values_are_a_permutation_that_nobody_can_name() -> None:
    r = activation()
    fingerprint = named(np.random.default_rng(0).permutation(r.ravel()).reshape(r.shape), r)
    assert (fingerprint.kind, fingerprint.certain, fingerprint.transform) == ("permutation", False, "")


def test_noise_is_unclassified_and_says_so() -> None:
    r = activation()
    board = np.random.default_rng(0).integers(-128, 127, r.shape).astype(np.int8)
    fingerprint = named(board, r)
    assert (fingerprint.kind, fingerprint.certain) == ("unclassified", False)


# --------------------------------------------------------------------------- NaN and infinity


@pytest.mark.parametrize(("kind", "value"), [("nan", np.nan), ("inf", np.inf), ("inf", -np.inf)])
def test_new_nan_and_infinity(kind: str, value: float) -> None:
    r = activation(dtype="f4")
    board = r.copy()
    board[0, 1, 2, 3] = value
    fingerprint = named(board, r)
    assert (fingerprint.kind, fingerprint.certain, fingerprint.figures["count"]) == (kind, True, 1)
    board[0, 5] *= np.float32(1.37)
    assert not named(board, r).certain


# --------------------------------------------------------------------------- what the context tells


def test_another_result_at_another_run_is_nondeterminism() -> None:
    r = activation()
    board = r.copy()
    board[0, 0, 0, :5] += 1
    fingerprint = named(board, r, FingerprintContext(repeats=(board, r, board)))
    assert (fingerprint.kind, fingerprint.certain) == ("nondeterminism", True)
    assert "1 of 3" in fingerprint.evidence
    assert named(board, r, FingerprintContext(repeats=(board, board))).kind != "nondeterminism"


def test_a_value_fault_of_the_networks_input_is_preprocessing() -> None:
    r = activation((1, 3, 24, 24), seed=5)
    fingerprint = named(np.ascontiguousarray(r[:, ::-1]), r, FingerprintContext(is_input=True))
    assert fingerprint.kind == "preprocessing" and "channels in reverse order" in fingerprint.evidence
    assert named(clipped(r.astype(int) + 10, r), r, FingerprintContext(is_input=True)).kind == "preprocessing"


def weigh(inputs: Sequence[Array]) -> Array:
    """A stand-in op: mixes channels and inputs unevenly."""
    total = sum((i + 1) * image.astype(np.float64) for i, image in enumerate(inputs))
    weights = np.array([[0.2, 0.5, -0.3], [0.1, -0.7, 0.4]])
    return np.einsum("oc,nchw->nohw", weights, total).astype(np.float32)


def test_an_op_run_alone_tells_exchanged_inputs_and_colours() -> None:
    a, b = activation((1, 3, 16, 16), seed=1), activation((1, 3, 16, 16), seed=2)
    r = weigh((a, b))
    context = FingerprintContext(first_op=True, inputs=(a, b), recompute=weigh)
    fingerprint = named(weigh((b, a)), r, context)
    assert (fingerprint.kind, fingerprint.certain) == ("input_order", True)
    fingerprint = named(weigh((np.ascontiguousarray(a[:, ::-1]), b)), r, context)
    assert (fingerprint.kind, fingerprint.certain) == ("preprocessing", True)
    assert "channels reversed (RGB/BGR)" in fingerprint.evidence


def test_a_difference_from_the_first_op_on_points_at_the_input() -> None:
    a = activation((1, 3, 16, 16), seed=1)
    board = weigh((clipped(a.astype(int) * 1.2 + 10, a),))
    fingerprint = named(board, weigh((a,)), FingerprintContext(first_op=True))
    assert (fingerprint.kind, fingerprint.certain) == ("preprocessing", False)


# --------------------------------------------------------------------------- large, odd and foreign


def test_of_a_very_large_tensor_a_part_is_looked_at_and_nothing_is_certain() -> None:
    r = activation((1, 32, 28, 28))
    board = r >> 1
    before, fingerprint.LOOK_BYTES = fingerprint.LOOK_BYTES, 4096
    try:
        result = named(board, r)
    finally:
        fingerprint.LOOK_BYTES = before
    assert (result.kind, result.certain) == ("shift", False)
    assert "analysed" in result.evidence


def test_types_that_differ_are_not_guessed_at() -> None:
    q = Quantization((0.5,))
    board = activation(dtype="f4")
    reference = activation()
    spec = TensorSpec("t", "s8", reference.shape, "NCHW", quantization=q)
    metrics = measure(board, reference, TensorSpec("t", "f32", board.shape), spec)
    assert classify(board, reference, spec, metrics).kind == "unclassified"


@given(st.sampled_from(sorted(NAMES)), st.lists(st.integers(1, 4), min_size=0, max_size=5), st.integers(0, 99))
def test_any_pair_gets_a_fingerprint_and_no_traceback(dtype: str, shape: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    r, board = ((rng.standard_normal(shape) * 3).astype(dtype) for _ in range(2))
    fingerprint = named(np.asarray(board), np.asarray(r))
    json.dumps(fingerprint.figures)
