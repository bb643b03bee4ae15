"""The accelerator part as int8: Q/DQ around every tensor that it reads or writes, symmetric, weights per channel;
features of some chips as uint8 over their range, widened to hold 0.0, so with zero point 0 where nothing is negative.

Ranges come from onnxruntime's calibrator; Q and DQ are onnxruntime's. Own are only the rules that its own QDQ writer
has no switch for: activations folded into the op in front (one Q behind Conv+Relu), one scale through ops that only
move data, and no Q behind the last convolution of a subgraph, which is handed over in full precision (int32).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from harness.emulator.compiler.graph_edits import rename_output, replace_nodes, retype_output
from harness.emulator.compiler.node_types import INT16_LEVELS, PLAIN, WIDE, NodeTypes, levels_of, stored
from harness.emulator.compiler.operands import CONV_LIKE, LEVELS, data_inputs, moves_data, weight_axis, weight_scale
from harness.emulator.compiler.placement import is_output_transpose
from harness.emulator.compiler.wide_outputs import ELEMENTS, add_function, add_reader, domain
from harness.emulator.model.nodes import ModelGraph, attributes

_FOLDED = frozenset(("Relu", "Clip"))
_FOLDS_INTO = CONV_LIKE | frozenset(("Add", "Sub", "Sum"))
_QUANTIZED_CONSTANTS = frozenset(("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Concat"))
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
    types: Mapping[str, NodeTypes] = field(default_factory=dict)  # of nodes that are not all int8
    wide: set[str] = field(default_factory=set)  # tensors that are kept in int16
    narrow: dict[str, str] = field(default_factory=dict)  # of those, what readers in int8 take instead
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
        if self.types:
            self._keep_wide(wanted, result)
        renames = {name: self._pair(name, result) for name in wanted}
        for node in result.graph.node:
            self._rewire(node, renames)
        replace_nodes(result, [*self.added.values(), *result.graph.node], list(self.constants.values()))
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

    def is_full_precision(self, name: str) -> bool:
        """Whether a tensor that the accelerator makes is handed over unrounded: the accumulators of a convolution."""
        maker = self.network.producer.get(name)
        return maker is not None and self._unit(maker) != "CPU" and self._full_precision(maker)

    def _full_precision(self, maker: onnx.NodeProto) -> bool:
        """The op that does the work behind `maker` is a convolution: its accumulators are handed over unrounded."""
        node: onnx.NodeProto | None = maker
        while node is not None and node.op_type not in CONV_LIKE:
            if node.op_type not in _FOLDED and not self._is_bias(node) and not is_output_transpose(self.network, node):
                return False
            node = self.network.producer.get(self.network.data_inputs(node)[0])
        return node is not None and self.units[node.name] != "CPU"

    # ---------------------------------------------------------------- int16 inside the model

    def _keep_wide(self, wanted: list[str], result: onnx.ModelProto) -> None:
        """Find the tensors that are kept in int16, from the last to the first: what moves data follows its readers."""
        add_function(result, "int16")
        add_reader(result)
        for name in reversed(wanted):
            if self._is_wide(name):
                self.wide.add(name)

    def _is_wide(self, name: str) -> bool:
        """Kept in int16: read as such, or made as such."""
        if name in self.pixels:
            return False
        readers = [node for node in self.network.consumers.get(name, []) if self._unit(node) != "CPU"]
        return any(self._reads_wide(node, name) for node in readers) or self._makes_wide(name)

    def _reads_wide(self, node: onnx.NodeProto, name: str) -> bool:
        if self._keeps_scale(node) and any(output in self.wide for output in node.output):
            return True  # data that is only moved stays what it is
        types = self.types.get(node.name, PLAIN)
        return any(types.of_feature(place) in WIDE for place, one in enumerate(node.input) if one == name)

    def _makes_wide(self, name: str) -> bool:
        """The type that is set for the op that makes it, or for what is folded into that op."""
        node = self.network.producer.get(name)
        while node is not None and self._unit(node) != "CPU":
            if self.types.get(node.name, PLAIN).output in WIDE:
                return True
            data = self.network.data_inputs(node)
            before = self.network.producer.get(data[0]) if data else None
            node = before if before is not None and self.folds(before, node) else None
        return False

    def _narrow_readers(self, name: str) -> bool:
        readers = [node for node in self.network.consumers.get(name, []) if self._unit(node) != "CPU"]
        return any(name in data_inputs(node, self.network) and not self._reads_wide(node, name) for node in readers)

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
        return self._unit(node) != "CPU" and moves_data(node)

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
            rename_output(result, name, entering)
        integer = f"{name}_QuantizeLinear_Output"
        if (wide := self._width(name)) != "int8":
            self._wide_output(name, integer, wide, result)
            return name
        if name in self.wide:
            return self._wide_pair(name, entering, leaving, result)
        parameters = self._feature_scale(name)
        self._add("QuantizeLinear", [entering, *parameters], integer, f"{name}_QuantizeLinear")
        if self.output_type != "float" and is_output and from_accelerator:
            element = onnx.TensorProto.UINT8 if self.is_unsigned else onnx.TensorProto.INT8
            retype_output(result, name, integer, element)
        if leaving == name or self.network.consumers.get(name):
            self._add("DequantizeLinear", [integer, *parameters], leaving, f"{name}_DequantizeLinear")
        return leaving

    def _wide_pair(self, name: str, entering: str, leaving: str, result: onnx.ModelProto) -> str:
        """Q and DQ in int16, and for readers in int8 one more pair behind them."""
        integer, scale = f"{name}_QuantizeLinear_Output", np.array(self._wide_scale(name), np.float32)
        inputs = [self._constant(f"{name}_int16_scale", scale)]
        self._add("QuantizeLinear", [entering, *inputs], integer, f"{name}_QuantizeLinear", domain=domain("int16"))
        from_accelerator = self._unit(self.network.producer.get(name)) != "CPU"
        if self.output_type != "float" and name in self.network.output_names and from_accelerator:
            retype_output(result, name, integer, ELEMENTS["int16"])
        self._add("DequantizeLinear", [integer, *inputs], leaving, f"{name}_DequantizeLinear", domain=domain("int16"))
        if self._narrow_readers(name):
            parameters, small = self._feature_scale(name), f"{name}_Requantize_Output"
            self.narrow[name] = f"{name}_Requantized"
            self._add("QuantizeLinear", [leaving, *parameters], small, f"{name}_Requantize")
            self._add("DequantizeLinear", [small, *parameters], self.narrow[name], f"{name}_Requantized_DQ")
        return leaving

    def _wide_scale(self, name: str) -> float:
        return self.scales[name] * LEVELS / INT16_LEVELS

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
        retype_output(result, name, integer, ELEMENTS[kind])

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
                is_narrow = (
                    name in self.narrow and on_accelerator and not self._reads_wide(self._originals[node.name], name)
                )
                node.input[i] = self.narrow[name] if is_narrow else renames[name]
        if on_accelerator:
            self._quantize_constants(node)

    def _quantize_constants(self, node: onnx.NodeProto) -> None:
        if node.op_type in CONV_LIKE:
            self._quantize_weights(node)
        elif node.op_type in _QUANTIZED_CONSTANTS and not self._is_bias_of(node):
            types = self.types.get(node.name, PLAIN)
            for i, name in enumerate(node.input):
                if name in self.network.constants:
                    kind = types.of_feature(i)
                    node.input[i] = self._integer_constant(name, self.network.constant(name), None, kind)

    def _is_bias_of(self, node: onnx.NodeProto) -> bool:
        original = self._originals[node.name]
        return self._is_bias(original)

    def _quantize_weights(self, node: onnx.NodeProto) -> None:
        for i in (0, 1):
            name = node.input[i]
            if name in self.network.constants:
                axis = weight_axis(node, self.network.constant(name)) if i == 1 else None
                kind = self.types.get(node.name, PLAIN).of_weight(i)
                node.input[i] = self._integer_constant(name, self.network.constant(name), axis, kind)
        if len(node.input) > 2 and node.input[2] in self.network.constants:
            self._quantize_bias(node)

    def _integer_constant(self, name: str, value: NDArray[Any], axis: int | None, kind: str = "int8") -> str:
        """int8 or int16 copy of a float constant behind a DQ; the name of the DQ's output."""
        suffix = ("" if axis is None else f"_axis{axis}") + (f"_{kind}" if kind in WIDE else "")
        output = f"{name}{suffix}_DequantizeLinear_Output"
        if value.dtype != np.float32:
            return name
        if output in self.added:
            return output
        scale = weight_scale(value, axis, levels_of(kind))
        spread = scale if axis is None else scale.reshape([-1 if i == axis else 1 for i in range(value.ndim)])
        integer = self._constant(f"{name}{suffix}_quantized", stored(value, spread, kind))
        extra: dict[str, int | str] = {} if axis is None else {"axis": axis}
        if kind in WIDE:
            parameters, extra["domain"] = [self._constant(f"{name}{suffix}_scale", spread)], domain("int16")
        else:
            parameters = self._scale_inputs(f"{name}{suffix}", scale)
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
        levels = levels_of(self.types.get(node.name, PLAIN).of_weight(1))
        scales = weight_scale(value, weight_axis(original, value), levels)
        is_wide = data in self.wide and self._reads_wide(original, data)
        scale = np.float32(self._wide_scale(data) if is_wide else self.scales[data])
        return np.asarray(scale * np.maximum(scales, np.float32(1e-20)))
