"""The ONNX that a config names, as far as linting looks at it: its inputs, its nodes and its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ModelInput:
    """One input. `shape` has 0 for an open size."""

    name: str
    shape: tuple[int, ...]
    dtype: str  # as numpy writes it; "" where numpy has none


@dataclass(frozen=True)
class Network:
    """What is read of one ONNX, without its weights."""

    path: Path
    inputs: Mapping[str, ModelInput] = field(default_factory=dict)  # in the model's order
    kinds: Mapping[str, str] = field(default_factory=dict)  # node name -> op type
    tensors: frozenset[str] = frozenset()  # what nodes write
    outputs: tuple[str, ...] = ()
    opset: int = 0
    unnamed: int = 0  # nodes without a name: the toolchain gives them one
    types: frozenset[str] = frozenset()  # op types of all nodes


def read_network(path: Path) -> Network | None:
    """The model at `path`; None for what is no ONNX."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load(str(path), load_external_data=False)
    except (DecodeError, OSError, ValueError):
        return None
    graph = model.graph
    if not graph.node:
        return None
    constants = {tensor.name for tensor in graph.initializer}
    inputs = {value.name: _input(value) for value in graph.input if value.name not in constants}
    return Network(
        path=path,
        inputs=inputs,
        kinds={node.name: node.op_type for node in graph.node if node.name},
        tensors=frozenset(name for node in graph.node for name in node.output),
        outputs=tuple(value.name for value in graph.output),
        opset=next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 0),
        unnamed=sum(not node.name for node in graph.node),
        types=frozenset(node.op_type for node in graph.node),
    )


def _input(value: Any) -> ModelInput:
    import onnx

    tensor = value.type.tensor_type
    try:
        dtype = str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except (KeyError, TypeError, ValueError):
        dtype = ""
    return ModelInput(value.name, tuple(max(0, dim.dim_value) for dim in tensor.shape.dim), dtype)
