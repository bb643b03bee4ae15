"""Mistakes in one's own dequantization, named with their number."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from harness.consistency.fingerprint.classify import classify
from harness.consistency.fingerprint.dequantization import dequantization_mistake
from harness.consistency.metrics.pointwise import measure
from harness.records import Fingerprint, Quantization, TensorSpec
from tests.support.nets import Array

STEP, ZERO = np.float32(0.0331), 154
STORED = np.random.default_rng(0).integers(0, 256, (1, 6, 8, 8)).astype(np.uint8)
REAL = (STORED.astype(np.float32) - ZERO) * STEP
SIGNED = STORED.view(np.int8).astype(np.float32)


def named(board: Array, reference: Array, q: Quantization) -> Fingerprint:
    spec = TensorSpec("t", "u8" if reference.dtype == np.uint8 else "s32", reference.shape, "NCHW", quantization=q)
    board_spec = TensorSpec("t", "f32" if board.dtype.kind == "f" else "s8", board.shape, "NCHW", quantization=q)
    return classify(board, reference, spec, measure(board, reference, board_spec, spec))


@pytest.mark.parametrize(
    ("board", "words"),
    [
        (STORED * STEP, "zero point 154 not subtracted"),
        (STORED.astype(np.float32), "integers without scale"),
        (REAL / STEP, "integers without scale: the zero point is subtracted only"),
        ((STORED.astype(np.float32) - ZERO) * np.float32(0.0130055), "scale of 0.0130055 instead of 0.0331"),
        ((SIGNED - ZERO) * STEP, "the same bytes, read as signed, then dequantized"),
        ((STORED.astype(np.float32) - 128) * STEP, "zero point 128 subtracted instead of 154"),
        (STORED.view(np.int8), "the same bytes, read as signed"),
        ((STORED.astype(np.int16) - 128).astype(np.int8), "right where the zero point is -128, too"),
    ],
)
def test_a_mistake_is_named_with_its_number(board: Array, words: str) -> None:
    mark = named(board, STORED, Quantization((float(STEP),), (ZERO,)))
    assert (mark.kind, mark.certain) == ("dequantization", True) and words in mark.evidence


def test_the_scale_of_one_channel_used_for_all_is_named() -> None:
    stored = np.random.default_rng(1).integers(-4000, 4000, (1, 4, 8, 8)).astype(np.int32)
    q = Quantization((0.5, 0.25, 0.125, 0.01), (0, 0, 0, 0), 1)
    assert "scale of channel 0 used for all" in named((stored * 0.5).astype(np.float32), stored, q).evidence


@pytest.mark.parametrize("axis", [0, 2, 3])
def test_scales_along_another_axis_are_named(axis: int) -> None:
    stored = np.random.default_rng(1).integers(-4000, 4000, (2, 4, 8, 6)).astype(np.int32)
    q = Quantization((0.5, 0.25, 0.125, 0.01), (0, 0, 0, 0), 1)
    along = np.resize(q.scales, stored.shape[axis]).reshape([-1 if i == axis else 1 for i in range(4)])
    mark = named((stored * along).astype(np.float32), stored, q)
    assert mark.kind == "dequantization" and f"applied along axis {axis}" in mark.evidence


@pytest.mark.parametrize(
    ("board", "words"),
    [
        (STORED.astype(np.float32), "its zero point 154 is not subtracted"),
        (STORED.astype(np.float32) - ZERO, "integers without scale: each is a step of 0.0331"),
        ((SIGNED - ZERO) * STEP, "the same bytes, read as signed"),
    ],
)
def test_a_mistake_is_named_where_the_reference_holds_real_values(board: Array, words: str) -> None:
    spec = TensorSpec("t", "f32", REAL.shape, "NCHW")
    mark = classify(board, REAL, spec, measure(board, REAL, spec, spec))
    assert (mark.kind, mark.certain) == ("dequantization", True) and words in mark.evidence


@pytest.mark.parametrize("step", [0.5, 2.0**-6, 4.0])
def test_integers_without_a_scale_of_a_power_of_two_may_be_a_shift(step: float) -> None:
    steps = STORED.astype(np.float32) - ZERO
    spec = TensorSpec("t", "f32", steps.shape, "NCHW")
    real = steps * np.float32(step)
    marks = [
        classify(steps, real, spec, measure(steps, real, spec, spec)),
        named(steps, STORED, Quantization((step,), (ZERO,))),
    ]
    for mark in marks:
        assert (mark.kind, mark.certain) == ("dequantization", False)
        assert (
            "integers without scale" in mark.evidence
            and f"the board is the reference x {1 / step:.6g}" in mark.evidence
        )


def test_real_values_that_differ_otherwise_are_no_such_mistake() -> None:
    board = REAL + np.random.default_rng(2).standard_normal(REAL.shape).astype(np.float32)
    assert named(board, STORED, Quantization((float(STEP),), (ZERO,))).kind != "dequantization"


def test_equal_scales_without_an_axis_are_one_scale() -> None:
    q = Quantization((float(STEP),) * 64, (ZERO,) * 64, None)
    assert "zero point 154 not subtracted" in named(STORED * STEP, STORED, q).evidence


def test_scales_that_fit_no_axis_name_nothing() -> None:
    spec = TensorSpec("t", "u8", STORED.shape, "NCHW", quantization=Quantization((0.5, 0.25), (0, 0), 1))
    assert dequantization_mistake(REAL, STORED, spec) is None


@pytest.fixture(scope="module")
def large() -> tuple[Array, Array, TensorSpec]:
    """(board, reference, spec): more than one part, the scales of the axis that is cut; the zero point is left in."""
    stored = np.random.default_rng(3).integers(0, 256, (1, 512, 64, 65)).astype(np.uint8)
    scales = np.linspace(0.01, 0.1, 512)
    board = (stored * scales.reshape(1, -1, 1, 1)).astype(np.float32)
    q = Quantization(tuple(map(float, scales)), (128,) * 512, 1)
    return board, stored, TensorSpec("t", "u8", stored.shape, "NCHW", quantization=q)


def test_a_large_tensor_is_looked_at_part_by_part(large: tuple[Array, Array, TensorSpec]) -> None:
    board, stored, spec = large
    tracemalloc.start()
    mark = dequantization_mistake(board, stored, spec)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert mark is not None and "zero point of each channel not subtracted" in mark.evidence
    assert peak < 48 << 20  # a float64 of the whole alone is 16 MiB, five of them were made


def test_a_rule_that_fails_in_the_last_part_is_none(large: tuple[Array, Array, TensorSpec]) -> None:
    board, stored, spec = large
    board = board.copy()
    board[0, -1, -1, -1] += 1
    assert dequantization_mistake(board, stored, spec) is None


def test_integers_moved_by_half_their_range_are_named_in_parts_too(large: tuple[Array, Array, TensorSpec]) -> None:
    _, stored, spec = large
    moved = (stored.astype(np.int16) - 128).astype(np.int8)
    mark = dequantization_mistake(moved, stored, spec)
    assert mark is not None and mark.figures == {"offset": -128}
    moved[0, -1, -1, -1] ^= 1
    assert dequantization_mistake(moved, stored, spec) is None
