"""How the emulated board keeps tensors in memory: channels last and padded on the accelerator, dense on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import platforms
from harness.records import TensorSpec

Array = NDArray[Any]
NUMPY = {
    "s8": "i1", "u8": "u1", "s16": "<i2", "u16": "<u2", "f16": "<f2", "s32": "<i4", "u32": "<u4", "f32": "<f4",
    "s64": "<i8", "u64": "<u8", "f64": "<f8", "bool8": "?",
}  # fmt: skip


def stored(spec: TensorSpec, unit: str, family: str) -> TensorSpec:
    """The spec under which `spec` (ONNX axis order) lies in the memory of `unit`, on boards of that platform."""
    return platforms.load(family).storages(spec, unit)[0]


def aligned_shape(spec: TensorSpec) -> tuple[int, ...]:
    """The shape with the board's padding, in stored axes; the shape itself where nothing is padded."""
    return spec.aligned_shape or spec.shape


def byte_strides(spec: TensorSpec) -> tuple[int, ...]:
    """Bytes from one index to the next per stored axis, as `model_info` prints them."""
    if spec.stride_bytes:
        return spec.stride_bytes
    step = np.dtype(NUMPY[spec.dtype]).itemsize
    strides = []
    for size in reversed(aligned_shape(spec)):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def file_bytes(spec: TensorSpec) -> int:
    """Size of the tensor in memory and in a dump, padding included."""
    size = int(np.prod(aligned_shape(spec), dtype=np.int64)) * np.dtype(NUMPY[spec.dtype]).itemsize
    return max(size, spec.aligned_bytes or 0)


def to_stored_axes(array: Array, spec: TensorSpec) -> Array:
    """Axes from the ONNX order to the stored one."""
    return array.transpose(0, 2, 3, 1) if spec.layout == "NHWC" and array.ndim == 4 else array


def from_stored_axes(array: Array, spec: TensorSpec) -> Array:
    """A tensor as it is stored, in ONNX axis order: NHWC of four axes becomes NCHW (a view), others stay."""
    return array.transpose(0, 3, 1, 2) if spec.layout == "NHWC" and array.ndim == 4 else array


def pack(array: Array, spec: TensorSpec, seed: int = 0) -> bytes:
    """A logical tensor as the board's bytes. Padding holds seeded bytes that are never zero: it is undefined."""
    if file_bytes(spec) == array.nbytes:
        return np.ascontiguousarray(to_stored_axes(array, spec), NUMPY[spec.dtype]).tobytes()
    memory = np.random.default_rng(seed).integers(1, 256, file_bytes(spec), dtype=np.uint8)
    fill(memory, array, spec)
    return memory.tobytes()


def fill(memory: NDArray[np.uint8], array: Array, spec: TensorSpec) -> None:
    """Copy the valid region into `memory` (`file_bytes(spec)` long), padding untouched."""
    shape, kind = aligned_shape(spec), np.dtype(NUMPY[spec.dtype])
    body = memory[: int(np.prod(shape, dtype=np.int64)) * kind.itemsize].view(kind).reshape(shape)
    body[tuple(slice(0, n) for n in spec.shape)] = to_stored_axes(array, spec)


def byte_offsets(spec: TensorSpec) -> NDArray[np.int64]:
    """Offset in the board's memory of every element, in ONNX axis order: which cache line or page holds it."""
    offsets: NDArray[np.int64] = np.zeros((1,) * len(spec.shape), np.int64)
    for axis, (size, stride) in enumerate(zip(spec.shape, byte_strides(spec), strict=True)):
        shape = [1] * len(spec.shape)
        shape[axis] = size
        offsets = offsets + (np.arange(size, dtype=np.int64) * stride).reshape(shape)
    return np.asarray(from_stored_axes(offsets, spec), np.int64)
