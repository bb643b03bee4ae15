"""The emulator's compiled model: `HARNEMU1` and a zip of graphs and meta.json. Never mistaken for a vendor's file."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.platforms.emulated import EMULATOR_MAGIC
from harness.records import Quantization, TensorSpec

FORMAT = 3
_STAMP = (1980, 1, 1, 0, 0, 0)  # the same bytes at every build


@dataclass(frozen=True)
class BoardTensor:
    """A tensor of the logical graph: what it is (`spec`, ONNX axis order) and how its maker stores it.

    `handed_out` is how a model output leaves the tool: floats dense, in ONNX order.
    """

    name: str
    onnx_name: str
    spec: TensorSpec
    stored: TensorSpec
    handed_out: TensorSpec
    op: str = ""
    unit: str = "CPU"
    is_input: bool = False
    is_output: bool = False


# How an input of pixels is asked for at build time -> what it is on the board.
BOARD_TYPES = {"nv12": "NV12", "yuv444": "YUV444", "rgb": "RGB", "bgr": "BGR", "gray": "GRAY"}


@dataclass(frozen=True)
class CompiledInput:
    """A model input as the board's tool sees it. `bytes` is what it takes from a file."""

    name: str
    onnx_name: str
    kind: str  # one of BOARD_TYPES, "Y" or "UV", or a dtype ("f32")
    spec: TensorSpec
    source: str  # "PYRAMID" or "DDR"
    bytes: int
    aligned_bytes: int


@dataclass(frozen=True)
class BoardOp:
    """One op of the logical graph, placed."""

    name: str
    kind: str
    unit: str
    subgraph: str  # "" on the CPU
    reason: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    covers: tuple[str, ...] = ()  # nodes of the float graph that are folded into it, itself included
    macs: int = 0
    weight_bytes: int = 0
    works: tuple[Mapping[str, float], ...] = ()  # amounts of cost.model.Work that are not 0, of each op in it


@dataclass(frozen=True)
class Step:
    """One line of the profiler: a subgraph on the accelerator, or one piece of work on the CPU.

    `work` is what: "subgraph", "op" (the op named `op`), "convert" (quantize or dequantize), "layout" (packing or
    unpacking tensors), "preprocess" (fetching the inputs). `elements` pass through it.
    """

    name: str
    work: str
    subgraph: str = ""
    op: str = ""
    elements: int = 0


@dataclass(frozen=True)
class CompiledModel:
    """One model of a compiled file."""

    name: str
    march: str
    builder: str
    source: str
    source_md5: str
    inputs: tuple[CompiledInput, ...]
    outputs: tuple[str, ...]  # names of tensors
    tensors: tuple[BoardTensor, ...]
    ops: tuple[BoardOp, ...]
    steps: tuple[Step, ...]
    graph: str  # file in the zip; every tensor is an output of it; "" of a model built for its times only
    debug_layers: bool = True  # a debug build: tensors inside a subgraph are dumped too
    notes: tuple[str, ...] = ()
    cores: int = 1  # that one inference runs on

    def tensor(self, name: str) -> BoardTensor:
        """The tensor of that name. Errors: KeyError."""
        return self._index[name]

    @cached_property
    def _index(self) -> dict[str, BoardTensor]:
        return {tensor.name: tensor for tensor in self.tensors}


class CompiledFile:
    """An opened compiled file. Errors: InputError for anything else than a whole file of this format."""

    def __init__(self, path: Path) -> None:
        self.path = path
        data = _content(path)
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            meta = json.loads(self._zip.read("meta.json"))
            self.models = tuple(_model(record) for record in meta["models"])
        except (zipfile.BadZipFile, KeyError, TypeError, ValueError, EOFError) as error:
            raise InputError(f"{path}: damaged model for an emulated board ({error})", "build it again") from None
        if meta.get("format") != FORMAT:
            raise InputError(
                f"{path}: format {meta.get('format')} of the emulator, expected {FORMAT}", "build it again"
            )

    def read(self, name: str) -> bytes:
        """One graph of the file. Errors: InputError where the file is damaged."""
        try:
            return self._zip.read(name)
        except (zipfile.BadZipFile, KeyError, EOFError) as error:
            raise InputError(f"{self.path}: damaged ({error})", "build it again") from None


def _content(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if not data.startswith(EMULATOR_MAGIC):
        raise InputError(
            f"{path}: not a model for an emulated board (no {EMULATOR_MAGIC.decode()} at its start)",
            "emulated boards run only models built with harness emulator build",
        )
    return data[len(EMULATOR_MAGIC) :]


def compiled_bytes(models: Sequence[CompiledModel], files: Mapping[str, bytes]) -> bytes:
    """The content of a compiled file; the same models and files give the same bytes."""
    meta = {"format": FORMAT, "models": [dataclasses.asdict(model) for model in models]}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (("meta.json", json.dumps(meta).encode()), *sorted(files.items())):
            info = zipfile.ZipInfo(name, _STAMP)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content, compresslevel=1)
    return EMULATOR_MAGIC + buffer.getvalue()


# --------------------------------------------------------------------------- from JSON


def _model(record: dict[str, Any]) -> CompiledModel:
    fields = dict(record)
    fields["inputs"] = tuple(CompiledInput(**r | {"spec": _spec(r["spec"])}) for r in record["inputs"])
    fields["tensors"] = tuple(
        BoardTensor(**r | {k: _spec(r[k]) for k in ("spec", "stored", "handed_out")}) for r in record["tensors"]
    )
    fields["ops"] = tuple(BoardOp(**_tuples(r)) for r in record["ops"])
    fields["steps"] = tuple(Step(**_tuples(r)) for r in record["steps"])
    fields["outputs"] = tuple(record["outputs"])
    fields["notes"] = tuple(record["notes"])
    return CompiledModel(**fields)


def _tuples(record: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in record.items()}


def _spec(record: dict[str, Any]) -> TensorSpec:
    fields = _tuples(record)
    if fields.get("quantization") is not None:
        fields["quantization"] = Quantization(**_tuples(fields["quantization"]))
    return TensorSpec(**fields)
