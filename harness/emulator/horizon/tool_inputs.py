"""Input files of the emulated tool: raw bytes of the valid size, numbers as text, or pictures."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harness.emulator.model.compiled import BOARD_TYPES, CompiledInput, CompiledModel
from harness.emulator.model.image import RGB_TO_YUV, nv12_from_rgb, reference_feed
from harness.emulator.model.layout import NUMPY, Array

PICTURES = (".jpg", ".jpeg", ".png")


class ToolInputError(Exception):
    """What the tool says of an input file before it ends."""


@dataclass
class Frames:
    """One frame: what the model computes with, and the bytes as the board got them."""

    feed: dict[str, Array] = field(default_factory=dict)
    raw: dict[str, bytes] = field(default_factory=dict)  # NV12 inputs and all others alike

    @property
    def pictures(self) -> dict[str, bytes]:
        """NV12 frames: their node dumps are split into planes."""
        return {name: data for name, data in self.raw.items() if self.feed[name].nbytes != len(data)}


def read_frames(model: CompiledModel, files: Sequence[str]) -> Frames:
    """Inputs in the model's order. Errors: ToolInputError with what is expected and given."""
    if len(files) != len(model.inputs):
        names = ",".join(item.name for item in model.inputs)
        raise ToolInputError(
            f"input file num({len(files)}) is not equal to model input num({len(model.inputs)}): {names}"
        )
    frames = Frames()
    for item, name in zip(model.inputs, files, strict=True):
        _take(frames, item, _content(item, Path(name)), name)
    return frames


def random_frames(model: CompiledModel) -> Frames:
    """What `perf` feeds without --input_file."""
    frames = Frames()
    for item in model.inputs:
        rng = np.random.default_rng(zlib.crc32(item.name.encode()))
        dtype = np.dtype(NUMPY[item.spec.dtype])
        if item.kind == "NV12" or dtype.kind != "f":
            data = bytes(item.bytes) if dtype.kind == "i" else rng.integers(0, 256, item.bytes, np.uint8).tobytes()
        else:
            data = rng.standard_normal(item.spec.shape).astype(dtype).tobytes()
        _take(frames, item, data, "random data")
    return frames


def _content(item: CompiledInput, path: Path) -> bytes:
    try:
        if path.suffix.lower() in PICTURES:
            return _picture(item, path)
        if path.suffix.lower() == ".txt":
            return np.array(path.read_text().split(), NUMPY[item.spec.dtype]).tobytes()
        return path.read_bytes()
    except OSError as error:
        raise ToolInputError(
            f"Can not open {path}, file not exists or no read permission. ({error.strerror})"
        ) from None
    except (ValueError, UnicodeDecodeError):
        raise ToolInputError(f"input[{item.name}] {path} holds something else than numbers") from None


def _picture(item: CompiledInput, path: Path) -> bytes:
    """The tool decodes and scales pictures itself, for image inputs only."""
    from PIL import Image, UnidentifiedImageError

    if item.kind not in ("Y", "UV", *BOARD_TYPES.values()):
        raise ToolInputError(f"input[{item.name}] is no image input, {path} is a picture")
    height, width = item.spec.shape[1:3] if item.kind in ("Y", "UV") else item.spec.shape[2:]
    if item.kind == "UV":
        height, width = height * 2, width * 2
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB").resize((width, height)))
    except UnidentifiedImageError:
        raise ToolInputError(f"input[{item.name}] {path} is not a readable picture") from None
    if item.kind not in ("NV12", "Y", "UV"):
        return _whole_pixels(pixels, item.kind)
    frame, luma = nv12_from_rgb(pixels), height * width
    return {"NV12": frame, "Y": frame[:luma], "UV": frame[luma:]}[item.kind]


def _whole_pixels(rgb: Array, kind: str) -> bytes:
    """RGB (H, W, 3) as the channels of an input that takes every pixel whole, axes (C, H, W)."""
    yuv: Array = rgb.astype(np.float64) @ RGB_TO_YUV.T + np.array([0, 128, 128])
    channels = {"RGB": rgb, "BGR": rgb[..., ::-1], "YUV444": yuv, "GRAY": yuv[..., :1]}[kind]
    whole: Array = np.clip(np.rint(channels), 0, 255).astype(np.uint8).transpose(2, 0, 1)
    return np.ascontiguousarray(whole).tobytes()


def _take(frames: Frames, item: CompiledInput, data: bytes, source: str) -> None:
    if len(data) != item.bytes:
        raise ToolInputError(
            f"input[{item.name}] file length is not equal to the valid size: "
            f"expected {item.bytes}, given {len(data)} ({source})"
        )
    frames.raw[item.name] = data
    if item.kind == "NV12":
        frames.feed[item.name] = reference_feed(data, *item.spec.shape[2:])
    else:
        frames.feed[item.name] = np.frombuffer(data, NUMPY[item.spec.dtype]).reshape(item.spec.shape)
