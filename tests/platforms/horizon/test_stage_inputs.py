"""One NV12 picture as each stage of a build takes it; the expected values are computed pixel by pixel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from harness.errors import InputError
from harness.platforms import load
from harness.records import BuiltPixels, ModelInfo, TensorSpec

HEIGHT, WIDTH = 4, 6
MEAN, SCALE = (103.5, 116.3, 123.7), (0.017, 0.0175, 0.0171)
PICTURE = np.random.default_rng(0).integers(0, 256, HEIGHT * WIDTH * 3 // 2, dtype=np.uint8).tobytes()
Array = np.ndarray[Any, Any]


def yuv(data: bytes = PICTURE) -> Array:
    """(3, H, W): Y of its own, U and V of the pixel's block of two by two."""
    flat = np.frombuffer(data, np.uint8)
    out = np.zeros((3, HEIGHT, WIDTH), np.float64)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            chroma = HEIGHT * WIDTH + (y // 2) * WIDTH + (x // 2) * 2
            out[:, y, x] = flat[y * WIDTH + x], flat[chroma], flat[chroma + 1]
    return out


def rgb() -> Array:
    y, u, v = yuv()
    return np.stack([y + 1.402 * (v - 128), y - 0.344136 * (u - 128) - 0.714136 * (v - 128), y + 1.772 * (u - 128)])


NV12 = ModelInfo("net", inputs=(TensorSpec("x", "u8", (1, 3, HEIGHT, WIDTH), layout="NV12"),))
PLANES = ModelInfo(
    "net",
    inputs=(TensorSpec("x_y", "u8", (1, HEIGHT, WIDTH, 1)), TensorSpec("x_uv", "u8", (1, HEIGHT // 2, WIDTH // 2, 2))),
)
AS_PLANES = {"x_y": PICTURE[: HEIGHT * WIDTH], "x_uv": PICTURE[HEIGHT * WIDTH :]}
SOURCES: dict[str, tuple[str, ModelInfo, Mapping[str, bytes]]] = {
    "one picture": ("hbdnn", NV12, {"x": PICTURE}),
    "two planes": ("ucp", PLANES, AS_PLANES),
}
NUMPY = {"u8": np.uint8, "s8": np.int8, "f32": np.float32}


def fed(source: str, dtype: str, shape: tuple[int, ...], pixels: BuiltPixels | None = None) -> Array:
    platform, info, given = SOURCES[source]
    spec = TensorSpec("x", dtype, shape)
    feeds = load(platform).reference_feeds(info, (spec,), given, {"x": pixels} if pixels else {})
    return np.frombuffer(feeds["x"], NUMPY[dtype]).reshape(shape)


NCHW, NHWC = (1, 3, HEIGHT, WIDTH), (1, HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("source", SOURCES)
def test_integers_before_the_preprocessing(source: str) -> None:
    assert np.array_equal(fed(source, "u8", NCHW)[0], yuv())
    assert np.array_equal(fed(source, "s8", NHWC)[0].transpose(2, 0, 1), yuv() - 128)


@pytest.mark.parametrize("source", SOURCES)
def test_floats_before_the_preprocessing_are_less_128(source: str) -> None:
    assert np.array_equal(fed(source, "f32", NCHW, BuiltPixels(is_inside=True))[0], yuv() - 128)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("colour", ["rgb", "bgr"])
def test_the_plain_float_model_gets_colours_with_mean_and_scale(source: str, colour: str) -> None:
    order = rgb() if colour == "rgb" else rgb()[::-1]
    mean, scale = (np.array(numbers).reshape(3, 1, 1) for numbers in (MEAN, SCALE))
    made = fed(source, "f32", NCHW, BuiltPixels(colour, MEAN, SCALE))
    assert np.allclose(made[0], (order - mean) * scale, atol=2e-4)
    assert np.array_equal(fed(source, "f32", NHWC, BuiltPixels(colour, MEAN, SCALE)).transpose(0, 3, 1, 2), made)


def test_a_model_with_planes_gets_them_less_128() -> None:
    wanted = [
        TensorSpec("x_y", "f32", (1, HEIGHT, WIDTH, 1)),
        TensorSpec("x_uv", "f32", (1, HEIGHT // 2, WIDTH // 2, 2)),
    ]
    feeds = load("ucp").reference_feeds(PLANES, wanted, AS_PLANES, {})
    values = np.concatenate([np.frombuffer(feeds[name], np.float32) for name in ("x_y", "x_uv")])
    assert np.array_equal(values + 128, np.frombuffer(PICTURE, np.uint8))


@pytest.mark.parametrize("source", SOURCES)
def test_without_mean_and_scale_no_float_is_made_up(source: str) -> None:
    with pytest.raises(InputError, match="mean and scale of the build are unknown") as refused:
        fed(source, "f32", NCHW)
    assert "--build" in refused.value.hint


@pytest.mark.parametrize("source", SOURCES)
def test_another_size_is_refused(source: str) -> None:
    with pytest.raises(InputError, match="does not fit"):
        fed(source, "f32", (1, 3, HEIGHT, WIDTH + 2), BuiltPixels())
