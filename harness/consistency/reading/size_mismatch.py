"""Dumps whose size fits no way of storing their tensor: cut off, of another dtype, or another layer's file?

The bytes decide where they can: the start of what is expected, values that follow the reference's in another dtype,
or exactly those of another tensor. Where they say nothing, the other layers do; and where these do not either, both
is said.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from harness.consistency.reading.layouts import TensorError, bits_of
from harness.consistency.reading.matching import Match
from harness.consistency.reading.pairs import real_values
from harness.consistency.reading.specs import Storages, open_array
from harness.consistency.reading.tensor_files import Array, decode, size_bytes, to_layout
from harness.records import Dump, Fingerprint, Layer, TensorSpec
from harness.reference.open import Reference, ReferenceTensor

SIZED = ("truncated", "shape_differs", "dtype_differs")
OTHER = "it holds exactly the values of"
MOST_BYTES = 1 << 25  # of a file that is looked into: memory is up to 30 times that
MOST_WAYS = 16
SAMPLED = 64  # values of each tensor that are looked at first
FOLLOWS = 0.9  # correlation from which values are taken for those of the reference
ENOUGH = 8  # elements; fewer follow anything
NARROWER = {32: ("s16", "u16", "f16", "s8", "u8"), 16: ("s8", "u8"), 64: ("s32", "f32", "s16", "s8"), 8: ()}


@dataclass(frozen=True)
class SizeMismatch:
    """`reason` of records.REASONS and a sentence; `open` where the bytes alone do not decide between two reasons."""

    reason: str
    evidence: str
    open: bool = False
    narrow: str = ""  # the dtype in which its values follow the reference's


@dataclass(frozen=True)
class _Sample:
    """What nearly every other tensor differs in: dtype, shape, and a few values."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    places: tuple[Array, ...]
    values: Array

    @classmethod
    def of(cls, array: Array) -> _Sample:
        at = np.linspace(0, max(0, array.size - 1), num=min(SAMPLED, array.size), dtype=np.int64)
        places = np.unravel_index(at, array.shape) if array.ndim else ()
        return cls(array.dtype, array.shape, places, np.array(array[places]))


@dataclass(frozen=True)
class SizeMismatches:
    """What may be asked of one comparison about files that do not fit."""

    reference: Reference
    storages: Storages | None
    most_bytes: int = MOST_BYTES
    samples: dict[str, _Sample] = field(default_factory=dict)

    def explain(self, error: TensorError, tensor: ReferenceTensor, dump: Dump) -> SizeMismatch:
        """What a file is whose size fits nothing; the error's own words where nothing more is known."""
        plain = SizeMismatch(error.reason, error.message)
        if error.reason not in SIZED or dump.path.suffix == ".npy" or tensor.spec is None:
            return plain
        try:
            size = dump.path.stat().st_size
            if not 0 < size <= self.most_bytes:
                smaller = size < size_bytes(dump.spec or self._ways(tensor.spec)[0])
                return replace(plain, open=smaller and plain.reason == "dtype_differs")
            other = self.holder(dump, tensor.name)
            if other:
                return SizeMismatch("other_tensor", f"{error.message}; {OTHER} {other!r}")
            return self._by_bytes(plain, tensor, dump, dump.path.read_bytes())
        except (OSError, TensorError):
            return plain

    def file_of(self, row: Match) -> Fingerprint | None:
        """What a file of the right size is, where its values are not those of its tensor."""
        other = self.holder(row.dump, row.tensor.name) if row.dump is not None and row.tensor is not None else ""
        if other:
            return Fingerprint("other_tensor", True, f"{OTHER} {other!r}", figures={"holds": other})
        wider = self.begins(row)
        evidence = f"read as the beginning of a file of {wider} its values follow the reference's"
        return Fingerprint("cut_off", False, evidence) if wider else None

    def holder(self, dump: Dump, but: str) -> str:
        """The other tensor whose values a file holds exactly; "" for none. Values that are all one say nothing."""
        return next((name for name, values in self._readings(dump) if name != but and self._is(name, values)), "")

    def _is(self, name: str, values: Array) -> bool:
        sample = self._sample(name)
        if (values.shape, values.dtype) != (sample.shape, sample.dtype) or values.size < ENOUGH:
            return False
        if not np.array_equal(values[sample.places], sample.values):
            return False
        tensor = self.reference.tensors[name]
        assert tensor.spec is not None
        reference = open_array(tensor.path, tensor.spec)
        return np.array_equal(values, reference) and bool((values != values.flat[0]).any())

    def _sample(self, name: str) -> _Sample:
        """A few values of a tensor: each file is opened once, however many dumps are held against it."""
        if name not in self.samples:
            tensor = self.reference.tensors[name]
            assert tensor.spec is not None
            self.samples[name] = _Sample.of(open_array(tensor.path, tensor.spec))
        return self.samples[name]

    def _readings(self, dump: Dump) -> Iterator[tuple[str, Array]]:
        """A file read as each tensor that could lie in it."""
        if dump.path.suffix == ".npy":
            array = open_array(dump.path, TensorSpec(dump.name, "u8", ()))
            yield from ((name, array) for name, t in self.reference.tensors.items() if t.spec is not None)
            return
        for tensor, way in self._by_size.get(dump.path.stat().st_size, [])[:MOST_WAYS]:
            assert tensor.spec is not None
            yield tensor.name, to_layout(open_array(dump.path, way), way, tensor.spec.layout)

    @cached_property
    def _by_size(self) -> Mapping[int, list[tuple[ReferenceTensor, TensorSpec]]]:
        by_size = defaultdict(list)
        for tensor in self.reference.tensors.values():
            if tensor.spec is not None and min(tensor.spec.shape, default=1) > 0:
                for way in self._ways(tensor.spec):
                    if way.dtype == tensor.spec.dtype:
                        by_size[size_bytes(way)].append((tensor, way))
        return by_size

    def _ways(self, spec: TensorSpec) -> list[TensorSpec]:
        if self.storages is None:
            return [spec]
        return list(dict.fromkeys(way for unit in ("", "CPU") for way in self.storages(spec, unit))) or [spec]

    def _by_bytes(self, plain: SizeMismatch, tensor: ReferenceTensor, dump: Dump, data: bytes) -> SizeMismatch:
        spec = dump.spec or tensor.spec
        assert spec is not None and tensor.spec is not None
        likely = self._ways(spec) if dump.spec is None else [spec]
        ways = [way for way in likely if size_bytes(way) > len(data)]
        reference = np.asarray(open_array(tensor.path, tensor.spec))
        starts = [_start(data, way, tensor.spec, reference) for way in ways[:MOST_WAYS]]
        if any(start.equal for start in starts):
            return SizeMismatch("truncated", f"{plain.evidence}: truncated file, its content is right")
        narrow = self.narrower(tensor, dump, data, reference)
        if narrow:
            evidence = f"{plain.evidence}: read as {narrow} its values follow the reference's"
            return SizeMismatch("dtype_differs", evidence, narrow=narrow)
        if any(start.follows for start in starts):
            return SizeMismatch("truncated", f"{plain.evidence}: truncated file; its content follows the reference")
        if plain.reason == "dtype_differs" and ways:
            return replace(plain, open=True)
        return SizeMismatch("truncated", plain.evidence) if len(data) < size_bytes(likely[0]) else plain

    def begins(self, row: Match) -> str:
        """The wider dtype of which a raw file is the beginning although it has the size of a narrower one; else ""."""
        tensor, dump = row.tensor, row.dump
        if tensor is None or dump is None or tensor.spec is None or dump.spec is not None or dump.path.suffix == ".npy":
            return ""
        size = dump.path.stat().st_size
        if size > self.most_bytes:
            return ""
        reference = np.asarray(open_array(tensor.path, tensor.spec))
        wider = [w for w in self._ways(tensor.spec) if size_bytes(w) > size and bits_of(w) > bits_of(tensor.spec)]
        data = dump.path.read_bytes()
        return next((way.dtype for way in wider if _start(data, way, tensor.spec, reference).follows), "")

    def misread(self, row: Match) -> str:
        """The narrower dtype of a raw file that was read as floats because its padding gives it their size."""
        tensor, dump = row.tensor, row.dump
        if tensor is None or dump is None or dump.spec is not None or dump.path.suffix == ".npy" or tensor.spec is None:
            return ""
        if dump.path.stat().st_size > self.most_bytes:
            return ""
        reference = np.asarray(open_array(tensor.path, tensor.spec))
        return self.narrower(tensor, dump, dump.path.read_bytes(), reference)

    def narrower(self, tensor: ReferenceTensor, dump: Dump, data: bytes, reference: Array) -> str:
        """The narrower dtype in which a file has the right size and values like the reference's; "" for none."""
        spec = dump.spec or tensor.spec
        assert spec is not None and tensor.spec is not None
        wanted = real_values(reference, _flat(tensor.spec)).reshape(-1)
        for dtype in NARROWER.get(bits_of(spec), ()):
            plain = replace(spec, dtype=dtype, quantization=None, stride_bytes=(), aligned_bytes=None)
            for way in [*self._ways(plain), plain]:
                if way.dtype == dtype and size_bytes(way) == len(data) and _reads(data, way, tensor.spec, wanted):
                    return dtype
        return ""


def _reads(data: bytes, way: TensorSpec, spec: TensorSpec, wanted: Array) -> bool:
    try:
        values = to_layout(decode(data, way), way, spec.layout)
    except TensorError:
        return False
    return values.size == wanted.size >= ENOUGH and _follow(values.reshape(-1).astype(np.float64), wanted)


@dataclass(frozen=True)
class _Start:
    equal: bool = False
    follows: bool = False


def _start(data: bytes, way: TensorSpec, spec: TensorSpec, reference: Array) -> _Start:
    """The elements that a file holds wholly, if it is the beginning of one that is stored in this way."""
    missing = size_bytes(way) - len(data)
    try:
        board = to_layout(decode(data + bytes(missing), way), way, spec.layout)
        plain = replace(way, dtype=f"u{bits_of(way)}", quantization=None)
        whole = to_layout(decode(b"\xff" * len(data) + bytes(missing), plain), plain, spec.layout)
    except TensorError:
        return _Start()
    written = whole == whole.dtype.type((1 << bits_of(way)) - 1)
    if board.shape != reference.shape or written.sum() < ENOUGH:
        return _Start()
    values, wanted = board[written], reference[written]
    if way.dtype == spec.dtype and np.array_equal(values, wanted) and (wanted != wanted[0]).any():
        return _Start(True, True)
    with np.errstate(all="ignore"):  # any bytes may be read as floats here
        return _Start(False, _follow(real_values(values, _flat(way)), real_values(wanted, _flat(spec))))


def _flat(spec: TensorSpec) -> TensorSpec:
    """Without scales per channel, which need the shape: a correlation does not."""
    q = spec.quantization
    return spec if q is None or q.axis is None else replace(spec, quantization=None)


def _follow(values: Array, wanted: Array) -> bool:
    with np.errstate(all="ignore"):
        a, b = values - values.mean(), wanted - wanted.mean()
        size = math.sqrt(float((a * a).sum() * (b * b).sum()))
        return bool(size > 0 and float((a * b).sum()) / size > FOLLOWS)


def settle(layers: Sequence[Layer], open_rows: Mapping[str, str]) -> Iterator[Layer]:
    """Rows whose bytes did not decide (name -> dtype of the reference), by what the other layers of that dtype are."""
    for layer in layers:
        if layer.name not in open_rows:
            yield layer
            continue
        dtype = open_rows[layer.name]
        fits = sum(row.verdict != "not_compared" and row.dtype == dtype for row in layers)
        unlike = sum(row.reason == "dtype_differs" and row.verdict == "not_compared" for row in layers) - 1
        yield _settled(layer, dtype, fits, unlike)


def _settled(layer: Layer, dtype: str, fits: int, unlike: int) -> Layer:
    if fits >= unlike:
        evidence = (
            f"truncated ({fits} other {dtype} layers have the right size)"
            if fits
            else "truncated, or a different dtype"
        )
        return replace(layer, reason="truncated", note=f"{layer.note}; {evidence}")
    return replace(layer, note=f"{layer.note}; {unlike} other layers also have the size of a different dtype")
