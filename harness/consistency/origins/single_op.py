"""An op that is blamed, as a model of its own: with what it reads, without the network around it.

Its inputs are the real values, quantized in front of it as they are in the network: a model that every toolchain takes,
and whose tensors have the names that they have in the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from harness.consistency.origins.isolate import CannotIsolate, Isolator, Part, Request
from harness.consistency.reading.tensor_files import Array
from harness.errors import InputError
from harness.reference.open import open_session

PRODUCER = "harness"


@dataclass(frozen=True)
class SingleOp:
    """A model of few nodes and the arrays that it is fed, by the names of its inputs."""

    model: onnx.ModelProto
    feeds: Mapping[str, Array]


def single_op(isolator: Isolator, request: Request) -> SingleOp:
    """A request as a model that runs anywhere. Errors: CannotIsolate where its nodes cannot be cut out or run."""
    part = isolator.cut(request)
    fronts = {name: front for name, value in part.feed.items() if (front := _front(isolator, part, name, value))}
    feeds = {name: value for name, value in part.feed.items() if name not in fronts}
    weights = dict(part.weights)
    for node, real in fronts.values():
        feeds[node.input[0]] = real
        weights |= {name: isolator.weights[name] for name in node.input[1:] if name}
    nodes = [*(node for node, _ in fronts.values()), *part.nodes]
    model = isolator.joined([Part(nodes, weights, feeds, part.output)])
    return SingleOp(_typed(_plain(model), feeds, isolator.path), feeds)


def _front(isolator: Isolator, part: Part, name: str, value: Array) -> tuple[onnx.NodeProto, Array] | None:
    """The quantizer that gives a fed tensor of integers, and the real values that it gives them of; None of others."""
    maker = isolator.maker(name)
    if maker is None or maker.op_type != "QuantizeLinear" or value.dtype.kind not in "iu":
        return None
    made = {output for node in part.nodes for output in node.output}
    if maker.input[0] in made or maker.input[0] in part.feed or any(n not in isolator.weights for n in maker.input[1:]):
        return None
    node = onnx.NodeProto()
    node.CopyFrom(maker)
    return node, _real(isolator, node, value)


def _real(isolator: Isolator, node: onnx.NodeProto, value: Array) -> Array:
    scale = np.asarray(numpy_helper.to_array(isolator.weights[node.input[1]]), np.float32)
    zero = numpy_helper.to_array(isolator.weights[node.input[2]]) if len(node.input) > 2 else np.zeros((), np.int32)
    shape = [1] * value.ndim
    if scale.ndim == 1 and scale.size > 1:
        axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
        shape[axis] = scale.size
    steps = value.astype(np.int64) - np.asarray(zero, np.int64).reshape(shape if zero.size > 1 else ())
    return np.asarray(steps.astype(np.float32) * scale.reshape(shape if scale.size > 1 else ()), np.float32)


def _plain(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without what exporters write into a model beside its numbers: paths of source files, whole call stacks."""
    for node in (*model.graph.node, *(node for function in model.functions for node in function.node)):
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
    for tensor in model.graph.initializer:
        tensor.ClearField("doc_string")
    for function in model.functions:
        function.ClearField("doc_string")
    model.producer_name = PRODUCER
    return model


def _typed(model: onnx.ModelProto, feeds: Mapping[str, Array], path: Path) -> onnx.ModelProto:
    """With dtype and shape of its outputs, which a run tells."""
    names = [value.name for value in model.graph.output]
    try:
        values = open_session(model, path, quiet=True).run(
            names, {n: np.ascontiguousarray(v) for n, v in feeds.items()}
        )
    except InputError as error:
        raise CannotIsolate(error.message) from None
    except Exception as error:  # onnxruntime's exceptions share no narrower base
        raise CannotIsolate(str(error).splitlines()[0]) from None
    del model.graph.output[:]
    for name, value in zip(names, values, strict=True):
        kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, kind, value.shape))
    return model
