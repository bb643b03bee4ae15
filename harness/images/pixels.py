"""Pure conversions between the pixel layouts that boards and models take. Arrays in, arrays out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.errors import InputError

U8 = NDArray[np.uint8]


def nv12_to_yuv444(data: bytes, height: int, width: int) -> U8:
    """NV12 bytes (`height * width * 3 / 2`, rows unpadded) -> u8 array (height, width, 3) of Y, U, V.

    Chroma is repeated 2x2 (nearest), as the accelerators' image reader does. Errors: InputError for a wrong size or
    an odd picture.
    """
    if height % 2 or width % 2:
        even = f"{width + width % 2}x{height + height % 2}"
        raise InputError(f"NV12 needs even sides, got {width}x{height}", f"for example --size {even}")
    size = height * width
    if len(data) != size * 3 // 2:
        raise InputError(
            f"NV12 of {width}x{height} needs {size * 3 // 2} bytes, the file has {len(data)}",
            "make it with harness convert",
        )
    flat = np.frombuffer(data, np.uint8)
    out = np.empty((height, width, 3), np.uint8)
    out[..., 0] = flat[:size].reshape(height, width)
    chroma = flat[size:].reshape(height // 2, width // 2, 2)
    out[..., 1:] = chroma.repeat(2, axis=0).repeat(2, axis=1)
    return out


# Full-range BT.601 (JFIF): R, G, B from Y, U - 128, V - 128.
YUV_TO_RGB = np.array([[1.0, 0.0, 1.402], [1.0, -0.344136, -0.714136], [1.0, 1.772, 0.0]])


def yuv444_to_colour(yuv: NDArray[np.float32], colour: str) -> NDArray[np.float32]:
    """(..., 3) of Y, U, V in 0..255 -> "rgb" or "bgr" (..., 3), "gray" (..., 1), or "yuv444" as it is.

    Neither rounded nor cut at 0 and 255: a board's preprocessing is one matrix. Errors: InputError for another colour.
    """
    if colour == "yuv444":
        return yuv
    if colour == "gray":
        return yuv[..., :1]
    if colour not in ("rgb", "bgr"):
        raise InputError(f"colour {colour!r}: unknown", "known: rgb, bgr, yuv444, gray")
    matrix = (YUV_TO_RGB if colour == "rgb" else YUV_TO_RGB[::-1]).astype(np.float32)
    planes = yuv - np.array([0, 128, 128], np.float32)
    return np.asarray(planes @ matrix.T, np.float32)


def normalised(planes: NDArray[np.uint8], mean: str, var: str) -> NDArray[np.float32]:
    """u8 (N, C, H, W) -> float32 `(pixel - mean) / var`, per channel. `mean` and `var` hold one number or C of them.

    Errors: InputError for text that is no such list, or a var of zero.
    """
    channels = planes.shape[1]
    low, wide = _per_channel(mean, "mean", channels), _per_channel(var, "var", channels)
    if not wide.all():
        raise InputError(f"var {var}: division by zero")
    return np.ascontiguousarray((planes.astype(np.float32) - low) / wide, np.float32)


def _per_channel(text: str, what: str, channels: int) -> NDArray[np.float32]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, channels) or not np.isfinite(values).all():
        raise InputError(f"{what} {text!r}: expected one number, or {channels} separated by commas", f"{what}=0,0,0")
    return np.resize(np.array(values, np.float32), channels).reshape(1, channels, 1, 1)
