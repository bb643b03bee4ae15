"""One op alone on the PC, fed with the board's own tensors: does the op differ, or only what it was given?

Small models are cut out of the reference's ONNX, many to a session; sessions are kept, so that the next input or the
next board pays for inference only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from harness.consistency.origins.requantized import (
    in_two_passes,
    with_casts,
    with_dynamic_inputs,
    with_ties,
    without_quantizers,
)
from harness.consistency.origins.rounded import Rounding, round_nodes
from harness.consistency.reading.tensor_files import Array
from harness.errors import InputError
from harness.records import TensorSpec
from harness.reference.graph import LogicalTensor, read_logical
from harness.reference.graph_nodes import node_inputs
from harness.reference.onnx_file import infer_types, load_whole
from harness.reference.open import open_session

BATCH_REQUESTS = 64
BATCH_BYTES = 128 * 2**20


@dataclass(frozen=True)
class Request:
    """Compute `target` from `feeds` (logical names to arrays in the reference's axis order).

    An array has the dtype of the tensor's data, or of its float side. `float_side` asks for the target's, `unrounded`
    for the real value that its quantizer rounds. `rounding`: in a narrower float arithmetic; `integers`: as
    runtimes compute integers, "fused" (no quantizers between the ops), "cast" (a Resize of what is stored), "rows" or
    "columns" (one axis of it at a time, that one first), "up" or "down" (every tie to that side),
    "dynamic" (inputs of products with integer weights quantized once more).
    """

    target: str
    feeds: Mapping[str, Array]
    float_side: bool = False
    rounding: Rounding | None = None
    unrounded: bool = False
    integers: str = ""
    dequantized: bool = False  # asks for what a dequantizer makes of the target: runtimes fuse an op between both


class CannotIsolate(ValueError):
    """Why a request cannot be computed from its feeds."""


class Isolator:
    """Sub-models of one ONNX. Errors: InputError for a file that is no ONNX."""

    def __init__(
        self,
        model: Path,
        optimizations: str = "disabled",
        threads: int = 1,
        repeats: Mapping[str, str] | None = None,
    ) -> None:
        """`repeats`: tensors that the ONNX does not hold -> the one whose values they are."""
        self.repeats = repeats or {}
        self.path, self.optimizations, self.threads = model, optimizations, threads
        self.tensors = {t.name: t for t in read_logical(model).tensors}
        self.model = load_whole(model)
        constants = [(node, value) for node in self.model.graph.node if (value := _constant(node)) is not None]
        held = {node.output[0] for node, _ in constants}
        self.nodes = [node for node in self.model.graph.node if not held.intersection(node.output)]
        self.producer = {name: i for i, node in enumerate(self.nodes) for name in node.output if name}
        self.weights = {t.name: t for t in (*self.model.graph.initializer, *(value for _, value in constants))}
        self.sessions: dict[tuple[Any, ...], Any] = {}
        self.problems: list[str] = []

    def run(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Array | None]]:
        """Each request with what the op gives alone; None where it cannot be computed (see `problems`).

        Requests are taken as they are needed: no more than a batch of feeds is open at a time.
        """
        for batch in _batches(requests):
            yield from zip(batch, self._batch(batch), strict=True)

    def _batch(self, batch: Sequence[Request]) -> list[Array | None]:
        try:
            return list(self._infer(batch))
        except (InputError, CannotIsolate) as error:
            if len(batch) == 1:
                self.problems.append(f"{batch[0].target}: {str(error).splitlines()[0]}")
                return [None]
        return [result for request in batch for result in self._batch([request])]

    def _infer(self, batch: Sequence[Request]) -> Sequence[Array]:
        parts = [self._part(request, f"{i}/" if len(batch) > 1 else "") for i, request in enumerate(batch)]
        key = tuple(
            (part.output, part.inputs, request.rounding, request.integers)
            for part, request in zip(parts, batch, strict=True)
        )
        if key not in self.sessions:
            self.sessions[key] = open_session(self.joined(parts), self.path, self.optimizations, self.threads)
        feed = {name: value for part in parts for name, value in part.feed.items()}
        try:
            given: Sequence[Array] = self.sessions[key].run([part.output for part in parts], feed)
        except Exception as error:  # onnxruntime's exceptions share no narrower base
            raise CannotIsolate(str(error)) from None
        return given

    def cut(self, request: Request) -> Part:
        """A request as nodes, weights and feeds. Errors: CannotIsolate."""
        return self._part(request, "")

    def session(self, part: Part, outputs: Sequence[str]) -> Any:
        """A session of one part that gives other tensors of it; it is not kept. Errors: InputError."""
        model = self.joined([part])
        del model.graph.output[:]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
        return open_session(model, self.path, self.optimizations, self.threads, quiet=True)

    def compute(self, part: Part, outputs: Sequence[str]) -> list[Array]:
        """Tensors of a part that runs by itself. Errors: InputError, CannotIsolate."""
        try:
            return list(self.session(part, outputs).run(list(outputs), part.feed))
        except InputError:
            raise
        except Exception as error:  # onnxruntime's exceptions share no narrower base
            raise CannotIsolate(str(error)) from None

    def maker(self, name: str) -> onnx.NodeProto | None:
        """The node that gives an ONNX tensor; None of inputs and weights."""
        return self.nodes[self.producer[name]] if name in self.producer else None

    # ---------------------------------------------------------------- cutting

    def _part(self, request: Request, prefix: str) -> Part:
        feed = dict(self._onnx_feed(name, value) for name, value in request.feeds.items())
        target = self._known(request.target)
        output = self._output(request, target)
        nodes, weights = self._cut(output, feed)
        if request.rounding is not None:
            nodes, more = round_nodes(nodes, request.rounding, weights, self._is_float)
            weights |= more
        if request.integers:
            nodes, more = _as_integers(request, nodes, weights, output)
            weights |= more
        if prefix and any(a.type == onnx.AttributeProto.GRAPH for node in nodes for a in node.attribute):
            raise CannotIsolate("an op with a graph inside goes alone")
        return Part(
            nodes=[_renamed(node, prefix, weights) for node in nodes],
            weights=weights,
            feed={prefix + name: np.ascontiguousarray(value) for name, value in feed.items()},
            output=prefix + output,
        )

    def _output(self, request: Request, target: LogicalTensor) -> str:
        """The ONNX tensor that is asked for."""
        if request.unrounded:
            node = self.nodes[self.producer[target.onnx_name]] if target.onnx_name in self.producer else None
            if node is None or node.op_type != "QuantizeLinear":
                raise CannotIsolate(f"{target.name} is not made by a quantizer")
            return str(node.input[0])
        if request.dequantized:
            return self._dequantized(target)
        return target.float_name if request.float_side and target.float_name else target.onnx_name

    def _dequantized(self, target: LogicalTensor) -> str:
        for node in self.nodes:
            if node.op_type == "DequantizeLinear" and node.input[0] == target.onnx_name:
                return str(node.output[0])
        raise CannotIsolate(f"{target.name} is not read by a dequantizer")

    def _is_float(self, name: str) -> bool:
        """Whether a tensor or weight is float32, the only type that is rounded."""
        if name in self.weights:
            return bool(self.weights[name].data_type == onnx.TensorProto.FLOAT)
        return name in self.types and self.types[name].dtype == "f32"

    @cached_property
    def types(self) -> dict[str, TensorSpec]:
        """dtype and shape of the tensors, as far as shape inference tells them."""
        return infer_types(self.model)

    def _onnx_feed(self, name: str, value: Array) -> tuple[str, Array]:
        tensor = self._known(self.repeats.get(name, name))
        is_float = value.dtype.kind == "f"
        whole = tensor.spec.dtype[:1] in ("s", "u")
        if is_float and whole and tensor.float_name:
            return tensor.float_name, value
        if tensor.spec.dtype and is_float == whole:
            raise CannotIsolate(f"{name} is {value.dtype} on the board and {tensor.spec.dtype} in the model")
        return tensor.onnx_name, _shaped(value, tensor)

    def _known(self, name: str) -> LogicalTensor:
        if name not in self.tensors:
            raise CannotIsolate(f"the ONNX has no tensor {name}")
        return self.tensors[name]

    def _cut(self, output: str, feed: Mapping[str, Array]) -> tuple[list[onnx.NodeProto], dict[str, onnx.TensorProto]]:
        """Nodes from the fed tensors to `output`, in order, and the weights that they read."""
        wanted: set[int] = set()
        weights: dict[str, onnx.TensorProto] = {}
        waiting = [output]
        while waiting:
            name = waiting.pop()
            if name in feed:
                continue
            if name in self.weights:
                weights[name] = self.weights[name]
            elif name not in self.producer:
                raise CannotIsolate(f"input {name} was not given")
            elif self.producer[name] not in wanted:
                wanted.add(self.producer[name])
                waiting += node_inputs(self.nodes[self.producer[name]])
        return [self.nodes[i] for i in sorted(wanted)], weights

    def joined(self, parts: Sequence[Part]) -> onnx.ModelProto:
        """Parts as one model; the types of its outputs are left open."""
        weights = {name: weight for part in parts for name, weight in part.weights.items()}
        graph = onnx.GraphProto(name="alone")
        graph.node.extend(node for part in parts for node in part.nodes)
        graph.initializer.extend(weights.values())
        for part in parts:
            for name, value in part.feed.items():
                kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
                graph.input.append(onnx.helper.make_tensor_value_info(name, kind, value.shape))
        graph.output.extend(onnx.ValueInfoProto(name=part.output) for part in parts)
        model = onnx.ModelProto(ir_version=self.model.ir_version, graph=graph)
        model.opset_import.extend(self.model.opset_import)
        model.functions.extend(self.model.functions)
        return model


def _as_integers(
    request: Request, nodes: Sequence[onnx.NodeProto], weights: Mapping[str, onnx.TensorProto], output: str
) -> tuple[list[onnx.NodeProto], dict[str, onnx.TensorProto]]:
    if request.integers == "fused":
        return without_quantizers(nodes, output, weights)
    if request.integers in ("up", "down"):
        return with_ties(nodes, weights, 1 if request.integers == "up" else -1)
    if request.integers == "dynamic":
        return with_dynamic_inputs(nodes, weights)
    if request.integers == "cast" or len(request.feeds) != 1:
        return with_casts(nodes, weights)
    shape = next(iter(request.feeds.values())).shape
    return in_two_passes(nodes, weights, shape, -2 if request.integers == "rows" else -1)


@dataclass(frozen=True)
class Part:
    """One request, cut out: its names carry a prefix, so that parts can share a session."""

    nodes: list[onnx.NodeProto]
    weights: dict[str, onnx.TensorProto]
    feed: dict[str, Array]
    output: str

    @property
    def inputs(self) -> tuple[tuple[str, str, tuple[int, ...]], ...]:
        """Name, dtype and shape of what is fed."""
        return tuple((name, value.dtype.name, value.shape) for name, value in self.feed.items())


def _constant(node: onnx.NodeProto) -> onnx.TensorProto | None:
    """The tensor of a Constant node, named as its output: exporters keep weights as either."""
    tensor = next((a.t for a in node.attribute if a.name == "value"), None) if node.op_type == "Constant" else None
    if tensor is None:
        return None
    named = onnx.TensorProto()
    named.CopyFrom(tensor)
    named.name = node.output[0]
    return named


def _shaped(value: Array, tensor: LogicalTensor) -> Array:
    """The dtype of the model where the values are the same (bool8 comes as bytes)."""
    return value.astype(np.bool_) if tensor.spec.dtype == "bool8" else value


def _renamed(node: onnx.NodeProto, prefix: str, weights: Mapping[str, object]) -> onnx.NodeProto:
    if not prefix:
        return node
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.name = prefix + node.name
    copy.input[:] = [n if not n or n in weights else prefix + n for n in node.input]
    copy.output[:] = [n and prefix + n for n in node.output]
    return copy


def _batches(requests: Iterable[Request]) -> Iterator[list[Request]]:
    batch: list[Request] = []
    taken = 0
    for request in requests:
        size = sum(value.nbytes for value in request.feeds.values())
        if batch and (taken + size > BATCH_BYTES or len(batch) == BATCH_REQUESTS):
            yield batch
            batch, taken = [], 0
        batch.append(request)
        taken += size
    if batch:
        yield batch
