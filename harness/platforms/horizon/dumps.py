"""Dump files of the Horizon tools: names to tensors, and the ways a tensor may lie in one.

Names (docs/boards/): `model_infer_output_<i>[_<tensor>].bin` of `infer --enable_dump`;
`layer-<i>-<kind>-<node>-input|output-<k>-<tensor>.bin` of `--dump_intermediate`, kind `bpu` for a subgraph, else the op
type; `<node>_float.bin` of `hrt_bin_dump`. Characters that cannot stand in a file name became `_`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.records import Dump, ModelInfo, Quantization, TensorSpec

DTYPE_BITS = {
    "s4": 4, "u4": 4, "s8": 8, "u8": 8, "bool8": 8, "s16": 16, "u16": 16, "f16": 16,
    "s32": 32, "u32": 32, "f32": 32, "s64": 64, "u64": 64, "f64": 64,
}  # fmt: skip
_FLOATS = ("f16", "f32", "f64")
_MODEL_DUMP = re.compile(r"^model_infer_(input|output)_([0-9]+)(?:_(.*))?\.(?:bin|npy)$", re.DOTALL)
_LAYER_DUMP = re.compile(r"^layer-([0-9]+)-([^-]+)-(.+?)-(input|output)-([0-9]+)-(.*)$", re.DOTALL)
_ENDING = re.compile(r"(?:\.data)?\.(?:bin|npy)$")


def file_word(tensor: str) -> str:
    """A tensor name as it stands in a dump's file name: `/` and blanks became `_` (seen: `/a/b_output_0`)."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", tensor)


# --------------------------------------------------------------------------- model outputs


def model_outputs(folder: Path, info: ModelInfo) -> tuple[Dump, ...]:
    """Outputs that `infer --enable_dump` left, in the model's order; the spec is model_info's, by index and name."""
    outputs: dict[int, Dump] = {}
    for path in sorted(folder.glob("model_infer_output_*.bin")):
        match = _MODEL_DUMP.match(path.name)
        if match and match[1] == "output":
            outputs[int(match[2])] = _model_output(path, int(match[2]), match[3] or "", info)
    return tuple(outputs[index] for index in sorted(outputs))


def _model_output(path: Path, index: int, word: str, info: ModelInfo) -> Dump:
    spec = info.outputs[index] if index < len(info.outputs) else None
    if spec is None or (word and not same_word(word, spec.name) and not spec.name.startswith("output[")):
        # the file's own name says another tensor than model_info's place: believe the name
        named = [s for s in info.outputs if word and same_word(word, s.name)]
        spec = named[0] if len(named) == 1 else None
    name = spec.name if spec and not spec.name.startswith("output[") else word or f"output[{index}]"
    aliases = tuple(dict.fromkeys(a for a in (word, f"output[{index}]") if a and a != name))
    return Dump(name, path, storable(spec), role="output", index=index, aliases=aliases)


def same_word(word: str, tensor: str) -> bool:
    """Whether a file's word stands for this tensor: letter by letter, or after the `_` rule."""
    return word == tensor or word.lstrip("_") == file_word(tensor).lstrip("_")


def storable(spec: TensorSpec | None) -> TensorSpec | None:
    """A spec that a file can be decoded by: None when sizes are dynamic (-1) or unknown."""
    if spec is None or not spec.shape or not spec.dtype or any(d < 0 for d in spec.shape):
        return None
    if any(s < 0 for s in spec.stride_bytes):
        return replace(spec, stride_bytes=())
    return spec


# --------------------------------------------------------------------------- node dumps


def node_dumps(folder: Path) -> tuple[Dump, ...]:
    """`--dump_intermediate` files in the order of their layer numbers; other files are not looked at."""
    dumps = []
    for path in folder.glob("layer-*"):
        match = _LAYER_DUMP.match(path.name)
        if match and path.suffix in (".bin", ".npy"):
            dumps.append(_node_dump(path, match))
    return tuple(sorted(dumps, key=lambda d: (d.index, d.role, d.path.name)))


def _node_dump(path: Path, match: re.Match[str]) -> Dump:
    kind = match[2]
    on_bpu = kind.lower() == "bpu"
    tensor = _ENDING.sub("", match[6])
    return Dump(
        name=tensor,
        path=path,
        op=match[3],
        op_kind="subgraph" if on_bpu else kind,
        role=match[4],
        index=int(match[1]),
        unit="BPU" if on_bpu else "CPU",
    )


def with_pictures(folder: Path, nodes: Sequence[Dump]) -> tuple[Dump, ...]:
    """The node dumps, and of an NV12 input the whole picture that the tool was fed, in place of its two planes."""
    pictures = {dump.name.removesuffix(LUMA) for dump in nodes if dump.role == "input" and dump.name.endswith(LUMA)}
    fed = dict(_fed_pictures(folder, pictures))
    planes = {f"{name}{plane}" for name in fed for plane in (LUMA, CHROMA)}
    return (*fed.values(), *(dump for dump in nodes if dump.role != "input" or dump.name not in planes))


LUMA, CHROMA = ".y0", ".uv0"


def _fed_pictures(folder: Path, pictures: set[str]) -> Iterator[tuple[str, Dump]]:
    """By name; where the tool writes none, the only file is the only picture."""
    files = [
        match for path in sorted(folder.glob("model_infer_input_*.bin")) if (match := _MODEL_DUMP.match(path.name))
    ]
    for match in files:
        word = match[3] or ""
        named = [name for name in pictures if (same_word(word, name) if word else len(files) == 1)]
        if len(named) == 1:
            yield named[0], Dump(named[0], folder / match[0], role="input", index=int(match[2]))


_LOOSE = re.compile(r"^(.+?)[-_](input|output)[-_]([0-9]+)(?:[-_](.*))?$", re.DOTALL)


def loose_dumps(folder: Path) -> tuple[Dump, ...]:
    """Other tensor files that a tool left under names that no manual tells: the name is all that is known.

    `<node>-output-<k>[-<tensor>]` gives node and tensor; anything else is its file name without the ending.
    """
    dumps = []
    for path in sorted((*folder.glob("*.bin"), *folder.glob("*.npy"))):
        if _MODEL_DUMP.match(path.name):
            continue
        stem = _ENDING.sub("", path.name)
        match = _LOOSE.match(stem)
        if match is None:
            dumps.append(Dump(stem, path))
        else:
            dumps.append(Dump(match[4] or match[1], path, op=match[1], role=match[2], aliases=(stem,)))
    return tuple(dumps)


def bin_dumps(folder: Path, mapping: Path | None = None) -> tuple[Dump, ...]:
    """`hrt_bin_dump` files: one `<node>_float.bin` per convolution, dense f32.

    `mapping` is the toolchain's `*_conv_output_map.json`; where it maps the node to a tensor, that is the name.
    """
    names = _conv_map(mapping)
    dumps = []
    for path in sorted(folder.glob("*_float.bin")):
        node = path.name.removesuffix("_float.bin")
        tensor = names.get(node, node)
        dumps.append(Dump(tensor, path, op=node, op_kind="Conv", aliases=(node,) if tensor != node else (), unit="BPU"))
    return tuple(dumps)


def _conv_map(mapping: Path | None) -> dict[str, str]:
    if mapping is None or not mapping.is_file():
        return {}
    try:
        value = json.loads(mapping.read_text(encoding="utf-8", errors="replace"))
    except (ValueError, RecursionError):
        return {}
    entries: Mapping[str, Any] = value if isinstance(value, dict) else {}
    return {file_word(node): tensor for node, tensor in entries.items() if isinstance(tensor, str)}


# --------------------------------------------------------------------------- storage


@dataclass(frozen=True)
class Alignment:
    """Padding rules of one family. Where they come from: docs/boards/."""

    row_set: tuple[int, ...] = ()  # the fastest axis is padded to 256*k + one of these
    small_channels: bool = False  # NHWC with C <= 4: H to a multiple of 2, W of 32, C to 4
    row_multiples: tuple[int, ...] = ()  # or: the fastest axis is padded to a multiple of one of these
    total_multiples: tuple[int, ...] = ()  # the whole tensor is padded to a multiple of one of these


HBDNN_ALIGNMENT = Alignment(row_set=(0, 16, 32, 64, 128), small_channels=True)
UCP_ALIGNMENT = Alignment(row_multiples=(16, 32, 64, 128), total_multiples=(64, 128, 256, 4096))


def align_to_set(size_bytes: int, allowed: Sequence[int]) -> int:
    """The next size that is 256*k + one of `allowed` (hbDNN rows: 24 -> 32, 130 -> 256, 300 -> 320)."""
    rest = size_bytes % 256
    fitting = [step for step in (*allowed, 256) if step >= rest]
    return size_bytes - rest + min(fitting)


def align_up(size_bytes: int, multiple: int) -> int:
    """The least multiple of `multiple` that is not below `size_bytes`."""
    return -(-size_bytes // multiple) * multiple


def element_bytes(dtype: str) -> int:
    """Whole bytes of one element; 0 for 4-bit and unknown dtypes (no padding rule is known for those)."""
    bits = DTYPE_BITS.get(dtype, 0)
    return bits // 8 if bits % 8 == 0 else 0


def storages(spec: TensorSpec, unit: str, alignment: Alignment) -> tuple[TensorSpec, ...]:
    """Ways a tensor may lie in a dump: channels last and padded first for the accelerator's integers, else dense first.

    Floats are what the runtime or a CPU op made: in the model's own order and dense (seen in all captured outputs).
    """
    logical = replace(spec, aligned_shape=(), stride_bytes=(), aligned_bytes=None)
    last = _channels_last(logical)
    if unit == "CPU" or spec.dtype in _FLOATS:
        ways = [logical, *_padded(logical, alignment), *_forms(last, alignment)]
    else:
        ways = [*_forms(last, alignment), *_padded(logical, alignment), logical]
    floats = [_as_float(way) for way in (logical, last) if way is not None] if spec.dtype[:1] in "su" else []
    return tuple(dict.fromkeys([*ways, *floats]))


def _forms(spec: TensorSpec | None, alignment: Alignment) -> list[TensorSpec]:
    return [] if spec is None else [*_padded(spec, alignment), spec]


def _as_float(spec: TensorSpec) -> TensorSpec:
    """Dequantized by the tool: no quantization is left."""
    return replace(spec, dtype="f32", quantization=None)


def _channels_last(spec: TensorSpec) -> TensorSpec | None:
    """The same 4-D tensor with its axes stored N, H, W, C; the reference's order is N, C, H, W. Else None."""
    if len(spec.shape) != 4 or spec.layout == "NHWC":
        return spec if spec.layout == "NHWC" else None
    n, c, h, w = spec.shape
    return replace(spec, shape=(n, h, w, c), layout="NHWC", quantization=_moved_axis(spec.quantization))


def _moved_axis(quantization: Quantization | None) -> Quantization | None:
    if quantization is None or quantization.axis is None:
        return quantization
    return replace(quantization, axis=(0, 3, 1, 2)[quantization.axis])


def _padded(spec: TensorSpec, alignment: Alignment) -> list[TensorSpec]:
    """Padded forms that differ from the dense one."""
    item = element_bytes(spec.dtype)
    if not item or not spec.shape or any(d <= 0 for d in spec.shape):
        return []
    if alignment.small_channels and spec.layout == "NHWC" and spec.shape[3] <= 4:
        n, h, w, _ = spec.shape
        return [_aligned(spec, (n, align_up(h, 2), align_up(w, 32), 4)), *_small(spec)]
    rows = _row_sizes(spec.shape[-1] * item, alignment)
    forms = [_aligned(spec, (*spec.shape[:-1], row // item)) for row in rows if row % item == 0]
    return [f for f in (*forms, *_totals(spec, item, alignment)) if f.aligned_shape != spec.shape]


def _small(spec: TensorSpec) -> list[TensorSpec]:
    """C <= 4 with the channels themselves not padded (H to 2 and W to 32 only)."""
    n, h, w, c = spec.shape
    aligned = (n, align_up(h, 2), align_up(w, 32), c)
    return [_aligned(spec, aligned)] if aligned != spec.shape else []


def _aligned(spec: TensorSpec, aligned_shape: tuple[int, ...]) -> TensorSpec:
    return replace(spec, aligned_shape=aligned_shape)


def _row_sizes(row_bytes: int, alignment: Alignment) -> list[int]:
    sizes = [align_to_set(row_bytes, alignment.row_set)] if alignment.row_set else []
    sizes += [align_up(row_bytes, multiple) for multiple in alignment.row_multiples]
    return list(dict.fromkeys(size for size in sizes if size != row_bytes))


def _totals(spec: TensorSpec, item: int, alignment: Alignment) -> list[TensorSpec]:
    """Dense rows and a padded end."""
    size = item
    for dimension in spec.shape:
        size *= dimension
    ends = dict.fromkeys(align_up(size, multiple) for multiple in alignment.total_multiples)
    return [replace(spec, aligned_bytes=end) for end in ends if end != size]
