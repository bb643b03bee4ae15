"""One picture as the stages of a build take it: YUV444 before a preprocessing, colours behind it. Arrays in and out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import InputError
from harness.images.pixels import nv12_to_yuv444, yuv444_to_colour
from harness.records import BuiltPixels, TensorSpec

Array = NDArray[Any]
ZERO = 128  # a board's preprocessing subtracts it from every pixel


def nv12_frames(data: bytes, batch: int, height: int, width: int) -> Array:
    """NV12 pictures one behind the other -> u8 (N, H, W, 3) of Y, U, V. Errors: InputError for another size."""
    step = height * width * 3 // 2
    if len(data) != batch * step:
        nv12_to_yuv444(data, height, width)  # says the sizes
    frames = [nv12_to_yuv444(data[i * step : (i + 1) * step], height, width) for i in range(batch)]
    stacked: Array = np.stack(frames)
    return stacked


def as_stage(frames: Array, spec: TensorSpec, pixels: BuiltPixels | None) -> Array:
    """u8 (N, H, W, 3) of Y, U, V as the input `spec` takes it: u8, s8 less 128, or floats as `pixels` says.

    Errors: InputError for floats without `pixels`, another size, or a type that no rule is known for.
    """
    if spec.dtype in ("f32", "f16"):
        return _values(frames, spec, pixels)
    if spec.dtype == "u8":
        return _placed(frames, spec)
    if spec.dtype == "s8":
        return _placed((frames.astype(np.int16) - ZERO).astype(np.int8), spec)
    raise InputError(f"input {spec.name!r}: cannot convert NV12 to {spec.dtype} {spec.shape}", "no rule is known")


def _values(frames: Array, spec: TensorSpec, pixels: BuiltPixels | None) -> Array:
    """Floats: YUV444 less 128 before the preprocessing, else colours less the mean, times the scale."""
    if pixels is None:
        raise InputError(
            f"input {spec.name!r}: cannot convert NV12 to {spec.dtype} {spec.shape}: mean and scale of the build are "
            "unknown",
            "give the build's log or yaml with --build of harness run, or an .npy of what the model takes",
        )
    values = frames.astype(np.float32)
    if pixels.is_inside:
        values = values - np.float32(ZERO)
    else:
        mean, scale = (np.asarray(numbers, np.float32) for numbers in (pixels.mean, pixels.scale))
        values = (yuv444_to_colour(values, pixels.colour) - mean) * scale
    return _placed(values.astype(np.float16 if spec.dtype == "f16" else np.float32), spec)


def _placed(values: Array, spec: TensorSpec) -> Array:
    """(N, H, W, C) in the axes of `spec`. Errors: InputError for another size."""
    for turned in (values.transpose(0, 3, 1, 2), values):
        if turned.shape == spec.shape or (turned.shape[1:] == spec.shape[1:] and spec.shape[0] < 0):
            return np.ascontiguousarray(turned)
    raise InputError(
        f"input {spec.name!r}: a picture of {values.shape[2]}x{values.shape[1]} does not fit {spec.shape}",
        "give the ONNX that this model was built from",
    )
