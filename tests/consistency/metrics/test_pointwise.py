"""Every figure against its textbook formula; what has no formula (NaN, zero, empty) by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.consistency.metrics import blocks
from harness.consistency.metrics.pointwise import equal, measure
from harness.consistency.reading.tensor_files import encode, open_tensor
from harness.records import Metrics, Quantization, TensorSpec

Array = np.ndarray[Any, np.dtype[Any]]
INTEGERS = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")


def naive(board: Array, reference: Array) -> dict[str, float]:
    x, r = board.astype(np.float64).ravel(), reference.astype(np.float64).ravel()
    d = x - r
    return {"l2": float(np.sqrt(d @ d)), "ref": float(np.sqrt(r @ r)), "max": float(np.abs(d).max())}


def pair_of(dtype: str) -> st.SearchStrategy[tuple[Array, Array]]:
    kind = np.dtype(dtype)
    shape = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=6)
    limit = 1e3 if dtype == "f2" else 1e6
    elements: st.SearchStrategy[Any] | None = None
    if kind.kind == "f":
        elements = st.floats(-limit, limit, width=kind.itemsize * 8).filter(lambda v: v == 0 or abs(v) > 1e-3)  # type: ignore[arg-type]
    return shape.flatmap(lambda s: st.tuples(*(hnp.arrays(kind, s, elements=elements) for _ in range(2))))


@pytest.mark.parametrize("dtype", [*INTEGERS, "f2", "f4", "f8"])
def test_figures_are_the_textbook_formulas_in_float64(dtype: str) -> None:
    @given(pair_of(dtype))
    @settings(max_examples=60, deadline=None)
    def check(pair: tuple[Array, Array]) -> None:
        board, reference = pair
        metrics, wanted = measure(board, reference), naive(board, reference)
        assert metrics.max_abs == pytest.approx(wanted["max"], rel=1e-12, abs=0)
        if wanted["ref"]:
            assert metrics.relative_l2 == pytest.approx(wanted["l2"] / wanted["ref"], rel=1e-9, abs=1e-300)
        else:
            assert metrics.relative_l2 is None
        bits = f"u{board.dtype.itemsize}"
        assert metrics.mismatched == np.count_nonzero(board.view(bits) != reference.view(bits))
        span = float(reference.max()) - float(reference.min())
        if span:
            assert metrics.max_abs_over_range == pytest.approx(wanted["max"] / span, rel=1e-12)

    check()


@pytest.mark.parametrize("dtype", INTEGERS)
def test_steps_of_integers_are_exact(dtype: str) -> None:
    @given(pair_of(dtype))
    @settings(max_examples=60, deadline=None)
    def check(pair: tuple[Array, Array]) -> None:
        board, reference = pair
        steps = [int(a) - int(b) for a, b in zip(board.ravel(), reference.ravel(), strict=True)]
        metrics = measure(board, reference)
        assert metrics.max_step == float(max(abs(step) for step in steps))
        assert metrics.mean_step == float(sum(steps) / len(steps))
        assert dict(metrics.histogram) == {step: steps.count(step) for step in set(steps)}
        assert [step for step, _ in metrics.histogram] == sorted({*steps})

    check()


@given(pair_of("f4"))
@settings(max_examples=100, deadline=None)
def test_one_minus_cosine_agrees_with_the_definition(pair: tuple[Array, Array]) -> None:
    x, r = (side.astype(np.longdouble).ravel() for side in pair)
    measured = measure(*pair).one_minus_cosine
    if not (x @ x) or not (r @ r):
        assert measured is None or not (x - r).any()
        return
    wanted = float(1 - (x @ r) / (np.sqrt(x @ x) * np.sqrt(r @ r)))
    assert measured == pytest.approx(wanted, rel=1e-6, abs=1e-14 * (1 + float((r @ r) / (x @ x))))


def test_one_minus_cosine_keeps_its_digits_where_the_plain_formula_loses_them() -> None:
    rng = np.random.default_rng(0)
    r = rng.standard_normal(100_000)
    u = rng.standard_normal(100_000)
    u -= r * (u @ r) / (r @ r)
    x = r + 1e-10 * u
    wanted = (1e-10) ** 2 * (u @ u) / (r @ r) / 2
    assert measure(x, r).one_minus_cosine == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_ulp_distance_counts_representable_numbers(dtype: str) -> None:
    @given(st.data())
    @settings(max_examples=80, deadline=None)
    def check(data: st.DataObject) -> None:
        width = np.dtype(dtype).itemsize * 8
        floats = st.floats(width=width, allow_nan=False, allow_infinity=False)  # type: ignore[arg-type]
        x, r = (np.array(data.draw(st.lists(floats, min_size=3, max_size=3)), dtype) for _ in range(2))

        def place(value: Any) -> int:
            bits = int(np.asarray(value).view(f"i{np.dtype(dtype).itemsize}"))
            return bits if bits >= 0 else -(bits & (2 ** (width - 1) - 1))

        wanted = max(abs(place(a) - place(b)) for a, b in zip(x, r, strict=True))
        assert measure(x, r).max_ulp == wanted

    check()


def test_the_next_float_is_one_ulp_away() -> None:
    r = np.linspace(-3, 3, 1000, dtype=np.float32)
    assert measure(np.nextafter(r, np.float32(10)), r).max_ulp == 1
    assert measure(r.astype(np.float64), r.astype(np.float32)).max_ulp is None


# --------------------------------------------------------------------------- pieces


@contextmanager
def small_pieces(size: int) -> Iterator[None]:
    """The same code on pieces of a few elements, by two threads."""
    before = blocks.PIECE_BYTES, blocks.WORKERS
    blocks.PIECE_BYTES, blocks.WORKERS = size, 2
    try:
        yield
    finally:
        blocks.PIECE_BYTES, blocks.WORKERS = before


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "i4", "f2", "f4", "f8"])
@pytest.mark.parametrize("size", [64, 4096])
def test_pieces_and_threads_change_no_figure(dtype: str, size: int) -> None:
    rng = np.random.default_rng(1)
    r = (rng.standard_normal((3, 17, 11, 5)) * 30).astype(dtype)
    x = r.copy()
    x[0, 3] += np.asarray(1, dtype)
    whole = measure(x.transpose(0, 3, 1, 2), r.transpose(0, 3, 1, 2))
    with small_pieces(size):
        cut = measure(np.ascontiguousarray(x.transpose(0, 3, 1, 2)), r.transpose(0, 3, 1, 2))
        assert equal(r, r.copy()) and not equal(x, r)
        assert measure(r, r.copy()).mismatched == 0
    for name in Metrics.__dataclass_fields__:
        one, other = getattr(cut, name), getattr(whole, name)
        assert one == (pytest.approx(other, rel=1e-12) if isinstance(other, float) else other), name


def test_a_difference_in_the_very_last_element_is_seen() -> None:
    r = np.zeros(10_007, np.int8)
    x = r.copy()
    x[-1] = 1
    with small_pieces(64):
        assert not equal(x, r)
        assert measure(x, r).mismatched == 1


def test_padding_never_enters_a_figure(tmp_path: Path) -> None:
    spec = TensorSpec("t", "s8", (1, 5, 7, 3), "NHWC", aligned_shape=(1, 6, 8, 4))
    array = np.random.default_rng(0).integers(-128, 127, spec.shape, dtype=np.int8)
    for name, fill in (("a", 0x00), ("b", 0x7F)):
        (tmp_path / name).write_bytes(encode(array, spec, fill=fill))
    a, b = (open_tensor(tmp_path / name, spec) for name in "ab")
    assert equal(a, b)
    assert measure(a, b, spec, spec).mismatched == 0


def test_reading_gives_the_pages_of_a_map_back(tmp_path: Path) -> None:
    """Resident memory after looking at 96 MB stays far below 96 MB."""
    path = tmp_path / "t.bin"
    path.write_bytes(bytes(96 << 20))
    spec = TensorSpec("t", "s8", (96 << 20,))
    a, b = open_tensor(path, spec), open_tensor(path, spec)
    before = _mapped_kb()
    assert equal(a, b)
    assert _mapped_kb() - before < 48 << 10


def _mapped_kb() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssFile"))


# --------------------------------------------------------------------------- NaN and infinity


@given(hnp.arrays(np.float32, (5, 5), elements=st.floats(-10, 10, width=32)), st.integers(0, 24))
@settings(max_examples=50, deadline=None)
def test_a_new_nan_never_agrees(reference: Array, place: int) -> None:
    board = reference.copy()
    board.ravel()[place] = np.nan
    metrics = measure(board, reference)
    assert (metrics.nan_board, metrics.nan_reference, metrics.nonfinite_agree) == (1, 0, False)
    assert metrics.mismatched >= 1


def test_nan_and_infinity_agree_only_in_position_and_sign() -> None:
    r = np.array([1, np.nan, np.inf, -np.inf, 5], np.float32)
    same = measure(r + np.float32(0.5), r)
    assert same.nonfinite_agree and (same.nan_board, same.inf_board) == (1, 2)
    assert same.max_abs == 0.5
    assert not measure(np.array([1, np.nan, -np.inf, -np.inf, 5], np.float32), r).nonfinite_agree
    assert not measure(np.array([np.nan, 1, np.inf, -np.inf, 5], np.float32), r).nonfinite_agree
    assert not measure(np.array([1, np.nan, np.inf, -np.inf, np.inf], np.float32), r).nonfinite_agree


def test_equal_bytes_that_hold_nan_are_equal_and_counted() -> None:
    r = np.full(100_000, 1.5, np.float32)
    r[77_777], r[3] = np.nan, -np.inf
    metrics = measure(r, r.copy())
    assert (metrics.mismatched, metrics.nan_board, metrics.nan_reference, metrics.inf_board) == (0, 1, 1, 1)
    assert metrics.nonfinite_agree


def test_a_tensor_of_nan_alone_has_no_relative_figure() -> None:
    metrics = measure(np.full(20, np.nan), np.full(20, 1.0))
    assert metrics.relative_l2 is None and metrics.max_abs is None and not metrics.nonfinite_agree


# --------------------------------------------------------------------------- ranges of floats


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e-20, 1e20, 1e150, 1e300])
def test_squares_that_leave_float64_do_not_spoil_the_norm(size: float) -> None:
    r = np.linspace(1, 2, 50) * size
    assert measure(r * 1.01, r).relative_l2 == pytest.approx(0.01, rel=1e-6)


def test_float32_differences_are_exact_near_and_far() -> None:
    r = np.array([1.0, 1e20, -3.0, 1e-30] * 10, np.float32)
    x = np.array([1.5, 1.0, 3.0, -2e-30] * 10, np.float32)
    wanted = naive(x, r)
    metrics = measure(x, r)
    assert metrics.max_abs == wanted["max"]
    assert metrics.relative_l2 == pytest.approx(wanted["l2"] / wanted["ref"], rel=1e-12)


@pytest.mark.parametrize("error", [1e-7, 1e-3, 1.0])
@pytest.mark.parametrize("size", [1e-16, 1e-10, 1.0, 1e10, 1e25])
def test_large_float32_tensors_keep_their_figures_at_every_scale(error: float, size: float) -> None:
    rng = np.random.default_rng(0)
    r = (rng.standard_normal(400_000) * size).astype(np.float32)
    x = (r * (1 + error * rng.standard_normal(400_000))).astype(np.float32)
    x[::7] = r[::7]
    r[1000:1100] = x[1000:1100] = 0
    metrics, wanted = measure(x, r), naive(x, r)
    assert metrics.relative_l2 == pytest.approx(wanted["l2"] / wanted["ref"], rel=1e-7)
    assert metrics.max_abs == wanted["max"]
    assert metrics.mismatched == np.count_nonzero(x != r)
    assert metrics.zero_share_board == 100 / 400_000
    wide = measure(x.astype(np.float64), r.astype(np.float64))
    assert metrics.one_minus_cosine == pytest.approx(wide.one_minus_cosine, rel=1e-5)


def test_one_nan_in_a_large_tensor_changes_no_other_figure() -> None:
    r = np.random.default_rng(0).standard_normal(300_000).astype(np.float32)
    x = r * np.float32(1.5)
    clean = measure(x, r)
    x[200_000] = np.nan
    metrics = measure(x, r)
    assert (metrics.nan_board, metrics.nonfinite_agree) == (1, False)
    assert metrics.relative_l2 == pytest.approx(clean.relative_l2, rel=1e-4)
    x[200_000] = np.inf
    assert (measure(x, r).inf_board, measure(x, r).nonfinite_agree) == (1, False)


# --------------------------------------------------------------------------- special tensors


def test_an_empty_tensor_is_called_empty() -> None:
    assert measure(np.zeros((0, 3)), np.zeros((0, 3))).special == "empty"


def test_an_all_zero_reference_has_no_relative_figures() -> None:
    board = np.zeros(100, np.float32)
    assert measure(board, np.zeros(100, np.float32)).special == "all_zero"
    board[5] = 3
    metrics = measure(board, np.zeros(100, np.float32))
    assert (metrics.special, metrics.relative_l2, metrics.one_minus_cosine, metrics.max_abs) == (
        "all_zero",
        None,
        None,
        3.0,
    )


def test_a_constant_reference_has_no_range() -> None:
    reference = np.full(100, 7, np.int8)
    board = reference.copy()
    board[1] = 9
    metrics = measure(board, reference)
    assert (metrics.special, metrics.max_abs_over_range, metrics.max_step) == ("constant", None, 2.0)
    assert measure(reference, reference.copy()).special == "constant"


def test_fewer_than_sixteen_elements_are_tiny() -> None:
    assert measure(np.arange(15), np.arange(15)).special == "tiny"
    assert measure(np.arange(15) + 1, np.arange(15)).special == "tiny"
    assert measure(np.arange(16) + 1, np.arange(16)).special == ""


def test_zero_of_a_quantized_tensor_is_its_zero_point() -> None:
    spec = TensorSpec("t", "u8", (20,), quantization=Quantization((0.1,), (128,)))
    r = np.full(20, 128, np.uint8)
    x = r.copy()
    x[0] = 129
    assert measure(x, r, spec, spec).special == "all_zero"
    assert measure(r, r.copy(), spec, spec).special == "all_zero"
    assert measure(x, r, spec, spec).zero_share_reference == 1.0


def test_rails_count_as_saturated_unless_they_are_zero() -> None:
    r = np.array([0] * 10 + [255] * 5 + [100] * 5, np.uint8)
    x = r.copy()
    x[15:] = 255
    metrics = measure(x, r)
    assert (metrics.saturated_share_board, metrics.saturated_share_reference) == (0.5, 0.25)
    assert metrics.zero_share_board == 0.5
    four = TensorSpec("t", "s4", (4,))
    metrics = measure(np.array([7, -8, 0, 1], np.int8), np.array([6, -8, 0, 1], np.int8), four, four)
    assert (metrics.saturated_share_board, metrics.saturated_share_reference) == (0.5, 0.25)


def test_a_long_histogram_is_left_out_and_the_steps_are_not() -> None:
    x = np.arange(5000, dtype=np.int32)
    metrics = measure(x, np.zeros(5000, np.int32))
    assert metrics.histogram == () and metrics.max_step == 4999.0
