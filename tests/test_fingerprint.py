"""Kinds of fault: named with evidence, certain only when nothing else explains the pair, silent on equal pairs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.consistency import fingerprint
from harness.consistency.context import Context
from harness.consistency.detective import find_transform
from harness.consistency.fingerprint import classify
from harness.consistency.kinds import KINDS, advice, meaning
from harness.consistency.metrics import measure
from harness.consistency.pictures import channel_shares, error_map, step_histogram
from harness.consistency.tensors import decode, encode, open_tensor, to_layout
from harness.records import Fingerprint, Quantization, TensorSpec

Array = np.ndarray[Any, np.dtype[Any]]


def smooth(shape: tuple[int, ...], seed: int) -> Array:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    for axis in range(2, len(shape)):
        x = x + np.roll(x, 1, axis) + 0.5 * np.roll(x, 2, axis)
    return x


def activation(shape: tuple[int, ...] = (1, 32, 28, 28), dtype: str = "i1", seed: int = 0, relu: bool = False) -> Array:
    x = np.maximum(smooth(shape, seed), 0) if relu else smooth(shape, seed)
    if np.dtype(dtype).kind == "f":
        return x.astype(dtype)
    top = min(np.iinfo(dtype).max, 30_000)
    low = np.iinfo(dtype).min
    return np.clip(np.rint(x * top / np.abs(x).max()), low, top).astype(dtype)


NAMES = {"i1": "s8", "u1": "u8", "i2": "s16", "i4": "s32", "f2": "f16", "f4": "f32"}


def spec_of(array: Array, layout: str = "") -> TensorSpec:
    return TensorSpec("t", NAMES[array.dtype.str[1:]], array.shape, layout or ("NCHW" if array.ndim == 4 else ""))


def named(
    board: Array, reference: Array, context: Context | None = None, spec: TensorSpec | None = None
) -> Fingerprint:
    spec = spec or spec_of(reference)
    found = classify(board, reference, spec, measure(board, reference, spec, spec), context)
    assert found.kind in KINDS and found.evidence
    return found


def clipped(values: Array, like: Array) -> Array:
    info = np.iinfo(like.dtype)
    return np.clip(values, info.min, info.max).astype(like.dtype)


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
    found = named(board, r)
    assert (found.kind, found.certain, found.figures["bits"]) == ("shift", True, bits)


@pytest.mark.parametrize("rounding", [np.floor, np.rint, np.trunc])
def test_a_shift_about_the_zero_point_is_found_whatever_the_rounding(rounding: Callable[[Array], Array]) -> None:
    r = (activation().astype(int) // 2 + 128).astype(np.uint8)
    board = (rounding((r.astype(float) - 128) / 2) + 128).astype(np.uint8)
    spec = TensorSpec("t", "u8", r.shape, "NCHW", quantization=Quantization((0.1,), (128,)))
    found = named(board, r, spec=spec)
    assert (found.kind, found.certain) == ("shift", True)


@pytest.mark.parametrize("factor", [1.1, 0.9, 1.5, 0.3])
@pytest.mark.parametrize("dtype", ["i1", "i2", "f4", "f2"])
def test_scales_are_certain_and_give_the_factor(dtype: str, factor: float) -> None:
    r = activation(dtype=dtype)
    board = (r * r.dtype.type(factor)) if r.dtype.kind == "f" else clipped(np.rint(r * factor), r)
    found = named(board, r)
    assert (found.kind, found.certain) == ("scale", True)
    assert found.figures["factor"] == pytest.approx(factor, rel=2e-3)


@pytest.mark.parametrize("by", [-5, 1, 20])
@pytest.mark.parametrize("dtype", ["i1", "i2", "i4"])
def test_zero_points_are_certain_and_give_the_offset(dtype: str, by: int) -> None:
    r = activation(dtype=dtype)
    found = named(clipped(r.astype(np.int64) + by, r), r)
    assert (found.kind, found.certain, found.figures["offset"]) == ("zero_point", True, by)


@pytest.mark.parametrize("dtype", ["f4", "f2"])
def test_an_offset_of_floats_is_found_although_each_sum_is_rounded(dtype: str) -> None:
    r = activation(dtype=dtype)
    found = named((r.astype(np.float64) + 0.0123).astype(dtype), r)
    assert found.kind == "zero_point"
    assert found.figures["offset"] == pytest.approx(0.0123, rel=0.02)


@pytest.mark.parametrize("dtype", ["i1", "i2", "f4"])
def test_saturation_names_the_limit(dtype: str) -> None:
    r = activation(dtype=dtype)
    limit = np.asarray(np.abs(r.astype(np.float64)).max() * 0.6).astype(dtype)
    found = named(np.clip(r, -limit, limit), r)
    assert (found.kind, found.certain) == ("saturation", True)
    assert found.figures["high"] == float(limit)


def test_poor_data_is_named_but_never_certain() -> None:
    r = np.zeros((1, 4, 6, 6), np.int8)
    r[0, :, 2:4, 2:4] = 1
    found = named(r * np.int8(0), r)
    assert not found.certain
    small = np.array([0, 2, 0, 4], np.int8)
    assert not named(small // np.int8(2), small).certain


# --------------------------------------------------------------------------- transforms

RGB = (1, 3, 24, 20)
TRANSFORMS: dict[str, tuple[tuple[int, ...], str, Callable[[Array], Array], str, str]] = {
    # name: (shape, dtype, fault, kind, words that name it)
    "NHWC for NCHW": (
        (1, 16, 12, 10),
        "i1",
        lambda r: r.transpose(0, 2, 3, 1).reshape(r.shape),
        "layout",
        "NHWC data read as NCHW",
    ),
    "NCHW for NHWC": (
        (1, 16, 12, 10),
        "i1",
        lambda r: r.reshape(1, 12, 10, 16).transpose(0, 3, 1, 2),
        "layout",
        "NCHW data read as NHWC",
    ),
    "rows and columns": (
        (1, 16, 12, 10),
        "f4",
        lambda r: r.swapaxes(2, 3).reshape(r.shape),
        "layout",
        "NCWH data read as NCHW",
    ),
    "matrix": ((40, 30), "i2", lambda r: r.T.reshape(r.shape), "layout", "order (1, 0)"),
    "blocks of 32": (
        (1, 64, 6, 5),
        "i1",
        lambda r: r.reshape(1, 2, 32, 6, 5).transpose(0, 1, 3, 4, 2).reshape(r.shape),
        "layout",
        "blocks of 32",
    ),
    "blocks of 16": (
        (1, 64, 6, 5),
        "i1",
        lambda r: r.reshape(1, 4, 16, 6, 5).transpose(0, 1, 3, 4, 2).reshape(r.shape),
        "layout",
        "blocks of 16",
    ),
    "plain as blocks of 8": (
        (1, 32, 6, 5),
        "i1",
        lambda r: r.reshape(1, 4, 6, 5, 8).transpose(0, 1, 4, 2, 3).reshape(r.shape),
        "layout",
        "blocks of 8",
    ),
    "BGR": (RGB, "u1", lambda r: r[:, ::-1], "permutation", "channels in reverse order"),
    "channels rotated": ((1, 16, 12, 10), "i1", lambda r: np.roll(r, 3, axis=1), "permutation", "rotated by 3 of 16"),
    "two channels": (
        (1, 16, 12, 10),
        "i1",
        lambda r: r[:, [0, 9, 2, 3, 4, 5, 6, 7, 8, 1, 10, 11, 12, 13, 14, 15]],
        "permutation",
        "1 and 9 exchanged",
    ),
    "concat the other way": (
        (1, 24, 6, 5),
        "f4",
        lambda r: np.concatenate([r[:, 8:], r[:, :8]], axis=1),
        "permutation",
        "rotated by 16 of 24",
    ),
    "upside down": ((1, 4, 12, 10), "i2", lambda r: r[:, :, ::-1], "permutation", "axis 2 in reverse order"),
    "moved in memory": (
        (1, 4, 12, 10),
        "i2",
        lambda r: np.roll(r.reshape(-1), 7).reshape(r.shape),
        "stride",
        "moved by 7",
    ),
    "big endian": ((1, 4, 12, 10), "i2", lambda r: r.byteswap(), "endianness", "bytes of every element reversed"),
    "big endian floats": (
        (1, 4, 12, 10),
        "f4",
        lambda r: r.byteswap(),
        "endianness",
        "bytes of every element reversed",
    ),
    "nibbles in bytes": (
        (1, 4, 12, 10),
        "i1",
        lambda r: ((r.view("u1") << 4) | (r.view("u1") >> 4)).view("i1"),
        "nibble_order",
        "halves of every byte",
    ),
    "u8 for s8": ((1, 4, 12, 10), "i1", lambda r: (r.view("u1") ^ 0x80).view("i1"), "zero_point", "u8 against s8"),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_detective_names_the_transform_and_is_certain(name: str) -> None:
    shape, dtype, fault, kind, words = TRANSFORMS[name]
    r = activation(shape, "i1" if dtype == "u1" else dtype, seed=7).astype(dtype)
    found = named(np.ascontiguousarray(fault(r)), r)
    assert (found.kind, found.certain) == (kind, True), found.evidence
    assert words in found.transform


@pytest.mark.parametrize("by", [-2, 1, 3, 16])
def test_rows_read_at_another_pitch(by: int) -> None:
    r = activation((1, 8, 20, 24))
    flat, length = r.reshape(-1), 24
    starts = np.arange(r.size // length) * (length + by)
    board = flat[(starts[:, None] + np.arange(length)) % r.size].reshape(r.shape)
    found = named(board, r)
    assert (found.kind, found.certain) == ("stride", True)
    assert f"{length + by} apart" in found.transform


@pytest.mark.parametrize("padded", [(1, 12, 16, 32), (1, 16, 16, 32)])
def test_padding_taken_for_data(padded: tuple[int, ...]) -> None:
    r = activation((1, 20, 12, 16))
    stored = TensorSpec("t", "s8", (1, 12, 16, 20), "NHWC", aligned_shape=padded)
    memory = encode(r.transpose(0, 2, 3, 1), stored, fill=0x33)
    dense = np.frombuffer(memory, np.int8)[: r.size].reshape(1, 12, 16, 20).transpose(0, 3, 1, 2)
    found = named(dense, r, Context(stored=stored))
    assert (found.kind, found.certain) == ("stride", True)


@pytest.mark.parametrize("order", ["low_first", "high_first"])
def test_nibbles_read_in_the_other_order(order: str) -> None:
    r = np.random.default_rng(0).integers(-8, 8, (1, 6, 5, 4)).astype(np.int8)
    other = {"low_first": "high_first", "high_first": "low_first"}[order]
    written = TensorSpec("t", "s4", r.shape, "NCHW", nibble_order=order)
    read = TensorSpec("t", "s4", r.shape, "NCHW", nibble_order=other)
    found = named(decode(encode(r, written), read), r, spec=written)
    assert (found.kind, found.certain) == ("nibble_order", True)


def test_nv21_for_nv12() -> None:
    spec = TensorSpec("image", "u8", (1, 3, 8, 12), "NV12")
    r = np.random.default_rng(0).integers(0, 255, (1, 12, 12), dtype=np.uint8)
    board = r.copy()
    board[:, 8:, 0::2], board[:, 8:, 1::2] = r[:, 8:, 1::2], r[:, 8:, 0::2]
    found = find_transform(board, r, spec)
    assert found is not None and (found.kind, found.name) == ("preprocessing", "U and V exchanged: NV21 for NV12")


def test_a_misread_layout_is_found_in_the_view_of_a_file_too(tmp_path: Path) -> None:
    """The board wrote NCHW; its tool said NHWC, so the reader turned what was right."""
    r = activation((1, 16, 12, 10))
    said = TensorSpec("t", "s8", (1, 12, 10, 16), "NHWC")
    (tmp_path / "t.bin").write_bytes(r.tobytes())
    board = to_layout(open_tensor(tmp_path / "t.bin", said), said, "NCHW")
    found = named(board, r)
    assert (found.kind, found.certain) == ("layout", True)


def test_what_four_elements_tell_is_named_but_not_certain() -> None:
    r = np.array([[1, 2], [3, 4]], np.int8)
    found = named(r.T.copy(), r)
    assert (found.kind, found.certain) == ("layout", False)


def test_pairs_that_no_transform_explains_have_none() -> None:
    a, b = activation(seed=1), activation(seed=2)
    assert find_transform(a, b) is None
    assert find_transform(a, a[:, :4]) is None


# --------------------------------------------------------------------------- places


def test_one_channel_of_zero_is_a_dead_channel_with_its_number() -> None:
    r = activation()
    board = r.copy()
    board[:, 17] = 0
    found = named(board, r)
    assert (found.kind, found.certain) == ("dead_channel", False)
    assert "C 17 of 32" in found.evidence


@pytest.mark.parametrize("column", [-1, 3])
def test_a_column_of_zero_is_a_stride_fault(column: int) -> None:
    r = activation()
    board = r.copy()
    board[..., column] = 0
    assert named(board, r).kind == "stride"


def test_a_block_of_rows_and_columns_is_a_tile() -> None:
    r = activation()
    board = r.copy()
    board[:, :, 8:16, 16:24] = np.roll(r, 8, axis=3)[:, :, 8:16, 16:24]
    found = named(board, r)
    assert found.kind == "tile"
    assert "H 8..15 of 28, W 16..23 of 28" in found.evidence


def test_a_block_of_zero_is_a_zeroed_region() -> None:
    r = activation() | np.int8(1)
    board = r.copy()
    board[:, :, 8:16, 16:24] = 0
    assert named(board, r).kind == "zeroed_region"


def stored_nhwc(r: Array, board: Array, tmp_path: Path) -> Array:
    """The board's tensor as read from its own file: channels last, rows padded to 16 channels."""
    n, c, h, w = r.shape
    stored = TensorSpec("t", spec_of(r).dtype, (n, h, w, c), "NHWC", aligned_shape=(n, h, w, -(-c // 16) * 16))
    (tmp_path / "t.bin").write_bytes(encode(board.transpose(0, 2, 3, 1), stored))
    return to_layout(open_tensor(tmp_path / "t.bin", stored), stored, "NCHW")


@pytest.mark.parametrize(("size", "kind"), [(64, "cache_line"), (4096, "page")])
@pytest.mark.parametrize("dtype", ["i1", "i2", "f4"])
def test_extents_are_those_of_the_boards_memory(size: int, kind: str, dtype: str, tmp_path: Path) -> None:
    r, old = activation((1, 24, 20, 20), dtype, seed=1), activation((1, 24, 20, 20), dtype, seed=2)
    stored = TensorSpec("t", spec_of(r).dtype, (1, 20, 20, 24), "NHWC", aligned_shape=(1, 20, 20, 32))
    new_bytes, old_bytes = (bytearray(encode(side.transpose(0, 2, 3, 1), stored)) for side in (r, old))
    first = 2 * size
    new_bytes[first : first + size] = old_bytes[first : first + size]
    (tmp_path / "t.bin").write_bytes(new_bytes)
    board = to_layout(open_tensor(tmp_path / "t.bin", stored), stored, "NCHW")
    found = named(board, r)
    assert (found.kind, found.certain) == (kind, False)
    assert f"at byte {first} " in found.evidence
    sure = named(board, r, Context(previous=old, stored=stored))
    assert (sure.kind, sure.certain) == (kind, True)
    assert named(np.array(board), r, Context(stored=stored)).kind == kind  # a copy: the spec tells the memory


def test_an_earlier_frame_is_stale_and_certain_when_it_is_known() -> None:
    r, old = activation(seed=1), activation(seed=2)
    found = named(old, r, Context(previous=old))
    assert (found.kind, found.certain) == ("stale", True)
    unknown = named(old, r)
    assert (unknown.kind, unknown.certain) == ("stale", False)


def test_one_element_and_flipped_bits() -> None:
    r = activation()
    board = r.copy()
    board[0, 3, 4, 5] ^= 0x55
    assert named(board, r).kind == "single_element"
    for place in ((0, 1, 2, 3), (0, 30, 20, 9), (0, 15, 5, 25)):
        board = board if place != (0, 1, 2, 3) else r.copy()
        board[place] ^= 0x40
    found = named(board, r)
    assert (found.kind, found.certain) == ("bit_flip", False)


# --------------------------------------------------------------------------- scattered


@pytest.mark.parametrize("share", [0.005, 0.2, 0.6])
def test_scattered_single_steps_are_rounding(share: float) -> None:
    rng = np.random.default_rng(0)
    r = activation()
    step = (rng.random(r.shape) < share) * rng.choice([-1, 1], r.shape)
    found = named(clipped(r.astype(int) + step, r), r)
    assert (found.kind, found.certain) == ("rounding", False)


def test_another_order_of_sums_is_rounding() -> None:
    r = activation(dtype="f4")
    board = r * (1 + 2e-7 * np.random.default_rng(0).standard_normal(r.shape)).astype(np.float32)
    assert named(board, r).kind == "rounding"


def test_shuffled_values_are_a_permutation_that_nobody_can_name() -> None:
    r = activation()
    found = named(np.random.default_rng(0).permutation(r.ravel()).reshape(r.shape), r)
    assert (found.kind, found.certain, found.transform) == ("permutation", False, "")


def test_noise_is_unclassified_and_says_so() -> None:
    r = activation()
    board = np.random.default_rng(0).integers(-128, 127, r.shape).astype(np.int8)
    found = named(board, r)
    assert (found.kind, found.certain) == ("unclassified", False)


# --------------------------------------------------------------------------- NaN and infinity


@pytest.mark.parametrize(("kind", "value"), [("nan", np.nan), ("inf", np.inf), ("inf", -np.inf)])
def test_new_nan_and_infinity(kind: str, value: float) -> None:
    r = activation(dtype="f4")
    board = r.copy()
    board[0, 1, 2, 3] = value
    found = named(board, r)
    assert (found.kind, found.certain, found.figures["count"]) == (kind, True, 1)
    board[0, 5] *= np.float32(1.37)
    assert not named(board, r).certain


# --------------------------------------------------------------------------- what the context tells


def test_another_result_at_another_run_is_nondeterminism() -> None:
    r = activation()
    board = r.copy()
    board[0, 0, 0, :5] += 1
    found = named(board, r, Context(repeats=(board, r, board)))
    assert (found.kind, found.certain) == ("nondeterminism", True)
    assert "1 of 3" in found.evidence
    assert named(board, r, Context(repeats=(board, board))).kind != "nondeterminism"


def test_a_value_fault_of_the_networks_input_is_preprocessing() -> None:
    r = activation((1, 3, 24, 24), seed=5)
    found = named(np.ascontiguousarray(r[:, ::-1]), r, Context(is_input=True))
    assert found.kind == "preprocessing" and "channels in reverse order" in found.evidence
    assert named(clipped(r.astype(int) + 10, r), r, Context(is_input=True)).kind == "preprocessing"


def weigh(inputs: Sequence[Array]) -> Array:
    """A stand-in op: mixes channels and inputs unevenly."""
    total = sum((i + 1) * image.astype(np.float64) for i, image in enumerate(inputs))
    weights = np.array([[0.2, 0.5, -0.3], [0.1, -0.7, 0.4]])
    return np.einsum("oc,nchw->nohw", weights, total).astype(np.float32)


def test_an_op_run_alone_tells_exchanged_inputs_and_colours() -> None:
    a, b = activation((1, 3, 16, 16), seed=1), activation((1, 3, 16, 16), seed=2)
    r = weigh((a, b))
    context = Context(first_op=True, inputs=(a, b), recompute=weigh)
    found = named(weigh((b, a)), r, context)
    assert (found.kind, found.certain) == ("input_order", True)
    found = named(weigh((np.ascontiguousarray(a[:, ::-1]), b)), r, context)
    assert (found.kind, found.certain) == ("preprocessing", True)
    assert "colours in reverse order" in found.evidence


def test_a_difference_from_the_first_op_on_points_at_the_input() -> None:
    a = activation((1, 3, 16, 16), seed=1)
    board = weigh((clipped(a.astype(int) * 1.2 + 10, a),))
    found = named(board, weigh((a,)), Context(first_op=True))
    assert (found.kind, found.certain) == ("preprocessing", False)


# --------------------------------------------------------------------------- large, odd and foreign


def test_of_a_very_large_tensor_a_part_is_looked_at_and_nothing_is_certain() -> None:
    r = activation((1, 32, 28, 28))
    board = r >> 1
    before, fingerprint.LOOK_BYTES = fingerprint.LOOK_BYTES, 4096
    try:
        found = named(board, r)
    finally:
        fingerprint.LOOK_BYTES = before
    assert (found.kind, found.certain) == ("shift", False)
    assert "looked at" in found.evidence


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
    found = named(np.asarray(board), np.asarray(r))
    json.dumps(found.figures)


# --------------------------------------------------------------------------- tables and pictures


def test_every_kind_says_what_it_means_and_what_to_do() -> None:
    for kind in KINDS.values():
        assert kind.meaning.endswith(".") and kind.advice.endswith(".")
    assert meaning("shift") and advice("shift") and meaning("unheard of") == ""


def test_the_error_map_shows_where() -> None:
    r = activation((1, 8, 200, 100))
    board = r.copy()
    board[:, :, 100:, :50] ^= 1
    picture = error_map(board, r, spec_of(r))
    values = np.array(picture["values"])
    assert values.shape == (64, 64) and (picture["rows"], picture["columns"]) == (200, 100)
    assert picture["axes"] == ["H", "W"]
    assert (values[32:, :32] == 1).all() and not values[:32].any() and not values[:, 32:].any()
    assert json.loads(json.dumps(picture)) == picture


def test_the_error_map_of_nhwc_has_the_same_axes() -> None:
    r = activation((1, 8, 20, 10)).transpose(0, 2, 3, 1)
    board = r.copy()
    board[:, 3] ^= 1
    picture = error_map(board, r, TensorSpec("t", "s8", r.shape, "NHWC"))
    assert picture["axes"] == ["H", "W"] and picture["values"][3] == [1.0] * 10


@pytest.mark.parametrize("shape", [(), (5,), (1000,), (3, 1), (2, 3, 4, 5, 6)])
def test_pictures_of_odd_shapes_are_small_and_plain(shape: tuple[int, ...]) -> None:
    r = np.zeros(shape, np.int8)
    picture = error_map(r + np.int8(1), r)
    assert 1 <= len(picture["values"]) <= 64 and 1 <= len(picture["values"][0]) <= 64
    json.dumps(picture)


def test_histogram_and_channel_profile() -> None:
    r = activation((1, 100, 6, 6))
    board = r.copy()
    board[:, 50] ^= 1
    shares = channel_shares(board, r, 1)
    assert len(shares) == 64 and sum(share > 0 for share in shares) == 1
    histogram = step_histogram(measure(board, r))
    assert sum(histogram["counts"]) == r.size and histogram["steps"] == sorted(histogram["steps"])
