"""What a build is calibrated on: arrays of floats, or pictures for a model that normalises its pixels itself."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.emulator.compiler.options import BuildRequest
from harness.errors import InputError
from harness.files import npz

if TYPE_CHECKING:
    import onnx

PICTURES = (".png", ".jpg", ".jpeg", ".bmp")
RANDOM_PICTURES = 8


@dataclass(frozen=True)
class BuildSamples:
    """Samples in the folder `samples`, the first of them the input of the PC's layers, and the model's input shapes."""

    first: str  # a file, relative to the build's folder
    count: int
    shapes: str
    pixel_words: tuple[str, ...] = ()  # options of model_transform.py: mean, scale, order of the channels

    @property
    def is_pixels(self) -> bool:
        """Whether the samples are pictures."""
        return bool(self.pixel_words)


def takes_pixels(request: BuildRequest) -> bool:
    """Whether a normalisation was given that is to be compiled in."""
    return (request.mean, request.scale, request.colour) != ("0", "1", "rgb")


def arrays(model: Path, request: BuildRequest, work: Path) -> BuildSamples:
    """Feeds of floats: read from --calibration, or seeded noise. Errors: InputError."""
    from harness.emulator.compiler.calibration import random_samples, read_samples

    loaded = _loaded(model, request)
    samples = (
        read_samples(request.calibration, loaded, {}) if request.calibration else random_samples(loaded, request.seed)
    )
    folder = work / "samples"
    folder.mkdir()
    for i, feed in enumerate(samples.feeds):
        (folder / f"{i:05d}.npz").write_bytes(npz.packed(feed))
    shapes = ",".join(str(list(array.shape)).replace(" ", "") for array in samples.feeds[0].values())
    return BuildSamples("samples/00000.npz", len(samples.feeds), shapes)


def pictures(model: Path, request: BuildRequest, work: Path) -> BuildSamples:
    """Pictures of --calibration, or seeded noise of the input's size. Errors: InputError for no image input."""
    from harness.emulator.model.nodes import ModelGraph

    network = ModelGraph(_loaded(model, request))
    shape = tuple(network.shape(network.input_names[0]) or ())
    if len(network.input_names) != 1 or len(shape) != 4 or shape[:1] != (1,) or shape[1] not in (1, 3):
        raise InputError(
            f"{model}: --mean, --scale and --colour need one image input of 1x3xHxW or 1x1xHxW",
            "omit them, and feed normalised floats",
        )
    folder = work / "samples"
    folder.mkdir()
    given = _given(request.calibration) if request.calibration else _noise(folder, shape, request.seed)
    for i, path in enumerate(given):
        if path.parent != folder:
            shutil.copyfile(path, folder / f"{i:05d}{path.suffix.lower()}")
    names = sorted(path.name for path in folder.iterdir())
    return BuildSamples(f"samples/{names[0]}", len(names), str(list(shape)).replace(" ", ""), _words(request, shape[1]))


def _words(request: BuildRequest, channels: int) -> tuple[str, ...]:
    order = "gray" if channels == 1 else request.colour
    figures = [_figures(text, channels, name) for name, text in (("--mean", request.mean), ("--scale", request.scale))]
    return ("--mean", figures[0], "--scale", figures[1], "--pixel_format", order)


def _figures(text: str, channels: int, name: str) -> str:
    """One number for each channel. Errors: InputError for another count, or no numbers."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (1, channels) or not all(re.fullmatch(r"-?[0-9.]+(?:e-?[0-9]+)?", part) for part in parts):
        raise InputError(f"{name} {text}: expected one number, or {channels} separated by commas", f"{name} 0")
    return ",".join(parts * channels if len(parts) == 1 else parts)


def _given(folder: Path) -> list[Path]:
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURES) if folder.is_dir() else []
    if not files:
        raise InputError(
            f"{folder}: no pictures, and this model takes pixels", f"give a folder of {', '.join(PICTURES)}"
        )
    return files


def _noise(folder: Path, shape: Sequence[int], seed: int) -> list[Path]:
    from PIL import Image

    rng = np.random.default_rng(seed)
    for i in range(RANDOM_PICTURES):
        pixels = rng.integers(0, 256, (shape[2], shape[3], shape[1]), dtype=np.uint8)
        Image.fromarray(pixels[..., 0] if shape[1] == 1 else pixels).save(folder / f"{i:05d}.png")
    return sorted(folder.iterdir())


def _loaded(model: Path, request: BuildRequest) -> onnx.ModelProto:
    import onnx

    from harness.emulator.compiler.prepare_model import complete

    return complete(onnx.load(str(model)), dict(_shape(text) for text in request.shapes))


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    match = re.fullmatch(r"(.+)=([0-9]+(?:,[0-9]+)*)", text)
    if match is None:
        raise InputError(f"--shape {text}: expected INPUT=1,3,224,224", "--shape images=1,3,224,224")
    return match[1], tuple(int(size) for size in match[2].split(","))
