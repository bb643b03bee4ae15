"""Ops of a compiled model as Venus' profiler names them, and their time on an NNA: an estimate, from shapes alone."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from harness.emulator.magik.printing import Timed, shape
from harness.emulator.model.compiled import BoardOp, CompiledFile, CompiledModel
from harness.emulator.model.nodes import attributes
from harness.emulator.socs import Soc
from harness.records import TensorSpec

_KINDS = {
    "Conv": "Convolution", "ConvTranspose": "DeConvolution", "Gemm": "FullConnected", "MatMul": "MatMul",
    "BatchNormalization": "BatchNorm", "MaxPool": "Pooling", "AveragePool": "Pooling", "GlobalAveragePool": "Pooling",
    "GlobalMaxPool": "Pooling", "Relu": "Relu", "PRelu": "PRelu", "Clip": "Relu6", "Resize": "UpSample",
    "Upsample": "UpSample", "Concat": "Concat", "Mul": "Mul", "Add": "Add", "Sum": "Add", "LSTM": "Lstm", "GRU": "Gru",
    "Sub": "Eltwise", "Div": "Eltwise", "Slice": "Slice", "Split": "Slice", "Softmax": "Softmax", "Pad": "Padding",
    "Transpose": "Permute", "Reshape": "Reshape", "Flatten": "Reshape", "Squeeze": "Reshape", "Unsqueeze": "Reshape",
    "Sigmoid": "Activation", "Tanh": "Activation", "HardSwish": "Activation", "LeakyRelu": "Activation",
    "QuantizeLinear": "FormatConvert", "DequantizeLinear": "FormatConvert", "ReduceSum": "Sum", "ReduceMean": "Moments",
}  # fmt: skip
WINDOWED = ("Convolution", "DepthWiseConvolution", "GroupConvolution", "DeConvolution", "Pooling")
WEIGHTED = (*WINDOWED[:4], "FullConnected")
EFFICIENCY = 0.35  # of the peak; an assumption, no T40 figures per shape are published
START_MS = 0.02  # per op; an assumption
JITTER = 0.004


class Described:
    """The ops of one model, described."""

    def __init__(self, file: CompiledFile, model: CompiledModel, soc: Soc) -> None:
        self.model, self.soc = model, soc
        graph = onnx.load_model_from_string(file.read(model.graph)).graph
        self._nodes = {node.name: node for node in graph.node}
        self._specs = {tensor.name: tensor.spec for tensor in model.tensors}

    def kind(self, op: BoardOp) -> str:
        """The profiler's word; grouped convolutions have their own."""
        groups = int(self._attributes(op).get("group", 1)) if op.kind == "Conv" else 1
        if groups > 1:
            return "DepthWiseConvolution" if groups == self._channels(op.inputs) else "GroupConvolution"
        return _KINDS.get(op.kind, "Unknown")

    def timed(self, cycles: int, slow: Mapping[str, float] | None = None) -> list[Timed]:
        """Every op with its estimated times over `cycles` runs. `slow` is op name -> factor."""
        return [self._timed(op, cycles, (slow or {}).get(op.name, 1.0)) for op in self.model.ops]

    def total_ms(self, slow: Mapping[str, float] | None = None) -> float:
        """Estimated time of all ops; `slow` holds factors by the op's name."""
        return sum(self._estimate_ms(op) * (slow or {}).get(op.name, 1.0) for op in self.model.ops)

    def _timed(self, op: BoardOp, cycles: int, factor: float) -> Timed:
        seed = zlib.crc32(op.name.encode())
        spread = np.abs(np.random.default_rng(seed).standard_normal(max(1, cycles - 5))) * JITTER
        times = self._estimate_ms(op) * factor * (1.0 + spread)
        return Timed(
            name=op.outputs[0] if op.outputs else op.name,
            kind=self.kind(op),
            shapes=self._shapes(op),
            average_ms=float(times.mean()),
            max_ms=float(times.max()),
            min_ms=float(times.min()),
            last_ms=float(times[-1]),
            gops=2.0 * op.macs / 1e9,
            bandwidth_mb=self._bytes(op) / 2**20,
            parameters_kb=op.weight_bytes / 1024,
        )

    def _estimate_ms(self, op: BoardOp) -> float:
        compute = 2.0 * op.macs / (self.soc.tops * 1e12 * EFFICIENCY)
        memory = (self._bytes(op) + op.weight_bytes) / (self.soc.bandwidth_gb_s * 1e9)
        return START_MS + max(compute, memory) * 1000.0

    def _bytes(self, op: BoardOp) -> int:
        return sum(_elements(self._specs[name]) for name in (*op.inputs, *op.outputs) if name in self._specs)

    # ---- shapes

    def _shapes(self, op: BoardOp) -> tuple[str, str, str, str, str, str]:
        sides = [shape(_nhwc(self._specs.get(names[0]))) if names else "N/A" for names in (op.inputs, op.outputs)]
        if self.kind(op) not in WINDOWED:
            return sides[0], sides[1], "N/A", "N/A", "N/A", "N/A"
        attributes = self._attributes(op)
        kernel = [int(n) for n in attributes.get("kernel_shape", ())]
        if self.kind(op) != "Pooling" and kernel:
            kernel = [*kernel, self._channels(op.inputs), self._channels(op.outputs)]
        parts = [attributes.get(key, ()) for key in ("strides", "pads")]
        dilation = attributes.get("dilations", (1, 1)) if self.kind(op) != "Pooling" else ()
        return (sides[0], sides[1], shape(kernel), shape(parts[0] or (1, 1)), shape(parts[1] or (0,) * 4),
                shape(dilation))  # fmt: skip

    def _channels(self, names: Sequence[str]) -> int:
        spec = self._specs.get(names[0]) if names else None
        return spec.shape[1] if spec is not None and len(spec.shape) > 1 else 1

    def _attributes(self, op: BoardOp) -> dict[str, Any]:
        nodes = [self._nodes[name] for name in (op.name, *op.covers) if name in self._nodes]
        node = next((n for n in nodes if n.op_type == op.kind), None)
        return attributes(node) if node is not None else {}


def _nhwc(spec: TensorSpec | None) -> tuple[int, ...]:
    if spec is None:
        return ()
    return (spec.shape[0], *spec.shape[2:], spec.shape[1]) if len(spec.shape) == 4 else spec.shape


def _elements(spec: TensorSpec) -> int:
    return math.prod(spec.shape)
