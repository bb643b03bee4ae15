"""Tensors in files, and the network they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Quantization:
    """Affine: real = (stored - zero_point) * scale. One scale, or one per index of `axis`."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...] = (0,)
    axis: int | None = None  # in the axis order of TensorSpec.shape; None is per tensor


@dataclass(frozen=True)
class TensorSpec:
    """How bytes in a file become a logical tensor.

    `shape` is the valid shape in the stored axis order; `layout` labels those axes ("NHWC", "NCHW",
    "NC1HWC2", "NDHWC32", "NV12", "" when unknown). Padding is given by `aligned_shape` (dense, larger) or
    `stride_bytes` (per axis); both empty means dense and unpadded.
    """

    name: str
    dtype: str  # s4 u4 s8 u8 s16 u16 s32 u32 s64 u64 f16 bf16 f32 f64 bool8
    shape: tuple[int, ...]
    layout: str = ""
    aligned_shape: tuple[int, ...] = ()
    stride_bytes: tuple[int, ...] = ()
    aligned_bytes: int | None = None  # as the vendor's tool states it
    quantization: Quantization | None = None
    nibble_order: str = "low_first"  # or "high_first"; only for s4 and u4


@dataclass(frozen=True)
class Dump:
    """One tensor file that a board or a PC tool left, under the name that its platform reads from it.

    `spec` is None where the file alone does not tell; then the reference's spec and the platform's
    storage rules (`Platform.storages`) decide, held against the file's size.
    """

    name: str
    path: Path
    spec: TensorSpec | None = None
    op: str = ""
    op_kind: str = ""
    role: str = "output"  # "input", "output", or "parameter" (weights and the like, never compared)
    index: int = -1  # execution order where known
    aliases: tuple[str, ...] = ()  # other names of the same tensor by the platform's rule
    unit: str = ""  # "BPU", "CPU" where known
    may_be_nibbles: bool = False  # may hold two 4-bit values a byte, in either order, without telling so
    frames: int = 1  # that lie in the file one after the other, where the reference has one
    frame: int = 0  # the one that is the reference's
    described_in: str = ""  # name of the text file that told its type or scale
    zero_assumed: bool = False  # that file tells a scale of an unsigned type and no zero point: 0 is taken


@dataclass(frozen=True)
class Gap:
    """Layer numbers (`Dump.index`), first to last, of which a folder holds no output though it holds others."""

    first: int
    last: int
    evidence: str
    files: int = 1  # at least so many are missing


@dataclass(frozen=True)
class Op:
    """One node of a network as the comparison sees it: a QDQ sandwich or a fusion is one op."""

    name: str
    kind: str  # ONNX op type of the node that does the work: "Conv", "Softmax"
    inputs: tuple[str, ...]  # tensors that carry data between ops; constants are left out
    outputs: tuple[str, ...]
    covers: tuple[str, ...] = ()  # names of the ONNX nodes in it


@dataclass(frozen=True)
class Graph:
    """Ops in topological order. `source` says where it was read from."""

    ops: tuple[Op, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    source: str = ""


@dataclass(frozen=True)
class BuiltPixels:
    """What a build does with an input's pixels: `(colour - mean) * scale`, in the order that the model was trained in.

    `is_inside`: the model does that itself in its first op, and takes YUV444 less 128.
    """

    colour: str = "rgb"  # or "bgr", "yuv444", "gray"
    mean: tuple[float, ...] = (0.0,)  # one, or one per channel
    scale: tuple[float, ...] = (1.0,)
    is_inside: bool = False
