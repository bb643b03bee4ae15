"""Tensor files of Magik: what the debug library leaves on a board, and what the PC tools leave.

Board: raw tensor name + `_out` (`_weight`, `_bt`, `_mean`, `_variance` are parameters and have no partner on the PC).
PC: sanitised tensor name; shapes stand in the executor's log only. Channels last on both sides.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from harness.names import file_form
from harness.records import Dump, TensorSpec

PARAMETERS = ("_weight", "_bt", "_mean", "_variance")
OUTPUT = "_out"
LANES = 32  # channels that the NNA keeps together; a last convolution is padded to that many
_SHAPED = re.compile(r"^(?:input_data_shape|magik_input_nhwc|output_index_[0-9]+_shape)((?:_[0-9]{1,6}){4})$")
_INPUT = re.compile(r"^(?:input_data_shape|magik_input_nhwc)(?:_[0-9]{1,6}){4}$|^input_uint8$")
_LOGGED = re.compile(r"Data dumping to:\S*?([^/\s]+)\.bin--->shape:\[([0-9]+(?:,[0-9]+)*)\]")
_LOG_BYTES = 16 * 2**20
_MOST_LOGS = 64


def board_dumps(folder: Path) -> tuple[Dump, ...]:
    """Layers and parameters that a debug run left, in the natural order of their names; empty for a PC's folder."""
    if _is_of_pc(folder):
        return ()
    files = [path for path in folder.rglob("*.bin") if path.is_file()]
    made = [dump for path in sorted(files, key=lambda p: natural(p.stem)) if (dump := _board_dump(path)) is not None]
    return tuple(made) if any(dump.role == "output" for dump in made) else ()


def _board_dump(path: Path) -> Dump | None:
    stem = path.stem
    if stem.endswith(OUTPUT):
        name = stem.removesuffix(OUTPUT)
        return Dump(name, path, aliases=(file_form(name),), unit="NNA", may_be_nibbles=True)
    ending = next((end for end in PARAMETERS if stem.endswith(end)), "")
    return Dump(stem, path, role="parameter", unit="NNA") if ending else None


def _is_of_pc(folder: Path) -> bool:
    """Whether the executor's log names the files as they are: tensors of the PC may end in `_out` themselves."""
    stems = [path.stem for path in folder.glob("*.bin")]
    if any(stem.endswith(PARAMETERS) for stem in stems):  # only a board leaves them
        return False
    shapes = logged_shapes(folder)
    return sum(stem in shapes for stem in stems) > sum(
        stem.removesuffix(OUTPUT) in shapes for stem in stems if stem.endswith(OUTPUT)
    )


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts numbers in names as numbers. Tensor numbers follow the network roughly, layer numbers do not."""
    parts = re.findall(r"[0-9]{1,18}|[^0-9]+|[0-9]+", name)
    return tuple((0, int(p), "") if p.isdigit() and len(p) <= 18 else (1, 0, p) for p in parts)


# --------------------------------------------------------------------------- the PC's side


def pc_dumps(folder: Path) -> tuple[Dump, ...]:
    """Tensors of MAGIK_DATA_DUMP, TrainingKit's feature folder or ptq_model; empty for a folder that is none of them.

    With the executor's log (in the folder or beside it) shapes, types and order are known. Inputs have role "input".
    """
    files = [path for path in sorted(folder.glob("*.bin"), key=lambda p: natural(p.stem)) if path.is_file()]
    shapes = logged_shapes(folder) if files else {}
    if not files or not (shapes or any(_INPUT.match(path.stem) for path in files)):
        return ()
    order = {name: index for index, name in enumerate(shapes)}
    made = [_pc_dump(path, shapes, order) for path in files]
    return tuple(sorted(made, key=lambda dump: dump.index if dump.index >= 0 else len(files)))


def _pc_dump(path: Path, shapes: Mapping[str, tuple[int, ...]], order: Mapping[str, int]) -> Dump:
    stem = path.stem
    shape = shapes.get(stem) or _shape_in(stem)
    spec = spec_by_size(stem, shape, path.stat().st_size) if shape else None
    role = "input" if _INPUT.match(stem) else "output"
    return Dump(stem, path, spec, role=role, index=order.get(stem, -1), aliases=(stem,))


def _shape_in(stem: str) -> tuple[int, ...]:
    match = _SHAPED.match(stem)
    return tuple(int(n) for n in match[1].split("_")[1:]) if match else ()


def spec_by_size(name: str, shape: tuple[int, ...], size: int) -> TensorSpec | None:
    """The type that makes `shape` fill `size` bytes: 4-bit packed, uint8, uint16 or float; None for no such type.

    The executor puts the first of two 4-bit values into the high half of a byte.
    """
    elements = math.prod(shape)
    dtype = {(elements + 1) // 2: "u4", elements: "u8", 2 * elements: "u16", 4 * elements: "f32"}.get(size)
    if not elements or dtype is None:
        return None
    layout = "NHWC" if len(shape) == 4 else ""
    return TensorSpec(name, dtype, shape, layout, nibble_order="high_first" if dtype == "u4" else "low_first")


def logged_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Shapes by file stem, in the order of the executor's log, from text files in the folder or beside it."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path in _logs(folder):
        with path.open("rb") as stream:
            text = stream.read(_LOG_BYTES).decode("utf-8", "replace")
        for match in _LOGGED.finditer(text):
            shapes.setdefault(match[1], tuple(int(n) for n in match[2].split(",")))
    return shapes


def _logs(folder: Path) -> list[Path]:
    near = [*folder.glob("*.txt"), *folder.glob("*.log"), *folder.parent.glob("*.txt"), *folder.parent.glob("*.log")]
    return [path for path in sorted(near) if path.is_file()][:_MOST_LOGS]


def pc_inputs(folder: Path) -> dict[str, str]:
    """md5 by file name of the inputs that the PC dumped; empty for a path that is no such folder."""
    if not folder.is_dir():
        return {}
    files = [path for path in sorted(folder.glob("*.bin")) if _INPUT.match(path.stem) and path.is_file()]
    if not files:  # a debug tree keeps it above its folders
        files = [path for path in (folder.parent / "input_uint8.bin",) if path.is_file()]
    return {p.name: hashlib.md5(p.read_bytes(), usedforsecurity=False).hexdigest() for p in files}


def input_files(folder: Path) -> tuple[Dump, ...]:
    """The inputs that the PC dumped, as far as name or log tells their shape."""
    if not folder.is_dir():
        return ()
    return tuple(dump for dump in pc_dumps(folder) if dump.role == "input" and dump.spec is not None)


# --------------------------------------------------------------------------- storages


def storages(spec: TensorSpec) -> tuple[TensorSpec, ...]:
    """Channels last and dense; then channels padded to 32; then the NNA2's planes of 32. 4-bit in both orders."""
    turned = _channels_last(spec)
    ways = [turned, *_padded(turned)]
    if spec.layout == "NCHW" and len(spec.shape) == 4:
        ways.append(replace(spec, layout="NDHWC32", aligned_shape=()))
    if spec.dtype not in ("u4", "s4"):
        return tuple(ways)
    orders = ("low_first", "high_first")
    return tuple(replace(way, nibble_order=order) for way in ways for order in orders)


def _channels_last(spec: TensorSpec) -> TensorSpec:
    plain = replace(spec, aligned_shape=(), stride_bytes=(), aligned_bytes=None)
    if spec.layout != "NCHW" or len(spec.shape) != 4:
        return plain
    n, c, h, w = spec.shape
    q = spec.quantization
    axis = {0: 0, 1: 3, 2: 1, 3: 2}
    turned = replace(q, axis=axis[q.axis]) if q is not None and q.axis is not None else q
    return replace(plain, shape=(n, h, w, c), layout="NHWC", quantization=turned)


def _padded(spec: TensorSpec) -> list[TensorSpec]:
    if not spec.shape or spec.shape[-1] % LANES == 0:
        return []
    padded = -(-spec.shape[-1] // LANES) * LANES
    return [replace(spec, aligned_shape=(*spec.shape[:-1], padded))]
