"""Calibration samples as pictures, for toolchains that read nothing else."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.errors import InputError
from harness.files.safe import make_folder, write_file
from harness.precision.prepared import PreparedModel
from harness.precision.sensitivity import Array

LEVELS = 255.0  # of pixels / 255, as the emulated builds of these chips are fed
GRID = 0.25  # of a level: how far a float sample may be from a picture's value


def pixels_of(value: Array, subject: PreparedModel) -> NDArray[np.uint8]:
    """A float sample [1, C, H, W] of pixels / 255 as uint8 [H, W, C]. Errors: InputError for what is none."""
    levels = np.asarray(value, np.float64) * LEVELS
    whole = np.rint(levels)
    is_picture = value.ndim == 4 and value.shape[0] == 1 and value.shape[1] in (1, 3)
    if not is_picture or whole.min() < 0 or whole.max() > LEVELS or float(np.abs(levels - whole).max()) > GRID:
        raise InputError(
            f"the samples are no pictures of 8 bits, and {subject.soc.name} takes nothing else",
            "calibrate with pixels / 255: float .npy of 1 x C x H x W, C of 1 or 3",
        )
    return np.asarray(whole[0].transpose(1, 2, 0), np.uint8)


def write_pictures(subject: PreparedModel, folder: Path) -> tuple[Path, ...]:
    """A .png for every sample of the first input. Errors: InputError for samples that are none."""
    from PIL import Image

    name = subject.network.input_names[0]
    make_folder(folder)
    files = []
    for number, feed in enumerate(subject.feeds):
        pixels = pixels_of(feed[name], subject)
        held = io.BytesIO()
        Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0]).save(held, "PNG")
        files.append(folder / f"{number:06}.png")
        write_file(files[-1], held.getvalue())
    return tuple(files)
