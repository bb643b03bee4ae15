"""NV12 inputs at build time: the preprocess op in the graph, and calibration samples made from frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from harness.emulator.image import nv12_bytes, preprocess_weights, reference_feed
from harness.errors import InputError

ZERO_POINT = 128  # the board subtracts it from every pixel, as the hardware does


@dataclass(frozen=True)
class PixelInput:
    """How the model wants its pixels: `(colour - mean) * scale`, in its own colour order."""

    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bgr: bool = False


def insert_preprocess(model: onnx.ModelProto, pixels: Mapping[str, PixelInput]) -> onnx.ModelProto:
    """Put `HZ_PREPROCESS_FOR_<input>` behind every NV12 input, whose values are then `pixel - 128`.

    Errors: InputError.
    """
    for name, pixel in pixels.items():
        _check(model, name)
        weights, bias = preprocess_weights(np.array(pixel.mean), np.array(pixel.scale), pixel.bgr)
        _rewire(model.graph, name, f"{name}_preprocessed")
        names = [f"HZ_PREPROCESS_FOR_{name}_weight", f"HZ_PREPROCESS_FOR_{name}_bias"]
        model.graph.initializer.extend(
            numpy_helper.from_array(v, n) for v, n in zip((weights, bias), names, strict=True)
        )
        node = helper.make_node("Conv", [name, *names], [f"{name}_preprocessed"], name=f"HZ_PREPROCESS_FOR_{name}")
        model.graph.node.insert(0, node)
    return onnx.shape_inference.infer_shapes(model) if pixels else model


def image_inputs(model: onnx.ModelProto) -> list[str]:
    """Inputs that could be pictures: 4-D with three channels."""
    constants = {tensor.name for tensor in model.graph.initializer}
    shapes = {v.name: v.type.tensor_type.shape.dim for v in model.graph.input if v.name not in constants}
    return [name for name, dims in shapes.items() if len(dims) == 4 and dims[1].dim_value == 3]


def _rewire(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name == old:
                node.input[i] = new


def _check(model: onnx.ModelProto, name: str) -> None:
    value = next((v for v in model.graph.input if v.name == name), None)
    if value is None:
        raise InputError(
            f"no input {name!r} in the model", f"its inputs: {', '.join(v.name for v in model.graph.input)}"
        )
    shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    if len(shape) != 4 or shape[0] != 1 or shape[1] != 3 or shape[2] % 2 or shape[3] % 2:
        raise InputError(
            f"input {name!r} of shape {shape} cannot be NV12",
            "NV12 wants 1x3xHxW with H and W even; leave --input-type out",
        )


def centred(nv12: bytes, height: int, width: int) -> NDArray[Any]:
    """A frame as the float model behind `insert_preprocess` takes it: float32 [1, 3, H, W], pixel - 128."""
    return reference_feed(nv12, height, width).astype(np.float32) - ZERO_POINT


def pixel_samples(
    model: onnx.ModelProto, pixels: Mapping[str, PixelInput]
) -> dict[str, Callable[[Path], NDArray[Any]]]:
    """Per NV12 input, a reader of one calibration frame. Errors (of the reader): InputError for a wrong size."""
    readers = {}
    for name in pixels:
        value = next(v for v in model.graph.input if v.name == name)
        height, width = (dim.dim_value for dim in value.type.tensor_type.shape.dim[2:])
        readers[name] = _frame_reader(name, height, width)
    return readers


def _frame_reader(name: str, height: int, width: int) -> Callable[[Path], NDArray[Any]]:
    def read(path: Path) -> NDArray[Any]:
        data = path.read_bytes()
        if len(data) != nv12_bytes(height, width):
            raise InputError(
                f"{path}: an NV12 frame of input {name!r} has {nv12_bytes(height, width)} bytes, this has {len(data)}"
            )
        return centred(data, height, width)

    return read
