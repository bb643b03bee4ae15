"""Pictures as inputs of an ONNX that a toolchain made for a camera: NV12, jpg or png to what the model takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import InputError
from harness.files.arrays import is_picture
from harness.images.pictures import letterbox, load_picture, to_nv12
from harness.images.stage_pictures import ZERO, as_stage, nv12_frames
from harness.records import BuiltPixels, TensorSpec
from harness.toolchains.stages import pixels_of

Array = np.ndarray[Any, Any]
Y, UV = "_y", "_uv"  # a picture's planes as inputs of their own


def picture_inputs(
    model: Path, specs: Sequence[TensorSpec], given: Mapping[str, Path], tell: Callable[[str], None]
) -> dict[str, Array]:
    """Arrays of those files that are pictures for this model, by its inputs; each conversion is told.

    Files of any other kind are left out. Errors: InputError for a picture that cannot be converted.
    """
    by_name = {spec.name: spec for spec in specs}
    pixels = pixels_of(model, {})
    arrays: dict[str, Array] = {}
    for name, path in given.items():
        if path.suffix.lower() in (".npy", ".npz"):
            continue
        spec = by_name.get(name)
        if spec is None and {name + Y, name + UV} <= set(by_name):
            arrays |= _planes(path, name, (by_name[name + Y], by_name[name + UV]), tell)
        elif spec is not None and (size := _picture_size(spec)) is not None:
            data = _nv12(path, size, name in pixels, tell)
            if data is not None:
                arrays[name] = as_stage(nv12_frames(data, *size), spec, pixels.get(name))
                tell(f"{path.name}: NV12 to {_in_words(spec, pixels.get(name))}")
    return arrays


def _picture_size(spec: TensorSpec) -> tuple[int, int, int] | None:
    """(batch, height, width) of an input of three colours; None for any other."""
    if len(spec.shape) != 4 or any(n <= 0 for n in spec.shape):
        return None
    if spec.shape[1] == 3:
        return spec.shape[0], spec.shape[2], spec.shape[3]
    return (spec.shape[0], spec.shape[1], spec.shape[2]) if spec.shape[3] == 3 else None


def _nv12(path: Path, size: tuple[int, int, int], takes_pixels: bool, tell: Callable[[str], None]) -> bytes | None:
    """A file as NV12, where it is that by its size, or a jpg or png for a model that takes a camera's pixels."""
    batch, height, width = size
    if not path.is_file():
        return None
    if path.stat().st_size == batch * height * width * 3 // 2:
        return path.read_bytes()
    if not is_picture(path) or not takes_pixels or batch != 1:
        return None
    tell(
        f"{path.name}: letterboxed to {width}x{height}, as NV12 (full range BT.601); harness convert does it otherwise"
    )
    return b"".join(plane.tobytes() for plane in to_nv12(letterbox(load_picture(path), width, height)))


def _planes(
    path: Path, name: str, planes: tuple[TensorSpec, TensorSpec], tell: Callable[[str], None]
) -> dict[str, Array]:
    luma = planes[0]
    size = (luma.shape[0], luma.shape[1], luma.shape[2]) if len(luma.shape) == 4 else (0, 0, 0)
    data = _nv12(path, size, True, tell)
    if data is None:
        raise InputError(
            f"{path}: input {name!r} is NV12 in two planes, {size[2]}x{size[1]}: {size[1] * size[2] * 3 // 2} bytes",
            f"give that, a jpg or png, or --input {luma.name}=FILE --input {planes[1].name}=FILE",
        )
    tell(f"{path.name}: NV12 to its planes {planes[0].name} and {planes[1].name}")
    values = np.frombuffer(data, np.uint8)
    return {
        spec.name: _plane(part, spec)
        for spec, part in zip(planes, np.split(values, [len(values) // 3 * 2]), strict=True)
    }


def _plane(values: Array, spec: TensorSpec) -> Array:
    if spec.dtype == "u8":
        return values.reshape(spec.shape)
    kind: type[Any] = np.int8 if spec.dtype == "s8" else np.float32
    return (values.astype(np.int16) - ZERO).astype(kind).reshape(spec.shape)


def _in_words(spec: TensorSpec, pixels: BuiltPixels | None) -> str:
    less = "" if spec.dtype == "u8" else f" less {ZERO}"
    return f"YUV444{less} ({spec.dtype}) of input {spec.name!r}" if pixels is not None or less else "YUV444 (u8)"
