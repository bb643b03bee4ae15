"""Networks, references and board folders for the tests of the comparison: all computed, nothing recorded."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.truth_parts.truth_models import MODELS, inputs_of, quantized, run_with
from harness.consistency.compare import CompareSettings, compare
from harness.dumps.folders import read_dumps
from harness.dumps.manifest import spec_to_json
from harness.records import Comparison
from harness.reference.open import Reference, run_reference

Array = np.ndarray[Any, Any]
Change = Callable[[Array], Array]


@cache
def float_model(name: str) -> onnx.ModelProto:
    """One of benchmarks.truth_parts.truth_models, as floats."""
    return MODELS[name](0)


def quantized_model(name: str, folder: Path, activations: str = "s8") -> Path:
    """The quantized ONNX of the same."""
    logging.getLogger().setLevel(logging.ERROR)  # the quantizer recommends a pre-processing of its own
    folder.mkdir(parents=True, exist_ok=True)
    return quantized(float_model(name), folder, name, activations=activations)


def quantized_reference(name: str, folder: Path, seed: int = 5) -> Reference:
    """A reference folder of the quantized model, under `folder`/reference."""
    model = quantized_model(name, folder)
    return run_reference(model, inputs_of(float_model(name), seed), folder / "reference")


def board_folder(
    folder: Path, reference: Reference, changes: Mapping[str, Change] | None = None, leave_out: tuple[str, ...] = ()
) -> Path:
    """Raw .bin files and a manifest, as a board would leave them: the reference's tensors, some of them changed."""
    folder.mkdir(parents=True, exist_ok=True)
    records = []
    for i, tensor in enumerate(t for t in reference.tensors.values() if t.name not in leave_out):
        value = np.array(tensor.load())
        if changes and tensor.name in changes:
            value = changes[tensor.name](value)
        path = folder / f"d{i:03d}.bin"
        path.write_bytes(np.ascontiguousarray(value).tobytes())
        assert tensor.spec is not None
        record = {"name": tensor.name, "file": path.name, "order": tensor.order, "is_input": tensor.is_input}
        records.append({**record, **spec_to_json(tensor.spec)})
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "tensors": records}), encoding="utf-8")
    return folder


def spread(name: str, reference: Reference, change: Change) -> dict[str, Change]:
    """A fault at tensor `name`, and everything behind it as a board that goes on with the wrong values computes it."""
    assert reference.model is not None
    values = {t.name: np.array(t.load()) for t in reference.tensors.values()}
    wrong = run_with(reference, {name: change(values[name])})
    return {n: (lambda _value, new=new: new) for n, new in wrong.items()}


def tiny_model(nodes: list[onnx.NodeProto], inputs: dict[str, Any], outputs: list[str], **weights: Array) -> Any:
    """A model from nodes; `inputs` maps names to shapes (float) or to (element type, shape)."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [_value_info(name, spec) for name, spec in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _value_info(name: str, spec: Any) -> onnx.ValueInfoProto:
    kind, shape = spec if isinstance(spec, tuple) else (TensorProto.FLOAT, spec)
    return helper.make_tensor_value_info(name, kind, shape)


def judged(reference: Reference, folder: Path, **settings: Any) -> Comparison:
    return compare(reference, read_dumps(folder), CompareSettings(**settings))


def row(comparison: Comparison, name: str) -> Any:
    return next(layer for layer in comparison.layers if layer.name == name)


def halve(x: Array) -> Array:
    return x >> 1
