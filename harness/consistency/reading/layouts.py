"""Where the elements of a tensor lie in a file: geometry only, no bytes are read here.

In the blocked layouts a four-axis `shape` is the logical one, (N, C, H, W), and the file holds five axes
(N, ceil(C/b), H, W, b) whose unused lanes are padding; `aligned_shape`, where given, is those five axes. A
five-axis `shape` is taken as stored, with every lane valid. `NDHWC32` has b = 32 (Ingenic NNA2);
`NC1HWC2` has the b of its aligned shape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.errors import InputError
from harness.records import TensorSpec

# name -> (type of one element in memory, bits in the file); bool8 stays a byte: a board may leave any value in it
DTYPES: dict[str, tuple[np.dtype[np.generic], int]] = {
    "s4": (np.dtype("i1"), 4),
    "u4": (np.dtype("u1"), 4),
    "s8": (np.dtype("i1"), 8),
    "u8": (np.dtype("u1"), 8),
    "bool8": (np.dtype("u1"), 8),
    "s16": (np.dtype("<i2"), 16),
    "u16": (np.dtype("<u2"), 16),
    "f16": (np.dtype("<f2"), 16),
    "bf16": (np.dtype("<u2"), 16),  # the upper half of a float32; read as float32, see tensor_files.widened
    "s32": (np.dtype("<i4"), 32),
    "u32": (np.dtype("<u4"), 32),
    "f32": (np.dtype("<f4"), 32),
    "s64": (np.dtype("<i8"), 64),
    "u64": (np.dtype("<u8"), 64),
    "f64": (np.dtype("<f8"), 64),
}
BLOCKED = ("NC1HWC2", "NDHWC32")
NV12 = "NV12"


REFERENCE_SIDE = "the reference file is damaged:"  # how the message of a TensorError begins then


class TensorError(InputError):
    """A tensor that cannot be read as its spec says; `reason` is one of records.REASONS."""

    def __init__(self, message: str, hint: str = "", reason: str = "unreadable") -> None:
        super().__init__(message, hint)
        self.reason = reason


@dataclass(frozen=True)
class Storage:
    """Valid elements of a file: `shape` in stored axes, the step of each axis in bits, the size of the file."""

    dtype: np.dtype[np.generic]
    bits: int
    shape: tuple[int, ...]
    strides_bits: tuple[int, ...]
    size_bytes: int


def dtype_of(spec: TensorSpec) -> np.dtype[np.generic]:
    """Type of one element in memory. Errors: TensorError for a name that no platform has."""
    return _dtype(spec)[0]


def bits_of(spec: TensorSpec) -> int:
    """Bits of one element in a file: 4 to 64."""
    return _dtype(spec)[1]


def _dtype(spec: TensorSpec) -> tuple[np.dtype[np.generic], int]:
    if spec.dtype not in DTYPES:
        raise TensorError(f"tensor {spec.name!r}: unknown dtype {spec.dtype!r}", f"known: {' '.join(DTYPES)}")
    return DTYPES[spec.dtype]


def storage(spec: TensorSpec) -> Storage:
    """Geometry of the file that `spec` describes. Errors: TensorError for a spec that contradicts itself."""
    dtype, bits = _dtype(spec)
    valid, dense = _stored_axes(spec)
    if min((*valid, *dense), default=0) < 0:
        raise TensorError(f"tensor {spec.name!r}: shape {spec.shape} has a dynamic axis", "give the actual size")
    if any(a < v for a, v in zip(dense, valid, strict=True)):
        raise TensorError(f"tensor {spec.name!r}: aligned shape {dense} is smaller than the valid shape {valid}")
    steps = _explicit_steps(spec, valid, bits) or _dense_steps(dense, bits)
    implied = _span_bytes(valid, dense, steps, bits, explicit=bool(_given_strides(spec)))
    return Storage(dtype, bits, valid, steps, _with_tail(spec, implied))


def _stored_axes(spec: TensorSpec) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(valid, padded) shapes in stored axes; a blocked tensor's lanes all count as valid here."""
    if spec.layout == NV12:
        return _nv12_axes(spec)
    if spec.layout in BLOCKED and len(spec.shape) == 4:
        blocked = _blocked_axes(spec)
        return blocked, blocked
    dense = spec.aligned_shape or spec.shape
    if len(dense) != len(spec.shape):
        raise TensorError(
            f"tensor {spec.name!r}: aligned shape {dense} has another rank than the valid shape {spec.shape}"
        )
    return spec.shape, dense


def block_of(spec: TensorSpec) -> int:
    """Channels per block of a blocked layout. Errors: TensorError where the spec does not tell it."""
    if spec.layout == "NDHWC32":
        return 32
    for shape in (spec.aligned_shape, spec.shape):
        if len(shape) == 5:
            return shape[4]
    raise TensorError(
        f"tensor {spec.name!r}: layout {spec.layout} without the size of a block",
        "give aligned_shape as (N, C1, H, W, C2)",
    )


def _blocked_axes(spec: TensorSpec) -> tuple[int, ...]:
    n, c, h, w = spec.shape
    block = block_of(spec)
    least = (n, math.ceil(c / block), h, w, block)
    stored = spec.aligned_shape if len(spec.aligned_shape) == 5 else least
    if any(s < v for s, v in zip(stored, least, strict=True)):
        raise TensorError(f"tensor {spec.name!r}: aligned shape {stored} cannot hold {spec.shape} in {spec.layout}")
    return stored


def nv12_size(spec: TensorSpec) -> tuple[int, int, int]:
    """(frames, height, width) of an NV12 tensor given as (N,3,H,W), (N,H,W,3) or (N,H*3/2,W)."""
    shape = spec.shape
    if len(shape) == 4 and shape[1] == 3:
        n, h, w = shape[0], shape[2], shape[3]
    elif len(shape) == 4 and shape[3] == 3:
        n, h, w = shape[:3]
    elif len(shape) == 3 and shape[1] % 3 == 0:
        n, h, w = shape[0], shape[1] // 3 * 2, shape[2]
    else:
        raise TensorError(f"tensor {spec.name!r}: shape {shape} is not that of an NV12 image", "(N,3,H,W)")
    if h % 2 or w % 2:
        raise TensorError(f"tensor {spec.name!r}: NV12 needs even sides, not {h}x{w}")
    return n, h, w


def _nv12_axes(spec: TensorSpec) -> tuple[tuple[int, ...], tuple[int, ...]]:
    n, h, w = nv12_size(spec)
    row = w
    if spec.aligned_shape and len(spec.aligned_shape) == len(spec.shape):
        row = max(w, spec.aligned_shape[2 if spec.shape[-1] == 3 and len(spec.shape) == 4 else -1])
    return (n, h * 3 // 2, w), (n, h * 3 // 2, row)


def _given_strides(spec: TensorSpec) -> tuple[int, ...]:
    """Byte strides, unless all zero: then the vendor's tool says that it has none (NV12)."""
    if spec.layout == NV12 or not any(spec.stride_bytes):
        return ()
    return spec.stride_bytes


def _explicit_steps(spec: TensorSpec, valid: tuple[int, ...], bits: int) -> tuple[int, ...]:
    strides = _given_strides(spec)
    if not strides:
        return ()
    if len(strides) != len(valid) or min(strides) < 0:
        raise TensorError(
            f"tensor {spec.name!r}: strides {strides} do not fit shape {valid}", "one number of bytes per axis"
        )
    steps = [s * 8 for s in strides]
    if bits < 8:
        steps[-1] = bits  # a stride in bytes cannot tell the step of half a byte
    _refuse_overlap(spec, valid, steps, bits)
    return tuple(steps)


def _refuse_overlap(spec: TensorSpec, valid: tuple[int, ...], steps: list[int], bits: int) -> None:
    """Each axis must step over all that lies inside it, in whatever order the axes are stored."""
    inside = bits
    for step, size in sorted((s, n) for s, n in zip(steps, valid, strict=True) if n > 1):
        if step < inside:
            raise TensorError(f"tensor {spec.name!r}: strides {spec.stride_bytes} overlap for shape {valid}")
        inside = step * (size - 1) + inside


def _dense_steps(dense: tuple[int, ...], bits: int) -> tuple[int, ...]:
    steps: list[int] = []
    step = bits
    for size in reversed(dense):
        steps.append(step)
        step *= size
    return tuple(reversed(steps))


def _span_bytes(
    valid: tuple[int, ...], dense: tuple[int, ...], steps: tuple[int, ...], bits: int, *, explicit: bool
) -> int:
    """Whole rows count to their end: the vendor's tools write stride[0] * shape[0] bytes."""
    if not explicit:
        return -(-math.prod(dense) * bits // 8)
    if 0 in valid:
        return 0
    outer = max((s * n for s, n in zip(steps, valid, strict=True)), default=bits)
    return -(-max(outer, bits) // 8)


def _with_tail(spec: TensorSpec, implied: int) -> int:
    """Small tensors are padded to 64 or 128 bytes: then the size that the tool states is the file's."""
    if spec.aligned_bytes is None or spec.aligned_bytes < 0:
        return implied
    if spec.aligned_bytes < implied:
        raise TensorError(
            f"tensor {spec.name!r}: {spec.aligned_bytes} bytes are stated, but shape and strides need {implied}"
        )
    return spec.aligned_bytes


def to_layout(array: npt.NDArray[np.generic], spec: TensorSpec, wanted: str) -> npt.NDArray[np.generic]:
    """Put the axes of `array` (as open_tensor returned it for `spec`) in the order of layout `wanted`.

    Views where possible. "" on either side means that nothing is known of the axes: the array is returned as
    it is. Errors: TensorError for a pair of layouts without a rule.
    """
    have = _logical_layout(spec, array)
    if have == "NCHW" and spec.layout in BLOCKED and array.ndim == 5:
        array = unblock(array, array.shape[1] * array.shape[4])
    if wanted in BLOCKED:
        wanted = "NCHW"
    if have == wanted or not have or not wanted:
        return array
    if sorted(have) != sorted(wanted) or len(have) != array.ndim:
        raise TensorError(f"tensor {spec.name!r}: no rule from layout {have} to {wanted} for shape {array.shape}")
    return array.transpose([have.index(axis) for axis in wanted])


def _logical_layout(spec: TensorSpec, array: npt.NDArray[np.generic]) -> str:
    if spec.layout in BLOCKED:
        return "NCHW"
    if spec.layout in ("NHWC", "NCHW") and array.ndim != 4:
        return ""  # a label that the vendor's tool prints on every tensor, whatever its rank
    return spec.layout


def unblock(stored: npt.NDArray[np.generic], channels: int) -> npt.NDArray[np.generic]:
    """(N, C1, H, W, C2) to (N, channels, H, W)."""
    n, c1, h, w, c2 = stored.shape
    return stored.transpose(0, 1, 4, 2, 3).reshape(n, c1 * c2, h, w)[:, :channels]


def block(logical: npt.NDArray[np.generic], stored: npt.NDArray[np.generic]) -> None:
    """Write (N, C, H, W) into (N, C1, H, W, C2), whose other lanes stay as they are."""
    channels = logical.shape[1]
    size = stored.shape[4]
    for first in range(0, channels, size):
        part = logical[:, first : first + size]
        lanes = part.shape[1]
        stored[:, first // size, : part.shape[2], : part.shape[3], :lanes] = part.transpose(0, 2, 3, 1)


def channel_axis(spec: TensorSpec, rank: int) -> int | None:
    """Axis of the channels in the logical array, where the layout tells it."""
    if spec.layout in ("NCHW", *BLOCKED) and rank >= 2:
        return 1
    if spec.layout == "NHWC" and rank >= 2:
        return rank - 1
    if "C" in spec.layout and len(spec.layout) == rank:
        return spec.layout.index("C")
    return None
