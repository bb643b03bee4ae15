"""Opening .npy files: what numpy gives, for whole files and for those that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.dumps.folders import npy_spec
from harness.errors import InputError
from harness.files.npy import npy_type, open_npy
from harness.files.npz import unpacked


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3, 4)])
def test_every_array_is_what_numpy_loads(order: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.asarray(np.arange(np.prod(shape, dtype=int)).reshape(shape), order=order))
    opened, loaded = open_npy(path), np.load(path)
    assert np.array_equal(opened, loaded) and npy_type(path) == (loaded.dtype, loaded.shape)
    assert opened.strides == np.load(path, mmap_mode="r").strides and not opened.flags.writeable


def test_a_file_that_was_written_again_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.zeros(4, np.float32))
    assert npy_type(path) == (np.float32, (4,))
    np.save(path, np.ones((2, 8), np.int16))
    assert npy_type(path) == (np.int16, (2, 8)) and open_npy(path).sum() == 16


@pytest.mark.parametrize("damage", ["cut", "empty", "objects", "text"])
def test_what_is_no_array_is_refused_as_numpy_refuses_it(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.array([{}], object) if damage == "objects" else np.zeros(100))
    data = path.read_bytes()
    path.write_bytes({"cut": data[:300], "empty": b"", "text": b"no array"}.get(damage, data))
    with pytest.raises((OSError, ValueError, EOFError)):
        open_npy(path)
    with pytest.raises((OSError, ValueError, EOFError)):
        npy_type(path)


@pytest.mark.parametrize("shape", ["(2,", "(-1, 8)", "(None,)", "'a'"])
def test_a_damaged_header_is_a_value_error(tmp_path: Path, shape: str) -> None:
    """numpy's own parser raises TokenError, TypeError and others."""
    path = tmp_path / "a.npy"
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}".encode() + b"}" + b" " * 20 + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(64))
    with pytest.raises((ValueError, OSError, EOFError)):
        open_npy(path)
    assert npy_spec(path) is None


def test_an_archive_that_cannot_be_unpacked_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=np.arange(1000))
    data = bytearray(path.read_bytes())
    place = data.find(b"a.npy") + 60
    data[place : place + 20] = b"\xff" * 20
    path.write_bytes(data)
    with pytest.raises(InputError, match="not a readable"):
        unpacked(path, tmp_path)
