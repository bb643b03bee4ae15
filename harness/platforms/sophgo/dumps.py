"""Tensors that a run left: outputs cut from output.dat, layers in the archives of the vendor's tools.

A layer is named `<ONNX tensor>_<op type of the last fused op>`, so its name without that ending is an alias.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import InputError
from harness.files.npy import open_npy
from harness.files.npz import unpacked
from harness.files.scratch import scratch_folder
from harness.platforms.sophgo.info import tensor_map
from harness.platforms.text import read_text
from harness.records import Dump, ModelInfo, TensorSpec

_OP_ENDING = re.compile(r"_([A-Z][A-Za-z0-9]*)$")
_CAST_BACK = re.compile(r"_(?:f32|f16|bf16|si8|ui8)$")
_OUTPUT = re.compile(r"output_([0-9]{1,4})\.bin")
_NUMPY = {
    "int8": "s8", "uint8": "u8", "int16": "s16", "uint16": "u16", "int32": "s32", "uint32": "u32", "int64": "s64",
    "float16": "f16", "float32": "f32", "float64": "f64",
}  # fmt: skip
LOCATIONS = "tensor_location.json"
_WEIGHTED = {"Conv2D": "Conv", "Conv3D": "Conv", "Deconv": "ConvTranspose", "MatMul": "MatMul"}
MODEL_TEXT = "model_info.txt"  # what model_tool prints, which the script keeps beside the archive


def aliases(name: str) -> tuple[str, ...]:
    """Other names of a layer: without the op's type, without the cast of an output."""
    bare = _CAST_BACK.sub("", name)
    dumps = [bare, _OP_ENDING.sub("", bare), _OP_ENDING.sub("", name)]
    return tuple(dict.fromkeys(one for one in dumps if one and one != name))


def outputs(folder: Path, info: ModelInfo) -> tuple[Dump, ...]:
    """The model's outputs in its own order; those of an archive by name."""
    files = {int(match[1]): path for path in folder.glob("output_*.bin") if (match := _OUTPUT.fullmatch(path.name))}
    dumps = [
        Dump(spec.name, files[i], spec, aliases=aliases(spec.name)) for i, spec in enumerate(info.outputs) if i in files
    ]
    if dumps:
        return tuple(dumps)
    named = {spec.name for spec in info.outputs}
    for archive in ("output.npz", "layers.npz"):
        if dumps := [dump for dump in _archive(folder / archive, _stored(folder)) if dump.name in named]:
            return tuple(replace(dump, op="", op_kind="", index=-1) for dump in dumps)
    return ()


def layers(folder: Path, info: ModelInfo) -> tuple[Dump, ...]:
    """Layers by name: dequantized by the BM's tool, as they are stored by CV18xx's."""
    inputs, outputs = ({spec.name for spec in specs} for specs in (info.inputs, info.outputs))
    path = next(iter(sorted(folder.glob("soc_infer_*.npz"))), folder / "layers.npz")
    kinds = weighted_ops(folder)
    dumps = [dump for dump in _archive(path, _stored(folder)) if dump.name not in outputs]
    dumps = [replace(dump, op_kind=kinds.get(dump.name, dump.op_kind)) for dump in dumps]
    return tuple(replace(dump, role="input", op="", op_kind="input") if dump.name in inputs else dump for dump in dumps)


def weighted_ops(folder: Path) -> dict[str, str]:
    """Layer -> the op with weights that makes it, by the ONNX's word: an activation behind it gives it the name.

    From the compiler's tensor_location.json; empty where that is not there, or damaged.
    """
    kinds: dict[str, str] = {}
    for op in located_ops(folder):
        if op.opcode in _WEIGHTED:
            kinds |= dict.fromkeys(op.results, _WEIGHTED[op.opcode])
    return kinds


@dataclass(frozen=True)
class LocatedOp:
    """One op of tensor_location.json: its line in final.mlir, and the names of what it makes."""

    line: int
    opcode: str  # without its dialect
    results: tuple[str, ...]


def located_ops(folder: Path) -> list[LocatedOp]:
    """The ops that the file lists; none of a damaged one."""
    try:
        rows = json.loads(read_text(folder / LOCATIONS) or "[]")
    except (ValueError, RecursionError):
        return []
    ops = (_located(row) for row in (rows if isinstance(rows, list) else []) if isinstance(row, dict))
    return [op for op in ops if op is not None]


def _located(row: Mapping[str, object]) -> LocatedOp | None:
    line, results = row.get("file-line"), row.get("results")
    if not isinstance(line, int) or not isinstance(results, list):
        return None
    names = [one.get("name") for one in results if isinstance(one, dict)]
    opcode = str(row.get("opcode", "")).rpartition(".")[2]
    return LocatedOp(line, opcode, tuple(name for name in names if isinstance(name, str) and name))


def _stored(folder: Path) -> Mapping[str, TensorSpec]:
    """What model_tool told of a .cvimodel's tensors in the same folder; nothing on a BM168x."""
    return tensor_map(read_text(folder / MODEL_TEXT))


def _archive(path: Path, specs: Mapping[str, TensorSpec]) -> Iterator[Dump]:
    if not path.is_file():
        return
    try:
        files = unpacked(path, scratch_folder())
    except InputError:  # cut or foreign: no dump of it, and the mode's judgement says that it is there
        return
    for index, (name, file) in enumerate(files.items()):
        spec = _spec(name, file, specs.get(name))
        yield Dump(name, file, spec, op=name, op_kind=_kind(name), index=index, aliases=aliases(name), unit="NPU")


def _kind(name: str) -> str:
    match = _OP_ENDING.search(name)
    return match[1] if match else ""


def _spec(name: str, file: Path, stored: TensorSpec | None) -> TensorSpec | None:
    """As the array says; its scale, and that uint16 are bf16, as the model's own table says."""
    try:
        array = open_npy(file)
    except (OSError, ValueError, EOFError):
        return None
    dtype = _NUMPY.get(array.dtype.name)
    if dtype is None:
        return None
    spec = TensorSpec(name, dtype, tuple(array.shape))
    if stored is None:
        return spec
    return replace(spec, dtype=stored.dtype, quantization=stored.quantization) if _same(dtype, stored.dtype) else spec


def _same(read: str, stored: str) -> bool:
    return read == stored or (read, stored) in (("u16", "bf16"), ("u16", "f16"))
