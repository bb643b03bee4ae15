"""Input files that are not the raw bytes a board takes: arrays (.npy), and pictures that somebody must convert."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InputError
from harness.files.npy import open_npy
from harness.records import InputFacts

NPY_MAGIC = b"\x93NUMPY"
PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"GIF8", b"RIFF", b"II*\x00", b"MM\x00*")
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
_DTYPES = {
    "int8": "s8", "uint8": "u8", "int16": "s16", "uint16": "u16", "int32": "s32", "uint32": "u32", "int64": "s64",
    "uint64": "u64", "float16": "f16", "float32": "f32", "float64": "f64", "bool": "bool8",
}  # fmt: skip


def is_npy(path: Path) -> bool:
    """By its first bytes: whatever it is called, numpy has written it."""
    return _head(path).startswith(NPY_MAGIC)


def is_picture(path: Path) -> bool:
    """Whether a file begins as pictures do, and is called one or begins unmistakably."""
    head = _head(path)
    if head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")):
        return True
    return path.suffix.lower() in PICTURE_SUFFIXES and head.startswith(PICTURES)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError:
        return b""


@dataclass(frozen=True)
class Raw:
    """An array as the board takes it: little-endian bytes in C order, and whether its input has open sizes."""

    data: bytes
    shape: tuple[int, ...]
    is_open: bool


def read_npy(path: Path, wanted: InputFacts) -> Raw:
    """The elements of an .npy for one input of the board.

    Its `shapes` are those that fit (-1: any size); where all sizes are fixed, leading sizes of one may be left out or
    added, for they move no byte. Errors: InputError that says both shapes and dtypes.
    """
    import numpy as np

    try:
        array = open_npy(path)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a readable .npy ({error})", "save it again: np.save(path, array)") from None
    shapes = list(wanted.shapes)
    dtype = _DTYPES.get(array.dtype.name, array.dtype.name)
    if not shapes:
        raise InputError(
            f"{path}: the board does not report the shape of input {wanted.name!r}, so an .npy cannot be checked",
            "give the raw bytes: array.tofile('input.bin')",
        )
    shape = next((shape for shape in shapes if _fits(array.shape, shape)), None)
    if dtype != wanted.dtype or shape is None:
        takes = f"{wanted.dtype or '?'} {' or '.join(map(_in_words, shapes))}"
        raise InputError(
            f"{path}: is {dtype} {_in_words(array.shape)}, input {wanted.name!r} needs {takes}",
            _mend(path, wanted, dtype, tuple(array.shape), shapes),
        )
    data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    return Raw(data, tuple(array.shape), -1 in shape)


def _fits(given: Sequence[int], wanted: Sequence[int]) -> bool:
    if -1 in wanted:
        return len(given) == len(wanted) and all(b in (-1, a) for a, b in zip(given, wanted, strict=True))
    return _without_leading_ones(given) == _without_leading_ones(wanted)


def _without_leading_ones(shape: Sequence[int]) -> tuple[int, ...]:
    sizes = tuple(shape)
    while len(sizes) > 1 and sizes[0] == 1:
        sizes = sizes[1:]
    return sizes


def _mend(path: Path, wanted: InputFacts, dtype: str, given: tuple[int, ...], shapes: Sequence[tuple[int, ...]]) -> str:
    """What to type where an array does not fit: a cast, other axes, a conversion of pixels."""
    if any(_fits(given, shape) for shape in shapes):
        return f"convert its dtype: np.save(path, array.astype('{_numpy_name(wanted.dtype)}'))"
    for order in ((0, 2, 3, 1), (0, 3, 1, 2)):
        if len(given) == len(shapes[0]) == 4 and tuple(given[axis] for axis in order) == shapes[0]:
            return f"transpose it: np.save(path, array.transpose{order})"
    line = convert_line(path, wanted)
    is_pixels = dtype == "u8" and len(given) in (3, 4) and given[-1] in (1, 3, 4)
    return line if line and is_pixels else "save an array of that dtype and shape: np.save(path, array)"


def _in_words(shape: Sequence[int]) -> str:
    return "x".join("?" if size < 0 else str(size) for size in shape) or "scalar"


def _numpy_name(dtype: str) -> str:
    return next((name for name, short in _DTYPES.items() if short == dtype), "uint8")


def convert_line(path: Path, wanted: InputFacts) -> str:
    """The whole line that makes this input out of a picture; "" where `harness convert` cannot make it.

    Its `convert` holds the options of the line; only the platform knows them.
    """
    return f"harness convert {shlex.quote(str(path))} {wanted.convert}" if wanted.convert else ""
