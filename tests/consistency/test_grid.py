"""Dequantized values: the step of their grid, and whether an op's result was rounded to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.consistency.fingerprint.classify import classify
from harness.consistency.grid import grid_step, rounds_to
from harness.consistency.metrics.pointwise import measure
from harness.records import TensorSpec

VALUES = np.random.default_rng(7).normal(0, 1, (1, 8, 16, 16)).astype(np.float32)


def on_grid(values: np.ndarray, step: float) -> np.ndarray:
    return (np.clip(np.rint(values / step), -128, 127) * step).astype(np.float32)


@given(st.floats(0.025, 0.2))
def test_rounding_to_the_boards_grid_is_no_difference(step: float) -> None:
    board = on_grid(VALUES, step)
    assert rounds_to(VALUES, board)
    assert grid_step(board) == pytest.approx(step, rel=1e-3)


def test_what_the_grid_cuts_off_is_no_difference_either() -> None:
    board = on_grid(VALUES, 0.022)  # ends at 2.79
    assert np.abs(VALUES).max() > 2.9 and rounds_to(VALUES, board)


def test_a_range_that_is_too_small_and_a_wrong_relu_are_differences() -> None:
    assert not rounds_to(VALUES, on_grid(VALUES, 0.01))  # ends at 1.27
    positive = np.maximum(VALUES, 0)
    board = (np.clip(np.rint(VALUES / 0.02), 0, 255) * 0.02).astype(np.float32)
    assert not rounds_to(VALUES, board) and rounds_to(positive, board)


def test_rounding_to_half_precision_first_is_none() -> None:
    step = 0.03
    twice = (VALUES / np.float32(step)).view(np.uint32) & np.uint32(0xFFFF0000)  # as bf16, cut
    once = (VALUES / np.float32(step)).view(np.uint32) + np.uint32(0x8000) & np.uint32(0xFFFF0000)
    assert rounds_to(VALUES, (np.rint(once.view(np.float32)) * step).astype(np.float32))
    assert not rounds_to(VALUES + np.float32(step), (np.rint(twice.view(np.float32)) * step).astype(np.float32))


@pytest.mark.parametrize("change", [lambda n: n + 1, lambda n: np.floor(n + 0.5) - (n > 0.3), lambda n: n * 0.9])
def test_a_step_off_is_a_difference(change: object) -> None:
    assert callable(change)
    board = (np.rint(change(VALUES / np.float32(0.05))) * 0.05).astype(np.float32)
    assert not rounds_to(VALUES, board)


def test_values_cut_off_instead_of_rounded_are_a_difference() -> None:
    assert not rounds_to(VALUES, (np.floor(VALUES / np.float32(0.05)) * 0.05).astype(np.float32))


def test_floats_beside_the_references_grid_are_another_type() -> None:
    """One layer of a quantized model in bfloat16."""
    reference = on_grid(VALUES, 0.03)
    board = (VALUES.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    spec = TensorSpec("conv", "f32", VALUES.shape, "NCHW")
    mark = classify(board, reference, spec, measure(board, reference, spec, spec))
    assert mark.kind == "precision" and "not quantized here" in mark.evidence
    one = reference.copy()
    one[:, 3] *= 1.05
    noise = np.random.default_rng(8).normal(0, 0.0015, board.shape).astype(np.float32)
    for wrong in (board + 0.1, board + 0.012, reference + 0.012 + noise, reference * 1.02 + noise, one):
        wrong = wrong.astype(np.float32)
        assert classify(wrong, reference, spec, measure(wrong, reference, spec, spec)).kind != "precision"
    swapped = np.ascontiguousarray(board[:, ::-1])
    assert classify(swapped, reference, spec, measure(swapped, reference, spec, spec)).kind != "precision"
