"""Model outputs wider than int8: accumulators as int32 with a scale per channel, and int16 with one scale.

What a toolchain hands over when its last Dequantize is removed. ONNX has no QuantizeLinear to int32, and none to int16
at this opset, so the model carries a function of that name, in a domain of its own, that onnxruntime runs as it is.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

OUTPUT_TYPES = ("float", "quantized", "int16", "int32")
INT16_LEVELS = 32767
ELEMENTS = {"int16": TensorProto.INT16, "int32": TensorProto.INT32}
# The largest float32 inside each range: beyond it a cast is undefined.
_LARGEST = {"int16": 32767.0, "int32": 2147483520.0}


def domain(kind: str) -> str:
    """The operator domain of the function that quantizes to `kind`, "int16" or "int32"."""
    return f"harness.{kind}"


def add_function(model: onnx.ModelProto, kind: str) -> None:
    """Let `model` know `harness.<kind>::QuantizeLinear(x, scale)`; the scale is shaped to broadcast against x."""
    if any(function.domain == domain(kind) for function in model.functions):
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
    model.opset_import.append(helper.make_opsetid(domain(kind), 1))
