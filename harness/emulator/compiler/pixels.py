"""Picture inputs at build time: the preprocess op in the graph, and calibration samples made from frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from harness.emulator.model.compiled import BOARD_TYPES
from harness.emulator.model.image import nv12_bytes, preprocess_weights, reference_feed
from harness.errors import InputError

Feed = dict[str, NDArray[Any]]
ZERO_POINT = 128  # the board subtracts it from every pixel, as the hardware does


@dataclass(frozen=True)
class PixelInput:
    """How the model wants its pixels: `(colour - mean) * scale`, in its own colour order."""

    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bgr: bool = False
    kind: str = "nv12"  # what the board takes, a key of BOARD_TYPES

    @property
    def channels(self) -> int:
        """Of the input in the float model."""
        return 1 if self.kind == "gray" else 3


def insert_preprocess(
    model: onnx.ModelProto, pixels: Mapping[str, PixelInput], planes: bool = False, named: str = "Preprocess_{}"
) -> onnx.ModelProto:
    """Put a Conv, `named` for the input, behind every picture input, whose values are then `pixel - 128`.

    With `planes` (UCP) an NV12 input becomes two: `<input>_y` [1, H, W, 1] and `<input>_uv` [1, H/2, W/2, 2].
    Errors: InputError for an input that cannot be such a picture.
    """
    for name, pixel in pixels.items():
        _check(model, name, pixel)
        weights, bias = preprocess_weights(np.array(pixel.mean), np.array(pixel.scale), pixel.bgr, pixel.kind)
        _rewire(model.graph, name, f"{name}_preprocessed")
        op = named.format(name)
        names = [f"{op}_weight", f"{op}_bias"]
        model.graph.initializer.extend(
            numpy_helper.from_array(v, n) for v, n in zip((weights, bias), names, strict=True)
        )
        node = helper.make_node("Conv", [name, *names], [f"{name}_preprocessed"], name=op)
        nodes = [*(_join_planes(model.graph, name) if planes and pixel.kind == "nv12" else []), node]
        for made in reversed(nodes):
            model.graph.node.insert(0, made)
    return onnx.shape_inference.infer_shapes(model) if pixels else model


def _join_planes(graph: onnx.GraphProto, name: str) -> list[onnx.NodeProto]:
    """Replace the input by its planes; nodes that make the three-channel picture of them."""
    at = next(i for i, value in enumerate(graph.input) if value.name == name)
    height, width = (dim.dim_value for dim in graph.input[at].type.tensor_type.shape.dim[2:])
    del graph.input[at]
    shapes = {f"{name}_y": (1, height, width, 1), f"{name}_uv": (1, height // 2, width // 2, 2)}
    values = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, shape) for n, shape in shapes.items()]
    kept = [*list(graph.input)[:at], *values, *list(graph.input)[at:]]
    del graph.input[:]
    graph.input.extend(kept)
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), f"{name}_uv_scales")
    graph.initializer.append(scales)
    return [
        helper.make_node("Transpose", [f"{name}_y"], [f"{name}_luma"], name=f"{name}_y_nchw", perm=[0, 3, 1, 2]),
        helper.make_node("Transpose", [f"{name}_uv"], [f"{name}_small"], name=f"{name}_uv_nchw", perm=[0, 3, 1, 2]),
        helper.make_node(
            "Resize", [f"{name}_small", "", scales.name], [f"{name}_chroma"], name=f"{name}_uv_resize",
            mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric",
        ),
        helper.make_node("Concat", [f"{name}_luma", f"{name}_chroma"], [name], name=f"{name}_yuv", axis=1),
    ]  # fmt: skip


def plane_names(pixels: Mapping[str, PixelInput], planes: bool) -> dict[str, str]:
    """Input of the compiled model -> what it is: "NV12" (or "Y" and "UV"), or another of BOARD_TYPES."""
    named: dict[str, str] = {}
    for name, pixel in pixels.items():
        if planes and pixel.kind == "nv12":
            named |= {f"{name}_{plane.lower()}": plane for plane in ("Y", "UV")}
        else:
            named[name] = BOARD_TYPES[pixel.kind]
    return named


def image_inputs(model: onnx.ModelProto, channels: int = 3) -> list[str]:
    """Inputs that could be pictures: 4-D with so many channels."""
    constants = {tensor.name for tensor in model.graph.initializer}
    shapes = {v.name: v.type.tensor_type.shape.dim for v in model.graph.input if v.name not in constants}
    return [name for name, dims in shapes.items() if len(dims) == 4 and dims[1].dim_value == channels]


def _rewire(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name == old:
                node.input[i] = new


def _check(model: onnx.ModelProto, name: str, pixel: PixelInput) -> None:
    value = next((v for v in model.graph.input if v.name == name), None)
    if value is None:
        raise InputError(f"no input {name!r} in the model", f"known: {', '.join(v.name for v in model.graph.input)}")
    shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    is_odd = pixel.kind == "nv12" and bool(shape[2:] and any(size % 2 for size in shape[2:]))
    if len(shape) != 4 or shape[0] != 1 or shape[1] != pixel.channels or is_odd:
        even = " with even H and W" if pixel.kind == "nv12" else ""
        raise InputError(
            f"input {name!r} of shape {shape} cannot be {BOARD_TYPES[pixel.kind]}",
            f"{BOARD_TYPES[pixel.kind]} needs 1x{pixel.channels}xHxW{even}; omit --input-type",
        )


def centred(nv12: bytes, height: int, width: int) -> NDArray[Any]:
    """A frame as the float model behind `insert_preprocess` takes it: float32 [1, 3, H, W], pixel - 128."""
    return reference_feed(nv12, height, width).astype(np.float32) - ZERO_POINT


def pixel_samples(
    model: onnx.ModelProto, pixels: Mapping[str, PixelInput], planes: bool
) -> dict[str, Callable[[Path], Feed]]:
    """Per picture input, a reader of one calibration frame. Errors (of the reader): InputError for a wrong size."""
    readers = {}
    for name, pixel in pixels.items():
        split = planes and pixel.kind == "nv12"
        value = next(v for v in model.graph.input if v.name == (f"{name}_y" if split else name))
        dims = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        height, width = dims[1:3] if split else dims[2:]
        is_nv12 = pixel.kind == "nv12"
        readers[name] = _frame_reader(name, height, width, split) if is_nv12 else _pixel_reader(name, dims)
    return readers


def _pixel_reader(name: str, shape: list[int]) -> Callable[[Path], Feed]:
    """Of whole pixels, u8 in the float model's order of axes: raw bytes or an .npy."""

    def read(path: Path) -> Feed:
        data = np.load(path, allow_pickle=False) if path.suffix == ".npy" else np.fromfile(path, np.uint8)
        if data.dtype != np.uint8 or data.size != int(np.prod(shape)):
            got = f"{data.size} of {data.dtype.name}"
            raise InputError(
                f"{path}: a frame of input {name!r} needs {int(np.prod(shape))} values of uint8, got {got}"
            )
        return {name: data.reshape(shape).astype(np.float32) - ZERO_POINT}

    return read


def _frame_reader(name: str, height: int, width: int, planes: bool) -> Callable[[Path], Feed]:
    def read(path: Path) -> Feed:
        data = path.read_bytes()
        if len(data) != nv12_bytes(height, width):
            raise InputError(
                f"{path}: an NV12 frame of input {name!r} needs {nv12_bytes(height, width)} bytes, got {len(data)}"
            )
        if not planes:
            return {name: centred(data, height, width)}
        pixels = np.frombuffer(data, np.uint8).astype(np.float32) - ZERO_POINT
        luma, chroma = pixels[: height * width], pixels[height * width :]
        return {
            f"{name}_y": luma.reshape(1, height, width, 1),
            f"{name}_uv": chroma.reshape(1, height // 2, width // 2, 2),
        }

    return read
