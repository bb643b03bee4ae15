"""Kinds of fault that move elements: the transform is named, and certain only when nothing else explains the pair."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.consistency.fingerprint.context import FingerprintContext
from harness.consistency.fingerprint.layout_search import find_transform
from harness.consistency.reading.tensor_files import decode, encode, open_tensor, to_layout
from harness.records import TensorSpec
from tests.support.fingerprint_kit import Array, activation, named

# --------------------------------------------------------------------------- transforms

RGB = (1, 3, 24, 20)
TRANSFORMS: dict[str, tuple[tuple[int, ...], str, Callable[[Array], Array], str, str]] = {
    # name: (shape, dtype, fault, kind, words that name it)
    "NHWC instead of NCHW": (
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
        "1 and 9 swapped",
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
        "rotated by 7",
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
        "nibbles of every byte",
    ),
    "u8 for s8": ((1, 4, 12, 10), "i1", lambda r: (r.view("u1") ^ 0x80).view("i1"), "zero_point", "u8 against s8"),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_layout_search_names_the_transform_and_is_certain(name: str) -> None:
    shape, dtype, fault, kind, words = TRANSFORMS[name]
    r = activation(shape, "i1" if dtype == "u1" else dtype, seed=7).astype(dtype)
    fingerprint = named(np.ascontiguousarray(fault(r)), r)
    assert (fingerprint.kind, fingerprint.certain) == (kind, True), fingerprint.evidence
    assert words in fingerprint.transform


@pytest.mark.parametrize("by", [-2, 1, 3, 16])
def test_rows_read_at_another_stride(by: int) -> None:
    r = activation((1, 8, 20, 24))
    flat, length = r.reshape(-1), 24
    starts = np.arange(r.size // length) * (length + by)
    board = flat[(starts[:, None] + np.arange(length)) % r.size].reshape(r.shape)
    fingerprint = named(board, r)
    assert (fingerprint.kind, fingerprint.certain) == ("stride", True)
    assert f"stride {length + by}" in fingerprint.transform


@pytest.mark.parametrize("padded", [(1, 12, 16, 32), (1, 16, 16, 32)])
def test_padding_taken_for_data(padded: tuple[int, ...]) -> None:
    r = activation((1, 20, 12, 16))
    stored = TensorSpec("t", "s8", (1, 12, 16, 20), "NHWC", aligned_shape=padded)
    memory = encode(r.transpose(0, 2, 3, 1), stored, fill=0x33)
    dense = np.frombuffer(memory, np.int8)[: r.size].reshape(1, 12, 16, 20).transpose(0, 3, 1, 2)
    fingerprint = named(dense, r, FingerprintContext(stored=stored))
    assert (fingerprint.kind, fingerprint.certain) == ("stride", True)


@pytest.mark.parametrize("order", ["low_first", "high_first"])
def test_nibbles_read_in_the_other_order(order: str) -> None:
    r = np.random.default_rng(0).integers(-8, 8, (1, 6, 5, 4)).astype(np.int8)
    other = {"low_first": "high_first", "high_first": "low_first"}[order]
    written = TensorSpec("t", "s4", r.shape, "NCHW", nibble_order=order)
    read = TensorSpec("t", "s4", r.shape, "NCHW", nibble_order=other)
    fingerprint = named(decode(encode(r, written), read), r, spec=written)
    assert (fingerprint.kind, fingerprint.certain) == ("nibble_order", True)


def test_nv21_for_nv12() -> None:
    spec = TensorSpec("image", "u8", (1, 3, 8, 12), "NV12")
    r = np.random.default_rng(0).integers(0, 255, (1, 12, 12), dtype=np.uint8)
    board = r.copy()
    board[:, 8:, 0::2], board[:, 8:, 1::2] = r[:, 8:, 1::2], r[:, 8:, 0::2]
    transform = find_transform(board, r, spec)
    assert transform is not None and (transform.kind, transform.name) == (
        "preprocessing",
        "U and V swapped: NV21 instead of NV12",
    )


def test_a_misread_layout_is_found_in_the_view_of_a_file_too(tmp_path: Path) -> None:
    """The board wrote NCHW; its tool said NHWC, so the reader turned what was right."""
    r = activation((1, 16, 12, 10))
    spec = TensorSpec("t", "s8", (1, 12, 10, 16), "NHWC")
    (tmp_path / "t.bin").write_bytes(r.tobytes())
    board = to_layout(open_tensor(tmp_path / "t.bin", spec), spec, "NCHW")
    fingerprint = named(board, r)
    assert (fingerprint.kind, fingerprint.certain) == ("layout", True)


def test_what_four_elements_tell_is_named_but_not_certain() -> None:
    r = np.array([[1, 2], [3, 4]], np.int8)
    fingerprint = named(r.T.copy(), r)
    assert (fingerprint.kind, fingerprint.certain) == ("layout", False)


def test_pairs_that_no_transform_explains_have_none() -> None:
    a, b = activation(seed=1), activation(seed=2)
    assert find_transform(a, b) is None
    assert find_transform(a, a[:, :4]) is None
