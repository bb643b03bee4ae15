"""Inputs of a reference run: what the model takes, what was given, and the exact words when they differ."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from harness.dumps import manifest
from harness.errors import InputError
from harness.files.arrays import NPY_MAGIC
from harness.files.npy import npy_of_bytes, open_npy
from harness.records import TensorSpec
from harness.reference.onnx_file import load_model, type_of
from harness.reference.picture_inputs import Y, picture_inputs

Array = np.ndarray[Any, Any]


def model_inputs(model: Path) -> tuple[TensorSpec, ...]:
    """Name, dtype and shape of each graph input of an ONNX; dynamic sizes are -1."""
    return input_specs(load_model(model))


def input_specs(proto: onnx.ModelProto) -> tuple[TensorSpec, ...]:
    """The same of a model in memory."""
    weights = {tensor.name for tensor in proto.graph.initializer}
    return tuple(type_of(value) for value in proto.graph.input if value.name not in weights)


def describe(spec: TensorSpec) -> str:
    """`f32 1x3x224x224`; dynamic sizes are `?`."""
    return f"{spec.dtype or 'unknown'} {'x'.join('?' if n < 0 else str(n) for n in spec.shape) or 'scalar'}"


def check_inputs(expected: Sequence[TensorSpec], given: Mapping[str, Array]) -> dict[str, Array]:
    """The feed by name, in C order, dtypes and shapes as given.

    Errors: InputError that lists every input as expected and as given.
    """
    names = [spec.name for spec in expected]
    wrong = any(name not in given for name in names) or any(name not in names for name in given)
    if wrong or not all(_fits(spec, given[spec.name]) for spec in expected):
        lines = [f"  {s.name!r}: expected {describe(s)}, got {_shape_given(given.get(s.name))}" for s in expected]
        lines += [f"  {n!r}: no such input, given {_shape_given(v)}" for n, v in given.items() if n not in names]
        raise InputError("the inputs do not match the model:\n" + "\n".join(lines), _input_hint(expected))
    return {name: np.ascontiguousarray(given[name]) for name in names}


def _fits(spec: TensorSpec, value: Array) -> bool:
    same_rank = value.ndim == len(spec.shape)
    sizes = same_rank and all(n in (-1, m) for n, m in zip(spec.shape, value.shape, strict=True))
    return sizes and manifest.NUMPY_DTYPES.get(value.dtype.name) == spec.dtype


def _shape_given(value: Array | None) -> str:
    if value is None:
        return "nothing"
    dtype = manifest.NUMPY_DTYPES.get(value.dtype.name, value.dtype.name)
    return f"{dtype} {'x'.join(map(str, value.shape)) or 'scalar'} ({value.nbytes} bytes)"


def _input_hint(expected: Sequence[TensorSpec]) -> str:
    if any(n < 0 for spec in expected for n in spec.shape):
        return "for a dynamic size (?), give an .npy of the wanted shape"
    return "give " + " ".join(f"--input {spec.name}=FILE" for spec in expected)


def read_inputs(model: Path, given: Mapping[str, Path], tell: Callable[[str], None] | None = None) -> dict[str, Array]:
    """Input files to arrays: .npy as it is, pictures as the model takes them (`tell` is told how), any other file as
    raw bytes of the model's dtype and shape.

    Errors: InputError that lists every input with the bytes expected and given, and dynamic sizes, which raw
    bytes cannot fill.
    """
    missing = [str(path) for path in given.values() if not path.is_file()]
    if missing:
        raise InputError(f"no such input file: {', '.join(missing)}", "give a .npy or a file of raw bytes")
    specs = model_inputs(model)
    pictures = picture_inputs(model, specs, given, tell or (lambda _sentence: None))
    others = {name: path for name, path in given.items() if name not in pictures and f"{name}{Y}" not in pictures}
    arrays = {name: _read_npy(path) for name, path in others.items() if path.suffix == ".npy"} | pictures
    sizes = {name: path.stat().st_size for name, path in others.items() if path.suffix != ".npy"}
    refuse_sizes(specs, sizes, {name: _shape_given(a) for name, a in arrays.items()})
    by_name = {spec.name: spec for spec in specs}
    raw = {name: np.fromfile(given[name], dtype=np.uint8) for name in sizes}
    return {**arrays, **{name: _of_bytes(by_name[name], data) for name, data in raw.items()}}


def arrays_of_bytes(specs: Sequence[TensorSpec], given: Mapping[str, bytes | Array]) -> dict[str, Array]:
    """Raw bytes of each input to arrays; arrays (of inputs of open sizes) as they are. Errors: InputError as
    `read_inputs`."""
    arrays = {name: value for name, value in given.items() if isinstance(value, np.ndarray)}
    raw = {name: value for name, value in given.items() if isinstance(value, bytes)}
    open_sizes = {spec.name for spec in specs if dense_bytes(spec) < 0}
    for name in [name for name, data in raw.items() if name in open_sizes and data[:6] == NPY_MAGIC]:
        arrays[name] = _array_of_npy(name, raw.pop(name))
    specs = [_filled(spec, len(raw[spec.name])) if spec.name in raw else spec for spec in specs]
    sizes = {name: len(data) for name, data in raw.items()}
    refuse_sizes(specs, sizes, {name: _shape_given(array) for name, array in arrays.items()})
    by_name = {spec.name: spec for spec in specs}
    made = {name: _of_bytes(by_name[name], np.frombuffer(data, dtype=np.uint8)) for name, data in raw.items()}
    return {**arrays, **made}


def _filled(spec: TensorSpec, given_bytes: int) -> TensorSpec:
    """With its one open size, as the number of bytes tells it; as it is where none or several are open."""
    one = tuple(1 if size < 0 else size for size in spec.shape)
    step = dense_bytes(replace(spec, shape=one))
    if spec.shape.count(-1) != 1 or step <= 0 or given_bytes % step:
        return spec
    return replace(spec, shape=tuple(given_bytes // step if size < 0 else size for size in spec.shape))


def _array_of_npy(name: str, data: bytes) -> Array:
    try:
        return npy_of_bytes(data)
    except ValueError as error:
        raise InputError(f"input {name!r}: not a readable .npy ({error})") from None


def _of_bytes(spec: TensorSpec, data: Array) -> Array:
    dtype = next(k for k, v in manifest.NUMPY_DTYPES.items() if v == spec.dtype)
    return data.view(dtype).reshape(spec.shape)


def _read_npy(path: Path) -> Array:
    try:
        return np.array(open_npy(path))  # in memory: the file may change before it is fed
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a readable .npy ({error})") from None


def dense_bytes(spec: TensorSpec) -> int:
    """Size of the tensor without padding; -1 for dynamic sizes or an unknown dtype."""
    if spec.dtype not in manifest.DTYPE_NAMES or any(n < 0 for n in spec.shape):
        return -1
    bits = int(re.sub(r"\D", "", spec.dtype))
    return (math.prod(spec.shape) * bits + 7) // 8


def refuse_sizes(specs: Sequence[TensorSpec], sizes: Mapping[str, int], arrays: Mapping[str, str]) -> None:
    """Hold raw bytes against the model's inputs. Errors: InputError that lists every input."""
    names = {spec.name for spec in specs}
    given = {**{name: f"{size} bytes" for name, size in sizes.items()}, **arrays}
    fit = all(dense_bytes(spec) == sizes[spec.name] for spec in specs if spec.name in sizes)
    if fit and set(given) == names:
        return
    lines = []
    for spec in specs:
        size = dense_bytes(spec)
        wanted = f"{size} bytes" if size >= 0 else "dynamic size: give an .npy"
        lines.append(f"  {spec.name!r}: expected {describe(spec)} ({wanted}), got {given.get(spec.name, 'nothing')}")
    lines += [f"  {name!r}: no such input, given {what}" for name, what in given.items() if name not in names]
    raise InputError("the inputs do not match the model:\n" + "\n".join(lines), _input_hint(specs))
