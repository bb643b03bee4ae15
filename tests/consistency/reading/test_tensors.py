"""Bytes to logical tensors and back: every dtype, layout, padding, stride and nibble order."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.consistency.reading.layouts import DTYPES
from harness.consistency.reading.tensor_files import (
    TensorError,
    decode,
    dequantize,
    dtype_of,
    encode,
    file_md5,
    nv12_to_yuv444,
    open_tensor,
    size_bytes,
    to_layout,
    valid_md5,
    value_range,
    yuv444_to_nv12,
)
from harness.errors import InputError
from harness.records import Quantization, TensorSpec


def values_for(spec: TensorSpec, shape: tuple[int, ...], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    dtype = dtype_of(spec)
    if spec.dtype == "bf16":  # the upper half of a float32
        return (rng.standard_normal(shape).astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    low, high = value_range(spec)
    return rng.integers(low, high, size=shape, dtype=dtype, endpoint=True)


@st.composite
def specs(draw: st.DrawFn) -> TensorSpec:
    dtype = draw(st.sampled_from(sorted(DTYPES)))
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=5)))
    order = draw(st.sampled_from(["low_first", "high_first"]))
    how = draw(st.sampled_from(["dense", "aligned", "strides"]))
    if how == "dense":
        return TensorSpec("t", dtype, shape, nibble_order=order)
    if how == "aligned":
        aligned = tuple(n + draw(st.integers(0, 3)) for n in shape)
        return TensorSpec("t", dtype, shape, aligned_shape=aligned, nibble_order=order)
    return TensorSpec("t", dtype, shape, stride_bytes=_strides(draw, dtype, shape), nibble_order=order)


def _strides(draw: st.DrawFn, dtype: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    step, strides = max(1, DTYPES[dtype][1] // 8), []
    for size in reversed(shape):
        strides.append(step)
        step = step * size + draw(st.integers(0, 5)) * max(1, DTYPES[dtype][1] // 8)
    return tuple(reversed(strides))


@given(specs(), st.integers(0, 255), st.integers(0, 2**32 - 1))
def test_what_is_encoded_comes_back_whatever_lies_in_the_padding(spec: TensorSpec, fill: int, seed: int) -> None:
    array = values_for(spec, spec.shape, seed)
    data = encode(array, spec, fill=fill)
    assert len(data) == size_bytes(spec)
    back = decode(data, spec)
    assert back.dtype == array.dtype
    assert back.tobytes() == array.tobytes()


@given(
    st.sampled_from(["s8", "s4", "s16", "f32"]),
    st.tuples(st.integers(1, 2), st.integers(1, 70), st.integers(1, 4), st.integers(1, 5)),
    st.sampled_from([("NDHWC32", 32), ("NC1HWC2", 16), ("NC1HWC2", 8), ("NC1HWC2", 5)]),
    st.integers(0, 2),
)
def test_blocked_layouts_come_back_in_the_order_nchw(
    dtype: str, shape: tuple[int, int, int, int], layout: tuple[str, int], more_rows: int
) -> None:
    name, block = layout
    n, c, h, w = shape
    stored = (n, math.ceil(c / block), h + more_rows, w, block)
    spec = TensorSpec("t", dtype, shape, name, aligned_shape=stored)
    array = values_for(spec, shape, seed=c)
    data = encode(array, spec, fill=0x5A)
    assert len(data) == math.ceil(math.prod(stored) * DTYPES[dtype][1] / 8)
    assert decode(data, spec).tobytes() == array.tobytes()


def test_a_block_of_ndhwc32_holds_32_channels_of_one_pixel() -> None:
    spec = TensorSpec("t", "u8", (1, 40, 2, 3), "NDHWC32")
    array = np.arange(240, dtype=np.uint8).reshape(spec.shape)
    stored = np.frombuffer(encode(array, spec), np.uint8).reshape(1, 2, 2, 3, 32)
    assert (stored[0, 0, 1, 2] == array[0, :32, 1, 2]).all()
    assert (stored[0, 1, 1, 2, :8] == array[0, 32:, 1, 2]).all()
    assert (stored[0, 1, :, :, 8:] == 0).all()


def test_a_five_axis_shape_of_a_blocked_layout_keeps_every_lane() -> None:
    spec = TensorSpec("t", "s8", (1, 2, 3, 4, 16), "NC1HWC2")
    array = values_for(spec, spec.shape, 1)
    back = decode(encode(array, spec), spec)
    assert back.shape == spec.shape
    assert to_layout(back, spec, "NCHW").shape == (1, 32, 3, 4)
    assert to_layout(back, spec, "NCHW")[0, 17, 2, 3] == array[0, 1, 2, 3, 1]


@given(specs(), st.integers(0, 2**32 - 1))
def test_a_file_reads_like_bytes_in_memory(
    tmp_path_factory: pytest.TempPathFactory, spec: TensorSpec, seed: int
) -> None:
    array = values_for(spec, spec.shape, seed)
    path = tmp_path_factory.mktemp("dump") / "t.bin"
    path.write_bytes(encode(array, spec, fill=0xA5))
    assert open_tensor(path, spec).tobytes() == array.tobytes()


def test_padded_tensors_are_views_of_a_read_only_memory_map(tmp_path: Path) -> None:
    spec = TensorSpec("t", "f32", (1, 8, 8, 3), "NHWC", aligned_shape=(1, 8, 8, 4))
    (tmp_path / "t.bin").write_bytes(encode(values_for(spec, spec.shape, 0), spec))
    array = open_tensor(tmp_path / "t.bin", spec)
    assert isinstance(array.base, np.memmap)
    assert not array.flags.writeable
    assert array.strides == (8 * 8 * 16, 8 * 16, 16, 4)
    turned = to_layout(array, spec, "NCHW")
    assert turned.shape == (1, 3, 8, 8)
    assert turned.strides == (8 * 8 * 16, 4, 8 * 16, 16)


def test_the_two_nibble_orders_exchange_the_halves_of_every_byte() -> None:
    low = TensorSpec("t", "u4", (4,), nibble_order="low_first")
    high = TensorSpec("t", "u4", (4,), nibble_order="high_first")
    array = np.array([1, 2, 3, 4], np.uint8)
    assert encode(array, low) == b"\x21\x43"
    assert encode(array, high) == b"\x12\x34"
    assert decode(b"\x21\x43", high).tolist() == [2, 1, 4, 3]


def test_signed_nibbles_reach_from_minus_eight_to_seven() -> None:
    spec = TensorSpec("t", "s4", (3,))
    assert decode(b"\x87\x0f", spec).tolist() == [7, -8, -1]


def test_strides_as_a_vendor_prints_them_for_small_tensors() -> None:
    spec = TensorSpec("t", "f32", (1, 4), stride_bytes=(16, 4), aligned_bytes=128)
    assert size_bytes(spec) == 128
    array = np.arange(4, dtype=np.float32).reshape(1, 4)
    assert (decode(encode(array, spec), spec) == array).all()


def test_rows_padded_to_1024_bytes() -> None:
    spec = TensorSpec("t", "s8", (6, 3, 512, 960), stride_bytes=(3 * 512 * 1024, 512 * 1024, 1024, 1))
    assert size_bytes(spec) == 6 * 3 * 512 * 1024


def test_strides_that_are_all_zero_say_nothing() -> None:
    spec = TensorSpec("images", "u8", (1, 3, 640, 640), "NV12", stride_bytes=(0, 0, 0, 0), aligned_bytes=614400)
    assert size_bytes(spec) == 614400


@pytest.mark.parametrize(("given_bytes", "reason"), [(0, "empty"), (99, "truncated"), (101, "shape_differs")])
def test_a_file_of_another_size_is_refused_with_both_sizes(tmp_path: Path, given_bytes: int, reason: str) -> None:
    path = tmp_path / "t.bin"
    path.write_bytes(bytes(given_bytes))
    with pytest.raises(TensorError) as caught:
        open_tensor(path, TensorSpec("t", "s8", (10, 10)))
    assert caught.value.reason == reason
    assert "expected 100 bytes" in caught.value.message
    assert f"given {given_bytes}" in caught.value.message
    assert isinstance(caught.value, InputError)


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(TensorError) as caught:
        open_tensor(tmp_path / "none.bin", TensorSpec("t", "s8", (1,)))
    assert caught.value.reason == "unreadable"


@pytest.mark.parametrize(
    "spec",
    [
        TensorSpec("t", "q7", (1,)),
        TensorSpec("t", "s8", (-1, 3)),
        TensorSpec("t", "s8", (2, 3), aligned_shape=(2, 2)),
        TensorSpec("t", "s8", (2, 3), aligned_shape=(2, 3, 1)),
        TensorSpec("t", "s8", (2, 3), stride_bytes=(2, 1)),
        TensorSpec("t", "s8", (2, 3), stride_bytes=(3, -1)),
        TensorSpec("t", "s8", (2, 3), stride_bytes=(3,)),
        TensorSpec("t", "s8", (4, 4), aligned_bytes=15),
        TensorSpec("t", "u8", (1, 3, 5, 4), "NV12"),
        TensorSpec("t", "u8", (1, 4, 4), "NV12"),
        TensorSpec("t", "s8", (1, 8, 2, 2), "NC1HWC2"),
        TensorSpec("t", "u4", (2,), nibble_order="middle"),
    ],
)
def test_a_spec_that_contradicts_itself_is_an_error_and_no_traceback(spec: TensorSpec) -> None:
    with pytest.raises(TensorError):
        decode(bytes(16), spec)


def test_values_that_do_not_fit_are_refused_not_clamped() -> None:
    with pytest.raises(TensorError, match=r"-9\.\.0 do not fit s4"):
        encode(np.array([-9, 0]), TensorSpec("t", "s4", (2,)))
    with pytest.raises(TensorError):
        encode(np.array([0.5]), TensorSpec("t", "s8", (1,)))
    with pytest.raises(TensorError) as caught:
        encode(np.zeros((2, 2), np.int8), TensorSpec("t", "s8", (4,)))
    assert caught.value.reason == "shape_differs"


def test_a_tensor_without_elements_is_an_empty_file(tmp_path: Path) -> None:
    spec = TensorSpec("t", "f32", (0, 4))
    (tmp_path / "t.bin").write_bytes(encode(np.zeros((0, 4), np.float32), spec))
    assert open_tensor(tmp_path / "t.bin", spec).shape == (0, 4)


def test_bool8_stays_a_byte_because_boards_leave_more_than_0_and_1() -> None:
    assert decode(b"\x00\x01\xff", TensorSpec("t", "bool8", (3,))).tolist() == [0, 1, 255]


def test_layouts_are_turned_both_ways_and_unknown_pairs_are_refused() -> None:
    spec = TensorSpec("t", "s8", (1, 2, 3, 4), "NHWC")
    array = values_for(spec, spec.shape, 3)
    turned = to_layout(array, spec, "NCHW")
    assert (turned == array.transpose(0, 3, 1, 2)).all()
    back = to_layout(turned, TensorSpec("t", "s8", (1, 4, 2, 3), "NCHW"), "NHWC")
    assert (back == array).all()
    assert to_layout(array, TensorSpec("t", "s8", (1, 2, 3, 4)), "NCHW") is array
    flat = TensorSpec("t", "s8", (1, 24), "NCHW")
    assert to_layout(array.reshape(1, 24), flat, "NHWC").shape == (1, 24)
    with pytest.raises(TensorError):
        to_layout(array, TensorSpec("t", "s8", (1, 2, 3, 4), "NDWC"), "NCHW")


# --------------------------------------------------------------------------- quantization


def test_dequantize_is_stored_less_zero_point_times_scale() -> None:
    array = np.array([[0, 10], [20, -128]], np.int8)
    assert dequantize(array, Quantization((0.5,), (10,))).tolist() == [[-5.0, 0.0], [5.0, -69.0]]
    by_row = dequantize(array, Quantization((1.0, 2.0), (0, 10), axis=0))
    assert by_row.tolist() == [[0.0, 10.0], [20.0, -276.0]]
    assert dequantize(array, Quantization((1.0, 2.0), (0,), axis=-1)).tolist() == [[0.0, 20.0], [20.0, -256.0]]
    assert dequantize(array, None).dtype == np.float64


def test_dequantize_refuses_scales_that_fit_no_axis() -> None:
    with pytest.raises(TensorError):
        dequantize(np.zeros((2, 3), np.int8), Quantization((1.0, 2.0), axis=1))
    with pytest.raises(TensorError):
        dequantize(np.zeros((2, 3), np.int8), Quantization((1.0, 2.0)))


# --------------------------------------------------------------------------- NV12


@given(st.integers(1, 2), st.integers(1, 6), st.integers(1, 6), st.integers(0, 9))
def test_nv12_survives_the_way_through_yuv444(n: int, half_h: int, half_w: int, pad: int) -> None:
    h, w = 2 * half_h, 2 * half_w
    spec = TensorSpec("image", "u8", (n, 3, h, w), "NV12", aligned_shape=(n, 3, h, w + pad))
    rows = values_for(spec, (n, h * 3 // 2, w), seed=h * w)
    data = encode(rows, spec)
    assert len(data) == n * h * 3 // 2 * (w + pad)
    back = decode(data, spec)
    image = nv12_to_yuv444(back)
    assert image.shape == (n, 3, h, w)
    assert (image[:, 0] == rows[:, :h]).all()
    assert (image[:, 1, ::2, ::2] == rows[:, h:, 0::2]).all()
    assert (image[:, 2, 1::2, 1::2] == rows[:, h:, 1::2]).all()
    assert (yuv444_to_nv12(image) == rows).all()


def test_nv12_as_nhwc_and_as_rows_have_one_size() -> None:
    for shape in ((1, 3, 4, 6), (1, 4, 6, 3), (1, 6, 6)):
        assert size_bytes(TensorSpec("image", "u8", shape, "NV12")) == 36


# --------------------------------------------------------------------------- hashes


@given(specs(), st.integers(0, 2**32 - 1))
def test_the_hash_of_the_valid_bytes_does_not_see_padding(spec: TensorSpec, seed: int) -> None:
    array = values_for(spec, spec.shape, seed)
    wanted = hashlib.md5(array.tobytes(), usedforsecurity=False).hexdigest()
    for fill in (0x00, 0xFF):
        assert valid_md5(decode(encode(array, spec, fill=fill), spec)) == wanted


def test_the_hash_of_a_large_turned_view_is_that_of_its_copy(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 255, (3, 700, 900, 2), dtype=np.uint8)
    turned = array.transpose(3, 0, 2, 1)
    assert valid_md5(turned) == hashlib.md5(turned.tobytes(), usedforsecurity=False).hexdigest()
    path = tmp_path / "t.bin"
    path.write_bytes(array.tobytes())
    assert file_md5(path) == hashlib.md5(array.tobytes(), usedforsecurity=False).hexdigest()
    with pytest.raises(TensorError):
        file_md5(tmp_path / "none")


@pytest.mark.parametrize("bits", [0x7F800001, 0x7FFFFFFF, 0xFF800001, 0xFFFFFFFF, 0x7FC00000])
def test_bf16_keeps_nan_and_its_sign(bits: int) -> None:
    spec = TensorSpec("t", "bf16", (2,))
    real = np.array([bits, 0x7F7FFFFF], np.uint32).view(np.float32)  # the largest float rounds to infinity
    back = decode(encode(real, spec), spec)
    assert np.isnan(back[0]) and np.signbit(back[0]) == np.signbit(real[0]) and np.isposinf(back[1])
