"""Reads what reference_runner.py left. Another interpreter or a container wrote it: nothing in it is believed.

Every file must be a regular one of its own (no link, one name), of the size that its header promises, without Python
objects; result.json is strict JSON of bounded size, and may name only tensors that were asked for.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np

from harness.dumps.manifest import NUMPY_DTYPES
from harness.errors import HostError, InputError
from harness.reference.runtime import GUIDE, MAX_BYTES, Task
from harness.toolchains.vendor_runtime import PLAIN

Array = np.ndarray[Any, Any]

MAX_RESULT_BYTES = 32 * 2**20
MAX_HEADER_BYTES = 10_000  # of an .npy
MAX_TEXT = 600  # characters of a message that are passed on
FILE_NAME = re.compile(r"t[0-9]{5}\.npy")
# What the error of the other side is called here: whether the user's file is at fault, or the machine.
INPUT_ERRORS = {
    "model_refused": "cannot load it",
    "run_failed": "failed while running",
    "bad_inputs": "the inputs do not fit",
}
HOST_ERRORS = {"out_of_memory": "ran out of memory", "too_large": "gave more than fits", "failed": "failed"}


@dataclass(frozen=True)
class RuntimeResult:
    """What the runtime computed: tensors by ONNX name, what was left out and why, and facts about the runtime."""

    values: dict[str, Array]
    skipped: dict[str, str]
    outputs: tuple[str, ...]  # of the model, in its order
    facts: dict[str, Any]  # name, module, versions, python, machine
    dumping_changed_outputs: bool | None  # None where no further tensor was asked for


def read_results(folder: Path, label: str, task: Task) -> RuntimeResult:
    """The result in `folder`; arrays are memory-mapped and live as long as the folder.

    Errors: InputError for a model or inputs that the runtime refused, HostError for a missing runtime, for memory, and
    for a result that is not as agreed.
    """
    record = _read_json(folder / "result.json")
    if record.get("format") != 1:
        _refuse(f"format {record.get('format')!r}")
    if "error" in record:
        _raise_error(record["error"], label, task)
    outputs = tuple(_texts(record.get("outputs"), "outputs"))
    wanted = {name for batch in task.batches for name in batch} | set(outputs)
    changed = record.get("dumping_changed_outputs")
    return RuntimeResult(
        values=_read_tensors(folder, record.get("tensors"), wanted),
        skipped=_read_skipped(record.get("skipped"), wanted),
        outputs=outputs,
        facts=_read_facts(record.get("runtime"), task),
        dumping_changed_outputs=changed if isinstance(changed, bool) else None,
    )


def _refuse(what: str) -> NoReturn:
    raise HostError(f"invalid result of the runtime: {what}", f"see {GUIDE}")


# --------------------------------------------------------------------------- errors of the other side


def _raise_error(error: Any, label: str, task: Task) -> NoReturn:
    if not isinstance(error, dict):
        _refuse("error")
    kind, text = str(error.get("kind")), _printable(error.get("text"))
    if kind == "no_runtime":
        tried = [_printable(one)[:200] for one in _list(error.get("tried"), "tried")[:12]]
        looked = "; ".join(tried) or ", ".join(task.names)
        raise HostError(f"{label}: {text} for {task.model.name} (looked for {looked})", f"see {GUIDE}")
    if kind in INPUT_ERRORS:
        raise InputError(f"{task.model}: the runtime in {label} {INPUT_ERRORS[kind]}: {text}", _input_hint(kind))
    word = HOST_ERRORS.get(kind, "failed")
    raise HostError(f"{label}: the runtime {word}: {text}", "close other programs" if kind == "out_of_memory" else "")


def _input_hint(kind: str) -> str:
    return {"bad_inputs": "give each as --input TENSOR=FILE"}.get(
        kind, "check the toolchain version: quantized models load only in the release that created them"
    )


def _printable(value: Any) -> str:
    text = "".join(one if one.isprintable() else " " for one in str(value)[: 4 * MAX_TEXT])
    return " ".join(text.split())[:MAX_TEXT]


# --------------------------------------------------------------------------- the record


def _read_json(path: Path) -> dict[str, Any]:
    with _own_file(path) as (stream, size):
        if size > MAX_RESULT_BYTES:
            _refuse(f"result.json has {size} bytes")
        data = stream.read(MAX_RESULT_BYTES)
    try:
        record = json.loads(data, object_pairs_hook=_unique, parse_constant=lambda word: _refuse(f"number {word}"))
    except (ValueError, RecursionError) as error:
        _refuse(f"result.json: {_printable(error)[:200]}")
    return record if isinstance(record, dict) else _refuse("result.json is not an object")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    return record if len(record) == len(pairs) else _refuse("duplicate key in result.json")


def _list(value: Any, what: str) -> list[Any]:
    return value if isinstance(value, list) else _refuse(f"{what} is not a list")


def _texts(value: Any, what: str) -> list[str]:
    texts = _list(value, what)
    return texts if all(isinstance(one, str) for one in texts) else _refuse(f"{what} holds other things than names")


def _read_facts(value: Any, task: Task) -> dict[str, Any]:
    """Known keys only, as bounded text; the settings that plain onnxruntime was given are this side's own."""
    facts = value if isinstance(value, dict) else _refuse("runtime is no object")
    known: dict[str, Any] = {
        key: _printable(facts.get(key, ""))[:80] for key in ("name", "module", "python", "machine")
    }
    versions = facts.get("versions", {})
    if known["name"] not in task.names:
        _refuse(f"unexpected runtime {known['name']!r}")
    if known["name"] == PLAIN:
        known |= {"optimizations": task.optimizations, "threads": task.threads}
    rows = list(versions.items())[:16] if isinstance(versions, dict) else _refuse("versions is no object")
    return known | {"versions": {_printable(k)[:40]: _printable(v)[:80] for k, v in rows}}


def _read_skipped(value: Any, wanted: set[str]) -> dict[str, str]:
    rows = _list(value, "skipped")
    if not all(isinstance(row, dict) and row.get("name") in wanted for row in rows):
        _refuse("skipped names a tensor that was not asked for")
    return {row["name"]: _printable(row.get("reason"))[:300] for row in rows}


# --------------------------------------------------------------------------- tensors


def _read_tensors(folder: Path, value: Any, wanted: set[str]) -> dict[str, Array]:
    tensors: dict[str, Array] = {}
    total = 0
    for row in _list(value, "tensors"):
        name = row.get("name") if isinstance(row, dict) else None
        if not isinstance(name, str) or name not in wanted or name in tensors:
            _refuse(f"tensor {_printable(name)[:80]!r} was not asked for, or comes twice")
        tensors[name] = _read_tensor(folder, row)
        total += tensors[name].nbytes
        if total > MAX_BYTES:
            _refuse(f"more than {MAX_BYTES} bytes of tensors")
    return tensors


def _read_tensor(folder: Path, row: dict[str, Any]) -> Array:
    file = row.get("file")
    if not isinstance(file, str) or not FILE_NAME.fullmatch(file):
        _refuse(f"file name {_printable(file)[:80]!r}")
    with _own_file(folder / file) as (stream, size):
        shape, dtype = _header(stream, file)
        start = stream.tell()
        if start + math.prod(shape) * dtype.itemsize != size:
            _refuse(f"{file}: {size} bytes do not hold {dtype.name} {shape}")
        if [dtype.name, list(shape)] != [row.get("dtype"), row.get("shape")]:
            _refuse(f"{file}: holds {dtype.name} {shape}, result.json says otherwise")
        if 0 in shape:
            return np.zeros(shape, dtype)
        return np.memmap(stream, dtype=dtype, mode="r", offset=start, shape=shape)


def _header(stream: IO[bytes], file: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype of an .npy in C order whose elements are plain numbers."""
    try:
        npy: Any = np.lib.format  # numpy 1.26 has no types for it
        version = npy.read_magic(stream)
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        shape, fortran, dtype = read(stream, max_header_size=MAX_HEADER_BYTES)
    except (ValueError, KeyError, TypeError, RecursionError, SyntaxError) as error:
        _refuse(f"{file}: {_printable(error)[:200]}")
    if fortran or dtype.name not in NUMPY_DTYPES or not dtype.isnative or dtype.hasobject:
        _refuse(f"{file}: {dtype} in this order is not read")
    return tuple(int(n) for n in shape), dtype


@contextmanager
def _own_file(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """A file opened without following links, with its size; anything but a plain file of one name is refused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        _refuse(f"{path.name}: {error.strerror}")
    with os.fdopen(descriptor, "rb") as stream:
        facts = os.fstat(stream.fileno())
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
            _refuse(f"{path.name} is not a regular file")
        yield stream, facts.st_size
