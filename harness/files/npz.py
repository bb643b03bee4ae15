"""NumPy archives (.npz), as numpy writes them and as vendors' tools do: members with and without `.npy`."""

from __future__ import annotations

import io
import lzma
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import InputError
from harness.files.arrays import NPY_MAGIC
from harness.files.safe import FULL, new_file
from harness.records import BoardLimits

Array = npt.NDArray[Any]


def packed(arrays: Mapping[str, Array]) -> bytes:
    """One .npz, not compressed. In one place, because only newer numpy's stubs forbid an array named like a switch."""
    held = io.BytesIO()
    savez: Any = np.savez
    savez(held, **arrays)
    return held.getvalue()


def unpacked(path: Path, folder: Path, limit_bytes: int = BoardLimits.max_bytes) -> dict[str, Path]:
    """The arrays of an .npz as numbered .npy files of `folder`, by member name, so that they can be memory-mapped.

    What it unpacks to is bounded in bytes, not as a multiple of the file: sparse tensors pack a thousandfold.
    Errors: InputError for a file that is none, holds no array, or unpacks to more.
    """
    files: dict[str, Path] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if _holds_array(archive, member)]
            total_bytes = sum(member.file_size for member in members)  # no more is read of a member than it announces
            if total_bytes > limit_bytes:
                raise InputError(f"{path}: unpacks to {total_bytes} bytes, limit {limit_bytes}")
            for i, member in enumerate(members):
                target = folder / f"t{i:05d}.npy"
                with archive.open(member) as source, new_file(target) as sink:
                    shutil.copyfileobj(source, sink)
                files[member.filename.removesuffix(".npy")] = target
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise
        raise InputError(f"{path}: not a readable .npz ({error})") from None
    if not files:
        raise InputError(f"{path}: no arrays found")
    return files


def _holds_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    """By its name, or by its first bytes: vendors' tools leave out the ending, and numpy reads that."""
    if member.is_dir() or member.filename.endswith(".npy"):
        return not member.is_dir()
    with archive.open(member) as stream:
        return stream.read(len(NPY_MAGIC)) == NPY_MAGIC
