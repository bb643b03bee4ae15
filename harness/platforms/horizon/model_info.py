"""`hrt_model_exec model_info`, all families and ages, read by labels.

A tensor block starts at `input[k]:` or `output[k]:` and ends at the next block, a dashed line or the next model. Lines
inside it may come in any order, may be missing (old tools print no name, stride or byte size) and may be interleaved
with log lines. What contradicts itself or cannot be read becomes a problem, and the value stays unknown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

from harness.platforms.horizon.text import read_versions, read_warnings
from harness.platforms.text import NUMBER, Text, integer_list, number, number_list, plain
from harness.records import ModelInfo, Quantization, TensorSpec

_BLOCK = re.compile(r"^\s*(input|output)\[([0-9]{1,9})\]:\s*$")
_MODEL = re.compile(r"^\s*\[model name\]:\s*(.+)$")
_LISTED = re.compile(r"^\s*\[([^\[\]]+)\]\s*$")
_COUNT = re.compile(r"^\s*This model file has ([0-9]{1,9}) models?:")
_DASHES = re.compile(r"^\s*-{20,}\s*$")
_LABEL = re.compile(
    r"^\s*(name|input source|valid shape|aligned shape|aligned byte size|tensor type|tensor layout|quanti type"
    r"|stride|shift data|scale data|zero_point data|quantizeAxis):\s*(.*)$"
)
_LOAD = re.compile(rf"^\s*Load model to DDR cost ({NUMBER})ms\.")
_SOURCES = {"PYRAMID": "pyramid", "DDR": "ddr", "RESIZER": "resizer"}
# HB_DNN_TENSOR_TYPE_* (hb_dnn.h of the X5 DDK; BOOL8 of UCP) -> the dtype words of TensorSpec.
_TENSOR_TYPES = {
    word: word.lower()
    for word in ("S4", "U4", "S8", "U8", "F16", "S16", "U16", "F32", "S32", "U32", "F64", "S64", "U64")
} | {"BOOL8": "bool8"}
_IMAGE_TYPES = {"Y", "NV12", "NV12_SEPARATE", "YUV444", "RGB", "BGR"}
_BARE = frozenset(
    {"name", "aligned byte size", "quantizeAxis", "tensor type", "tensor layout", "quanti type", "input source"}
)


@dataclass
class _Block:
    """One tensor as printed: label -> value."""

    side: str
    index: int
    values: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def where(self) -> str:
        return f"{self.side}[{self.index}]"

    def put(self, label: str, value: str) -> None:
        if self.values.setdefault(label, value) != value:
            self.problems.append(f"{self.where}: {label!r} is given twice: {self.values[label]!r} and {value!r}")


@dataclass
class _Model:
    name: str
    blocks: list[_Block] = field(default_factory=list)


def read_model_info(text: str, model_name: str = "") -> ModelInfo:
    """The model named `model_name`, else the first one printed. Never raises; see `ModelInfo.problems`."""
    lines = plain(text)
    models, problems = _sections(lines)
    chosen, more = _choose(models, model_name)
    problems += more
    inputs, input_types, sources = _side(chosen, "input", problems)
    outputs, _, _ = _side(chosen, "output", problems)
    if not outputs:
        problems.append("no output tensor reported")
    return ModelInfo(
        name=chosen.name,
        inputs=inputs,
        outputs=outputs,
        input_sources=sources,
        input_types=input_types,
        models_in_file=_models_in_file(lines, problems),
        load_us=_load_us(lines),
        versions=read_versions(text),
        warnings=(*read_warnings(text), *_dynamic(inputs), *_three_bytes(inputs)),
        problems=tuple(dict.fromkeys(problems)),
    )


def _sections(lines: Text) -> tuple[list[_Model], list[str]]:
    models = [_Model("")]
    problems: list[str] = []
    block: _Block | None = None
    for line, whole in lines.numbered():
        if match := _MODEL.match(line):
            models.append(_Model(match[1]))
            block = None
        elif match := _BLOCK.match(line):
            block = _Block(match[1], int(match[2]))
            models[-1].blocks.append(block)
        elif _DASHES.match(line):
            block = None
        elif match := _LABEL.match(line):
            _take(block, match, whole, problems)
    return [m for m in models if m.name or m.blocks], problems


def _take(block: _Block | None, match: re.Match[str], whole: bool, problems: list[str]) -> None:
    label, value = match[1], match[2]
    if block is None:
        problems.append(f"{label!r} is outside any tensor: {value[:80]!r}")
    elif not whole and (label in _BARE or not value.endswith((")", ","))):
        block.problems.append(f"{block.where}: the text ends inside {label!r}")
    else:
        block.put(label, value)


def _choose(models: Sequence[_Model], wanted: str) -> tuple[_Model, list[str]]:
    if not models:
        return _Model(""), ["no model reported"]
    if wanted:
        named = [model for model in models if model.name == wanted]
        return (named[0], []) if named else (_Model(wanted), [f"model {wanted!r} not reported"])
    different = {model.name for model in models}
    if len(different) > 1:
        return models[0], [f"{len(different)} models reported; the tensors are of {models[0].name!r}"]
    return models[0], []


# --------------------------------------------------------------------------- tensors


def _side(
    model: _Model, side: str, problems: list[str]
) -> tuple[tuple[TensorSpec, ...], tuple[str, ...], tuple[str, ...]]:
    blocks = _merge([b for b in model.blocks if b.side == side], problems)
    for expected in range(max(blocks, default=-1) + 1):
        if expected not in blocks:
            problems.append(f"{side}[{expected}] is missing")
    ordered = [blocks[index] for index in sorted(blocks)]
    specs = tuple(_spec(block) for block in ordered)
    for block in ordered:
        problems += block.problems
    kinds = tuple(_type_word(block) for block in ordered)
    return specs, kinds, tuple(_source(block) for block in ordered)


def _merge(blocks: Sequence[_Block], problems: list[str]) -> dict[int, _Block]:
    """Blocks by index. A block printed twice adds what the first one lacks; a contradiction is a problem."""
    merged: dict[int, _Block] = {}
    for block in blocks:
        first = merged.setdefault(block.index, block)
        if first is block:
            continue
        for label, value in block.values.items():
            first.put(label, value)
        problems += block.problems
    return merged


def _spec(block: _Block) -> TensorSpec:
    shape = _shape(block, "valid shape")
    dtype, layout = _type(block)
    strides = _shape(block, "stride", required=False)
    if strides and not any(strides):
        strides = ()  # all zero: an image, the tool tells no strides
    size = _integer(block, "aligned byte size")
    spec = TensorSpec(
        name=block.values.get("name") or block.where,
        dtype=dtype,
        shape=shape,
        layout=layout,
        aligned_shape=_shape(block, "aligned shape", required=False),
        stride_bytes=strides,
        aligned_bytes=None if size is None or size < 0 else size,
        quantization=_quantization(block, shape, layout),
    )
    _check_ranks(block, spec)
    return spec


def _check_ranks(block: _Block, spec: TensorSpec) -> None:
    for what, value in (("aligned shape", spec.aligned_shape), ("stride", spec.stride_bytes)):
        if value and spec.shape and len(value) != len(spec.shape):
            block.problems.append(f"{block.where}: {what} {value} has another rank than valid shape {spec.shape}")


def _shape(block: _Block, label: str, required: bool = True) -> tuple[int, ...]:
    text = block.values.get(label)
    if text is None:
        if required:
            block.problems.append(f"{block.where}: no {label!r} line")
        return ()
    values = integer_list(text) if text.startswith("(") else None
    if values is None:
        block.problems.append(f"{block.where}: {label!r} cannot be read: {text[:80]!r}")
    return values or ()


def _integer(block: _Block, label: str) -> int | None:
    text = block.values.get(label)
    if text is None:
        return None
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        block.problems.append(f"{block.where}: {label!r} cannot be read: {text[:80]!r}")
        return None
    return int(text)


def _type_word(block: _Block) -> str:
    text = block.values.get("tensor type", "")
    return re.sub(r"^HB_DNN_(IMG|TENSOR)_TYPE_", "", text)


def _type(block: _Block) -> tuple[str, str]:
    """dtype and layout. Images are u8; NV12 is a layout of its own, whatever the tool's layout line says."""
    word = _type_word(block)
    layout = re.sub(r"^HB_DNN_LAYOUT_", "", block.values.get("tensor layout", ""))
    if layout not in ("NHWC", "NCHW"):
        layout = ""
    if word in _IMAGE_TYPES:
        return "u8", word if word.startswith("NV12") else layout
    if word not in _TENSOR_TYPES:
        problem = f"tensor type {block.values['tensor type']!r} is unknown" if word else "no 'tensor type' line"
        block.problems.append(f"{block.where}: {problem}")
    return _TENSOR_TYPES.get(word, ""), layout


def _source(block: _Block) -> str:
    return _SOURCES.get(block.values.get("input source", "").rpartition("_")[2], "")


# --------------------------------------------------------------------------- quantization


def _quantization(block: _Block, shape: tuple[int, ...], layout: str) -> Quantization | None:
    kind = block.values.get("quanti type", "NONE")
    if kind == "SHIFT":
        shifts = _numbers(block, "shift data")
        scales = tuple(2.0**-shift for shift in shifts if abs(shift) < 128)
    elif kind == "SCALE":
        scales = _numbers(block, "scale data")
    else:
        if kind != "NONE":
            block.problems.append(f"{block.where}: quanti type {kind!r} is not known")
        return None
    return _affine(block, scales, shape, layout) if scales else None


def _numbers(block: _Block, label: str) -> tuple[float, ...]:
    text = block.values.get(label)
    values = number_list(text) if text is not None else None
    if values is None:
        problem = f"{label!r} cannot be read: {text[:80]!r}" if text is not None else f"no {label!r} line"
        block.problems.append(f"{block.where}: {problem}; the scale is not known")
    return values or ()


def _affine(block: _Block, scales: tuple[float, ...], shape: tuple[int, ...], layout: str) -> Quantization | None:
    zero_points = (
        tuple(int(z) for z in _numbers(block, "zero_point data")) if "zero_point data" in block.values else (0,)
    )
    if len(set(scales)) == 1 and len(set(zero_points)) == 1:
        return Quantization(scales[:1], zero_points[:1])
    axis = _integer(block, "quantizeAxis")
    if axis is None and len(shape) == 4 and layout in ("NHWC", "NCHW"):
        axis = layout.index("C")  # SHIFT data of old tools: one per channel, no axis line
    if axis is None or not 0 <= axis < len(shape) or shape[axis] != len(scales):
        block.problems.append(f"{block.where}: {len(scales)} scales do not fit axis {axis} of shape {shape}")
        return None
    if len(zero_points) not in (1, len(scales)):
        block.problems.append(f"{block.where}: {len(zero_points)} zero points beside {len(scales)} scales")
        return None
    return Quantization(scales, zero_points, axis)


# --------------------------------------------------------------------------- the rest


def _models_in_file(lines: Text, problems: list[str]) -> tuple[str, ...]:
    names: list[str] = []
    count: int | None = None
    listing = False
    for line in lines.lines:
        if match := _COUNT.match(line):
            count, listing = int(match[1]), True
        elif listing and _DASHES.match(line):
            break
        elif listing and (match := _LISTED.match(line)):
            names.append(match[1].strip())
    names = list(dict.fromkeys(names))
    if count is not None and count != len(names):
        problems.append(f"the tool reports {count} models but lists {len(names)}")
    return tuple(names)


def _load_us(lines: Text) -> float | None:
    for line in lines.lines:
        if (match := _LOAD.match(line)) and (cost_ms := number(match[1])) is not None:
            return cost_ms * 1000.0
    return None


def _dynamic(inputs: Sequence[TensorSpec]) -> tuple[str, ...]:
    names = [s.name for s in inputs if -1 in s.stride_bytes or -1 in s.shape]
    return tuple(
        f"input {name!r} is dynamic (-1): its shape and strides are set by --option input_valid_shape and input_stride"
        for name in names
    )


def _three_bytes(inputs: Sequence[TensorSpec]) -> tuple[str, ...]:
    """Some runtimes state the YUV444 the accelerator reads, 3 bytes per pixel; a file has 1.5 (J5 FAQ 6.6.1.7)."""
    names = [s.name for s in inputs if s.layout == "NV12" and s.aligned_bytes and s.aligned_bytes == prod(s.shape)]
    return tuple(
        f"input {name!r}: the stated size is 3 bytes per pixel, as the accelerator reads it; the NV12 file has 1.5"
        for name in names
    )
