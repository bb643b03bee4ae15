"""Reading an ONNX file: loading without weights, dtypes and shapes of its tensors."""

from __future__ import annotations

import math
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto

from harness.errors import InputError
from harness.packed import refuse_packed
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
    """Parse an ONNX file without its external weights. Errors: InputError for a file that is no ONNX."""
    if not path.is_file():
        what = "a folder, not an ONNX model" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {what}", "give the path of an ONNX model")
    refuse_packed(path, "an ONNX model")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except (DecodeError, ValueError, OSError) as error:
        raise InputError(f"{path}: not a readable ONNX model ({error})", "is it complete? check its size") from None
    if not model.graph.node:
        raise InputError(f"{path}: not an ONNX model, or one without any node ({path.stat().st_size} bytes)")
    return model


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
