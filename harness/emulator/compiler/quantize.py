"""The accelerator part as int8: Q/DQ around every tensor that it reads or writes, symmetric, weights per channel;
features of some chips as uint8 over their range, widened to hold 0.0, so with zero point 0 where nothing is negative;
with `is_asymmetric` as int8 over the same range.

Ranges come from onnxruntime's calibrator; Q and DQ are onnxruntime's. Own are only the rules that its own QDQ writer
has no switch for: activations folded into the op in front (one Q behind Conv+Relu), one scale through ops that only
move data, and no Q behind the last convolution of a subgraph, which is handed over in full precision (int32).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from harness.emulator.compiler.graph_edits import rename_output, replace_nodes, retype_output
from harness.emulator.compiler.node_types import INT16_LEVELS, PLAIN, WIDE
from harness.emulator.compiler.operands import CONV_LIKE, LEVELS, data_inputs, moves_data
from harness.emulator.compiler.placement import is_output_transpose
from harness.emulator.compiler.products import ConstantQuantizer
from harness.emulator.compiler.wide_outputs import ELEMENTS, add_function, add_reader, domain

_FOLDED = frozenset(("Relu", "Clip"))
_FOLDS_INTO = CONV_LIKE | frozenset(("Add", "Sub", "Sum"))
UNSIGNED_LEVELS = 255


class Quantizer(ConstantQuantizer):
    """One model on its way to int8: which feature maps are rounded, where, and on which scale."""

    def run(self) -> onnx.ModelProto:
        """The QDQ model; the given one stays as it is."""
        result = onnx.ModelProto()
        result.CopyFrom(self.model)
        wanted = [name for name in self._floats() if self._needs_scale(name)]
        for name in wanted:
            self._scale(name)
        if self.channels:
            add_reader(result)
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
        if self.is_unsigned or self.is_asymmetric:
            return float(np.float32((max(high, 0.0) - min(low, 0.0)) or 1.0) / np.float32(UNSIGNED_LEVELS))
        return _symmetric_scale(low, high)

    def _own_zero_point(self, name: str) -> int:
        if name in self.pixels or not (self.is_unsigned or self.is_asymmetric):
            return 0
        whole = min(round(-min(self.ranges[name][0], 0.0) / self.scales[name]), UNSIGNED_LEVELS)
        return whole if self.is_unsigned else whole - (LEVELS + 1)

    # ---------------------------------------------------------------- nodes

    def _feature_scale(self, name: str) -> list[str]:
        if name in self.channels:
            return self._scale_inputs(name, np.asarray(self.channels[name] / np.float32(LEVELS), np.float32))
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
        parameters, axis = self._feature_scale(name), {"axis": 1} if name in self.channels else {}
        self._add("QuantizeLinear", [entering, *parameters], integer, f"{name}_QuantizeLinear", **axis)
        if self.output_type != "float" and is_output and from_accelerator:
            element = onnx.TensorProto.UINT8 if self.is_unsigned else onnx.TensorProto.INT8
            retype_output(result, name, integer, element)
        if leaving == name or self.network.consumers.get(name):
            self._add("DequantizeLinear", [integer, *parameters], leaving, f"{name}_DequantizeLinear", **axis)
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
        """Symmetric, whatever int8 is: of the tensor whose scale is shared."""
        if not self.is_asymmetric:
            return self.scales[name] * LEVELS / INT16_LEVELS
        maker = self.network.producer.get(name)
        while maker is not None and self._keeps_scale(maker) and maker.input[0] in self.scales:
            name = maker.input[0]
            maker = self.network.producer.get(name)
        return _symmetric_scale(*self.ranges[name]) * LEVELS / INT16_LEVELS

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


def _symmetric_scale(low: float, high: float) -> float:
    return float(np.float32(max(abs(low), abs(high)) or 1.0) / np.float32(LEVELS))
