"""Opening .npy files: many times in one comparison, so their headers are read once."""

from __future__ import annotations

import io
import math
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

MOST_AXES = 64  # numpy's own limit
HEADERS = 1 << 14  # that are remembered
_Header = tuple[np.dtype[Any], tuple[int, ...], bool, int]


def open_npy(path: Path) -> npt.NDArray[Any]:
    """What `np.load` gives, memory-mapped and read-only. Errors: OSError, EOFError, ValueError for a damaged file."""
    known = _known(path)
    if known is None:
        return _by_numpy(path)
    dtype, shape, is_fortran, offset = known
    order: Literal["F", "C"] = "F" if is_fortran else "C"
    mapped: npt.NDArray[Any] = np.memmap(str(path), dtype, "r", offset, shape, order)  # numpy resolves what is a Path
    return mapped.view(np.ndarray)


def npy_of_bytes(data: bytes) -> npt.NDArray[Any]:
    """The array of an .npy in memory; nothing is allocated for a header that promises more than there is.

    Errors: ValueError for damaged bytes.
    """
    try:
        headers: Any = np.lib.format  # without types in numpy 1.26
        file = io.BytesIO(data)
        version = headers.read_magic(file)
        read = {(1, 0): headers.read_array_header_1_0, (2, 0): headers.read_array_header_2_0}.get(version)
        shape, _is_fortran, dtype = read(file) if read is not None else ((), False, np.dtype("u1"))
        wanted, held = math.prod(shape) * dtype.itemsize, len(data) - file.tell()
        if wanted <= held:
            return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))
    except Exception as error:  # a header is Python text, and numpy raises whatever its parser does
        raise ValueError(f"{error}" or type(error).__name__) from None
    raise ValueError(f"its shape {shape} needs {wanted} bytes, it holds {held}")


def npy_type(path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """(dtype, shape) of an .npy that `open_npy` opens. Errors: those of `open_npy`."""
    known = _known(path)
    if known is not None:
        return known[0], known[1]
    array = open_npy(path)
    return array.dtype, array.shape


def _by_numpy(path: Path) -> npt.NDArray[Any]:
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, EOFError, ValueError):
        raise
    except Exception as error:  # numpy's header parser raises TokenError, TypeError, IndexError, MemoryError and more
        raise ValueError(f"the header cannot be read ({type(error).__name__})") from None


def _known(path: Path) -> _Header | None:
    facts = path.stat()
    return _header(str(path), facts.st_size, facts.st_mtime_ns, facts.st_ino)


@lru_cache(HEADERS)
def _header(path: str, size: int, _changed_ns: int, _number: int) -> _Header | None:
    """(dtype, shape, Fortran order, place of the first element); None for what `np.load` shall look at."""
    try:
        with Path(path).open("rb") as file:
            headers: Any = np.lib.format  # without types in numpy 1.26
            version = headers.read_magic(file)
            read = {(1, 0): headers.read_array_header_1_0, (2, 0): headers.read_array_header_2_0}[version]
            shape, is_fortran, dtype = read(file)
            offset = file.tell()
    except Exception:  # a header is Python text, and numpy raises whatever its parser does
        return None
    if len(shape) > MOST_AXES or any(isinstance(size, bool) or size < 0 for size in shape):
        return None
    count = int(np.prod(shape, dtype=object)) if shape else 1
    whole = not dtype.hasobject and count > 0 and offset + count * dtype.itemsize <= size
    return (dtype, tuple(shape), is_fortran, offset) if whole else None
