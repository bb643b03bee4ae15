"""How dumps lie in their files when no reference says it: by an ONNX alone, which is read and not run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.consistency.reading.specs import Storages, board_spec
from harness.names import file_form
from harness.records import Dump, TensorSpec
from harness.reference.graph import LogicalTensor, logical_tensors
from harness.reference.open import ReferenceTensor


class ShapesOfModel:
    """What an ONNX tells of dumps by their names. Errors: InputError for a file that is no ONNX.

    Toolchains leave ONNX files with ops of their own, which cannot be run here but do tell order and shapes.
    """

    def __init__(self, model: Path, storages: Storages) -> None:
        self._storages = storages
        self._known = {
            file_form(name): tensor
            for tensor in reversed(logical_tensors(model))
            for name in (*tensor.aliases, tensor.name)
        }

    def resolve(self, dump: Dump) -> TensorSpec | None:
        """The spec of a dump; None where type or shape is unknown. Errors: TensorError for a dump of another size."""
        tensor = self._known.get(file_form(dump.name))
        if tensor is None or not tensor.spec.dtype or any(size <= 0 for size in tensor.spec.shape):
            return None
        return board_spec(_as_reference(tensor), dump, self._storages)

    def in_order(self, dumps: Sequence[Dump]) -> list[str]:
        """Names of dumps in the network's order; what the ONNX does not know comes behind, as it came."""
        names = list(dict.fromkeys(dump.name for dump in dumps))
        tensors = {name: self._known.get(file_form(name)) for name in names}
        return sorted(names, key=lambda name: _place(tensors[name]))


def _place(tensor: LogicalTensor | None) -> float:
    return math.inf if tensor is None else -1.0 if tensor.is_input else tensor.order


def _as_reference(tensor: LogicalTensor) -> ReferenceTensor:
    """Without a file: only its specs are asked for."""
    spec = replace(tensor.spec, layout="NCHW" if len(tensor.spec.shape) == 4 else "")
    floats = replace(spec, dtype="f32", quantization=None)
    other = ReferenceTensor(tensor.name, Path(), floats) if tensor.float_name else None
    return ReferenceTensor(tensor.name, Path(), spec, alternate=other)
