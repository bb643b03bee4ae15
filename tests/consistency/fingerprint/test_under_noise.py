"""Faults under the noise of another summation order or of half precision: found and named as they are without it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import FrameType

import numpy as np
import pytest

from harness.consistency.fingerprint.context import FingerprintContext
from harness.consistency.fingerprint.nearly import rms
from harness.consistency.fingerprint.noise import without_noise
from tests.support.fingerprint_kit import Array, activation, named

NOISES = {"float32": 1e-6, "f16": 2.0**-11, "bf16": 2.0**-9}
SHAPE = (4, 12, 18, 20)
Change = Callable[[Array], Array]


def noisy(values: Array, noise: float) -> Array:
    rng = np.random.default_rng(9)
    return np.asarray(values * (1 + noise * rng.uniform(-1, 1, values.shape)), values.dtype)


def changed(place: tuple[slice | int, ...], new: Callable[[Array], Array | float]) -> Change:
    def change(r: Array) -> Array:
        board = r.copy()
        board[place] = new(r)
        return board

    return change


ALL = slice(None)
FAULTS: Mapping[str, tuple[Change, str, str]] = {
    "channels last": (lambda r: r.transpose(0, 2, 3, 1).reshape(r.shape), "layout", "NHWC data read as NCHW"),
    "blocks of channels": (
        lambda r: r.reshape(4, 3, 4, 18, 20).transpose(0, 1, 3, 4, 2).reshape(r.shape),
        "layout",
        "blocks of 4 channels",
    ),
    "channels exchanged": (lambda r: r[:, [0, 1, 2, 7, 4, 5, 6, 3, 8, 9, 10, 11]], "permutation", "3 and 7 swapped"),
    "halves exchanged": (lambda r: np.roll(r, 6, axis=1), "permutation", "rotated by 6 of 12"),
    "mirrored": (lambda r: r[..., ::-1], "permutation", "axis 3 in reverse order"),
    "items exchanged": (lambda r: r[[1, 0, 2, 3]], "permutation", "0 and 1 swapped"),
    "an item of another": (changed((2,), lambda r: r[1]), "stale", "item 2 holds the values of item 1"),
    "one pixel to the right": (lambda r: np.roll(r, 1, axis=3), "moved", "moved by +1 along W"),
    "one pixel to a corner": (lambda r: np.roll(r, (-1, -1), axis=(2, 3)), "moved", "-1 along H and -1 along W"),
    "another pitch": (
        lambda r: np.pad(r.reshape(-1, 20), ((0, 0), (0, 4))).reshape(-1)[: r.size].reshape(r.shape),
        "stride",
        "rows with stride 24 read as rows of 20",
    ),
    "a factor": (lambda r: (r * 1.25).astype(r.dtype), "scale", "x 1.25"),
    "an offset": (lambda r: r + np.float32(0.75), "zero_point", "+0.75"),
    "a block of zeros": (
        changed((ALL, ALL, slice(4, 9), slice(3, 11)), lambda r: 0.0),
        "zeroed_region",
        "H 4..8 of 18",
    ),
    "a dead channel": (changed((ALL, 5), lambda r: 0.0), "dead_channel", "C 5 of 12"),
    "a wrong column": (changed((..., 19), lambda r: 0.0), "stride", "W 19 of 20"),
    "one element": (changed((0, 3, 4, 5), lambda r: 9.0), "single_element", "one element"),
}


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_keeps_its_name_under_noise(fault: str, noise: str) -> None:
    change, kind, evidence = FAULTS[fault]
    r = activation(SHAPE, "f4", seed=4)
    mark = named(noisy(change(r), NOISES[noise]), r)
    assert (mark.kind, mark.certain) == (kind, False), mark
    assert evidence in mark.evidence


@pytest.mark.parametrize("noise", NOISES)
def test_every_second_column_is_a_pattern(noise: str) -> None:
    r = activation(SHAPE, "f4", seed=4, relu=True)
    board = r.copy()
    board[..., 1::2] *= 0.5
    mark = named(noisy(board, NOISES[noise] / 4), r)
    assert (mark.kind, "one in 2" in mark.evidence) == ("tile", True), mark


def test_an_item_of_the_frame_before_is_stale_under_noise() -> None:
    r, old = activation(SHAPE, "f4", seed=4), activation(SHAPE, "f4", seed=5)
    board = r.copy()
    board[1] = old[1]
    mark = named(noisy(board, 1e-6), r, FingerprintContext(previous=old))
    assert mark.kind == "stale" and "previous frame" in mark.evidence


def test_items_of_a_batch_that_hold_no_other_are_not_compared_with_all() -> None:
    rng = np.random.default_rng(0)
    reference = rng.standard_normal((96, 64)).astype(np.float32)
    board = reference.copy()
    board[10:] = rng.standard_normal((86, 64))
    compared = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal compared
        compared += event == "call" and frame.f_code is rms.__code__

    sys.setprofile(count)
    try:
        named(board, reference)
    finally:
        sys.setprofile(None)
    assert 96 <= compared <= 2 * 96  # each with its own, and few with any other


def test_items_that_hold_others_are_found_among_many() -> None:
    rng = np.random.default_rng(0)
    reference = np.maximum(rng.standard_normal((96, 64)), 0).astype(np.float32)
    board = reference.copy()
    board[10:] = noisy(reference[np.arange(10, 96) // 2], 1e-3)
    assert "item 10 holds the values of item 5; item 11 holds the values of item 5" in named(board, reference).evidence


def test_a_reference_without_a_finite_value_has_no_distribution() -> None:
    reference = np.full((1, 4, 8, 8), np.inf, np.float32)
    assert named(activation(reference.shape, "f4"), reference).kind == "unclassified"


def test_an_op_whose_inputs_are_right_is_not_said_to_hold_another_frame() -> None:
    r, other = activation(SHAPE, "f4", seed=4), activation(SHAPE, "f4", seed=5)
    assert named(other, r).kind == "stale"
    assert named(other, r, FingerprintContext(inputs_equal=True)).kind == "unclassified"


@pytest.mark.parametrize("spread", ["normal", "laplace", "exponential", "uniform", "lognormal"])
def test_errors_of_one_distribution_hide_no_noise(spread: str) -> None:
    rng = np.random.default_rng(3)
    r = rng.normal(size=20_000)
    draw = {"lognormal": lambda: rng.lognormal(0, 2, r.shape), "uniform": lambda: rng.uniform(-1, 1, r.shape)}
    error = draw[spread]() if spread in draw else getattr(rng, spread)(size=r.shape)
    wrong = np.ones(r.shape, bool)
    left, noise = without_noise(r + error, r, wrong)
    assert noise == 0 and left.all()


def test_small_errors_of_small_values_are_no_noise() -> None:
    """Two channels of sizes 1 and 1000, both halved: the first is no noise of the second."""
    rng = np.random.default_rng(3)
    r = np.stack([rng.normal(size=5000), 1000 * rng.normal(size=5000)])
    left, noise = without_noise(r / 2, r, np.ones(r.shape, bool))
    assert noise == 0 and left.all()
