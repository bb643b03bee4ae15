"""From a user's ONNX to what the compiler works on: fixed shapes, opset 13 or later, folded, every node named."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import version_converter

from harness.emulator.model.nodes import name_nodes
from harness.errors import InputError
from harness.reference.onnx_file import load_whole
from harness.reference.onnx_runtime import onnxruntime as ort

OPSET = 13  # QuantizeLinear and DequantizeLinear per axis
# MatMulAddFusion wraps a 3-D MatMul into Reshapes around a Gemm, TransposeOptimizer moves Transposes and makes new
# ones: the vendors' graphs show neither.
_OFF = ["MatMulAddFusion", "TransposeOptimizer", "QDQPropagationTransformer", "WeightBiasQuantization"]
_OFF += ["EnsureUniqueDQForNodeUnit"]


def load(path: Path) -> onnx.ModelProto:
    """The whole model with its weights. Errors: InputError for a file that is no ONNX."""
    return load_whole(path)


def prepare(
    model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]], change: Callable[[onnx.ModelProto], onnx.ModelProto]
) -> onnx.ModelProto:
    """`folded` of what `unfolded` gives. Errors: InputError."""
    return folded(unfolded(model, shapes, change))


def unfolded(
    model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]], change: Callable[[onnx.ModelProto], onnx.ModelProto]
) -> onnx.ModelProto:
    """Fixed input shapes, opset >= 13: what a toolchain calls the original model.

    `change` is applied when the shapes are fixed. Errors: InputError.
    """
    return change(_at_least_opset(_fixed(model, shapes)))


def with_names(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which every node has a name."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    name_nodes(copy.graph.node)
    return copy


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """An unfolded model with constants folded, BatchNormalization folded into Conv, nodes named. Errors: InputError."""
    result = _folded(model)
    name_nodes(result.graph.node)
    return onnx.shape_inference.infer_shapes(result, data_prop=True)


def is_quantized(model: onnx.ModelProto) -> bool:
    """True for a graph that carries QDQ (or QLinear) ops already."""
    kinds = {node.op_type for node in model.graph.node}
    return any(kind in ("QuantizeLinear", "DequantizeLinear") or kind.startswith("QLinear") for kind in kinds)


def complete(model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]]) -> onnx.ModelProto:
    """A model that is taken as it is: input shapes fixed, nodes named, every tensor's type known.

    Where shape inference does not know an op (QLinear and contributed ops), the model is run once to see.
    Errors: InputError.
    """
    result = _fixed(model, shapes)
    name_nodes(result.graph.node)
    known = {value.name for value in (*result.graph.value_info, *result.graph.input) if _has_shape(value)}
    known |= {tensor.name for tensor in result.graph.initializer}
    missing = [name for node in result.graph.node for name in node.output if name and name not in known]
    if missing:
        result.graph.value_info.extend(_seen_types(result, missing))
        outputs = {value.name: value for value in result.graph.value_info}
        for output in result.graph.output:
            if not _has_shape(output) and output.name in outputs:
                output.CopyFrom(outputs[output.name])
    return result


def _has_shape(value: onnx.ValueInfoProto) -> bool:
    return bool(value.type.tensor_type.HasField("shape"))


def _seen_types(model: onnx.ModelProto, names: Sequence[str]) -> list[onnx.ValueInfoProto]:
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    present = {value.name for value in wide.graph.output}
    wide.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in present)
    constants = {tensor.name for tensor in model.graph.initializer}
    feed = {}
    for value in model.graph.input:
        if value.name not in constants:
            dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
            feed[value.name] = np.zeros([dim.dim_value for dim in value.type.tensor_type.shape.dim], dtype)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(wide.SerializeToString(), options, providers=["CPUExecutionProvider"])
        arrays = session.run(list(names), feed)
    except Exception as error:  # onnxruntime's errors have no common base
        raise InputError(f"onnxruntime cannot run the model: {_first_line(error)}") from None
    return [
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in zip(names, arrays, strict=True)
    ]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _fixed(model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]]) -> onnx.ModelProto:
    result = onnx.ModelProto()
    result.CopyFrom(model)
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in result.graph.input if value.name not in constants]
    unknown = sorted(set(shapes) - {value.name for value in inputs})
    if unknown:
        raise InputError(f"no input {unknown[0]!r} in the model", f"known: {', '.join(v.name for v in inputs)}")
    for value in inputs:
        _fix_shape(value, shapes.get(value.name))
    del result.graph.value_info[:]
    for output in result.graph.output:
        output.type.tensor_type.ClearField("shape")
    return onnx.shape_inference.infer_shapes(result, data_prop=True)


def _fix_shape(value: onnx.ValueInfoProto, shape: Sequence[int] | None) -> None:
    """A dynamic first dimension becomes 1; any other needs the user's word."""
    dims = value.type.tensor_type.shape.dim
    if shape is not None:
        if len(shape) != len(dims):
            raise InputError(f"input {value.name!r} has {len(dims)} dimensions, the given shape has {len(shape)}")
        for dim, size in zip(dims, shape, strict=True):
            dim.dim_value = size
    elif dims and dims[0].dim_value < 1:
        dims[0].dim_value = 1
    open_dims = [i for i, dim in enumerate(dims) if dim.dim_value < 1]
    if open_dims:
        raise InputError(
            f"input {value.name!r} has a dynamic dimension {open_dims[0]}", f"give --shape {value.name}=1,3,224,224"
        )


def _at_least_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    version = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    if version >= OPSET:
        return model
    try:
        return version_converter.convert_version(model, OPSET)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"opset {version} cannot be raised to {OPSET}: {_first_line(error)}") from None


def _folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """onnxruntime's basic optimizations (constants, Conv+BatchNormalization), which only yield ONNX ops."""
    with tempfile.TemporaryDirectory(prefix="harness-build-") as folder:
        target = Path(folder) / "folded.onnx"
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(target)
        options.log_severity_level = 3
        try:
            ort.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"], disabled_optimizers=_OFF
            )
        except Exception as error:  # onnxruntime's errors have no common base
            raise InputError(f"onnxruntime cannot load the model: {_first_line(error)}") from None
        result = onnx.load(str(target))
    kept = {node.domain for node in result.graph.node}
    imports = [o for o in result.opset_import if o.domain in ("", "ai.onnx") or o.domain in kept]
    del result.opset_import[:]
    result.opset_import.extend(imports)
    return result
