"""A board's picture as each stage of its build takes it: YUV444 before the preprocessing, colours behind it, planes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import InputError
from harness.images.stage_pictures import ZERO, as_stage, nv12_frames
from harness.platforms.horizon.inputs import picture_size, reference_feed
from harness.records import BuiltPixels, ModelInfo, TensorSpec

Array = NDArray[Any]
Y, UV = "_y", "_uv"  # newer toolchains make two inputs of an NV12 picture


@dataclass(frozen=True)
class _Picture:
    """One NV12 picture per frame, whichever inputs it came in."""

    frames: Array  # u8 (N, H, W, 3): Y, U, V
    inputs: tuple[str, ...]  # of the board


def reference_feeds(
    info: ModelInfo, wanted: Sequence[TensorSpec], given: Mapping[str, bytes], pixels: Mapping[str, BuiltPixels]
) -> dict[str, bytes]:
    """Bytes of every input of a PC's model that mean what `given`, by the board's inputs, means on the board.

    `pixels` says of each picture input what the build does with it. Errors: InputError when no rule is known.
    """
    pictures = _pictures(info, given)
    if len(wanted) != len(given) - sum(len(picture.inputs) - 1 for picture in pictures.values()):
        pictures = {}
    taken = {name for picture in pictures.values() for name in picture.inputs}
    return {spec.name: _feed(info, spec, (given, pictures, taken), pixels) for spec in wanted}


def _feed(
    info: ModelInfo,
    spec: TensorSpec,
    sources: tuple[Mapping[str, bytes], Mapping[str, _Picture], set[str]],
    pixels: Mapping[str, BuiltPixels],
) -> bytes:
    given, pictures, taken = sources
    picture = pictures.get(spec.name) or (next(iter(pictures.values())) if len(pictures) == len(given) == 1 else None)
    if picture is not None and spec.dtype in ("f32", "f16"):
        return as_stage(picture.frames, spec, pixels.get(spec.name)).tobytes()
    if picture is not None and len(picture.inputs) > 1:
        return as_stage(picture.frames, spec, None).tobytes()
    own = tuple(one for one in info.inputs if one.name == spec.name) or info.inputs
    data = given.get(spec.name)
    if data is None:
        free = [name for name in given if name not in taken]
        data = given[(free or list(given))[0]]
    if own[0].dtype == "u8" and spec.dtype == "f32" and spec.name.endswith((Y, UV)):
        plane = np.frombuffer(data, np.uint8).astype(np.float32) - ZERO
        return _as_plane(plane, own[0], spec)
    return reference_feed(replace(info, inputs=own), spec, data)


def _as_plane(values: Array, board: TensorSpec, spec: TensorSpec) -> bytes:
    if values.size != int(np.prod(spec.shape)):
        raise InputError(
            f"input {spec.name!r}: the board got {values.size} pixels, the reference takes {spec.shape}",
            "give the raw plane, without padding",
        )
    return values.astype(np.float32).tobytes()


def _pictures(info: ModelInfo, given: Mapping[str, bytes]) -> dict[str, _Picture]:
    """By name: NV12 inputs, and pairs of planes under the name that they share."""
    by_name = {spec.name: spec for spec in info.inputs}
    pictures = {}
    for name, data in given.items():
        spec = by_name.get(name)
        if spec is None:
            continue
        size = picture_size(spec)
        if spec.layout == "NV12" and size is not None:
            pictures[name] = _Picture(nv12_frames(data, *size), (name,))
        elif name.endswith(Y) and size is not None and f"{name[: -len(Y)]}{UV}" in given:
            stem = name[: -len(Y)]
            pictures[stem] = _Picture(nv12_frames(data + given[stem + UV], *size), (name, stem + UV))
    return pictures
