"""The manifest of a folder of tensors: how a tensor is described in JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.records import Quantization, TensorSpec

MANIFEST = "manifest.json"


MAX_ELEMENTS = 2**48  # of one tensor: what a manifest may claim without being nonsense


NUMPY_DTYPES = {
    "int8": "s8",
    "uint8": "u8",
    "int16": "s16",
    "uint16": "u16",
    "int32": "s32",
    "uint32": "u32",
    "int64": "s64",
    "uint64": "u64",
    "float16": "f16",
    "float32": "f32",
    "float64": "f64",
    "bool": "bool8",
}


DTYPE_NAMES = frozenset(NUMPY_DTYPES.values()) | {"s4", "u4", "bf16"}


def spec_to_json(spec: TensorSpec) -> dict[str, object]:
    """The keys of a manifest that describe one tensor; keys at their defaults are left out."""
    record: dict[str, object] = {"dtype": spec.dtype, "shape": list(spec.shape), "layout": spec.layout}
    if spec.quantization is not None:
        q = spec.quantization
        record["quantization"] = {"scales": list(q.scales), "zero_points": list(q.zero_points), "axis": q.axis}
    if spec.aligned_shape:
        record["aligned_shape"] = list(spec.aligned_shape)
    if spec.stride_bytes:
        record["stride_bytes"] = list(spec.stride_bytes)
    if spec.nibble_order != "low_first":
        record["nibble_order"] = spec.nibble_order
    return record


def spec_from_json(name: str, record: Mapping[str, Any], where: str) -> TensorSpec:
    """Inverse of `spec_to_json`. Errors: InputError naming `where` and the tensor."""
    try:
        q = record.get("quantization")
        spec = TensorSpec(
            name=name,
            dtype=str(record["dtype"]),
            shape=tuple(int(n) for n in record["shape"]),
            layout=str(record.get("layout", "")),
            aligned_shape=tuple(int(n) for n in record.get("aligned_shape", ())),
            stride_bytes=tuple(int(n) for n in record.get("stride_bytes", ())),
            quantization=None if q is None else _quantization(q),
            nibble_order=str(record.get("nibble_order", "low_first")),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"{where}: invalid entry of tensor {name!r} ({error!r})") from None
    if spec.dtype not in DTYPE_NAMES or any(n < 0 for n in spec.shape) or math.prod(spec.shape) > MAX_ELEMENTS:
        raise InputError(f"{where}: tensor {name!r} has dtype {spec.dtype!r} and shape {spec.shape}")
    return spec


def _quantization(record: Mapping[str, Any]) -> Quantization:
    axis = record.get("axis")
    return Quantization(
        scales=tuple(float(s) for s in record["scales"]),
        zero_points=tuple(int(z) for z in record.get("zero_points", (0,))),
        axis=None if axis is None else int(axis),
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder. Errors: InputError for one that is no JSON object with `tensors`."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not readable ({error})", "run harness reference again") from None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("tensors"), list):
        raise InputError(f"{path}: no list `tensors` found")
    if manifest.get("format") != 1:
        raise InputError(f"{path}: format {manifest.get('format')!r}, expected format 1")
    return manifest


def inside(folder: Path, name: object) -> Path:
    """`folder/name`, for a name read from a file. Errors: InputError for one that leads elsewhere."""
    path = folder / str(name)
    if not isinstance(name, str) or not name or not _real(path).is_relative_to(_real(folder)):
        raise InputError(f"{folder / MANIFEST}: file name {name!r} is outside the folder")
    return path


def _real(path: Path) -> Path:
    """Where a path leads; unlike `Path.resolve` also for links that lead in a circle."""
    return Path(os.path.realpath(path))


def order_of(record: Mapping[str, Any]) -> int:
    """Execution order as a manifest tells it; -1 where it does not."""
    value = record.get("order", record.get("index", -1))
    return value if isinstance(value, int) else -1
