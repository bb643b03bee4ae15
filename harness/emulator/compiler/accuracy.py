"""How far quantizing alone took every op from the float model: measured on the first calibration sample."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from harness.consistency.reading.tensor_files import dequantize
from harness.emulator.compiler.calibration import Feed
from harness.emulator.compiler.result import Distance
from harness.emulator.model.compiled import BoardTensor, CompiledModel
from harness.emulator.model.execute import open_session
from harness.emulator.model.nodes import ModelGraph

Array = NDArray[Any]
BATCH_ELEMENTS = 32 * 2**20  # of tensors held at once


def distances(
    model: CompiledModel, graph: bytes, float_model: onnx.ModelProto, sample: Feed, pixels: Mapping[str, object]
) -> dict[str, Distance]:
    """Tensor name -> distance, for tensors that both models have."""
    network = ModelGraph(float_model)
    feed = {name: (value + 128).astype(np.uint8) if name in pixels else value for name, value in sample.items()}
    both = [t for t in model.tensors if not t.is_input and t.name in network.producer]
    session = open_session(graph)
    by_tensor: dict[str, Distance] = {}
    for batch in _batches(both):
        exact = _float_values(float_model, [t.name for t in batch], sample)
        tensors = [t for t in batch if t.name in exact]
        stored = session.run([t.onnx_name for t in tensors], feed) if tensors else []
        by_tensor |= {t.name: _distance(exact[t.name], _real(v, t)) for t, v in zip(tensors, stored, strict=True)}
    return by_tensor


def _batches(tensors: Sequence[BoardTensor]) -> Iterator[list[BoardTensor]]:
    """So many at a time that memory stays flat, whatever the network's size."""
    batch: list[BoardTensor] = []
    held = 0
    for tensor in tensors:
        held += math.prod(tensor.spec.shape)
        batch.append(tensor)
        if held > BATCH_ELEMENTS:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _float_values(float_model: onnx.ModelProto, names: list[str], sample: Feed) -> dict[str, Array]:
    wide = onnx.ModelProto()
    wide.CopyFrom(float_model)
    present = {value.name for value in wide.graph.output}
    wide.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in present)
    values = open_session(wide.SerializeToString()).run(names, sample)
    return {n: v for n, v in zip(names, values, strict=True) if v.dtype.kind == "f" and v.size}


def _real(value: Array, tensor: BoardTensor) -> Array:
    return dequantize(value, tensor.spec.quantization)


def _distance(exact: Array, close: Array) -> Distance:
    a, b = exact.astype(np.float64).reshape(-1), close.reshape(-1)
    off = np.abs(a - b)
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    cosine = float(a @ b) / norms if norms else float(np.array_equal(a, b))
    return Distance(cosine, float(off.mean()), float(np.sqrt(np.mean(off * off))), float(off.max()))
