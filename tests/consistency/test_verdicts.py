"""Verdicts of layers and of comparisons: monotone, NaN never passes, nothing compared is never good."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.consistency.metrics.pointwise import measure
from harness.consistency.policy import Subject, load_policy
from harness.consistency.verdicts import DAMAGED, finer_than_floats, judge, run_verdict
from harness.records import Coverage, Layer, Metrics, Origin, Quantization, TensorSpec

POLICY = load_policy()
ORDER = ("exact", "within", "differs")


def verdict(board: Any, reference: Any, kind: str = "Conv", form: str = "", unit: str = "") -> str:
    metrics = measure(board, reference)
    form = form or ("float" if reference.dtype.kind == "f" else "integer")
    names = {"float32": "f32", "float16": "f16", "float64": "f64", "int8": "s8", "int16": "s16"}
    limits = POLICY.limits(Subject(kind, names[reference.dtype.name], form, unit))
    return judge(metrics, form, limits, equal=board.tobytes() == reference.tobytes()).verdict


def test_one_step_in_one_element_of_a_convolution_differs_and_of_a_softmax_does_not() -> None:
    reference = np.zeros(1000, np.int8)
    board = reference.copy()
    board[7] = 1
    assert verdict(board, reference, "Conv") == "differs"
    assert verdict(board, reference, "Softmax") == "within"
    assert verdict(board, reference, "Conv", unit="CPU") == "within"
    board[7] = 2
    assert verdict(board, reference, "Softmax") == "differs"


def test_one_element_of_a_tiny_tensor_may_differ_only_where_any_may() -> None:
    reference, board = np.zeros(5, np.int8), np.array([0, 0, 1, 0, 0], np.int8)
    assert verdict(board, reference, "Softmax") == "within"
    assert verdict(board, reference, "Conv") == "differs"
    assert verdict(np.array([0, 1, 1, 0, 0], np.int8), reference, "Softmax") == "differs"


@given(
    hnp.arrays(np.int8, st.integers(1, 200), elements=st.integers(-100, 100)),
    st.integers(0, 20),
    st.integers(0, 20),
    st.sampled_from(["Conv", "Softmax", "Resize"]),
    st.data(),
)
def test_a_larger_error_never_has_a_better_verdict(
    reference: Any, step: int, more: int, kind: str, data: st.DataObject
) -> None:
    where = data.draw(hnp.arrays(np.bool_, reference.shape))
    wider = where | data.draw(hnp.arrays(np.bool_, reference.shape))
    board = reference + np.where(where, step, 0).astype(np.int8)
    worse = reference + np.where(wider, step + more, 0).astype(np.int8)
    assert ORDER.index(verdict(worse, reference, kind)) >= ORDER.index(verdict(board, reference, kind))


@given(
    hnp.arrays(np.float32, st.integers(2, 100), elements=st.floats(-100, 100, width=32)),
    st.floats(0, 1, width=32),
    st.floats(1, 8, width=32),
)
def test_a_larger_float_error_never_has_a_better_verdict(reference: Any, error: float, factor: float) -> None:
    wide = reference.astype(np.float64)
    names = Subject("Conv", "f64", "float")
    verdicts = []
    for scale in (error, error * factor):
        board = wide + scale * np.linspace(-1, 1, wide.size)
        verdicts.append(judge(measure(board, wide), "float", POLICY.limits(names)).verdict)
    assert ORDER.index(verdicts[1]) >= ORDER.index(verdicts[0])


@given(
    hnp.arrays(np.float32, st.integers(1, 100), elements=st.floats(-5, 5, width=32)),
    st.integers(0, 99),
    st.sampled_from([np.nan, np.inf, -np.inf]),
)
def test_a_new_nan_or_infinity_never_passes(reference: Any, index: int, value: float) -> None:
    board = reference.copy()
    board[index % board.size] = value
    assert verdict(board, reference) == "differs"


def test_infinities_of_other_sign_differ_and_equal_ones_do_not() -> None:
    reference = np.array([1, np.inf, 2] * 10, np.float32)
    board = reference.copy()
    assert verdict(board, reference) == "exact"
    board[1] = -np.inf
    assert verdict(board, reference) == "differs"


def test_zero_with_another_sign_is_an_equal_value() -> None:
    assert verdict(np.array([-0.0] * 20, np.float32), np.zeros(20, np.float32)) == "exact"


def test_anything_against_all_zero_differs() -> None:
    board = np.zeros(100, np.float32)
    board[3] = 1e-20
    assert verdict(board, np.zeros(100, np.float32)) == "differs"
    assert verdict(np.zeros(100, np.float32), np.zeros(100, np.float32)) == "exact"


def test_a_quantized_tensor_against_a_float_one_is_judged_by_its_noise() -> None:
    rng = np.random.default_rng(1)
    floats = rng.normal(0, 1, 5000).astype(np.float32)
    q = Quantization((0.03,), (0,))
    spec = TensorSpec("x", "s8", (5000,), quantization=q)
    board = np.clip(np.rint(floats / 0.03), -128, 127).astype(np.int8)
    limits = POLICY.limits(Subject("Conv", "f32", "mixed"))
    good = measure(board, floats, spec, TensorSpec("x", "f32", (5000,)))
    assert judge(good, "mixed", limits).verdict == "within" and (good.sqnr_db or 0) > 30
    bad = measure(board >> 1, floats, spec, TensorSpec("x", "f32", (5000,)))
    assert judge(bad, "mixed", limits).verdict == "differs"
    look = judge(replace(good, sqnr_db=25.0), "mixed", limits)
    assert look.verdict == "within" and look.note == "above the note limit"


def test_a_cosine_gates_only_where_the_policy_asks_for_it() -> None:
    metrics = Metrics(elements=100, mismatched=50, max_step=1, relative_l2=1e-6, one_minus_cosine=0.02)
    limits = replace(POLICY.limits(Subject("Conv", "f32", "float")), max_abs_over_range=None)
    assert judge(metrics, "float", limits).verdict == "within"
    assert judge(metrics, "float", replace(limits, one_minus_cosine=0.01)).verdict == "differs"


# --------------------------------------------------------------------------- faults that a cosine passes


def relu_map() -> Any:
    rng = np.random.default_rng(0)
    return np.clip(np.maximum(rng.normal(0, 20, (48, 80, 64)), 0), 0, 127).astype(np.int8)


def flipped(x: Any) -> Any:
    y = x.copy().reshape(-1)
    y[[5, 1000, 50_000, 200_000]] ^= 64
    return y.reshape(x.shape)


def stale_line(x: Any) -> Any:
    y = x.copy().reshape(-1)
    y[6400:6464] = x.reshape(-1)[100:164]
    return y.reshape(x.shape)


def stale_page(x: Any) -> Any:
    y = x.copy().reshape(-1)
    y[8192:12288] = x.reshape(-1)[100:4196]
    return y.reshape(x.shape)


def last_column(x: Any) -> Any:
    y = x.copy()
    y[..., -1] = 0
    return y


def sliding(x: Any) -> Any:
    y = x.copy()
    y[:, 40:] = np.roll(x, 1, axis=2)[:, 40:]
    return y


def rounding(x: Any) -> Any:
    return x + (np.random.default_rng(1).random(x.shape) < 0.005) * (x < 127)


B2 = {
    "rounding": rounding,
    "requantization shift off by one": lambda x: x >> 1,
    "zero point off by one": lambda x: np.minimum(x, 126) + 1,
    "last column zero": last_column,
    "one stale 64 byte line": stale_line,
    "four flipped bits": flipped,
    "one stale page": stale_page,
    "saturates at 63": lambda x: np.minimum(x, 63),
    "channels rotated": lambda x: np.roll(x, 1, axis=0),
    "NHWC read as NCHW": lambda x: np.ascontiguousarray(x.transpose(1, 2, 0)).reshape(x.shape),
    "lower half one pixel aside": sliding,
}


@pytest.mark.parametrize("name", B2)
def test_every_fault_that_a_cosine_passes_is_caught(name: str) -> None:
    reference = relu_map()
    assert verdict(B2[name](reference).astype(np.int8), reference) == "differs"


def outliers(_: Any) -> tuple[Any, Any]:
    reference = np.random.default_rng(2).normal(0, 1, 80_200).astype(np.float32)
    reference[:8] = 5000
    board = np.zeros_like(reference)
    board[:8] = 5000
    return board, reference


def around_ten() -> Any:
    return np.random.default_rng(3).normal(10, 1, (256, 512)).astype(np.float32)


def dead(x: Any) -> Any:
    y = x.copy()
    y[17] = 0
    return y


def one_wrong(x: Any) -> Any:
    y = x.copy()
    y[3, 3] += 100
    return y


FLOATS = {
    "twice as large": lambda x: x * 2,
    "offset of a half": lambda x: x + np.float32(0.5),
    "random permutation": lambda x: np.random.default_rng(4).permutation(x.reshape(-1)).reshape(x.shape),
    "one channel zero": dead,
    "one element wrong": one_wrong,
}


@pytest.mark.parametrize("name", FLOATS)
def test_every_float_fault_that_a_cosine_passes_is_caught(name: str) -> None:
    reference = around_ten()
    board = FLOATS[name](reference)
    assert verdict(board, reference) == "differs"
    assert (measure(board, reference).one_minus_cosine or 0) < 0.02


def test_everything_lost_but_a_few_outliers_is_caught() -> None:
    board, reference = outliers(None)
    assert verdict(board, reference) == "differs"
    assert (measure(board, reference).one_minus_cosine or 0) < 0.01


# --------------------------------------------------------------------------- the run


def layer(name: str, word: str, reason: str = "", role: str = "") -> Layer:
    return Layer(0, name, name, "Conv", word, reason=reason, role=role)


COVERAGE = Coverage(1, 2, 10, 20)


def test_nothing_compared_is_never_a_success() -> None:
    assert run_verdict([], (), Coverage(0, 0, 0, 0)).exit_code == 3
    verdict = run_verdict([layer("a", "not_compared", "no_dump")], (), Coverage(0, 1, 0, 10))
    assert (verdict.word, verdict.exit_code) == ("not_comparable", 3) and ": 1 no dump; " in verdict.detail


@pytest.mark.parametrize("reasons", [(), ("no_dump",), ("no_dump", "no_reference"), ("ambiguous", "no_dump"), DAMAGED])
def test_a_mapping_is_offered_wherever_nothing_could_be_compared(reasons: tuple[str, ...]) -> None:
    rows = [layer(f"t{i}", "not_compared", reason) for i, reason in enumerate(reasons)]
    assert "--map FILE" in run_verdict(rows, (), Coverage(0, len(rows), 0, 10)).detail
    fed = replace(layer("x", "exact"), op_kind="input")
    assert "--map-template FILE" in run_verdict([*rows, fed], (), Coverage(0, 3, 0, 10)).detail


@pytest.mark.parametrize("reason", DAMAGED)
def test_a_file_that_cannot_be_read_is_no_pass_even_if_all_others_are_equal(reason: str) -> None:
    verdict = run_verdict([layer("a", "exact"), layer("b", "not_compared", reason)], (), COVERAGE)
    assert verdict.exit_code == 3 and "b" in verdict.detail


def test_a_difference_outranks_a_damaged_file() -> None:
    rows = [layer("a", "differs"), layer("b", "not_compared", "truncated")]
    assert run_verdict(rows, (Origin("a", "Conv", "a"),), COVERAGE).word == "diverges"


def test_differences_that_are_all_cleared_are_accumulated() -> None:
    rows = [layer("a", "within"), layer("b", "differs", role="cleared")]
    assert run_verdict(rows, (), COVERAGE).word == "consistent_accumulated"
    rows.append(layer("c", "differs"))
    assert run_verdict(rows, (), COVERAGE).word == "diverges"


def test_the_words_of_good_runs() -> None:
    assert run_verdict([layer("a", "exact")], (), COVERAGE).word == "consistent"
    assert run_verdict([layer("a", "exact"), layer("b", "within")], (), COVERAGE).word == "consistent_within"


@pytest.mark.parametrize(("max_abs", "is_right"), [(4.5e-9, True), (4e-7, True), (6e-7, False), (0.02, False)])
def test_steps_finer_than_the_floats_of_a_score_map_are_no_difference(max_abs: float, is_right: bool) -> None:
    """An int8 Sigmoid with a scale of 3.5e-10: calibrated on an empty map, 13 steps are nothing that floats place."""
    floats = POLICY.limits(Subject("Sigmoid", "f32", "float"))
    metrics = Metrics(elements=1000, mismatched=10, max_step=13.0, max_abs=max_abs, max_abs_over_range=0.9)
    judged = finer_than_floats(metrics, floats, 1.0)
    assert (judged is not None and judged.verdict == "within") == is_right
    assert finer_than_floats(replace(metrics, max_abs=0.0), floats, 1.0) is None
