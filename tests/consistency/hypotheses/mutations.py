"""Small networks in which one op is computed in another way, by ONNX Runtime, through the whole network."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from harness.consistency.compare import CompareSettings, compare
from harness.dumps.folders import read_dumps
from harness.records import Comparison
from harness.reference.open import Reference, run_reference
from tests.support.nets import board_folder

Array = np.ndarray[Any, Any]
Change = Callable[[onnx.ModelProto], None]
NOISE = 1e-6  # of each value, as another runtime's float kernels have it
OPSET = 18


def values(*shape: int, seed: int = 0, scale: float = 1.0, dtype: Any = np.float32) -> Array:
    """Seeded normal values."""
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(dtype)


def network(nodes: Sequence[NodeProto], shape: Sequence[int], output: str, **weights: Any) -> onnx.ModelProto:
    """A model of one float input `x`."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def node_of(model: onnx.ModelProto, name: str) -> NodeProto:
    """A node by its name in the float model."""
    return next(node for node in model.graph.node if node.name in (name, f"{name}_quant"))


def attributes(name: str, **changes: Any) -> Change:
    """A node with other attributes (None takes one away)."""

    def change(model: onnx.ModelProto) -> None:
        node = node_of(model, name)
        kept = [a for a in node.attribute if a.name not in changes]
        del node.attribute[:]
        node.attribute.extend(kept)
        node.attribute.extend(helper.make_attribute(key, v) for key, v in changes.items() if v is not None)

    return change


def kind(name: str, op_type: str, **more: Any) -> Change:
    """A node of another type."""

    def change(model: onnx.ModelProto) -> None:
        node = node_of(model, name)
        node.op_type = op_type
        del node.attribute[:]
        node.attribute.extend(helper.make_attribute(key, v) for key, v in more.items())

    return change


def weight(name: str, change: Callable[[Array], Array]) -> Change:
    """Other values of an initializer."""

    def changed(model: onnx.ModelProto) -> None:
        tensor = next(t for t in model.graph.initializer if t.name in (name, f"{name}_quantized"))
        old = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(change(old)).astype(old.dtype), tensor.name))

    return changed


def inputs(name: str, order: Callable[[list[str]], list[str]]) -> Change:
    """A node with its inputs in another order, or without some."""

    def changed(model: onnx.ModelProto) -> None:
        node = node_of(model, name)
        node.input[:] = order(list(node.input))

    return changed


def narrow_sums(bits: int, saturate: bool) -> Change:
    """Sums of the quantized Conv `op` that wrap, or saturate, at so many bits: steps behind it in the graph."""

    def change(model: onnx.ModelProto) -> None:
        constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        op = node_of(model, "op")
        makers = {name: one for one in model.graph.node for name in one.output}
        scales = [constants[makers[name].input[1]] for name in op.input[:2]]
        half, out = 2.0 ** (bits - 1), op.output[0]
        given = {"step": (scales[0] * scales[1].reshape(-1)).reshape(1, -1, 1, 1), "half": half, "full": 2 * half}
        given |= {"least": -half, "most": half - 1}
        model.graph.initializer.extend(
            numpy_helper.from_array(np.asarray(v, np.float32), f"n/{k}") for k, v in given.items()
        )
        op.output[0] = "n/raw"
        steps = [("Div", ["raw", "step"], "sums"), ("Round", ["sums"], "whole")]
        if saturate:
            steps += [("Clip", ["whole", "least", "most"], "left")]
        else:
            steps += [
                ("Add", ["whole", "half"], "up"),
                ("Div", ["up", "full"], "turns"),
                ("Floor", ["turns"], "full_turns"),
            ]
            steps += [("Mul", ["full_turns", "full"], "over"), ("Sub", ["whole", "over"], "left")]
        nodes = [helper.make_node(kind, [f"n/{i}" for i in names], [f"n/{made}"]) for kind, names, made in steps]
        nodes.append(helper.make_node("Mul", ["n/left", "n/step"], [out]))
        at = list(model.graph.node).index(op) + 1
        everything = [*model.graph.node[:at], *nodes, *model.graph.node[at:]]
        del model.graph.node[:]
        model.graph.node.extend(everything)

    return change


def changed_model(model: onnx.ModelProto, change: Change) -> onnx.ModelProto:
    """A copy with the change made."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    change(copy)
    return copy


def quantized(model: onnx.ModelProto, folder: Path, shape: Sequence[int], *, qdq: bool = True) -> onnx.ModelProto:
    """The same, quantized by ONNX Runtime: int8, weights per channel, inputs of three seeds."""

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.feeds: Iterator[dict[str, Array]] = iter([{"x": values(*shape, seed=seed)} for seed in range(3)])

        def get_next(self) -> dict[str, Array] | None:
            return next(self.feeds, None)

    logging.getLogger().setLevel(logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "float.onnx")
    quantize_static(
        folder / "float.onnx",
        folder / "int8.onnx",
        Reader(),
        quant_format=QuantFormat.QDQ if qdq else QuantFormat.QOperator,
        activation_type=QuantType.QInt8 if qdq else QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )
    return onnx.load(str(folder / "int8.onnx"))


def board_of(
    model: onnx.ModelProto, folder: Path, change: Change, feed: Mapping[str, Array], noise: float = NOISE
) -> tuple[Reference, Path]:
    """(the reference, a folder of what a board left that computes the changed network)."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "model.onnx")
    onnx.save(changed_model(model, change), folder / "board.onnx")
    reference = run_reference(folder / "model.onnx", feed, folder / "reference")
    board = run_reference(folder / "board.onnx", feed, folder / "board_tensors")
    rng = np.random.default_rng(9)

    def of_board(name: str) -> Callable[[Array], Array]:
        value = np.array(board.tensors[name].load())
        wrong = value * (1 + noise * rng.standard_normal(value.shape)) if value.dtype.kind == "f" else value
        return lambda old: np.asarray(wrong.reshape(old.shape), old.dtype)

    shared = {name: of_board(name) for name in reference.tensors if name in board.tensors}
    gone = tuple(name for name in reference.tensors if name not in shared)
    return reference, board_folder(folder / "dumps", reference, shared, gone)


def judged(reference: Reference, board: Path, **settings: Any) -> Comparison:
    """The board's folder against the reference."""
    return compare(reference, read_dumps(board), CompareSettings(**settings))
