"""An op cut out of its model, on a bench: every tensor in it is known, and single nodes run again in another way.

What a variant computes is put in place of a node's output; the nodes behind it (an activation, a quantizer) then run as
they are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from onnx import AttributeProto, ModelProto, NodeProto, ValueInfoProto, helper, numpy_helper

from harness.consistency.origins.isolate import CannotIsolate, Isolator, Part, Request
from harness.consistency.reading.tensor_files import Array
from harness.reference.graph_nodes import node_inputs
from harness.reference.open import open_session

MOST_SCENES = 12  # nodes of an interval; of more, the last ones: in a longer one a variant says little
KEPT_BYTES = 256 << 20  # of tensors between the nodes; beyond, the last nodes whose tensors fit
FIXED = 64  # elements of a constant that goes into the model, since some ops want it there; larger ones are fed
Attribute = int | float | str | Sequence[int] | None  # None takes it away
QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"


class Bench:
    """One request, cut out, and what the tensors of its last nodes hold when it runs as it is.

    `check` is called before anything runs again; what it raises ends the search. Errors: CannotIsolate, InputError.
    """

    def __init__(
        self,
        isolator: Isolator,
        request: Request,
        check: Callable[[], None] = lambda: None,
        most_bytes: int = KEPT_BYTES,
    ) -> None:
        self.isolator, self.check, self.most_bytes = isolator, check, most_bytes
        self.part = isolator.cut(request)
        self.producer = {name: i for i, node in enumerate(self.part.nodes) for name in node.output if name}
        self._sessions: dict[object, Any] = {}
        self._values: dict[str, Array] = dict(self.part.feed)
        self._scenes = self._fitting(MOST_SCENES)
        self._run_all()

    def _run_all(self) -> None:
        """Fills in what the scenes look at, and the result; the tensors' true sizes may leave fewer scenes."""
        needed = self._needed()
        names = [name for name in self.producer if name in needed]
        given = self.isolator.compute(self.part, names) if names else []
        self._values |= dict(zip(names, given, strict=True))
        if self.part.output not in self._values:
            raise CannotIsolate(f"{self.part.output} is a constant")
        self._scenes = self._fitting(self._scenes)
        needed = self._needed() | self.part.feed.keys()
        self._values = {name: value for name, value in self._values.items() if name in needed}

    def _needed(self) -> set[str]:
        looked_at = [self._looked_at(index) for index in self.moving_nodes[: self._scenes]]
        return {self.part.output}.union(*looked_at)

    def _looked_at(self, index: int) -> set[str]:
        """What variants of a node look at: all that it reads and makes, and what dequantizers before it read."""
        node = self.part.nodes[index]
        makers = [self.part.nodes[self.producer[name]] for name in node_inputs(node) if name in self.producer]
        read = {name for maker in makers if maker.op_type == DEQUANTIZE for name in node_inputs(maker)}
        return read.union(node_inputs(node), filter(None, node.output))

    def _fitting(self, most: int) -> int:
        """How many of the last nodes' tensors fit into memory; one node's always do."""
        names: set[str] = set()
        for count, index in enumerate(self.moving_nodes[:most]):
            names |= self._looked_at(index) & self.producer.keys()
            if count and sum(map(self._bytes, names)) > self.most_bytes:
                return count
        return min(most, len(self.moving_nodes))

    def _bytes(self, name: str) -> int:
        """Of one tensor; where nobody tells its shape, as large as the largest that is fed."""
        if name in self._values:
            return int(self._values[name].nbytes)
        spec = self.isolator.types.get(name)
        if spec is None or not spec.dtype or min(spec.shape, default=0) < 0:
            return max((value.nbytes for value in self.part.feed.values()), default=0)
        return math.prod(spec.shape) * int(re.sub(r"\D", "", spec.dtype) or 8) // 8

    @property
    def value(self) -> Array:
        """What the op gives as it is."""
        return self._values[self.part.output]

    def array(self, name: str) -> Array | None:
        """A tensor of the cut, a constant of it, or None."""
        if name not in self._values and name in self.part.weights:
            self._values[name] = numpy_helper.to_array(self.part.weights[name])
        return self._values.get(name)

    @cached_property
    def moving(self) -> frozenset[str]:
        """Tensors that depend on what is fed; the others are constants."""
        moving = set(self.part.feed)
        for node in self.part.nodes:
            if moving & set(node_inputs(node)):
                moving |= set(node.output)
        return frozenset(moving)

    @cached_property
    def opset(self) -> int:
        """Version of the standard ops."""
        versions = {entry.domain: entry.version for entry in self.isolator.model.opset_import}
        return int(versions.get("", 17))

    @cached_property
    def leading(self) -> dict[str, int]:
        """The tensors that the output is computed from -> the node that makes each."""
        return {name: i for i in self._behind(self.part.output, "") for name in self.part.nodes[i].output if name}

    @cached_property
    def moving_nodes(self) -> list[int]:
        """Nodes that compute with what is fed, the last one first."""
        nodes = sorted(set(self.leading.values()), reverse=True)
        return [i for i in nodes if self.moving & set(node_inputs(self.part.nodes[i]))]

    @property
    def left_out(self) -> int:
        """Moving nodes that are no scenes."""
        return len(self.moving_nodes) - self._scenes

    def scenes(self) -> list[NodeScene]:
        """The last of the moving nodes, the last one first: at most MOST_SCENES, and what fits into memory."""
        return [NodeScene(self, i) for i in self.moving_nodes[: self._scenes]]

    def _behind(self, output: str, given: str) -> set[int]:
        """Nodes that are needed for `output` where `given` is known."""
        needed: set[int] = set()
        waiting = [output]
        while waiting:
            name = waiting.pop()
            index = self.producer.get(name)
            if name != given and name not in self.part.feed and index is not None and index not in needed:
                needed.add(index)
                waiting += node_inputs(self.part.nodes[index])
        return needed

    def with_value(self, name: str, value: Array) -> Array | None:
        """What comes out where tensor `name` holds something else, of the same shape."""
        if name == self.part.output:
            return value
        nodes = [self.part.nodes[i] for i in sorted(self._behind(self.part.output, name))]
        feed = {n: v for n, v in self.part.feed.items() if any(n in node_inputs(node) for node in nodes)}
        part = replace(self.part, nodes=nodes, feed={**feed, name: np.ascontiguousarray(value)})
        key = (name, value.dtype.name, value.shape)
        return self._infer(key, part)

    def _infer(self, key: object, part: Part) -> Array | None:
        self.check()
        try:
            if key not in self._sessions:
                self._sessions[key] = self.isolator.session(part, [part.output])
            result: Array = self._sessions[key].run([part.output], part.feed)[0]
        except Exception:  # onnxruntime's exceptions share no narrower base; what cannot run is no explanation
            return None
        return result

    def run_node(self, node: NodeProto, inputs: Sequence[Array | None], fixed: Sequence[bool]) -> list[Array] | None:
        """A node alone on other inputs; None where it cannot run. `fixed` inputs are constants of the model."""
        fed = {f"in{k}": value for k, value in enumerate(inputs) if value is not None and not fixed[k]}
        weights = {f"in{k}": value for k, value in enumerate(inputs) if value is not None and fixed[k]}
        copy = NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = ["" if value is None else f"in{k}" for k, value in enumerate(inputs)]
        copy.output[:] = [f"out{k}" if name else "" for k, name in enumerate(node.output)]
        shapes = tuple((name, value.dtype.name, value.shape) for name, value in fed.items())
        key = (copy.SerializeToString(), shapes, *((name, value.tobytes()) for name, value in weights.items()))
        self.check()
        try:
            if key not in self._sessions:
                self._sessions[key] = open_session(self._alone(copy, fed, weights), self.isolator.path, quiet=True)
            return list(self._sessions[key].run(None, fed))
        except Exception:  # as above
            return None

    def _alone(self, node: NodeProto, fed: Mapping[str, Array], weights: Mapping[str, Array]) -> ModelProto:
        graph = helper.make_graph(
            [node],
            "variant",
            [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
                for name, value in fed.items()
            ],
            [ValueInfoProto(name=name) for name in node.output if name],
            [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in weights.items()],
        )
        model = helper.make_model(graph, ir_version=self.isolator.model.ir_version)
        del model.opset_import[:]
        model.opset_import.extend(self.isolator.model.opset_import)
        model.functions.extend(self.isolator.model.functions)
        return model


def value_alone(isolator: Isolator, request: Request) -> Array:
    """What the op gives as it is, without the tensors in it. Errors: CannotIsolate, InputError."""
    part = isolator.cut(request)
    fed = part.feed.get(part.output)
    return isolator.compute(part, [part.output])[0] if fed is None else fed


@dataclass(frozen=True)
class Stored:
    """Constant integers behind a DequantizeLinear, with scales and zero points that broadcast to them."""

    values: Array
    scales: Array
    zeros: Array


@dataclass(frozen=True)
class NodeScene:
    """One node of a bench, with its inputs and its output."""

    bench: Bench
    index: int

    @property
    def node(self) -> NodeProto:
        """As it is in the model."""
        return self.bench.part.nodes[self.index]

    @property
    def kind(self) -> str:
        """Its ONNX type."""
        return str(self.node.op_type)

    @property
    def output(self) -> str:
        """The output that the cut's result is computed from."""
        names = (name for name in self.node.output if self.bench.leading.get(name) == self.index)
        return str(next(names, self.node.output[0]))

    @property
    def y(self) -> Array:
        """What it gives as it is."""
        value = self.bench.array(self.output)
        assert value is not None
        return value

    def x(self, at: int) -> Array | None:
        """An input; None where there is none."""
        return self.bench.array(self.node.input[at]) if at < len(self.node.input) and self.node.input[at] else None

    def given(self, at: int) -> Array:
        """An input that an op of this kind always has."""
        value = self.x(at)
        return np.zeros(0, np.float32) if value is None else value

    def is_constant(self, at: int) -> bool:
        """Whether an input does not depend on what is fed."""
        return at < len(self.node.input) and bool(self.node.input[at]) and self.node.input[at] not in self.bench.moving

    @property
    def data(self) -> list[int]:
        """Inputs that depend on what is fed."""
        return [k for k, name in enumerate(self.node.input) if name in self.bench.moving]

    def source(self, at: int) -> NodeProto | None:
        """The node that makes an input."""
        index = self.bench.producer.get(self.node.input[at]) if at < len(self.node.input) else None
        return self.bench.part.nodes[index] if index is not None else None

    def attribute(self, name: str, default: Any = None) -> Any:
        """Its value in Python's types; texts as str."""
        given = next((a for a in self.node.attribute if a.name == name), None)
        if given is None:
            return default
        value = helper.get_attribute_value(given)
        if isinstance(value, bytes):
            return str(value, "utf-8")
        return list(value) if given.type > AttributeProto.GRAPH else value

    def again(self, inputs: Mapping[int, Array | None] | None = None, **attributes: Attribute) -> Array | None:
        """Its output with other inputs or attributes (None takes one away); None where it cannot run."""
        node = changed(self.node, attributes)
        count = max([len(self.node.input), *(k + 1 for k in inputs or {})])
        other = inputs or {}
        arrays = [other[k] if k in other else self.x(k) for k in range(count)]
        named = [k for k, name in enumerate(self.node.input) if name and k not in other]
        if any(arrays[k] is None for k in named):
            return None
        small = [a is not None and a.size <= FIXED and k not in self.data for k, a in enumerate(arrays)]
        given = self.bench.run_node(node, arrays, small)
        made = [name for name in self.node.output if name]
        return None if given is None else given[made.index(self.output)]

    def compute(self, kind: str, inputs: Sequence[Array], **attributes: Attribute) -> Array | None:
        """Another op's first output."""
        node = helper.make_node(kind, [f"in{k}" for k in range(len(inputs))], ["out"], **attributes)
        given = self.bench.run_node(node, inputs, [value.dtype == np.int64 for value in inputs])
        return None if given is None else given[0]


def stored_integers(op: NodeScene, at: int) -> Stored | None:
    """The integers behind an input that is dequantized."""
    source = op.source(at)
    if source is None or source.op_type != DEQUANTIZE:
        return None
    values, scale = op.bench.array(source.input[0]), op.bench.array(source.input[1])
    if values is None or scale is None:
        return None
    zero = op.bench.array(source.input[2]) if len(source.input) > 2 else None
    axis = next((a.i for a in source.attribute if a.name == "axis"), 1)
    shape = [1] * values.ndim
    if scale.size > 1:
        shape[axis] = -1
    zeros = np.zeros_like(scale, np.int64) if zero is None else zero
    return Stored(values, scale.reshape(shape), zeros.reshape(shape))


def changed(node: NodeProto, attributes: Mapping[str, Attribute]) -> NodeProto:
    """A node with other attributes; None takes one away."""
    if not attributes:
        return node
    copy = NodeProto()
    copy.CopyFrom(node)
    kept = [a for a in copy.attribute if a.name not in attributes]
    del copy.attribute[:]
    copy.attribute.extend(kept)
    copy.attribute.extend(helper.make_attribute(name, v) for name, v in attributes.items() if v is not None)
    return copy
