"""Inputs of a reference run: what the model takes, what was given, and the exact words when they differ."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from harness import dumps as files
from harness.errors import InputError
from harness.onnx_file import load_model, type_of
from harness.records import TensorSpec

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
    """The feed, or InputError that lists every input as expected and as given."""
    names = [spec.name for spec in expected]
    wrong = any(name not in given for name in names) or any(name not in names for name in given)
    if wrong or not all(_fits(spec, given[spec.name]) for spec in expected):
        lines = [f"  {s.name!r}: expected {describe(s)}, given {_shape_given(given.get(s.name))}" for s in expected]
        lines += [f"  {n!r}: no such input, given {_shape_given(v)}" for n, v in given.items() if n not in names]
        raise InputError("the inputs do not fit the model:\n" + "\n".join(lines), _input_hint(expected))
    return {name: np.ascontiguousarray(given[name]) for name in names}


def _fits(spec: TensorSpec, value: Array) -> bool:
    same_rank = value.ndim == len(spec.shape)
    sizes = same_rank and all(n in (-1, m) for n, m in zip(spec.shape, value.shape, strict=True))
    return sizes and files.NUMPY_DTYPES.get(value.dtype.name) == spec.dtype


def _shape_given(value: Array | None) -> str:
    if value is None:
        return "nothing"
    dtype = files.NUMPY_DTYPES.get(value.dtype.name, value.dtype.name)
    return f"{dtype} {'x'.join(map(str, value.shape)) or 'scalar'} ({value.nbytes} bytes)"


def _input_hint(expected: Sequence[TensorSpec]) -> str:
    if any(n < 0 for spec in expected for n in spec.shape):
        return "a dynamic size (?) takes its number from an .npy of the wanted shape"
    return " ".join(f"--input {spec.name}=FILE" for spec in expected)


def read_inputs(model: Path, given: Mapping[str, Path]) -> dict[str, Array]:
    """Input files to arrays: .npy as it is, any other file as raw bytes of the model's dtype and shape.

    Errors: InputError that lists every input with the bytes expected and given, and dynamic sizes, which raw
    bytes cannot fill.
    """
    specs = {spec.name: spec for spec in model_inputs(model)}
    missing = [str(path) for path in given.values() if not path.is_file()]
    if missing:
        raise InputError(f"input file not found: {', '.join(missing)}")
    raw = {n: p for n, p in given.items() if p.suffix != ".npy" and n in specs}
    if set(given) != set(specs) or not all(p.stat().st_size == dense_bytes(specs[n]) for n, p in raw.items()):
        _refuse_files(specs, given)
    return {name: _read_input(specs[name], path) for name, path in given.items()}


def _read_input(spec: TensorSpec, path: Path) -> Array:
    if path.suffix == ".npy":
        try:
            array: Array = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path}: not a readable .npy ({error})") from None
        return array
    dtype = next(k for k, v in files.NUMPY_DTYPES.items() if v == spec.dtype)
    return np.fromfile(path, dtype=dtype).reshape(spec.shape)


def dense_bytes(spec: TensorSpec) -> int:
    """Size of the tensor without padding; -1 for dynamic sizes or an unknown dtype."""
    if spec.dtype not in files.DTYPE_NAMES or any(n < 0 for n in spec.shape):
        return -1
    bits = int(re.sub(r"\D", "", spec.dtype))
    return (int(np.prod(spec.shape, dtype=np.int64)) * bits + 7) // 8


def _refuse_files(specs: Mapping[str, TensorSpec], given: Mapping[str, Path]) -> None:
    lines = []
    for name, spec in specs.items():
        size = dense_bytes(spec)
        wanted = f"{describe(spec)} ({size} bytes)" if size >= 0 else f"{describe(spec)} (dynamic: give an .npy)"
        got = f"{given[name]} ({given[name].stat().st_size} bytes)" if name in given else "nothing"
        lines.append(f"  {name!r}: expected {wanted}, given {got}")
    lines += [f"  {name!r}: the model has no such input" for name in given if name not in specs]
    raise InputError("the inputs do not fit the model:\n" + "\n".join(lines), _input_hint(list(specs.values())))
