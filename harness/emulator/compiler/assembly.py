"""Everything of a compiled model that follows from the quantized graph and the placement."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import onnx

from harness.emulator.compiler import subgraphs, work
from harness.emulator.compiler.operands import CONV_LIKE
from harness.emulator.compiler.options import EVERY_NODE, BuildOptions
from harness.emulator.compiler.placement import OpRules, Placement, listed
from harness.emulator.cost.graph import op_works
from harness.emulator.cost.plain import PASSED, plain
from harness.emulator.model import layout, pieces
from harness.emulator.model.compiled import BoardOp, BoardTensor, CompiledInput, CompiledModel, Step
from harness.emulator.model.image import nv12_bytes
from harness.emulator.model.nodes import ModelGraph
from harness.errors import InputError
from harness.names import file_form
from harness.records import Op, TensorSpec
from harness.reference.graph import LogicalModel, LogicalTensor, read_logical
from harness.reference.onnx_file import DTYPES, infer_types


class Assembly:
    """Everything of a compiled model that follows from the quantized graph and the placement."""

    def __init__(
        self,
        quantized: onnx.ModelProto,
        placements: Mapping[str, Placement],
        options: BuildOptions,
        rules: OpRules,
        number: int,
    ) -> None:
        self.quantized, self.options, self.rules, self.prefix = quantized, options, rules, f"{number}/"
        self.names = options.soc.step_names
        self.types = infer_types(quantized)
        self.logical: LogicalModel = read_logical(quantized)
        _refuse_unknown_shapes(self.logical)
        self.tensors = {tensor.name: tensor for tensor in self.logical.tensors}
        self.ops = self.logical.graph.ops
        self.placements: dict[str, Placement] = {}
        self.maker = {name: op for op in self.ops for name in op.outputs}
        for op in self.ops:  # in execution order
            self.placements[op.name] = self._placement(op, placements)
        self.units = {name: placement.unit for name, placement in self.placements.items()}
        stem = file_form(quantized.graph.name or "main_graph")
        self.subgraphs = subgraphs.cut(self.ops, self.units, stem)
        self.readers: dict[str, list[Op]] = {}
        for op in self.ops:
            for name in op.inputs:
                self.readers.setdefault(name, []).append(op)
        self.nodes = {node.name: node for node in quantized.graph.node}
        self.network = ModelGraph(_with_types(quantized, self.types))
        self.works = self._works()
        self.integer_outputs = {value.name for value in quantized.graph.output}
        self.files: dict[str, bytes] = {}

    def _works(self) -> dict[str, dict[str, float]]:
        """Node -> the amounts of work that it asks for, counted on the graph as it computes, what is fused as one."""
        network = plain(self.network.model)
        owner = {name: op for op in self.ops for name in op.covers}
        units = {name: self.units[op.name] for name, op in owner.items()}
        counted = dict(op_works(network, units, self.options.soc.table_channels))
        wide = counted if EVERY_NODE in self.options.int16 else self.options.int16
        counted |= {name: counted[name].as_int16 for name in wide if name in counted}
        types = self.options.types.nodes.items()
        counted |= {name: counted[name].passed(one.passes) for name, one in types if name in counted}
        return {name: {k: v for k, v in asdict(work).items() if v} for name, work in counted.items()}

    def _placement(self, op: Op, placements: Mapping[str, Placement]) -> Placement:
        if op.name in placements:
            return placements[op.name]
        before = self.maker.get(op.inputs[0]) if op.kind == "QuantizeLinear" and op.inputs else None
        if op.kind == "QuantizeLinear" and op.inputs and self.tensors[op.inputs[0]].spec.dtype == "s16":
            return Placement(self.rules.unit, "requantized for readers in int8")
        if before is not None:  # a full-precision result that is handed out and read on: rounded where it was made
            return Placement(self.placements[before.name].unit, "quantized at its producer")
        return self._placement_of_quantized(op)

    def _placement_of_quantized(self, op: Op) -> Placement:
        """For a graph that came quantized: on the accelerator where its tensors are integers and the op is listed."""
        march = self.options.soc.march
        kind = "Gemm" if op.kind == "QGemm" else op.kind.removeprefix("QLinear")
        if op.name in self.options.on_cpu or not listed(kind, self.rules):
            return Placement("CPU", f"{op.kind} is a CPU op on {march}")
        inputs = [self.tensors[n].spec.dtype for n in op.inputs]
        outputs = [self.tensors[n].spec.dtype for n in op.outputs]
        if not all(dtype[:1] in "su" for dtype in inputs):
            return Placement("CPU", "its inputs are not quantized")
        if kind in CONV_LIKE or all(dtype[:1] in "su" for dtype in outputs):
            return Placement(self.rules.unit, "quantized in the given model")
        return Placement("CPU", "its output is not quantized")

    def result(self, path: Path, calibrated: str) -> CompiledModel:
        """The compiled model of the file `path`; `calibrated` says by what. Fills `files`."""
        graph_file = "" if self.options.times_only else f"{self.prefix}graph.onnx"
        if graph_file:
            self.files[graph_file] = pieces.with_all_outputs(self.quantized, self.logical).SerializeToString()
        return CompiledModel(
            name=self.options.name or path.stem,
            march=self.options.soc.march,
            builder=self.options.soc.builder,
            source=path.name,
            source_md5=hashlib.md5(path.read_bytes()).hexdigest(),
            inputs=tuple(self._input(name) for name in self.logical.graph.inputs),
            outputs=self.logical.graph.outputs,
            tensors=tuple(self._tensor(tensor) for tensor in self.logical.tensors),
            ops=tuple(self._op(op) for op in self.ops),
            steps=tuple(self._steps()),
            graph=graph_file,
            debug_layers=self.options.debug_layers,
            notes=(f"calibration: {calibrated}",),
            cores=self.options.cores,
        )

    # ---------------------------------------------------------------- tensors and ops

    def _is_integer(self, tensor: LogicalTensor) -> bool:
        """Quantized, as opposed to full-precision results, which are handed to the CPU as floats."""
        dequantized = tensor.spec.dtype in ("s32", "u8") and tensor.spec.quantization is not None
        return dequantized or tensor.spec.dtype in ("s8", "s16")

    def _tensor(self, tensor: LogicalTensor) -> BoardTensor:
        unit = self.units.get(tensor.op, self.rules.unit)  # a quantized input is made for it
        stored = layout.stored(tensor.spec, unit, self.options.soc.family)
        handed_out = stored if tensor.onnx_name in self.integer_outputs else _as_float(tensor.spec)
        return BoardTensor(
            name=tensor.name,
            onnx_name=tensor.onnx_name,
            spec=tensor.spec,
            stored=stored,
            handed_out=handed_out if handed_out.shape else replace(handed_out, shape=(1,)),  # a board knows no scalars
            op=tensor.op,
            unit=unit,
            is_input=tensor.is_input,
            is_output=tensor.is_output,
        )

    def _input(self, name: str) -> CompiledInput:
        tensor = self.tensors[name]
        onnx_name = tensor.float_name or tensor.onnx_name
        spec = replace(self.types[onnx_name], name=onnx_name)
        kind = self.options.picture_inputs.get(onnx_name, spec.dtype)
        if kind == "NV12":
            height, width = spec.shape[2:]
            size = nv12_bytes(height, width)
            aligned = nv12_bytes(height, -(-width // 16) * 16)
            return CompiledInput(onnx_name, onnx_name, "NV12", spec, "PYRAMID", size, aligned)
        size = layout.file_bytes(spec)
        return CompiledInput(onnx_name, onnx_name, kind, spec, "DDR", size, size)

    def _op(self, op: Op) -> BoardOp:
        nodes = [self.nodes[name] for name in op.covers if name in self.nodes]
        return BoardOp(
            name=op.name,
            kind=op.kind,
            unit=self.units[op.name],
            subgraph=self.subgraphs.get(op.name, ""),
            reason=self.placements[op.name].reason,
            inputs=op.inputs,
            outputs=op.outputs,
            covers=tuple(n.name for n in nodes if n.op_type not in ("QuantizeLinear", "DequantizeLinear")),
            macs=work.macs(self.network, nodes),
            weight_bytes=self._weights(nodes),
            works=tuple(self.works[name] for name in op.covers if self.works.get(name)),
        )

    def _weights(self, nodes: list[onnx.NodeProto]) -> int:
        """Bytes of constants, those behind their own DequantizeLinear included."""
        network = self.network
        before = [network.producer[n] for node in nodes for n in node.input if n in network.producer]
        constant = [n for n in before if n.op_type == "DequantizeLinear" and n.input[0] in network.constants]
        return work.weight_bytes(network, [*nodes, *constant])

    # ---------------------------------------------------------------- steps

    def _steps(self) -> list[Step]:
        steps = [Step("Preprocess", "preprocess")]
        for group in subgraphs.schedule(self.ops, self.subgraphs):
            name = self.subgraphs.get(group[0].name, "")
            steps += self._accelerator_steps(name, group) if name else self._cpu_steps(group[0])
        return _unique_names(steps)

    def _accelerator_steps(self, name: str, group: list[Op]) -> list[Step]:
        made = {n for op in group for n in op.outputs}
        read = [n for op in group for n in op.inputs if n not in made]
        entering = [n for n in dict.fromkeys(read) if self._from_cpu(n)]
        leaving = [n for op in group for n in op.outputs if self._leaves(n)]
        steps = [step for n in entering if (step := self._quantize_step(n))]
        steps += self._convert_step(f"{name}_input_layout_convert", entering)
        steps.append(Step(self.names.subgraph.format(name), "subgraph", subgraph=name))
        steps += self._convert_step(f"{name}_output_layout_convert", leaving)
        return steps + [self._dequantize_step(n) for n in leaving if self._dequantized(n)]

    def _from_cpu(self, name: str) -> bool:
        maker = self.maker.get(name)
        return maker is None or self.units[maker.name] == "CPU"

    def _leaves(self, name: str) -> bool:
        readers = self.readers.get(name, [])
        return name in self.logical.graph.outputs or any(self.units[op.name] == "CPU" for op in readers)

    def _dequantized(self, name: str) -> bool:
        """Integer outputs of the model stay integers; what else leaves the accelerator as one becomes float."""
        if self.options.soc.hands_over_float and not self._is_integer(self.tensors[name]):
            return False
        return self.tensors[name].onnx_name not in self.integer_outputs or not self._is_integer(self.tensors[name])

    def _convert_step(self, name: str, tensors: list[str]) -> list[Step]:
        four = tuple(n for n in tensors if len(self.tensors[n].spec.shape) == 4 and not self._is_pixels(n))
        return [Step(name, "layout", elements=sum(self._elements(n) for n in four))] if four else []

    def _is_pixels(self, name: str) -> bool:
        """Bytes of a picture as they come, as opposed to a float input that is quantized to unsigned."""
        tensor = self.tensors[name]
        return tensor.spec.dtype == "u8" and not tensor.float_name and tensor.is_input

    def _quantize_step(self, name: str) -> Step | None:
        tensor = self.tensors[name]
        if not tensor.float_name:
            return None
        return Step(self.names.quantize.format(name), "convert", elements=self._elements(name))

    def _dequantize_step(self, name: str) -> Step:
        return Step(self.names.dequantize.format(self.maker[name].name), "convert", elements=self._elements(name))

    def _cpu_steps(self, op: Op) -> list[Step]:
        kinds = [self.nodes[name].op_type for name in op.covers if name in self.nodes]
        if all(kind in PASSED for kind in kinds):
            return []
        return [Step(f"{op.kind}_{op.name}", "op", op=op.name, elements=sum(self._elements(n) for n in op.outputs))]

    def _elements(self, name: str) -> int:
        return math.prod(self.tensors[name].spec.shape)


def _unique_names(steps: list[Step]) -> list[Step]:
    """An op with several outputs is dequantized several times; the profiler's keys must differ."""
    seen: Counter[str] = Counter()
    result = []
    for step in steps:
        seen[step.name] += 1
        again = seen[step.name] - 1
        result.append(replace(step, name=f"{step.name}_{again}") if again else step)
    return result


def _as_float(spec: TensorSpec) -> TensorSpec:
    """A quantized tensor that the graph dequantizes before it hands it out; any other stays what it is."""
    return replace(spec, dtype="f32", quantization=None) if spec.quantization else spec


def _refuse_unknown_shapes(logical: LogicalModel) -> None:
    for tensor in logical.tensors:
        if not tensor.spec.dtype or any(n < 0 for n in tensor.spec.shape):
            raise InputError(
                f"tensor {tensor.name!r} of op {tensor.op!r} has no fixed shape",
                "fix the input shapes (--shape NAME=1,3,224,224); data-dependent output sizes are not supported",
            )


def _with_types(model: onnx.ModelProto, types: Mapping[str, TensorSpec]) -> onnx.ModelProto:
    """A shallow copy whose value_info holds every known shape."""
    elements: dict[str, object] = {dtype: element for element, dtype in DTYPES.items()}
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.value_info[:]
    for name, spec in types.items():
        if spec.dtype and all(n >= 0 for n in spec.shape):
            result.graph.value_info.append(onnx.helper.make_tensor_value_info(name, elements[spec.dtype], spec.shape))
    return result
