"""What is known of a board's dumps besides the dumps themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.consistency.reading.shapes import ShapesOfModel
from harness.consistency.reading.specs import board_spec
from harness.records import Dump, TensorSpec
from harness.review.case_reference import CaseReference


class DumpSpecs:
    """What is known of dumps besides the dumps: by a reference and its comparison, by an ONNX that is only read, or
    nothing. `names` are a comparison's layers by dump; without one every tensor counts."""

    def __init__(self, expected: CaseReference, names: Mapping[str, str] | None = None) -> None:
        self.names, self._storages = names or {}, expected.platform.storages
        self._tensors = expected.reference.tensors if expected.reference is not None else {}
        model = expected.case.graph if expected.reference is None else ""
        self._shapes = ShapesOfModel(Path(model), self._storages) if model else None

    def resolve(self, dump: Dump) -> TensorSpec | None:
        """The spec of a dump that has none of its own."""
        if self._shapes is not None:
            return self._shapes.resolve(dump)
        tensor = self._tensors.get(self.names.get(dump.name, dump.name))
        return board_spec(tensor, dump, self._storages) if tensor is not None else None

    def order(self, dumps: Sequence[Dump], repeats: Sequence[Mapping[str, str]]) -> tuple[list[str], bool]:
        """Names in the network's order, and whether that is the order of the files only."""
        if self.names:
            return [name for name in self.names.values() if any(name in run for run in repeats)], False
        if self._shapes is not None:
            return self._shapes.in_order(dumps), False
        return [], any(dump.index < 0 for dump in dumps)
