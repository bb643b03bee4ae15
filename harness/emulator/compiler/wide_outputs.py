"""Tensors wider than int8: accumulators as int32 with a scale per channel, and int16 with one scale.

What a toolchain hands over when its last Dequantize is removed, and keeps inside where int16 is set. ONNX has no
QuantizeLinear to int32, and none to int16 at this opset, so the model carries functions of those names, in a domain of
their own, that onnxruntime runs as it is.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

OUTPUT_TYPES = ("float", "quantized", "int16", "int32")
ELEMENTS = {"int16": TensorProto.INT16, "int32": TensorProto.INT32}
# The largest float32 inside each range: beyond it a cast is undefined.
_LARGEST = {"int16": 32767.0, "int32": 2147483520.0}


def domain(kind: str) -> str:
    """The operator domain of the function that quantizes to `kind`, "int16" or "int32"."""
    return f"harness.{kind}"


def add_function(model: onnx.ModelProto, kind: str) -> None:
    """Let `model` know `harness.<kind>::QuantizeLinear(x, scale)`; the scale is shaped to broadcast against x."""
    if any(one.domain == domain(kind) and one.name == "QuantizeLinear" for one in model.functions):
        return
    opset = next(o for o in model.opset_import if o.domain in ("", "ai.onnx"))
    largest = _LARGEST[kind]
    constants = [
        helper.make_node("Constant", [], [name], value=helper.make_tensor(name, TensorProto.FLOAT, [], [value]))
        for name, value in (("low", -largest), ("high", largest))
    ]
    nodes = [
        *constants,
        helper.make_node("Div", ["x", "scale"], ["ratio"]),
        helper.make_node("Round", ["ratio"], ["whole"]),
        helper.make_node("Clip", ["whole", "low", "high"], ["kept"]),
        helper.make_node("Cast", ["kept"], ["y"], to=ELEMENTS[kind]),
    ]
    imports = [helper.make_opsetid("", opset.version)]
    model.functions.append(
        helper.make_function(domain(kind), "QuantizeLinear", ["x", "scale"], ["y"], nodes, imports, ["axis"])
    )
    if not any(one.domain == domain(kind) for one in model.opset_import):
        model.opset_import.append(helper.make_opsetid(domain(kind), 1))


def add_reader(model: onnx.ModelProto) -> None:
    """Let `model` know `harness.int16::DequantizeLinear(x, scale)` beside the quantizer of `add_function`."""
    if any(one.domain == domain("int16") and one.name == "DequantizeLinear" for one in model.functions):
        return
    opset = next(o for o in model.opset_import if o.domain in ("", "ai.onnx"))
    nodes = [
        helper.make_node("Cast", ["x"], ["whole"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["whole", "scale"], ["y"]),
    ]
    imports = [helper.make_opsetid("", opset.version)]
    model.functions.append(
        helper.make_function(domain("int16"), "DequantizeLinear", ["x", "scale"], ["y"], nodes, imports, ["axis"])
    )
    if not any(one.domain == domain("int16") for one in model.opset_import):
        model.opset_import.append(helper.make_opsetid(domain("int16"), 1))
