"""Factors and offsets that acted before the rounding, on integers that were rounded after them."""

from __future__ import annotations

import numpy as np
import pytest

from harness.consistency.fingerprint.classify import classify
from harness.consistency.fingerprint.rounded_laws import rounded_law
from harness.consistency.fingerprint.values import Law, pairs
from harness.consistency.metrics.pointwise import measure
from harness.records import TensorSpec

RAILS = (-128, 127)
REAL = np.random.default_rng(3).normal(0, 40, 20_000)  # in steps


def rounded(values: np.ndarray, zero_point: int = 0) -> np.ndarray:
    return np.clip(np.rint(values) + zero_point, *RAILS).astype(np.int8)


def law_of(board: np.ndarray, reference: np.ndarray, zero_point: int = 0) -> Law | None:
    return rounded_law(pairs(board, reference, RAILS, zero_point))


@pytest.mark.parametrize("by", [2.6, -3.4, 1.5, 40.3])
@pytest.mark.parametrize("zero_point", [0, -128])
def test_an_offset_of_no_whole_steps(by: float, zero_point: int) -> None:
    law = law_of(rounded(REAL + by, zero_point), rounded(REAL, zero_point), zero_point)
    assert law is not None and law.kind == "zero_point" and law.figures["offset"] == np.floor(by)


@pytest.mark.parametrize("factor", [0.83, 1.1, 1.27, 0.97])
@pytest.mark.parametrize("zero_point", [0, -128, 20])
def test_a_factor(factor: float, zero_point: int) -> None:
    law = law_of(rounded(REAL * factor, zero_point), rounded(REAL, zero_point), zero_point)
    assert law is not None and law.kind == "scale"
    assert law.figures["factor"] == pytest.approx(factor, abs=0.01)


@pytest.mark.parametrize("bits", [-2, -1, 1])
def test_a_power_of_two_is_a_shift(bits: int) -> None:
    law = law_of(rounded(REAL * 2.0**bits), rounded(REAL))
    assert law is not None and law.kind == "shift" and law.figures["bits"] == bits


@pytest.mark.parametrize("zero_point", [20, 107, 153])
@pytest.mark.parametrize(("factor", "kind"), [(0.5, "shift"), (0.83, "scale"), (1.1, "scale"), (2.0, "shift")])
def test_a_factor_of_unsigned_values_whose_zero_point_nobody_tells(factor: float, kind: str, zero_point: int) -> None:
    reference, board = (np.clip(np.rint(real) + zero_point, 0, 255).astype(np.uint8) for real in (REAL, REAL * factor))
    known = pairs(board, reference, (0, 255))
    assert rounded_law(known) is None
    law = rounded_law(known, knows_zero_point=False)
    assert law is not None and law.kind == kind and f"zero point of {zero_point} (the dumps tell none)" in law.sentence
    noise = np.clip(board + np.random.default_rng(2).integers(-3, 4, board.size), 0, 255).astype(np.uint8)
    assert rounded_law(pairs(noise, reference, (0, 255)), knows_zero_point=False) is None


def test_what_is_no_law_of_all_values_is_none() -> None:
    one_channel = REAL.copy()
    one_channel[:2000] *= 1.3
    noise = REAL + np.random.default_rng(1).normal(0, 3, REAL.size)
    assert law_of(rounded(REAL + 0.4), rounded(REAL)) is None  # another rounding looks the same
    assert law_of(rounded(one_channel), rounded(REAL)) is None
    assert law_of(rounded(noise), rounded(REAL)) is None


def test_the_fingerprint_says_so_and_is_not_certain() -> None:
    spec = TensorSpec("t", "s8", (1, 20, 20, 50), "NCHW")
    board, reference = (side.reshape(spec.shape) for side in (rounded(REAL * 1.1), rounded(REAL)))
    mark = classify(board, reference, spec, measure(board, reference, spec, spec))
    assert (mark.kind, mark.certain) == ("scale", False) and "before rounding" in mark.evidence
