"""How a dump lies in its file: by what it tells itself, else by the reference's tensor and the ways of storing it."""

from __future__ import annotations

import math
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.consistency.reading.layouts import BLOCKED, TensorError, unblock
from harness.consistency.reading.tensor_files import Array, open_tensor, size_bytes, widened
from harness.dumps.folders import npy_spec
from harness.files.npy import open_npy
from harness.records import Dump, TensorSpec
from harness.reference.open import ReferenceTensor

Storages = Callable[[TensorSpec, str], tuple[TensorSpec, ...]]
HALVES = ("f16", "bf16")
LANES = (4, 8, 16, 32, 64)  # multiples that channels are filled up to
WIDTHS = (8, 16, 32, 64)  # bits of the dtypes that a file of unexpected size may hold


def open_array(path: Path, spec: TensorSpec) -> Array:
    """The valid region, memory-mapped: an .npy by its header, anything else by its spec. Errors: TensorError."""
    if path.suffix != ".npy":
        return open_tensor(path, spec)
    file_size(path)
    try:
        array: Array = open_npy(path)
    except (OSError, ValueError, EOFError) as error:
        reason = "holds Python objects, or is not a .npy" if "pickle" in str(error) else str(error)
        raise TensorError(f"{path.name}: {reason}", "", _npy_reason(path, error)) from None
    array = widened(array, spec.dtype)
    return array.view(np.uint8) if array.dtype == np.bool_ else array


def _npy_reason(path: Path, error: Exception) -> str:
    if path.is_file() and path.stat().st_size == 0:
        return "empty"
    return "truncated" if "mmap" in str(error) or isinstance(error, EOFError) else "unreadable"


def open_board(path: Path, spec: TensorSpec) -> Array:
    """A dump in the axes of `spec`, as `board_spec` gave it: an .npy may be flat, in blocks, or hold more channels.

    Errors: TensorError.
    """
    array = open_array(path, spec)
    if path.suffix != ".npy":
        return array
    blocked = spec.layout in BLOCKED and len(spec.shape) == 4
    stored = spec.aligned_shape or spec.shape
    if array.shape != stored and array.size == math.prod(stored):
        array = array.reshape(stored)
    if blocked:
        return unblock(array, spec.shape[1])[:, :, : spec.shape[2], : spec.shape[3]]
    return array[tuple(slice(0, n) for n in spec.shape)] if spec.aligned_shape else array


# --------------------------------------------------------------------------- an .npy, by its header


def _npy_board_spec(tensor: ReferenceTensor, dump: Dump, storages: Storages | None) -> TensorSpec:
    """What the header tells; shapes that are no other axes of the tensor are read as its storage: flat, in blocks of
    channels, with channels that are padding."""
    header = npy_header(dump.path, dump.name)
    spec = header
    if dump.spec is not None:
        own = dump.spec.dtype in ("s4", "u4") or (header.dtype == "u16" and dump.spec.dtype in HALVES)
        spec = replace(dump.spec, shape=header.shape, dtype=dump.spec.dtype if own else header.dtype)
    side = tensor.spec
    if side is None or not header.shape or _same_axes(header.shape, side.shape):
        return spec
    blocks = _in_blocks(spec, side) or _more_channels(spec, side)
    if blocks is not None:
        return blocks
    if math.prod(header.shape) == math.prod(side.shape) and len(header.shape) <= len(side.shape):
        ways = [way for way in stored_ways(tensor, dump, storages) if not way.aligned_shape and not way.stride_bytes]
        flat = next((way for way in ways if _merged(header.shape, way.shape)), None)
        if flat is not None:
            return replace(flat, name=spec.name, dtype=spec.dtype, quantization=spec.quantization, aligned_bytes=None)
    return spec


def _without_ones(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def _same_axes(shape: Sequence[int], wanted: Sequence[int]) -> bool:
    """The tensor's own axes, or the same with channels last."""
    given, own = _without_ones(shape), _without_ones(wanted)
    return given == own or (len(shape) == len(wanted) == 4 and tuple(shape) == tuple(wanted[i] for i in (0, 2, 3, 1)))


def _in_blocks(spec: TensorSpec, side: TensorSpec) -> TensorSpec | None:
    """Five axes (N, C/b, H, W, b) of a tensor of four: NC4HW4, NC1HWC2."""
    if len(spec.shape) != 5 or len(side.shape) != 4 or side.layout == "NHWC":
        return None
    n, c, h, w = side.shape
    size = spec.shape[4]
    if size < 2 or spec.shape != (n, -(-c // size), h, w, size):
        return None
    return replace(spec, shape=side.shape, layout=BLOCKED[0], aligned_shape=spec.shape)


def _more_channels(spec: TensorSpec, side: TensorSpec) -> TensorSpec | None:
    """The tensor's shape but for channels that were filled up to a multiple."""
    if len(spec.shape) != 4 or len(side.shape) != 4 or side.layout == "NHWC":
        return None
    n, c, h, w = side.shape
    for valid, axis, layout in ((side.shape, 1, "NCHW"), ((n, h, w, c), 3, "NHWC")):
        full = {-(-c // lanes) * lanes for lanes in LANES} - {c}
        others = [i for i in range(4) if i != axis]
        if spec.layout in ("", layout) and spec.shape[axis] in full and all(spec.shape[i] == valid[i] for i in others):
            return replace(spec, shape=valid, layout=layout, aligned_shape=spec.shape)
    return None


def _merged(shape: Sequence[int], axes: Sequence[int]) -> bool:
    """Whether `shape` is `axes` with neighbours multiplied."""
    return set(_products(shape)) <= set(_products(axes))


def _products(shape: Sequence[int]) -> list[int]:
    return [math.prod(shape[: i + 1]) for i in range(len(shape))]


# --------------------------------------------------------------------------- specs


def board_spec(tensor: ReferenceTensor, dump: Dump, storages: Storages | None) -> TensorSpec:
    """How a dump lies in its file. Errors: TensorError when nothing that is known has the file's size."""
    if dump.path.suffix == ".npy":
        return _npy_board_spec(tensor, dump, storages)
    size = file_size(dump.path)
    if dump.spec is not None:
        return fitting(ways_of(dump.spec, dump.unit, storages), size, dump.path)
    ways = stored_ways(tensor, dump, storages)
    if not ways:
        return TensorSpec(dump.name, "u8", (size,))  # raw bytes against raw bytes
    return fitting(iter(ways), size, dump.path)


def stored_ways(tensor: ReferenceTensor, dump: Dump, storages: Storages | None) -> list[TensorSpec]:
    """The file alone does not tell its layout: the platform's likeliest storage of its size is taken, the reference's
    own only after them. (48 x 48 x 32 and 32 x 48 x 48 have one size.)"""
    sides = [s.spec for s in (tensor, tensor.alternate) if s is not None and s.spec is not None]
    ways = [*(way for spec in sides for way in (storages(spec, dump.unit) if storages else ())), *sides]
    return ways if dump.frames == 1 else [*(in_frames(way, dump.frames) for way in ways), *ways]


def in_frames(spec: TensorSpec, frames: int) -> TensorSpec:
    """A storage of so many frames, one after the other."""
    if not spec.shape or frames == 1:
        return spec
    aligned = spec.aligned_shape and (spec.aligned_shape[0] * frames, *spec.aligned_shape[1:])
    end = None if spec.aligned_bytes is None else spec.aligned_bytes * frames
    return replace(spec, shape=(spec.shape[0] * frames, *spec.shape[1:]), aligned_shape=aligned, aligned_bytes=end)


def npy_header(path: Path, name: str) -> TensorSpec:
    """dtype and shape of an .npy. Errors: TensorError for a file that is none, or of a dtype that is not compared."""
    header = npy_spec(path)
    if header is None:
        open_array(path, TensorSpec(name, "u8", ()))  # says what is wrong with the file
        raise TensorError(f"{path}: has an unsupported dtype", "", "dtype_differs")
    return replace(header, name=name)


def file_size(path: Path) -> int:
    """In bytes. Errors: TensorError for what is no regular file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise TensorError(f"{path.name}: is a broken link") from None
        raise TensorError(f"{path.name}: file not found", "", "missing") from None
    except OSError as error:
        raise TensorError(f"{path.name}: cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(status.st_mode):
        raise TensorError(f"{path.name}: is {_KINDS.get(stat.S_IFMT(status.st_mode), 'no regular file')}, not a dump")
    return status.st_size


_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device"}


def ways_of(spec: TensorSpec, unit: str, storages: Storages | None) -> Iterator[TensorSpec]:
    """A spec as it is, then as a platform stores it."""
    yield spec
    if storages is not None:
        yield from storages(spec, unit)


def fitting(ways: Iterator[TensorSpec], size: int, path: Path) -> TensorSpec:
    """The first way whose size is the file's size. Errors: TensorError with both sizes."""
    tried = []
    for way in ways:
        if size_bytes(way) == size:
            return way
        tried.append(way)
    sizes = list(dict.fromkeys(size_bytes(way) for way in tried))
    more = f" (or {len(sizes) - 3} other sizes)" if len(sizes) > 3 else ""
    expected = " or ".join(str(n) for n in sizes[:3])
    message = f"{path.name}: expected {expected} bytes{more} for {tried[0].dtype}, the file has {size}"
    other = _other_width(tried, size)
    if other:
        raise TensorError(f"{message}, which is its size in {other} bits: unknown scale", "", "dtype_differs")
    reason = "empty" if size == 0 else "truncated" if size < min(sizes) else "shape_differs"
    raise TensorError(message, "", reason)


def _other_width(tried: Sequence[TensorSpec], size: int) -> int:
    """Bits of the dtype with which a way of storing would have the file's size; 0 for none."""
    ways = [replace(way, stride_bytes=(), aligned_bytes=None) for way in tried]
    return next((bits for bits in WIDTHS for way in ways if size == size_bytes(replace(way, dtype=f"s{bits}"))), 0)
