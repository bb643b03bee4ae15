"""Constants of a model as integers: weights per output channel, biases on the accumulators' scale, single constants.

A feature map with a scale per channel is folded into the weights that read it: they are multiplied by the channels'
scales before they are rounded. Bias correction (M. Nagel et al., "Data-Free Quantization Through Weight Equalization
and Bias Correction", ICCV 2019, section 4.2) adds what rounding the weights takes from each output channel's mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from harness.emulator.compiler.node_types import INT8, PLAIN, WIDE, NodeTypes, levels_of, stored
from harness.emulator.compiler.operands import CONV_LIKE, LEVELS, weight_axis, weight_scale
from harness.emulator.compiler.wide_outputs import domain
from harness.emulator.model.nodes import ModelGraph, attributes

_QUANTIZED_CONSTANTS = frozenset(("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Concat"))


@dataclass
class ConstantQuantizer:
    """One model on its way; `units` is node name -> the accelerator's name, or "CPU"."""

    model: onnx.ModelProto
    units: Mapping[str, str]
    ranges: Mapping[str, tuple[float, float]]
    output_type: str = "float"  # of outputs that the accelerator makes: one of wide_outputs.OUTPUT_TYPES
    pixels: frozenset[str] = frozenset()  # NV12 inputs: uint8, zero point 128, no Q in the graph
    is_unsigned: bool = False  # features are uint8 with a zero point, so that 0.0 is exact
    types: Mapping[str, NodeTypes] = field(default_factory=dict)  # of nodes that are not all int8
    is_asymmetric: bool = False  # features are int8 with a zero point
    channels: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # largest |x| of features with a scale a channel
    means: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # of features' channels, for bias correction
    wide: set[str] = field(default_factory=set)  # tensors that are kept in int16
    narrow: dict[str, str] = field(default_factory=dict)  # of those, what readers in int8 take instead
    scales: dict[str, float] = field(default_factory=dict)
    zero_points: dict[str, int] = field(default_factory=dict)  # of features that are not symmetric
    added: dict[str, onnx.NodeProto] = field(default_factory=dict)  # by output
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.network = ModelGraph(self.model)
        self._originals = {node.name: node for node in self.network.nodes}
        self.channels = {name: peaks for name, peaks in self.channels.items() if self._takes_channels(name)}

    def _takes_channels(self, name: str) -> bool:
        """Pixels come as they are, and what is kept in int16 has one scale."""
        maker = self.network.producer.get(name)
        nodes = [*self.network.consumers.get(name, []), *([maker] if maker is not None else [])]
        return name not in self.pixels and not any(node.name in self.types for node in nodes)

    def _reads_wide(self, node: onnx.NodeProto, name: str) -> bool:
        raise NotImplementedError

    def _wide_scale(self, name: str) -> float:
        raise NotImplementedError

    def _is_bias(self, node: onnx.NodeProto) -> bool:
        raise NotImplementedError

    # ---------------------------------------------------------------- nodes and constants

    def _add(self, kind: str, inputs: list[str], output: str, name: str, **attrs: Any) -> None:
        self.added[output] = helper.make_node(kind, inputs, [output], name=name, **attrs)

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(value, name)
        return name

    def _scale_inputs(self, stem: str, scale: NDArray[Any]) -> list[str]:
        zeros = np.zeros(scale.shape, np.int8)
        return [self._constant(f"{stem}_scale", scale), self._constant(f"{stem}_zero_point", zeros)]

    def _quantize_constants(self, node: onnx.NodeProto) -> None:
        original = self._originals[node.name]
        if node.op_type in CONV_LIKE:
            self._quantize_weights(node)
        elif self._is_bias(original):
            self._correct_bias(node, original)
        elif node.op_type in _QUANTIZED_CONSTANTS:
            types = self.types.get(node.name, PLAIN)
            for i, name in enumerate(node.input):
                if name in self.network.constants:
                    kind = types.of_feature(i)
                    node.input[i] = self._integer_constant(name, self.network.constant(name), None, kind)

    def _quantize_weights(self, node: onnx.NodeProto) -> None:
        original = self._originals[node.name]
        for i in (0, 1):
            name = node.input[i]
            if name in self.network.constants:
                axis = weight_axis(node, self.network.constant(name)) if i == 1 else None
                kind = self.types.get(node.name, PLAIN).of_weight(i)
                value = self.network.constant(name)
                folded = self._folded(original, value) if i == 1 else None
                node.input[i] = self._integer_constant(name, value, axis, kind, folded)
        if len(node.input) < 3 or not node.input[2] or node.input[2] in self.network.constants:
            self._quantize_bias(node, original)

    def _integer_constant(
        self, name: str, value: NDArray[Any], axis: int | None, kind: str = INT8, folded: NDArray[Any] | None = None
    ) -> str:
        """int8 or int16 copy of a float constant behind a DQ; the name of the DQ's output. `folded` are the scales of
        the channels that the weights read: one spread over their axis."""
        suffix = ("" if axis is None else f"_axis{axis}") + (f"_{kind}" if kind in WIDE else "")
        suffix += "_channels" if folded is not None else ""
        output = f"{name}{suffix}_DequantizeLinear_Output"
        if value.dtype != np.float32:
            return name
        if output in self.added:
            return output
        scale, spread = _spread(value, axis, kind, folded)
        integer = self._constant(f"{name}{suffix}_quantized", stored(value, spread, kind))
        extra: dict[str, int | str] = {} if axis is None else {"axis": axis}
        if kind in WIDE or folded is not None:
            parameters, extra["domain"] = [self._constant(f"{name}{suffix}_scale", spread)], domain("int16")
        else:
            parameters = self._scale_inputs(f"{name}{suffix}", scale)
        self._add("DequantizeLinear", [integer, *parameters], output, f"{name}{suffix}_DequantizeLinear", **extra)
        return output

    def _folded(self, original: onnx.NodeProto, weight: NDArray[Any]) -> NDArray[Any] | None:
        """The scales of the channels that a convolution's weights read, spread over their shape; None without any."""
        peaks = self.channels.get(original.input[0])
        if peaks is None or original.op_type != "Conv":
            return None
        group = int(attributes(original).get("group", 1))
        scales = peaks / np.float32(LEVELS)
        if group == 1:
            return np.asarray(scales.reshape(1, -1, *[1] * (weight.ndim - 2)))
        rows = scales.reshape(group, -1)[np.arange(len(weight)) * group // len(weight)]
        return np.asarray(rows.reshape(len(weight), -1, *[1] * (weight.ndim - 2)))

    # ---------------------------------------------------------------- biases

    def _quantize_bias(self, node: onnx.NodeProto, original: onnx.NodeProto) -> None:
        """int32 on the accumulators' scale (input scale times weight scale), as the hardware adds it."""
        correction = self._correction(original)
        has_bias = len(node.input) > 2 and bool(node.input[2])
        if not has_bias and (correction is None or node.op_type == "MatMul"):
            return
        bias = self.network.constant(node.input[2]) if has_bias else np.zeros_like(correction)
        scale = self._accumulator_scale(original)
        plain = attributes(node).get("alpha", 1.0) == 1.0 and attributes(node).get("beta", 1.0) == 1.0
        if scale is None or bias.ndim != 1 or not plain:
            return
        if correction is not None:
            bias = bias + correction
        scale = np.broadcast_to(scale, bias.shape).astype(np.float32)
        limit = 2**31 - 1
        whole = np.clip(np.rint(bias.astype(np.float64) / scale), -limit, limit).astype(np.int32)
        stem = f"{node.name}_bias"
        inputs = [self._constant(f"{stem}_quantized", whole), self._constant(f"{stem}_scale", scale)]
        self._add("DequantizeLinear", inputs, f"{stem}_DequantizeLinear_Output", f"{stem}_DQ", axis=0)
        del node.input[2:]
        node.input.append(f"{stem}_DequantizeLinear_Output")

    def _correct_bias(self, node: onnx.NodeProto, original: onnx.NodeProto) -> None:
        """The Add that is the bias of a MatMul: a float constant of its own, with the product's correction."""
        product = self.network.producer[self.network.data_inputs(original)[0]]
        correction = self._correction(product)
        place = next((i for i, name in enumerate(original.input) if name in self.network.constants), None)
        if correction is None or place is None:
            return
        value = np.asarray(self.network.constant(original.input[place]) + correction, np.float32)
        node.input[place] = self._constant(f"{node.name}_corrected", value)

    def _correction(self, original: onnx.NodeProto) -> NDArray[np.float32] | None:
        """Mean of each output channel that rounding the weights takes away; None without means, or constant weights."""
        means, name = self.means.get(original.input[0]), original.input[1]
        if means is None or name not in self.network.constants or self.units[original.name] == "CPU":
            return None
        weight = self.network.constant(name)
        if original.op_type not in ("Conv", "Gemm", "MatMul") or weight.dtype != np.float32 or weight.ndim < 2:
            return None
        kind = self.types.get(original.name, PLAIN).of_weight(1)
        _, spread = _spread(weight, weight_axis(original, weight), kind, self._folded(original, weight))
        lost = weight - stored(weight, spread, kind) * spread
        return _means_of_products(original, np.asarray(lost, np.float64), np.asarray(means, np.float64))

    def _accumulator_scale(self, original: onnx.NodeProto) -> NDArray[Any] | None:
        data, weight = original.input[0], original.input[1]
        if data not in self.scales or weight not in self.network.constants:
            return None
        value = self.network.constant(weight)
        kind = self.types.get(original.name, PLAIN).of_weight(1)
        folded = self._folded(original, value)
        scales, _ = _spread(value, weight_axis(original, value), kind, folded)
        is_wide = data in self.wide and self._reads_wide(original, data)
        one = self._wide_scale(data) if is_wide else self.scales[data]
        scale = np.float32(1.0 if folded is not None else one)
        return np.asarray(scale * np.maximum(scales, np.float32(1e-20)))


def _spread(
    value: NDArray[Any], axis: int | None, kind: str, folded: NDArray[Any] | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The scale of each index of `axis`, and what one step of the constant is worth, to be broadcast against it."""
    scale = weight_scale(value if folded is None else value * folded, axis, levels_of(kind))
    spread = scale if axis is None else scale.reshape([-1 if i == axis else 1 for i in range(value.ndim)])
    return scale, spread if folded is None else np.asarray(spread / folded, np.float32)


def _means_of_products(node: onnx.NodeProto, lost: NDArray[Any], means: NDArray[Any]) -> NDArray[np.float32] | None:
    """[output channels]: what weights `lost` would have given for features of those means."""
    if node.op_type == "Conv":
        group = int(attributes(node).get("group", 1))
        taps = lost.reshape(len(lost), lost.shape[1], -1).sum(axis=2)
        rows = means.reshape(group, -1)[np.arange(len(lost)) * group // len(lost)]
        return np.asarray((taps * rows).sum(axis=1), np.float32) if rows.shape == taps.shape else None
    if lost.ndim != 2:
        return None
    weight = lost.T if node.op_type == "Gemm" and attributes(node).get("transB", 0) else lost
    return np.asarray(means @ weight, np.float32) if len(means) == len(weight) else None
