"""Kinds of fault by where they are: channels, columns, tiles, and extents of the board's memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.consistency.fingerprint.context import FingerprintContext
from harness.consistency.reading.tensor_files import encode, open_tensor, to_layout
from harness.records import TensorSpec
from tests.support.fingerprint_kit import Array, activation, named, spec_of

# --------------------------------------------------------------------------- places


def test_one_channel_of_zero_is_a_dead_channel_with_its_number() -> None:
    r = activation()
    board = r.copy()
    board[:, 17] = 0
    fingerprint = named(board, r)
    assert (fingerprint.kind, fingerprint.certain) == ("dead_channel", False)
    assert "C 17 of 32" in fingerprint.evidence


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
    fingerprint = named(board, r)
    assert fingerprint.kind == "tile"
    assert "H 8..15 of 28, W 16..23 of 28" in fingerprint.evidence


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
    fingerprint = named(board, r)
    assert (fingerprint.kind, fingerprint.certain) == (kind, False)
    assert f"at byte {first} " in fingerprint.evidence
    sure = named(board, r, FingerprintContext(previous=old, stored=stored))
    assert (sure.kind, sure.certain) == (kind, True)
    assert (
        named(np.array(board), r, FingerprintContext(stored=stored)).kind == kind
    )  # a copy: the spec tells the memory


def test_an_earlier_frame_is_stale_and_certain_when_it_is_known() -> None:
    r, old = activation(seed=1), activation(seed=2)
    fingerprint = named(old, r, FingerprintContext(previous=old))
    assert (fingerprint.kind, fingerprint.certain) == ("stale", True)
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
    fingerprint = named(board, r)
    assert (fingerprint.kind, fingerprint.certain) == ("bit_flip", False)


def test_most_elements_of_a_small_channel_are_that_channel() -> None:
    r = activation(shape=(1, 24, 2, 2))
    board = r.copy()
    board[0, 5].reshape(-1)[:3] += np.array([9, -20, 14], np.int8)
    mark = named(board, r, FingerprintContext(weighted=True))
    assert mark.kind == "channel" and "3 of the 4 elements of C 5 of 24" in mark.evidence
    assert named(board, r).kind == "single_element"
    board[0, 6, 0, 0] += 30
    assert named(board, r, FingerprintContext(weighted=True)).kind == "single_element"


def test_a_channel_that_is_flat_in_the_reference_too_is_not_dead() -> None:
    """Its input is zero everywhere: what it holds is its bias, and another bias on the board."""
    r = np.random.default_rng(0).normal(0, 1, (1, 32, 6, 6)).astype(np.float32)
    r[:, 9] = 0.25
    board = r.copy()
    board[:, 9] = 3.5
    assert named(board, r, FingerprintContext(weighted=True)).kind == "channel"
    r[:, 9] = np.random.default_rng(1).normal(0, 1, (1, 6, 6))
    assert named(board, r, FingerprintContext(weighted=True)).kind == "dead_channel"


def test_integers_of_the_frame_before_are_stale_within_steps() -> None:
    """A board of its own noise: its frame before is not the reference's to the last step."""
    r, old = activation(seed=1), activation(seed=2)
    off = np.random.default_rng(3).integers(-1, 2, old.shape)
    board = (old.astype(np.int16) + off).clip(-128, 127).astype(np.int8)
    fingerprint = named(board, r, FingerprintContext(previous=old))
    assert (fingerprint.kind, fingerprint.certain) == ("stale", False) and "previous frame" in fingerprint.evidence
