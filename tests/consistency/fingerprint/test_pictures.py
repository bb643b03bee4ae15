"""What goes wrong with a picture before the network: named on NV12 inputs, on planes, and on normalized channels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from harness.consistency.fingerprint.context import FingerprintContext
from harness.consistency.reading.tensor_files import nv12_to_yuv444
from harness.records import Fingerprint, TensorSpec
from tests.support.fingerprint_kit import Array, named

H, W = 24, 16


def picture(height: int = H, width: int = W) -> Array:
    """NV12 bytes of a scene that looks like one: slopes, a disc, a little texture."""
    y, x = (axis / axis.max() for axis in np.mgrid[0:height, 0:width])
    disc = ((x - 0.3) ** 2 + (y - 0.5) ** 2 < 0.04) * 70
    luma = 30 + 120 * y + 40 * x + disc + 4 * np.sin(40 * x)
    u, v = 90 + 60 * x[::2, ::2] + disc[::2, ::2] / 3, 160 - 70 * y[::2, ::2]
    planes = [luma.reshape(-1), np.stack([u, v], axis=-1).reshape(-1)]
    return np.clip(np.rint(np.concatenate(planes)), 0, 255).astype(np.uint8)


def limited(data: Array) -> Array:
    luma, chroma = data[: H * W].astype(float), data[H * W :].astype(float)
    moved = np.concatenate([luma * 219 / 255 + 16, (chroma - 128) * 224 / 255 + 128])
    return np.asarray(np.rint(moved), np.uint8)


def chroma(data: Array, order: Callable[[Array], Array]) -> Array:
    return np.concatenate([data[: H * W], order(data[H * W :].reshape(-1, 2)).reshape(-1)])


MISTAKES: dict[str, tuple[Callable[[Array], Array], str]] = {
    "limited range": (limited, "limited range (16..235)"),
    "NV21": (lambda d: chroma(d, lambda c: c[:, ::-1]), "NV21"),
    "I420": (lambda d: chroma(d, lambda c: c.T), "I420"),
    "YV12": (lambda d: chroma(d, lambda c: c.T[::-1]), "YV12"),
    "chroma first": (lambda d: np.roll(d, len(d) // 3), "chroma plane lies before"),
    "sides exchanged": (lambda _d: picture(W, H), "height and width exchanged"),
}


def of_input(board: Array, reference: Array, stored: TensorSpec | None = None) -> Fingerprint:
    spec = TensorSpec("image", {"u": "u8", "i": "s8", "f": "f32"}[reference.dtype.kind], reference.shape, "NCHW")
    return named(board, reference, FingerprintContext(is_input=True, stored=stored), spec)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_nv12_input_names_its_mistake(mistake: str, signed: bool) -> None:
    change, words = MISTAKES[mistake]
    board, reference = (nv12_to_yuv444(data.reshape(1, H * 3 // 2, W)) for data in (change(picture()), picture()))
    if signed:
        board, reference = ((side.astype(np.int16) - 128).astype(np.int8) for side in (board, reference))
    mark = of_input(board, reference, TensorSpec("image", "u8", (1, 3, H, W), "NV12"))
    assert mark.kind == "preprocessing" and words in mark.evidence, mark


@pytest.mark.parametrize("mistake", ["limited range", "NV21", "I420", "YV12"])
def test_a_chroma_plane_that_is_an_input_names_it_too(mistake: str) -> None:
    change, words = MISTAKES[mistake]
    board, reference = (data[H * W :].reshape(1, H // 2, W // 2, 2) for data in (change(picture()), picture()))
    mark = of_input(board, reference)
    assert mark.kind == "preprocessing" and words in mark.evidence, mark


@pytest.mark.parametrize("mistake", ["limited range", "sides exchanged"])
def test_a_luma_plane_that_is_an_input_names_it_too(mistake: str) -> None:
    change, words = MISTAKES[mistake]
    board, reference = (data[: H * W].reshape(1, H, W, 1) for data in (change(picture()), picture()))
    mark = of_input(board, reference)
    assert mark.kind == "preprocessing" and words in mark.evidence, mark


MEAN, STD = np.array([123.7, 116.3, 103.5]), np.array([58.4, 57.1, 57.4])
NORMALIZATIONS: dict[str, tuple[Callable[[Array], Array], str]] = {
    "not normalized": (lambda pixels: pixels, "channel 0 x 58.4 +123.7; channel 1 x 57.1 +116.3"),
    "another mean": (lambda pixels: (pixels - 127.5) / STD, "another mean or scale (channel 0 x 1 -0.06507"),
    "divided by 255": (lambda pixels: pixels / 255, "channel 2 x 0.2251 +0.4059"),
    "BGR": (lambda pixels: ((pixels - MEAN) / STD)[..., ::-1], "reverse"),
    "BGR, normalized before": (lambda pixels: (pixels[..., ::-1] - MEAN) / STD, "RGB/BGR"),
}


@pytest.mark.parametrize("mistake", NORMALIZATIONS)
@pytest.mark.parametrize("noise", [0, 1e-6])
def test_means_and_scales_are_printed(mistake: str, noise: float) -> None:
    change, words = NORMALIZATIONS[mistake]
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (1, 20, 24, 3)).astype(float)
    board, reference = (side.transpose(0, 3, 1, 2) for side in (change(pixels), (pixels - MEAN) / STD))
    board = board * (1 + noise * rng.normal(size=board.shape))
    mark = of_input(board.astype(np.float32), reference.astype(np.float32))
    assert mark.kind == "preprocessing" and words in mark.evidence, mark


def test_another_picture_is_no_mistake_of_these() -> None:
    rng = np.random.default_rng(1)
    board, reference = (rng.integers(0, 256, (1, 3, H, W), dtype=np.uint8) for _ in range(2))
    mark = of_input(board, reference, TensorSpec("image", "u8", (1, 3, H, W), "NV12"))
    assert not any(words in mark.evidence for _, words in MISTAKES.values()) and "mean" not in mark.evidence
