"""The accelerator part as int8: Q/DQ around every tensor that it reads or writes, symmetric, weights per channel;
features of some chips as uint8 over their range, widened to hold 0.0, so with zero point 0 where nothing is negative.

Ranges come from onnxruntime's calibrator; Q and DQ are onnxruntime's. Own are only the rules that its own QDQ writer
has no switch for: activations folded into the op in front (one Q behind Conv+Relu), one scale through ops that only
move data, and no Q behind the last convolution of a subgraph, which is handed over in full precision (int32).
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from harness.emulator.compiler.placement import is_output_transpose
from harness.emulator.compiler.wide_outputs import ELEMENTS, INT16_LEVELS, add_function, domain
from harness.emulator.model.nodes import ModelGraph, attributes

CONV_LIKE = frozenset(("Conv", "ConvTranspose", "Gemm", "MatMul"))
_FOLDED = frozenset(("Relu", "Clip"))
_FOLDS_INTO = CONV_LIKE | frozenset(("Add", "Sub", "Sum"))
_SAME_SCALE = frozenset(
    ("Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "MaxPool", "GlobalMaxPool", "Slice", "Split")
    + ("DepthToSpace", "SpaceToDepth", "Gather", "Tile", "Expand", "Identity")
)
_QUANTIZED_CONSTANTS = frozenset(("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Concat"))
_SINGLE_DATA_INPUT = frozenset(
    ("Clip", "Pow", "Resize", "Pad", "Slice", "Reshape", "Gather", "Tile", "Expand", "BatchNormalization")
)
LEVELS = 127  # int8, symmetric
UNSIGNED_LEVELS = 255


@dataclass
class Quantizer:
    """One model on its way; `units` is node name -> the accelerator's name, or "CPU"."""

    model: onnx.ModelProto
    units: Mapping[str, str]
    ranges: Mapping[str, tuple[float, float]]
    output_type: str = "float"  # of outputs that the accelerator makes: one of wide_outputs.OUTPUT_TYPES
    pixels: frozenset[str] = frozenset()  # NV12 inputs: uint8, zero point 128, no Q in the graph
    is_unsigned: bool = False  # features are uint8 with a zero point, so that 0.0 is exact
    scales: dict[str, float] = field(default_factory=dict)
    zero_points: dict[str, int] = field(default_factory=dict)  # of unsigned features
    added: dict[str, onnx.NodeProto] = field(default_factory=dict)  # by output
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.network = ModelGraph(self.model)
        self._originals = {node.name: node for node in self.network.nodes}

    def run(self) -> onnx.ModelProto:
        """The QDQ model; the given one stays as it is."""
        result = onnx.ModelProto()
        result.CopyFrom(self.model)
        wanted = [name for name in self._floats() if self._needs_scale(name)]
        for name in wanted:
            self._scale(name)
        renames = {name: self._pair(name, result) for name in wanted}
        for node in result.graph.node:
            self._rewire(node, renames)
        _replace_nodes(result, [*self.added.values(), *result.graph.node], list(self.constants.values()))
        return result

    # ---------------------------------------------------------------- which tensors

    def _floats(self) -> list[str]:
        """Float tensors in execution order, inputs first."""
        names = [*self.network.input_names, *(n for node in self.network.nodes for n in node.output if n)]
        return [name for name in names if self.network.element_type(name) == onnx.TensorProto.FLOAT]

    def _unit(self, node: onnx.NodeProto | None) -> str:
        return self.units[node.name] if node is not None else "CPU"

    def _needs_scale(self, name: str) -> bool:
        maker = self.network.producer.get(name)
        readers = self.network.consumers.get(name, [])
        on_accelerator = [
            node for node in readers if self.units[node.name] != "CPU" and name in data_inputs(node, self.network)
        ]
        if self._unit(maker) == "CPU":
            return bool(on_accelerator)
        assert maker is not None
        if self._folds_forward(name, readers):
            return False
        return bool(on_accelerator) or not self._full_precision(maker) or self._is_integer_output(name)

    def _is_integer_output(self, name: str) -> bool:
        return self.output_type != "float" and name in self.network.output_names

    def _width(self, name: str) -> str:
        """`int8`, or the wide type in which an output leaves: one that nothing reads on, int32 only accumulators."""
        maker = self.network.producer.get(name)
        wide = self.output_type if self.output_type in ELEMENTS and self._is_integer_output(name) else "int8"
        if wide == "int8" or maker is None or self._unit(maker) == "CPU" or self.network.consumers.get(name):
            return "int8"
        return wide if wide == "int16" or self._output_scale(name) is not None else "int8"

    def _output_scale(self, name: str) -> NDArray[Any] | None:
        """The scale of the accumulators that an output hands over; None where no convolution made it."""
        node: onnx.NodeProto | None = self.network.producer.get(name)
        if node is None or not self._full_precision(node):
            return None
        while node is not None and node.op_type not in CONV_LIKE:
            node = self.network.producer.get(self.network.data_inputs(node)[0])
        return self._accumulator_scale(node) if node is not None else None

    def _folds_forward(self, name: str, readers: list[onnx.NodeProto]) -> bool:
        """`name` vanishes inside a fused op: nothing but a folded activation or a bias reads it."""
        maker = self.network.producer[name]
        if len(readers) != 1 or name in self.network.output_names or self._unit(readers[0]) == "CPU":
            return False
        return self.folds(maker, readers[0])

    def folds(self, maker: onnx.NodeProto, reader: onnx.NodeProto) -> bool:
        """Whether `reader` is computed together with `maker`, with no Q between them."""
        if reader.op_type in _FOLDED and reader.input[0] in maker.output:
            return maker.op_type in _FOLDS_INTO or self._is_bias(maker)
        if is_output_transpose(self.network, reader):
            return self._full_precision(maker)
        return maker.op_type == "MatMul" and self._is_bias(reader)

    def _is_bias(self, node: onnx.NodeProto) -> bool:
        """Add of a 1-D constant right behind a MatMul that nothing else reads."""
        data = self.network.data_inputs(node)
        if node.op_type != "Add" or len(data) != 1:
            return False
        before = self.network.producer.get(data[0])
        constant = next((n for n in node.input if n in self.network.constants), "")
        return before is not None and before.op_type == "MatMul" and len(self.network.shape(constant) or ()) == 1

    def _full_precision(self, maker: onnx.NodeProto) -> bool:
        """The op that does the work behind `maker` is a convolution: its accumulators are handed over unrounded."""
        node: onnx.NodeProto | None = maker
        while node is not None and node.op_type not in CONV_LIKE:
            if node.op_type not in _FOLDED and not self._is_bias(node) and not is_output_transpose(self.network, node):
                return False
            node = self.network.producer.get(self.network.data_inputs(node)[0])
        return node is not None and self.units[node.name] != "CPU"

    # ---------------------------------------------------------------- scales

    def _scale(self, name: str) -> float:
        if name not in self.scales:
            maker = self.network.producer.get(name)
            source = maker.input[0] if maker is not None and self._keeps_scale(maker) else ""
            shares = source in self.scales
            self.scales[name] = self.scales[source] if shares else self._own_scale(name)
            self.zero_points[name] = self.zero_points[source] if shares else self._own_zero_point(name)
        return self.scales[name]

    def _keeps_scale(self, node: onnx.NodeProto) -> bool:
        nearest = node.op_type == "Resize" and attributes(node).get("mode", "nearest") == "nearest"
        return self._unit(node) != "CPU" and (node.op_type in _SAME_SCALE or nearest)

    def _own_scale(self, name: str) -> float:
        if name in self.pixels:
            return 1.0
        low, high = self.ranges[name]
        if self.is_unsigned:
            return float(np.float32((max(high, 0.0) - min(low, 0.0)) or 1.0) / np.float32(UNSIGNED_LEVELS))
        return float(np.float32(max(abs(low), abs(high)) or 1.0) / np.float32(LEVELS))

    def _own_zero_point(self, name: str) -> int:
        if not self.is_unsigned or name in self.pixels:
            return 0
        return min(round(-min(self.ranges[name][0], 0.0) / self.scales[name]), UNSIGNED_LEVELS)

    # ---------------------------------------------------------------- nodes

    def _add(self, kind: str, inputs: list[str], output: str, name: str, **attrs: Any) -> None:
        self.added[output] = helper.make_node(kind, inputs, [output], name=name, **attrs)

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(value, name)
        return name

    def _scale_inputs(self, stem: str, scale: NDArray[Any]) -> list[str]:
        zeros = np.zeros(scale.shape, np.int8)
        return [self._constant(f"{stem}_scale", scale), self._constant(f"{stem}_zero_point", zeros)]

    def _feature_scale(self, name: str) -> list[str]:
        scale = np.array(self.scales[name], np.float32)
        zero = np.array(self.zero_points[name], np.uint8 if self.is_unsigned else np.int8)
        return [self._constant(f"{name}_scale", scale), self._constant(f"{name}_zero_point", zero)]

    def _pair(self, name: str, result: onnx.ModelProto) -> str:
        """Add Q and DQ for one tensor; the name that its readers take instead."""
        if name in self.pixels:
            return self._pixel_input(name, result)
        is_output = name in self.network.output_names
        maker = self.network.producer.get(name)
        from_accelerator = self._unit(maker) != "CPU"
        entering, leaving = name, f"{name}_DequantizeLinear_Output"
        if (
            is_output
            and from_accelerator
            and maker is not None
            and self.output_type == "float"
            and not self._full_precision(maker)
        ):
            entering, leaving = f"{name}_QuantizeLinear_Input", name
            _rename_output(result, name, entering)
        integer = f"{name}_QuantizeLinear_Output"
        if (wide := self._width(name)) != "int8":
            self._wide_output(name, integer, wide, result)
            return name
        parameters = self._feature_scale(name)
        self._add("QuantizeLinear", [entering, *parameters], integer, f"{name}_QuantizeLinear")
        if self.output_type != "float" and is_output and from_accelerator:
            element = onnx.TensorProto.UINT8 if self.is_unsigned else onnx.TensorProto.INT8
            _retype_output(result, name, integer, element)
        if leaving == name or self.network.consumers.get(name):
            self._add("DequantizeLinear", [integer, *parameters], leaving, f"{name}_DequantizeLinear")
        return leaving

    def _wide_output(self, name: str, integer: str, kind: str, result: onnx.ModelProto) -> None:
        """An output as int16 with one scale, or as int32 with a scale per channel."""
        low, high = self.ranges[name]
        scale = np.array((max(abs(low), abs(high)) or 1.0) / INT16_LEVELS, np.float32)
        attrs: dict[str, int] = {}
        if kind == "int32":
            output_scale = self._output_scale(name)
            assert output_scale is not None
            rank = len(self.network.shape(name) or ())
            is_nhwc = is_output_transpose(self.network, self.network.producer[name])
            axis = 1 if rank == 4 and not is_nhwc else rank - 1
            scale, attrs = np.asarray(output_scale, np.float32), {"axis": axis}
            scale = scale.reshape([-1, *[1] * (rank - 1 - axis)]) if scale.size > 1 else scale.reshape(())
        add_function(result, kind)
        inputs = [name, self._constant(f"{name}_{kind}_scale", scale)]
        self._add("QuantizeLinear", inputs, integer, f"{name}_QuantizeLinear", domain=domain(kind), **attrs)
        _retype_output(result, name, integer, ELEMENTS[kind])

    def _pixel_input(self, name: str, result: onnx.ModelProto) -> str:
        """The input becomes uint8 and a DQ subtracts 128: what the hardware does to pixels."""
        value = next(v for v in result.graph.input if v.name == name)
        value.type.tensor_type.elem_type = onnx.TensorProto.UINT8
        leaving = f"{name}_DequantizeLinear_Output"
        parameters = [
            self._constant(f"{name}_scale", np.array(1.0, np.float32)),
            self._constant(f"{name}_zero_point", np.array(128, np.uint8)),
        ]
        self._add("DequantizeLinear", [name, *parameters], leaving, f"{name}_DequantizeLinear")
        return leaving

    def _rewire(self, node: onnx.NodeProto, renames: Mapping[str, str]) -> None:
        on_accelerator = self.units[node.name] != "CPU"
        data = data_inputs(node, self.network)
        for i, name in enumerate(node.input):
            from_accelerator = self._unit(self.network.producer.get(name)) != "CPU"
            if name in renames and (from_accelerator or (on_accelerator and name in data)):
                node.input[i] = renames[name]
        if on_accelerator:
            self._quantize_constants(node)

    def _quantize_constants(self, node: onnx.NodeProto) -> None:
        if node.op_type in CONV_LIKE:
            self._quantize_weights(node)
        elif node.op_type in _QUANTIZED_CONSTANTS and not self._is_bias_of(node):
            for i, name in enumerate(node.input):
                if name in self.network.constants:
                    node.input[i] = self._integer_constant(name, self.network.constant(name), None)

    def _is_bias_of(self, node: onnx.NodeProto) -> bool:
        original = self._originals[node.name]
        return self._is_bias(original)

    def _quantize_weights(self, node: onnx.NodeProto) -> None:
        for i in (0, 1):
            name = node.input[i]
            if name in self.network.constants:
                axis = weight_axis(node, self.network.constant(name)) if i == 1 else None
                node.input[i] = self._integer_constant(name, self.network.constant(name), axis)
        if len(node.input) > 2 and node.input[2] in self.network.constants:
            self._quantize_bias(node)

    def _integer_constant(self, name: str, value: NDArray[Any], axis: int | None) -> str:
        """int8 copy of a float constant behind a DQ; the name of the DQ's output."""
        suffix = "" if axis is None else f"_axis{axis}"
        output = f"{name}{suffix}_DequantizeLinear_Output"
        if value.dtype != np.float32:
            return name
        if output in self.added:
            return output
        scale = weight_scale(value, axis)
        spread = scale if axis is None else scale.reshape([-1 if i == axis else 1 for i in range(value.ndim)])
        stored = np.clip(np.rint(value / spread), -LEVELS, LEVELS).astype(np.int8)
        integer = self._constant(f"{name}{suffix}_quantized", stored)
        parameters = self._scale_inputs(f"{name}{suffix}", scale)
        extra = {} if axis is None else {"axis": axis}
        self._add("DequantizeLinear", [integer, *parameters], output, f"{name}{suffix}_DequantizeLinear", **extra)
        return output

    def _quantize_bias(self, node: onnx.NodeProto) -> None:
        """int32 on the accumulators' scale (input scale times weight scale), as the hardware adds it."""
        name = node.input[2]
        bias = self.network.constant(name)
        scale = self._accumulator_scale(node)
        plain = attributes(node).get("alpha", 1.0) == 1.0 and attributes(node).get("beta", 1.0) == 1.0
        if scale is None or bias.ndim != 1 or not plain:
            return
        scale = np.broadcast_to(scale, bias.shape).astype(np.float32)
        limit = 2**31 - 1
        stored = np.clip(np.rint(bias.astype(np.float64) / scale), -limit, limit).astype(np.int32)
        stem = f"{node.name}_bias"
        inputs = [self._constant(f"{stem}_quantized", stored), self._constant(f"{stem}_scale", scale)]
        self._add("DequantizeLinear", inputs, f"{stem}_DequantizeLinear_Output", f"{stem}_DQ", axis=0)
        node.input[2] = f"{stem}_DequantizeLinear_Output"

    def _accumulator_scale(self, node: onnx.NodeProto) -> NDArray[Any] | None:
        original = self._originals[node.name]
        data, weight = original.input[0], original.input[1]
        if data not in self.scales or weight not in self.network.constants:
            return None
        value = self.network.constant(weight)
        scales = weight_scale(value, weight_axis(original, value))
        return np.asarray(np.float32(self.scales[data]) * np.maximum(scales, np.float32(1e-20)))


def data_inputs(node: onnx.NodeProto, network: ModelGraph) -> list[str]:
    """Inputs of a node that the accelerator reads as feature maps."""
    names = network.data_inputs(node)
    return names[:1] if node.op_type in _SINGLE_DATA_INPUT else names


def weight_axis(node: onnx.NodeProto, weight: NDArray[Any]) -> int | None:
    """The output-channel axis of a weight; None for one scale (MatMul of 1-D)."""
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        return 1 if attributes(node).get("group", 1) == 1 else None
    if node.op_type == "Gemm":
        return 0 if attributes(node).get("transB", 0) else 1
    return weight.ndim - 1 if weight.ndim >= 2 else None


def weight_scale(weight: NDArray[Any], axis: int | None) -> NDArray[Any]:
    """Symmetric scale per tensor (0-D) or per index of `axis` (1-D); an all-zero channel gets 1/127."""
    others = tuple(i for i in range(weight.ndim) if i != axis)
    peak = np.max(np.abs(weight), axis=None if axis is None else others)
    return np.asarray(np.where(peak > 0, peak, 1.0) / LEVELS, np.float32)


def _rename_output(model: onnx.ModelProto, old: str, new: str) -> None:
    for node in model.graph.node:
        for i, name in enumerate(node.output):
            if name == old:
                node.output[i] = new


def _retype_output(model: onnx.ModelProto, old: str, new: str, element: int) -> None:
    for value in model.graph.output:
        if value.name == old:
            value.name = new
            value.type.tensor_type.elem_type = element


def _replace_nodes(model: onnx.ModelProto, nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto]) -> None:
    """Put `nodes` in execution order and drop constants that nothing reads any more."""
    graph = model.graph
    graph.initializer.extend(constants)
    known = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer} | {""}
    ordered = sorted_nodes(nodes, known)
    del graph.node[:]
    graph.node.extend(ordered)
    used = {name for node in ordered for name in node.input} | {value.name for value in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    del graph.value_info[:]


def sorted_nodes(nodes: list[onnx.NodeProto], known: set[str]) -> list[onnx.NodeProto]:
    """Nodes in an order in which every input is made before it is read; the given order breaks ties."""
    producer = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    waiting = [{producer[n] for n in node.input if n in producer and n not in known} for node in nodes]
    readers: dict[int, list[int]] = {}
    for i, needs in enumerate(waiting):
        for j in needs:
            readers.setdefault(j, []).append(i)
    ready = [i for i, needs in enumerate(waiting) if not needs]
    heapq.heapify(ready)
    order: list[onnx.NodeProto] = []
    while ready:
        i = heapq.heappop(ready)
        order.append(nodes[i])
        for j in readers.get(i, []):
            waiting[j].discard(i)
            if not waiting[j]:
                heapq.heappush(ready, j)
    return order
