"""Which dumps can be judged where they lie: padded ones whose tensor and storage are known before a byte is read.

Only names and sizes of the dumps are looked at, by the same matching and the same choice of a storage as when they are
compared. A dump whose valid bytes have the md5 of the reference's, in that storage, would be compared as exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.consistency.reading.layouts import BLOCKED, TensorError, storage, to_layout
from harness.consistency.reading.matching import match
from harness.consistency.reading.pairs import side_of
from harness.consistency.reading.specs import Storages, board_spec, open_array
from harness.consistency.reading.tensor_files import Array, encode, valid_md5
from harness.records import Dump, TensorSpec
from harness.reference.open import Reference, ReferenceTensor

Rows = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class ExpectedDump:
    """A dump, the tensor it must hold, and how. `rows` are (step, keep) bytes, outermost first, in `body_bytes`."""

    tensor: str
    side: ReferenceTensor  # the reference's integer or float side
    spec: TensorSpec
    size_bytes: int
    body_bytes: int
    rows: Rows

    def md5(self) -> str:
        """md5 of the reference's bytes in the stored order of the axes, without padding. Errors: TensorError."""
        return valid_md5(self._stored())

    def content(self) -> bytes:
        """A file of that storage with zeros for padding. Errors: TensorError."""
        return encode(self._stored(), self.spec)

    def _stored(self) -> Array:
        array = stored_values(self.side, self.spec)
        shape = storage(self.spec).shape
        if [n for n in array.shape if n != 1] != [n for n in shape if n != 1]:
            raise TensorError(f"{self.tensor}: {array.shape} is not {shape}", "", "shape_differs")
        return np.asarray(array).reshape(shape)


def predict_dumps(
    reference: Reference, dumps: Sequence[Dump], storages: Storages, mapping: Mapping[str, str]
) -> tuple[dict[Path, ExpectedDump], dict[Path, str]]:
    """What padded dumps must hold, and the tensor of every dump that has one, by path.

    Errors: InputError for a mapping that does not fit.
    """
    matching = match(reference, dumps, mapping)
    pairs = [(row.tensor, row.dump) for row in matching.rows if row.tensor is not None and row.dump is not None]
    pairs += [(reference.tensors[name], dump) for name, more in matching.inputs.items() for dump in more]
    predicted = {dump.path: _predicted(tensor, dump, storages) for tensor, dump in pairs}
    return {path: it for path, it in predicted.items() if it is not None}, {dump.path: t.name for t, dump in pairs}


def _predicted(tensor: ReferenceTensor, dump: Dump, storages: Storages) -> ExpectedDump | None:
    if dump.path.suffix == ".npy":
        return None
    try:
        spec = board_spec(tensor, dump, storages)
        placed = placed_rows(spec)
    except TensorError:
        return None
    side = side_of(tensor, spec)
    if placed is None or side.spec is None or not tells(side.spec, spec):
        return None
    body_bytes, rows = placed
    size_bytes = storage(spec).size_bytes
    return (
        ExpectedDump(tensor.name, side, spec, size_bytes, body_bytes, rows) if rows or body_bytes < size_bytes else None
    )


def tells(side: TensorSpec, spec: TensorSpec) -> bool:
    """Whether the values of a reference's tensor tell the bytes of a dump: its own dtype, or floats made of it."""
    floats = spec.dtype == "f32" and side.dtype[:1] in ("s", "u") and side.quantization is not None
    return side.dtype == spec.dtype or floats


def stored_values(side: ReferenceTensor, spec: TensorSpec) -> Array:
    """A tensor of the reference with the dtype and the axes of a dump; `tells` must hold. Errors: TensorError."""
    assert side.spec is not None
    array = open_array(side.path, side.spec)
    if side.spec.dtype != spec.dtype:
        array = _as_floats(array, side.spec)
    return to_layout(array, side.spec, spec.layout)


def _as_floats(array: Array, spec: TensorSpec) -> Array:
    """As DequantizeLinear and the tools compute it: one float32 product of each whole number."""
    q = spec.quantization
    assert q is not None
    shape = [1] * array.ndim
    if q.axis is not None and array.ndim:
        shape[q.axis] = -1
    try:
        scales, zeros = (np.asarray(n).reshape(shape if len(n) > 1 else -1) for n in (q.scales, q.zero_points or (0,)))
        real: Array = (array.astype(np.int64) - zeros).astype(np.float32) * scales.astype(np.float32)
    except ValueError as error:
        raise TensorError(f"{spec.name}: scales do not fit shape {array.shape}: {error}") from None
    return real.reshape(array.shape)


def placed_rows(spec: TensorSpec) -> tuple[int, Rows] | None:
    """Where the valid bytes of a file lie; None where they are not rows within rows. Errors: TensorError."""
    where = storage(spec)
    blocked = spec.layout in BLOCKED and len(spec.shape) == 4  # lanes without a channel do not follow from the shape
    if where.bits % 8 or blocked or 0 in where.shape:
        return None
    rows: list[tuple[int, int]] = []
    keep = where.bits // 8
    for count, step_bits in zip(reversed(where.shape), reversed(where.strides_bits), strict=True):
        step = step_bits // 8
        if count > 1 and step < keep:
            return None
        if count > 1 and step > keep:
            rows.append((step, keep))
        keep = count * step if count > 1 else keep
    return (keep, tuple(reversed(rows))) if keep <= where.size_bytes else None


def inputs_of(reference: Reference, tensors: Sequence[str]) -> set[str]:
    """What the ops that make these tensors read, by the reference's graph."""
    wanted = set(tensors)
    ops = reference.graph.ops if reference.graph is not None else ()
    return {name for op in ops if wanted.intersection(op.outputs) for name in op.inputs}
