"""From bytes to a logical tensor and back. Integers stay integers; nothing is clamped or guessed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from harness.consistency.metrics.blocks import give_back
from harness.consistency.reading.layouts import (
    BLOCKED,
    NV12,
    Storage,
    TensorError,
    block,
    dtype_of,
    storage,
    to_layout,
    unblock,
)
from harness.files.digests import md5_of_file
from harness.records import Quantization, TensorSpec

Array = npt.NDArray[Any]
__all__ = [
    "Array",
    "TensorError",
    "decode",
    "dequantize",
    "dtype_of",
    "encode",
    "file_md5",
    "nv12_to_yuv444",
    "open_tensor",
    "size_bytes",
    "to_layout",
    "valid_md5",
    "yuv444_to_nv12",
]
HASH_BLOCK_BYTES = 1 << 20
NIBBLE_ORDERS = ("low_first", "high_first")


def size_bytes(spec: TensorSpec) -> int:
    """Size of the file that `spec` describes, padding included."""
    return storage(spec).size_bytes


def open_tensor(path: Path, spec: TensorSpec) -> Array:
    """Valid region of a raw file, axes in stored order (blocked layouts: NCHW; NV12: (N, H*3/2, W) rows).

    Memory-mapped and read-only; copied only where there is no view: 4-bit types are unpacked to one byte per
    element, blocked layouts with a four-axis shape are put in order. bool8 comes as uint8, bf16 as float32.
    Errors: TensorError whose `reason` is empty, truncated, shape_differs (file too long) or unreadable.
    """
    path = Path(path)
    where = storage(spec)
    _check_size(path, spec, where)
    if where.size_bytes == 0 or 0 in where.shape:
        return widened(_view(np.zeros(0, dtype=np.uint8), where, spec), spec.dtype)
    try:
        return widened(_view(np.memmap(str(path), dtype=np.uint8, mode="r"), where, spec), spec.dtype)
    except OSError as error:
        raise TensorError(f"{path}: cannot be read: {error.strerror or error}") from error


def decode(data: bytes, spec: TensorSpec) -> Array:
    """Like open_tensor, from bytes in memory. Errors: TensorError."""
    where = storage(spec)
    _check_bytes(f"tensor {spec.name!r}", len(data), spec, where)
    return widened(_view(np.frombuffer(data, dtype=np.uint8), where, spec), spec.dtype)


def widened(array: Array, dtype: str) -> Array:
    """16 stored bits as the floats that they are: bf16 as float32, which holds all its values; others unchanged."""
    if dtype == "bf16" and array.dtype.itemsize == 2:
        return (np.ascontiguousarray(array).view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    if dtype == "f16" and array.dtype.kind in "uV" and array.dtype.itemsize == 2:
        return array.view(np.float16)
    return array


def _narrowed(array: Array) -> Array:
    """float32 as the stored bits of bf16, rounded to the nearest even; NaN stays NaN, with its sign."""
    real = np.ascontiguousarray(array, dtype=np.float32)
    bits = real.view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    quiet = (bits >> 16) | 0x40  # rounding would carry into exponent and sign
    return np.where(np.isnan(real), quiet, rounded).astype(np.uint16)


def _check_size(path: Path, spec: TensorSpec, where: Storage) -> None:
    try:
        given = path.stat().st_size
    except OSError as error:
        raise TensorError(f"{path}: cannot be read: {error.strerror or error}") from error
    _check_bytes(str(path), given, spec, where)


def _check_bytes(place: str, given: int, spec: TensorSpec, where: Storage) -> None:
    expected = where.size_bytes
    if given == expected:
        return
    detail = f"expected {expected} bytes for {spec.dtype} {spec.shape} {spec.layout}".rstrip() + f", given {given}"
    if given == 0:
        raise TensorError(f"{place}: empty file: {detail}", "run again; check the board's free space", "empty")
    if given < expected:
        raise TensorError(f"{place}: truncated file: {detail}", "run again; check the board's free space", "truncated")
    raise TensorError(f"{place}: file too long: {detail}", "check shape, padding and dtype", "shape_differs")


def _view(data: Array, where: Storage, spec: TensorSpec) -> Array:
    if 0 in where.shape:
        return np.zeros(_logical_shape(spec, where), dtype=where.dtype)
    steps = [s // 8 for s in where.strides_bits]
    if where.bits < 8:
        data = unpack_nibbles(data, spec)
        steps = [s // 4 for s in where.strides_bits]
    view: Array = np.ndarray(where.shape, where.dtype, buffer=cast(Any, data), strides=steps)
    view.flags.writeable = False
    if spec.layout in BLOCKED and len(spec.shape) == 4:
        view = unblock(view, spec.shape[1])[:, :, : spec.shape[2], : spec.shape[3]]
    return view


def _logical_shape(spec: TensorSpec, where: Storage) -> tuple[int, ...]:
    return where.shape if spec.layout == NV12 else spec.shape


def unpack_nibbles(data: Array, spec: TensorSpec) -> Array:
    """Two elements per byte to one per byte; which half comes first is `spec.nibble_order`."""
    low, high = data & 15, data >> 4
    first, second = (low, high) if _low_first(spec) else (high, low)
    out = np.empty(data.size * 2, dtype=np.uint8)
    out[0::2] = first
    out[1::2] = second
    if spec.dtype == "s4":
        np.bitwise_xor(out, 8, out=out)
        np.subtract(out, 8, out=out)  # two's complement of four bits
    return out.view(dtype_of(spec))


def _pack_nibbles(elements: Array, spec: TensorSpec) -> Array:
    halves = elements.view(np.uint8) & 15
    first, second = halves[0::2], halves[1::2]
    packed: Array = first | (second << 4) if _low_first(spec) else second | (first << 4)
    return packed


def _low_first(spec: TensorSpec) -> bool:
    if spec.nibble_order not in NIBBLE_ORDERS:
        raise TensorError(
            f"tensor {spec.name!r}: unknown nibble order {spec.nibble_order!r}", " or ".join(NIBBLE_ORDERS)
        )
    return spec.nibble_order == "low_first"


def encode(array: Array, spec: TensorSpec, fill: int = 0) -> bytes:
    """The inverse of open_tensor: pads (with the byte `fill`), strides and packs.

    Errors: TensorError for a shape or a value that does not fit; nothing is clamped.
    """
    where = storage(spec)
    array = np.asarray(array)
    wanted = _logical_shape(spec, where)
    if array.shape != wanted:
        raise TensorError(f"tensor {spec.name!r}: shape {array.shape} given, {wanted} expected", "", "shape_differs")
    _check_range(array, spec)
    array = _narrowed(array) if spec.dtype == "bf16" else array
    if where.bits < 8:
        return _encode_nibbles(array, spec, where, fill)
    data = np.full(where.size_bytes, fill, dtype=np.uint8)
    if array.size:
        _fill(data, [s // 8 for s in where.strides_bits], array, spec, where)
    return data.tobytes()


def _encode_nibbles(array: Array, spec: TensorSpec, where: Storage, fill: int) -> bytes:
    elements = unpack_nibbles(np.full(where.size_bytes, fill, dtype=np.uint8), spec)
    if array.size:
        _fill(elements.view(np.uint8), [s // 4 for s in where.strides_bits], array, spec, where)
    return _pack_nibbles(elements, spec).tobytes()


def _fill(data: Array, steps: list[int], array: Array, spec: TensorSpec, where: Storage) -> None:
    target: Array = np.ndarray(where.shape, where.dtype, buffer=cast(Any, data), strides=steps)
    if spec.layout in BLOCKED and len(spec.shape) == 4:
        block(array, target)
    else:
        target[...] = array


def _check_range(array: Array, spec: TensorSpec) -> None:
    kind = dtype_of(spec).kind
    if kind == "f" or spec.dtype == "bf16":
        return
    if array.dtype.kind not in "iub":
        raise TensorError(f"tensor {spec.name!r}: {array.dtype} values given for {spec.dtype}", "", "dtype_differs")
    low, high = value_range(spec)
    if array.size and (int(array.min()) < low or int(array.max()) > high):
        raise TensorError(
            f"tensor {spec.name!r}: values {array.min()}..{array.max()} do not fit {spec.dtype} ({low}..{high})"
        )


def value_range(spec: TensorSpec) -> tuple[int, int]:
    """Smallest and largest value of an integer dtype: the rails."""
    if spec.dtype == "s4":
        return -8, 7
    if spec.dtype == "u4":
        return 0, 15
    info = np.iinfo(cast(Any, dtype_of(spec)))
    return int(info.min), int(info.max)


def dequantize(array: Array, quantization: Quantization | None) -> npt.NDArray[np.float64]:
    """(stored - zero_point) * scale in float64; without a quantization the values as they are.

    Errors: TensorError where scales and axis do not fit the shape.
    """
    if quantization is None:
        return array.astype(np.float64)
    scales = np.asarray(quantization.scales, dtype=np.float64)
    zeros = np.asarray(quantization.zero_points or (0,), dtype=np.float64)
    if quantization.axis is None:
        _check_count(array, len(scales), 1)
        single: npt.NDArray[np.float64] = (array.astype(np.float64) - zeros[0]) * scales[0]
        return single
    axis = quantization.axis % array.ndim if array.ndim else 0
    _check_count(array, len(scales), array.shape[axis] if array.ndim else 1)
    shape = [-1 if i == axis else 1 for i in range(array.ndim)]
    centred = array.astype(np.float64) - _per_index(zeros, len(scales)).reshape(shape)
    real: npt.NDArray[np.float64] = centred * scales.reshape(shape)
    return real


def _per_index(values: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.float64]:
    return np.broadcast_to(values, (count,)) if len(values) == 1 else values


def _check_count(array: Array, given: int, expected: int) -> None:
    if given != expected:
        raise TensorError(
            f"{given} scales for a tensor of shape {array.shape}, where {expected} are expected",
            "check the quantization axis",
        )


def nv12_to_yuv444(rows: Array) -> Array:
    """(N, H*3/2, W) rows of NV12 to (N, 3, H, W); each chroma sample is repeated for its four pixels."""
    frames = rows if rows.ndim == 3 else rows[None]
    n, tall, width = frames.shape
    height = tall // 3 * 2
    chroma = frames[:, height:].reshape(n, height // 2, width // 2, 2)
    full = chroma.repeat(2, axis=1).repeat(2, axis=2)
    return np.stack([frames[:, :height], full[..., 0], full[..., 1]], axis=1)


def yuv444_to_nv12(image: Array) -> Array:
    """(N, 3, H, W) to (N, H*3/2, W) rows; chroma is the rounded mean of four pixels."""
    n, _, height, width = image.shape
    wide = image[:, 1:].astype(np.uint16).reshape(n, 2, height // 2, 2, width // 2, 2)
    chroma = ((wide.sum(axis=(3, 5), dtype=np.uint16) + 2) >> 2).astype(np.uint8)
    rows = chroma.transpose(0, 2, 3, 1).reshape(n, height // 2, width)
    return np.concatenate([image[:, 0], rows], axis=1)


def file_md5(path: Path) -> str:
    """md5 of the whole file, as the vendors' manuals compare it. Errors: TensorError."""
    try:
        return md5_of_file(Path(path))
    except OSError as error:
        raise TensorError(f"{path}: cannot be read: {error.strerror or error}") from error


def valid_md5(array: Array) -> str:
    """md5 of the valid bytes in C order, one byte per 4-bit element; padding and layout do not count."""
    digest = hashlib.md5(usedforsecurity=False)
    for piece in c_order_pieces(array, HASH_BLOCK_BYTES):
        digest.update(np.ascontiguousarray(piece).data)
        give_back(piece)
    return digest.hexdigest()


def c_order_pieces(array: Array, limit_bytes: int) -> Iterator[Array]:
    """Cut an array along its leading axes into pieces of about `limit_bytes`, in C order."""
    if array.nbytes <= limit_bytes or array.ndim == 0 or array.size == 0:
        yield array.reshape(-1)
        return
    per_index = math.prod(array.shape[1:]) * array.itemsize
    if per_index > limit_bytes:
        for index in range(array.shape[0]):
            yield from c_order_pieces(array[index], limit_bytes)
        return
    count = max(1, limit_bytes // per_index)
    for first in range(0, array.shape[0], count):
        yield array[first : first + count].reshape(-1)
