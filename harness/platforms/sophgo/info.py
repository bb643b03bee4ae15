"""`model_tool --info`: what it prints of a .bmodel and of a .cvimodel."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.platforms.text import number, plain
from harness.records import ModelInfo, Quantization, TensorSpec

DTYPES = {
    "float32": "f32", "fp32": "f32", "float16": "f16", "fp16": "f16", "bfloat16": "bf16", "bf16": "bf16",
    "int8": "s8", "uint8": "u8", "int16": "s16", "uint16": "u16", "int32": "s32", "uint32": "u32", "int64": "s64",
    "uint64": "u64", "int4": "s4", "uint4": "u4",
}  # fmt: skip
FLOATS = ("f32", "f16", "bf16")
_TENSOR = re.compile(
    r"^\s*(input|output): (.+), \[([0-9, -]*)\], (\w+)(?:, scale: (\S+?))?(?:, zero_point: (-?[0-9]+))?\s*$"
)
_NET = re.compile(r"^\s*net [0-9]+: \[(.+?)\]\s*(\w*)")
_STAGE = re.compile(r"^\s*stage ([0-9]+)")
_VERSIONS = (
    ("bmodel", re.compile(r"^bmodel version: (\S+)", re.MULTILINE)),
    ("compiler", re.compile(r"^(?:Mlir Version: |bmodel version: \S*?\+)(v?[0-9]\S*)", re.MULTILINE)),
    ("cvimodel", re.compile(r"^Cvimodel Version: (\S+)", re.MULTILINE)),
    ("chip", re.compile(r"^(?:chip: |For )(\w+?)(?: chip ONLY)?$", re.MULTILINE)),
)
_ROW = re.compile(
    r"^\s*[0-9]{3,}\s+([0-9]+)\s+(\w+)\s+([0-9]+)\s+([0-9]+)\s+([0-9]+)\s+([0-9]+)\s+([0-9.eE+-]+)\s+(\w+)\s+(\S.*)$"
)
_ENDS = re.compile(r"^\s*(inputs|outputs)[ \t]*: (\S.*)$")
_NAMED_NET = re.compile(r"^harness: net (.+)$", re.MULTILINE)


def versions(text: str) -> dict[str, str]:
    """Versions that the model carries: `bmodel` or `cvimodel`, `compiler`, `chip`."""
    shown = plain(text).joined
    return {key: match[1][:100] for key, pattern in _VERSIONS if (match := pattern.search(shown))}


def read_info(text: str) -> ModelInfo:
    """Inputs and outputs of the first net (or of the one that a line `harness: net NAME` names), in the file's order.

    Of several stages (input sizes) the first is taken, and that is said.
    """
    if "tensor_map" in text:
        return _of_cvimodel(text)
    nets = list(_nets(plain(text).lines))
    wanted = _NAMED_NET.search(text)
    net = next((net for net in nets if wanted and net.name == wanted[1]), nets[0] if nets else None)
    if net is None:
        return ModelInfo(name="", versions=versions(text), problems=("the tool printed no net of the model",))
    return ModelInfo(
        name=net.name,
        inputs=net.inputs,
        outputs=net.outputs,
        input_sources=("ddr",) * len(net.inputs),
        models_in_file=tuple(one.name for one in nets),
        versions=versions(text),
        warnings=(f"{net.stages} input sizes (stages) in the model; the first is run",) if net.stages > 1 else (),
        problems=net.problems,
    )


@dataclass(frozen=True)
class _Net:
    name: str
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    stages: int = 0
    problems: tuple[str, ...] = ()


def _nets(lines: Sequence[str]) -> Iterator[_Net]:
    net: _Net | None = None
    for line in lines:
        if match := _NET.match(line):
            if net:
                yield net
            net = _Net(match[1])
        elif net and _STAGE.match(line):
            net = replace(net, stages=net.stages + 1)
        elif net and net.stages <= 1 and re.match(r"\s*(input|output): ", line):
            net = _with_tensor(net, line)
    if net:
        yield net


def _with_tensor(net: _Net, line: str) -> _Net:
    match = _TENSOR.match(line)
    dtype = DTYPES.get(match[4].lower()) if match else None
    if match is None or dtype is None:
        return replace(net, problems=(*net.problems, f"not read: {line.strip()[:200]}"))
    shape = tuple(int(size) for size in match[3].split(",") if size.strip())
    quantization = None
    if match[1] == "output":  # of inputs the tool prints what floats are multiplied by, which no comparison needs
        quantization = _quantization(dtype, number(match[5] or ""), int(match[6] or 0))
    spec = TensorSpec(match[2], dtype, shape, quantization=quantization)
    key = f"{match[1]}s"
    return replace(net, inputs=(*net.inputs, spec)) if key == "inputs" else replace(net, outputs=(*net.outputs, spec))


def _quantization(dtype: str, scale: float | None, zero_point: int) -> Quantization | None:
    if dtype in FLOATS or not scale or scale <= 0:
        return None
    return Quantization((scale,), (zero_point,))


# --------------------------------------------------------------------------- .cvimodel


def tensor_map(text: str) -> dict[str, TensorSpec]:
    """Every tensor that a .cvimodel keeps in memory, by name, with dtype, 4-D shape and scale.

    A value is stored * QSCALE. bf16 is stored as it is; the board's tool writes it as uint16 all the same.
    """
    lines = plain(text).lines
    start = next((i for i, line in enumerate(lines) if line.strip().startswith("tensor_map")), len(lines))
    specs: dict[str, TensorSpec] = {}
    for line in lines[start:]:
        match = _ROW.match(line)
        dtype = DTYPES.get(match[2].lower()) if match else None
        if match is None or dtype is None:
            continue
        shape = tuple(int(match[i]) for i in (3, 4, 5, 6))
        specs[match[9]] = TensorSpec(match[9], dtype, shape, quantization=_quantization(dtype, number(match[7]), 0))
    return specs


def _of_cvimodel(text: str) -> ModelInfo:
    known = tensor_map(text)
    lines = plain(text).lines
    ends = {match[1]: match[2] for line in reversed(lines) if (match := _ENDS.match(line)) and line.startswith("    ")}
    start = next((i for i, line in enumerate(lines) if line.startswith("Program")), 0)
    first = {match[1]: match[2] for line in reversed(lines[start : start + 8]) if (match := _ENDS.match(line))}
    named = {key: [part.strip() for part in (first.get(key) or ends.get(key, "")).split(",")] for key in _KEYS}
    problems = [f"{name!r} is not in the tensor map" for key in _KEYS for name in named[key] if name not in known]
    inputs = tuple(known[name] for name in named["inputs"] if name in known)
    built = re.search(r"^(\S+) Build at ", plain(text).joined, re.MULTILINE)
    return ModelInfo(
        name=built[1] if built else "",
        inputs=inputs,
        outputs=tuple(known[name] for name in named["outputs"] if name in known),
        input_sources=("ddr",) * len(inputs),
        versions=versions(text),
        problems=tuple(problems),
    )


_KEYS = ("inputs", "outputs")
