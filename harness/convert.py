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
        raise InputError(f"an NV12 picture needs even sides, not {width}x{height}")
    size = height * width
    if len(data) != size * 3 // 2:
        raise InputError(
            f"an NV12 picture of {width}x{height} has {size * 3 // 2} bytes, the file has {len(data)}",
            "harness convert makes board inputs from images",
        )
    flat = np.frombuffer(data, np.uint8)
    out = np.empty((height, width, 3), np.uint8)
    out[..., 0] = flat[:size].reshape(height, width)
    chroma = flat[size:].reshape(height // 2, width // 2, 2)
    out[..., 1:] = chroma.repeat(2, axis=0).repeat(2, axis=1)
    return out
