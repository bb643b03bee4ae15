"""Reading an ONNX file: loading without weights, dtypes and shapes of its tensors."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import TensorProto

from harness.errors import InputError
from harness.files.packed import refuse_packed
from harness.records import TensorSpec

DTYPES = {
    TensorProto.FLOAT: "f32",
    TensorProto.FLOAT16: "f16",
    TensorProto.DOUBLE: "f64",
    TensorProto.INT8: "s8",
    TensorProto.UINT8: "u8",
    TensorProto.INT16: "s16",
    TensorProto.UINT16: "u16",
    TensorProto.INT32: "s32",
    TensorProto.UINT32: "u32",
    TensorProto.INT64: "s64",
    TensorProto.UINT64: "u64",
    TensorProto.BOOL: "bool8",
    TensorProto.INT4: "s4",
    TensorProto.UINT4: "u4",
}
SMALL_CONSTANT = 4096  # elements; shape inference reads values of shape-like constants only


def load_model(path: Path) -> onnx.ModelProto:
    """Parse an ONNX file without its external weights.

    Errors: InputError for a file that is no ONNX, or whose weights lie outside of its folder.
    """
    if not path.is_file():
        what = "expected an ONNX model, got a folder" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {what}", "give the path of an ONNX model")
    refuse_packed(path, "an ONNX model")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except (DecodeError, ValueError, OSError) as error:
        raise InputError(f"{path}: not a readable ONNX model ({error})", "check that the file is complete") from None
    if not model.graph.node:
        raise InputError(f"{path}: not an ONNX model, or without nodes ({path.stat().st_size} bytes)")
    for tensor in _external(model):
        _refuse_outside(path, tensor)
    return model


def load_whole(path: Path) -> onnx.ModelProto:
    """Parse an ONNX file with its weights, also those in files beside it. Errors: as `load_model`, and InputError for
    weights that are not there or are cut short."""
    model = load_model(path)
    for tensor in _external(model):
        _load_external(path, tensor)
    return model


def has_external_data(model: onnx.ModelProto) -> bool:
    """Whether values of the model lie in other files."""
    return any(True for _ in _external(model))


def constant(tensor: onnx.TensorProto, path: Path) -> NDArray[Any]:
    """The values of one constant of the model `path`. Errors: InputError where they cannot be read."""
    try:
        return np.asarray(onnx.numpy_helper.to_array(tensor, base_dir=str(path.parent)))
    except _UNREADABLE as error:
        raise _unreadable(path, tensor, str(error)) from None


_UNREADABLE = (OSError, ValueError, TypeError, onnx.checker.ValidationError)


def _external(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor whose values lie in another file: weights, constants, also those of branches and functions."""
    inner = (tensor for function in model.functions for tensor in _tensors_of_nodes(function.node))
    for tensor in (*_tensors(model.graph), *inner):
        if tensor.data_location == TensorProto.EXTERNAL:
            yield tensor


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _tensors_of_nodes(graph.node)


def _tensors_of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for attribute in (attribute for node in nodes for attribute in node.attribute):
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in (attribute.g, *attribute.graphs):
            yield from _tensors(graph)


def _place(tensor: onnx.TensorProto) -> dict[str, str]:
    """What the model says of where the values lie: location, offset, length."""
    return {entry.key: entry.value for entry in tensor.external_data}


def _refuse_outside(path: Path, tensor: onnx.TensorProto) -> None:
    location = _place(tensor).get("location", "")
    folder = os.path.realpath(path.parent)
    parts = location.replace("\\", "/").split("/")
    if not location or "\0" in location or ".." in parts or Path(location).is_absolute():
        raise InputError(
            f"{path}: the data of {tensor.name!r} is in {location!r}, outside the model's folder", _ONE_FILE
        )
    real = os.path.realpath(path.parent / location)
    if not Path(real).is_relative_to(folder):
        raise InputError(f"{path}: {location!r}, with the data of {tensor.name!r}, is a link to {real}", _ONE_FILE)


def _load_external(path: Path, tensor: onnx.TensorProto) -> None:
    place = _place(tensor)
    file = path.parent / place["location"]
    try:
        start, length = int(place.get("offset") or 0), int(place.get("length") or -1)
        size = file.stat().st_size if file.is_file() else -1
        if size < 0:
            raise _unreadable(path, tensor, f"{file}: no such file")
        if start < 0 or start + max(length, 0) > size:
            raise _unreadable(path, tensor, f"{file} ends at {size}, needed bytes {start} to {start + length}")
        onnx.external_data_helper.load_external_data_for_tensor(tensor, str(path.parent))
        if tensor.data_type in DTYPES and len(tensor.raw_data) != _size_bytes(tensor):
            wanted = f"{_size_bytes(tensor)} bytes expected, got {len(tensor.raw_data)}"
            raise _unreadable(path, tensor, f"{file}: {wanted}")
    except _UNREADABLE as error:
        raise _unreadable(path, tensor, str(error)) from None
    tensor.data_location = TensorProto.DEFAULT
    del tensor.external_data[:]


def _size_bytes(tensor: onnx.TensorProto) -> int:
    bits = int("".join(filter(str.isdigit, DTYPES[tensor.data_type])))
    return int(-(-math.prod(tensor.dims) * bits // 8))


def _unreadable(path: Path, tensor: onnx.TensorProto, why: str) -> InputError:
    return InputError(
        f"{path}: cannot read the data of {tensor.name!r}: {why[:300]}",
        "copy the weight file beside the model, under that name",
    )


_ONE_FILE = "save the model as one file: onnx.save(onnx.load(path), path)"


def infer_types(model: onnx.ModelProto) -> dict[str, TensorSpec]:
    """dtype and shape of every tensor that shape inference can tell, without copying the weights."""
    light = _without_weights(model)
    try:
        light = onnx.shape_inference.infer_shapes(light, data_prop=True)
    except onnx.shape_inference.InferenceError:  # the declared types remain
        light = _without_weights(model)
    graph = light.graph
    return {v.name: type_of(v) for v in (*graph.input, *graph.value_info, *graph.output)}


def type_of(value: onnx.ValueInfoProto) -> TensorSpec:
    """dtype and shape as declared; dynamic sizes are -1."""
    tensor = value.type.tensor_type
    shape = tuple(d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim)
    return TensorSpec(
        name=value.name,
        dtype=DTYPES.get(tensor.elem_type, ""),
        shape=shape,
        layout="NCHW" if len(shape) == 4 else "",
    )


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its large constants turned into inputs: same types, a small copy."""
    graph = onnx.GraphProto(name=model.graph.name)
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    graph.value_info.extend(model.graph.value_info)
    declared = {value.name for value in graph.input}
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) <= SMALL_CONSTANT and not tensor.external_data:
            graph.initializer.append(tensor)
        elif tensor.name not in declared:
            graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    light = onnx.ModelProto(ir_version=model.ir_version, graph=graph)
    light.opset_import.extend(model.opset_import)
    light.functions.extend(model.functions)
    return light
