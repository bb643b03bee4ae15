"""Which of a vendor's runtimes a model needs, and what it takes as input.

A vendor's quantized ONNX holds ops that plain onnxruntime does not know. The runtimes that run them come with the
vendor's toolchain image only: they run in an interpreter or container of their own (reference/runtime.py,
docs/reference-vendor.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray

from harness.errors import InputError
from harness.records import TensorSpec
from harness.toolchains.rooms import runtimes

Array = NDArray[Any]

PLAIN = "onnxruntime"
PIXEL_OFFSET = 128  # an image input is uint8 on the board, and int8 less this in the quantized ONNX


def names() -> tuple[str, ...]:
    """Every runtime there is."""
    return (*_vendors(), PLAIN)


def packages() -> tuple[str, ...]:
    """Python packages that hold the vendors' runtimes."""
    return tuple(package for one in runtimes() for package in one.packages)


def is_compiled(model: Path) -> bool:
    """Of such a model only the outputs are known: its layers have no names outside of the runtime."""
    return any(model.suffix.lower() in one.compiled for one in runtimes())


def needs_vendor(model: Path) -> bool:
    """Whether only the vendor's own runtime can run `model`. A file that is no ONNX needs none."""
    if is_compiled(model):
        return True
    if model.suffix.lower() != ".onnx":
        return False
    try:
        graph = onnx.load(str(model), load_external_data=False).graph
    except (DecodeError, ValueError, OSError):
        return False
    return any(one.has_op(node.domain, node.op_type) for one in runtimes() for node in graph.node)


def runtimes_for(model: Path) -> tuple[str, ...]:
    """Names of the runtimes to try for `model`, in order."""
    suffix = model.suffix.lower()
    if is_compiled(model):
        return tuple(name for one in runtimes() for name in one.compiled.get(suffix, ()))
    return _vendors() if needs_vendor(model) else (PLAIN, *_vendors())


def _vendors() -> tuple[str, ...]:
    return tuple(name for one in runtimes() for name in one.names)


def shift_pixels(specs: Sequence[TensorSpec], inputs: Mapping[str, Array]) -> dict[str, Array]:
    """uint8 pixels of an int8 input as the model takes them: less 128. Everything else as it is."""
    signed = {spec.name for spec in specs if spec.dtype == "s8"}
    return {
        name: (value.astype(np.int16) - PIXEL_OFFSET).astype(np.int8)
        if name in signed and value.dtype == np.uint8
        else value
        for name, value in inputs.items()
    }


def read_named(given: Sequence[str]) -> dict[str, Array]:
    """Arrays of `TENSOR=FILE.npy` words. Errors: InputError; a compiled model cannot be asked for its inputs' order."""
    feed: dict[str, Array] = {}
    for word in given:
        name, sign, file = word.partition("=")
        if not sign:
            raise InputError(f"{word!r}: input name missing", f"--input TENSOR={word}")
        if name in feed:
            raise InputError(f"--input {name}=...: given more than once", "give one file per input")
        try:
            feed[name] = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
            raise InputError(f"{file}: not a readable .npy ({reason})", "save it with numpy.save") from None
    return feed
