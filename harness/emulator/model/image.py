"""Image inputs: NV12 on the board, YUV444 in the quantized ONNX.

One convention (docs/emulator.md): the board takes NV12 (`H*W*3/2` bytes, full-range BT.601, Y plane then interleaved
U V). The quantized ONNX takes `uint8 [1, 3, H, W]` YUV444, U and V repeated 2x2; its first op, named
`HZ_PREPROCESS_FOR_<input>`, is a 1x1 Conv on `pixel - 128` that holds colour conversion, mean and scale.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.images.pixels import nv12_to_yuv444

# Full-range BT.601 (JFIF): R, G, B from Y, U-128, V-128.
YUV_TO_RGB = np.array([[1.0, 0.0, 1.402], [1.0, -0.344136, -0.714136], [1.0, 1.772, 0.0]])
RGB_TO_YUV = np.linalg.inv(YUV_TO_RGB)


def nv12_bytes(height: int, width: int) -> int:
    """Bytes of an NV12 picture: Y in full, then U and V in turn at a quarter of the pixels each."""
    return height * width * 3 // 2


def reference_feed(nv12: bytes, height: int, width: int) -> NDArray[np.uint8]:
    """What the quantized ONNX takes for an NV12 frame: uint8 [1, 3, height, width], U and V repeated 2x2."""
    return np.ascontiguousarray(nv12_to_yuv444(nv12, height, width).transpose(2, 0, 1)[None])


def nv12_from_rgb(rgb: NDArray[np.uint8]) -> bytes:
    """An RGB photo [H, W, 3] with even sides as NV12; U and V are means over 2x2 pixels."""
    height, width, _ = rgb.shape
    yuv = rgb.astype(np.float64) @ RGB_TO_YUV.T
    chroma = yuv[..., 1:].reshape(height // 2, 2, width // 2, 2, 2).mean(axis=(1, 3)) + 128.0
    planes = [np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in (yuv[..., 0], chroma)]
    return b"".join(plane.tobytes() for plane in planes)


def preprocess_weights(
    mean: NDArray[Any], scale: NDArray[Any], bgr: bool, kind: str = "nv12"
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights [C, C, 1, 1] and bias [C] that turn `pixel - 128` of such an input into `(colour - mean) * scale`.

    C is 3, or 1 for "gray". `mean` and `scale` are per channel in the model's colour order (RGB, or BGR).
    """
    matrix = _to_colours(kind, bgr)
    mean, scale = mean[: len(matrix)], scale[: len(matrix)]
    weights = matrix * scale[:, None]
    middle = matrix[:, 0] if kind in ("nv12", "yuv444") else matrix.sum(axis=1)  # U and V are centred anyway
    bias = (128.0 * middle - mean) * scale
    return weights.astype(np.float32)[:, :, None, None], bias.astype(np.float32)


def _to_colours(kind: str, bgr: bool) -> NDArray[Any]:
    """Rows are the model's colours, columns the channels that the board takes."""
    if kind == "gray":
        return np.ones((1, 1))
    rgb = {"rgb": np.eye(3), "bgr": np.eye(3)[:, ::-1]}.get(kind, YUV_TO_RGB)
    return rgb[::-1] if bgr else rgb
