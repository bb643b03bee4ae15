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


def few_kind(board: np.ndarray, reference: np.ndarray) -> str:
    spec = TensorSpec("logits", "f32", reference.shape, "")
    return classify(board, reference, spec, measure(board, reference)).kind


@pytest.mark.parametrize("by", [0.5, 0.6, 0.9, 0.95, 1.5])
@pytest.mark.parametrize("seed", range(5))
def test_a_few_values_on_another_grid_are_another_scale(seed: int, by: float) -> None:
    """As of ten classes: nearly all differ, by less than a step of either."""
    logits = np.random.default_rng(seed).uniform(-9, 9, (1, 10)).astype(np.float32)
    assert few_kind(on_grid(logits, 0.15 * by), on_grid(logits, 0.15)) == "scale"


@pytest.mark.parametrize("seed", range(20))
def test_a_few_wrong_values_on_the_same_grid_are_no_scale(seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = rng.permutation(np.arange(-60, 60, 2))[:10].reshape(1, 10)
    steps[0, 0] += 1  # the one odd count: without it the board's values are multiples of two steps
    wrong = steps.copy()
    wrong[0, : 1 + seed % 3] += 2 * rng.integers(3, 9) + (1 if seed % 3 == 0 else 0)
    assert few_kind((wrong * 0.15).astype(np.float32), (steps * 0.15).astype(np.float32)) != "scale"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda v: v + 0.34, "zero_point"),
        (lambda v: v - 1.13, "zero_point"),
        (lambda v: v * 0.8, "scale"),
        (lambda v: v * 1.5, "scale"),
        (lambda v: v * 0.5, "shift"),
    ],
)
def test_one_law_before_the_rounding_is_found_in_dequantized_values(change: object, kind: str) -> None:
    """As of pixels that were normalised with another mean or scale; both sides are cut at the ends of int8."""
    assert callable(change)
    spec = TensorSpec("pixels", "f32", VALUES.shape, "NCHW")
    reference, board = on_grid(VALUES, 0.015), on_grid(change(VALUES), 0.015)
    mark = classify(board, reference, spec, measure(board, reference, spec, spec))
    assert mark.kind == kind and "steps of 0.015" in mark.evidence


def test_steps_up_and_down_and_another_law_for_each_channel_are_no_such_law() -> None:
    spec = TensorSpec("conv", "f32", VALUES.shape, "NCHW")
    reference = on_grid(VALUES, 0.015)
    noise = np.random.default_rng(3).integers(-1, 2, VALUES.shape)
    channels = np.linspace(0.1, 0.9, VALUES.shape[1]).reshape(1, -1, 1, 1).astype(np.float32)
    for board in (reference + np.float32(0.015) * noise, on_grid(VALUES + channels, 0.015)):
        board = board.astype(np.float32)
        mark = classify(board, reference, spec, measure(board, reference, spec, spec))
        assert "steps of" not in mark.evidence
