"""Inputs of Horizon models: how many bytes the tool takes, and what a PC reference takes in their place."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import InputError
from harness.images.pixels import nv12_to_yuv444
from harness.platforms.horizon.dumps import DTYPE_BITS
from harness.records import InputFacts, ModelInfo, TensorSpec

_ENCODED_PICTURES = (".jpg", ".jpeg", ".png")  # the tool decodes and scales these itself
_NUMPY = {
    "s8": "i1", "u8": "u1", "bool8": "u1", "s16": "<i2", "u16": "<u2", "f16": "<f2", "s32": "<i4", "u32": "<u4",
    "f32": "<f4", "s64": "<i8", "u64": "<u8", "f64": "<f8",
}  # fmt: skip


def picture_size(spec: TensorSpec) -> tuple[int, int, int] | None:
    """(batch, height, width) of an image input, whichever axis holds the channels; None when unknown."""
    shape = spec.shape
    if len(shape) != 4 or any(d <= 0 for d in shape):
        return None
    if shape[1] in (1, 3) and shape[3] not in (1, 3):
        return shape[0], shape[2], shape[3]
    if shape[3] in (1, 3):
        return shape[0], shape[1], shape[2]
    return None


def valid_bytes(spec: TensorSpec, source: str = "") -> int | None:
    """What the tool takes for one input: the valid region, unpadded. None for dynamic shapes and resizer inputs."""
    if source == "resizer" or not spec.shape or any(d < 0 for d in spec.shape):
        return None
    if spec.layout.startswith("NV12"):
        size = picture_size(spec)
        return None if size is None else size[0] * size[1] * size[2] * 3 // 2
    bits = DTYPE_BITS.get(spec.dtype)
    return None if bits is None else (prod(spec.shape) * bits + 7) // 8


def input_facts(info: ModelInfo) -> tuple[InputFacts, ...]:
    """What the tool takes for each input, in the model's order."""
    return tuple(_facts(info, index, spec) for index, spec in enumerate(info.inputs))


def _facts(info: ModelInfo, index: int, spec: TensorSpec) -> InputFacts:
    source = _at(info.input_sources, index)
    kind = _at(info.input_types, index) or spec.dtype.upper()
    picture = kind in ("Y", "NV12", "NV12_SEPARATE", "YUV444", "RGB", "BGR")
    return InputFacts(
        name=spec.name,
        size_bytes=valid_bytes(spec, source),
        dtype=spec.dtype,
        describe=_describe(spec, kind, source),
        shapes=_array_shapes(spec, source),
        convert=_convert_options(spec, kind) if source != "resizer" else "",
        encoded_suffixes=_ENCODED_PICTURES if picture else (".txt",),
    )


def _array_shapes(spec: TensorSpec, source: str) -> tuple[tuple[int, ...], ...]:
    """Shapes of an array that holds this input; an NV12 picture has rows of luma, then half as many of chroma."""
    if source == "resizer" or not spec.shape:
        return ()
    size = picture_size(spec) if spec.layout.startswith("NV12") else None
    if size is None:
        return () if spec.layout.startswith("NV12") else (spec.shape,)
    batch, height, width = size
    return (batch, height * 3 // 2, width), (batch * height * width * 3 // 2,)


def _convert_options(spec: TensorSpec, kind: str) -> str:
    """What `harness convert` is to be asked for; "" for what it does not make of a picture."""
    size = picture_size(spec)
    if size is None or size[0] != 1:
        return ""
    sides = f"--size {size[2]}x{size[1]}"
    if kind.startswith("NV12"):
        return f"{sides} --to nv12"
    if kind not in ("Y", "RGB", "BGR") or spec.dtype not in ("u8", "s8"):
        return ""
    form = "nchw" if spec.shape[1] in (1, 3) and spec.shape[3] not in (1, 3) else "nhwc"
    return f"{sides} --to {form}" + {"Y": " --channels 1", "BGR": " --colour bgr"}.get(kind, "")


def _at(words: Sequence[str], index: int) -> str:
    return words[index] if index < len(words) else ""


def _describe(spec: TensorSpec, kind: str, source: str) -> str:
    size = picture_size(spec) if kind.startswith("NV12") else None
    what = f"{kind} {size[2]}x{size[1]}" if size else f"{kind} ({', '.join(map(str, spec.shape))})"
    extra = {"resizer": ", cut by a roi", "pyramid": ", from the image pyramid"}.get(source, "")
    return what + extra


# --------------------------------------------------------------------------- feeding a reference


def reference_feed(info: ModelInfo, spec: TensorSpec, board_input: bytes) -> bytes:
    """Bytes of the reference's input `spec` that mean the same as `board_input` does on the board.

    NV12 becomes YUV444 in the reference's axis order; a u8 picture for an s8 input is shifted by 128 (the board
    subtracts it itself); NHWC and NCHW are turned; everything else must already be the same type and size.
    Errors: InputError when no rule is known.
    """
    board = _board_input(info, spec)
    if board.layout == "NV12":
        return _from_nv12(board, spec, board_input)
    expected = valid_bytes(board)
    if expected is not None and len(board_input) != expected:
        raise InputError(
            f"input {spec.name!r}: the board needs {expected} raw bytes, the file has {len(board_input)}",
            "a picture decoded by the board's tool cannot feed a reference; make a raw input with harness convert",
        )
    return _from_tensor(board, spec, board_input)


def _board_input(info: ModelInfo, spec: TensorSpec) -> TensorSpec:
    named = [board for board in info.inputs if board.name == spec.name]
    if named:
        return named[0]
    if len(info.inputs) == 1:
        return info.inputs[0]
    names = ", ".join(repr(board.name) for board in info.inputs)
    raise InputError(f"the reference's input {spec.name!r} is not an input of the model ({names})")


def _from_nv12(board: TensorSpec, spec: TensorSpec, data: bytes) -> bytes:
    size = picture_size(board)
    if size is None or spec.dtype not in ("u8", "s8") or picture_size(spec) != size:
        raise InputError(
            f"input {spec.name!r}: cannot convert NV12 to {spec.dtype} {spec.shape}",
            "use the toolchain's quantized ONNX as reference, or create the reference with its own input "
            "(harness reference --input)",
        )
    batch, height, width = size
    step = height * width * 3 // 2
    if len(data) != batch * step:
        nv12_to_yuv444(data, height, width)  # says the sizes
    pictures = [nv12_to_yuv444(data[i * step : (i + 1) * step], height, width) for i in range(batch)]
    yuv: NDArray[Any] = np.stack(pictures)
    if spec.shape[3] != 3:
        yuv = yuv.transpose(0, 3, 1, 2)
    return _shifted(np.ascontiguousarray(yuv), spec.dtype).tobytes()


def _shifted(values: NDArray[Any], dtype: str) -> NDArray[Any]:
    """u8 pixels as the reference's u8, or as s8 with 128 subtracted."""
    if dtype == "u8":
        return values
    return (values.astype(np.int16) - 128).astype(np.int8)


def _from_tensor(board: TensorSpec, spec: TensorSpec, data: bytes) -> bytes:
    turn = _turn(board.shape, spec.shape)
    same_type = board.dtype == spec.dtype or (board.dtype, spec.dtype) == ("u8", "s8")
    if turn is None or not same_type or board.dtype not in _NUMPY:
        raise InputError(
            f"input {spec.name!r}: cannot convert the board's {board.dtype} {board.shape} to the "
            f"reference's {spec.dtype} {spec.shape}",
            _other_batch(board.shape, spec.shape)
            or "create the reference with its own input (harness reference --input)",
        )
    values = np.frombuffer(data, _NUMPY[board.dtype])
    if turn:
        values = np.ascontiguousarray(values.reshape(board.shape).transpose(turn))
    return (values if board.dtype == spec.dtype else _shifted(values, spec.dtype)).tobytes()


def _other_batch(board: tuple[int, ...], reference: tuple[int, ...]) -> str:
    """What to do where only the number of frames differs; "" where something else does."""
    if len(board) != len(reference) or len(board) < 2 or board[0] == reference[0]:
        return ""
    if _turn((1, *board[1:]), (1, *reference[1:])) is None:
        return ""
    frames = f"the board's model takes {board[0]} frames, the reference {reference[0]}"
    return f"{frames}: give an ONNX of batch {board[0]}, or build the model with batch {reference[0]}"


def _turn(board: tuple[int, ...], reference: tuple[int, ...]) -> tuple[int, ...] | None:
    """() when the axes agree, the permutation between NHWC and NCHW, or None when the shapes cannot meet.

    A shape that both permutations fit is taken as it is.
    """
    if board == reference or (prod(board) == prod(reference) and len(board) != len(reference)):
        return ()
    if len(board) != 4 or len(reference) != 4:
        return None
    for turn in ((0, 3, 1, 2), (0, 2, 3, 1)):
        if tuple(board[axis] for axis in turn) == reference:
            return turn
    return None
