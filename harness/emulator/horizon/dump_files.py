"""Files that `infer` leaves: model inputs and outputs, and every node's tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.emulator.horizon.dialect import OutputForm
from harness.emulator.model import layout
from harness.emulator.model.compiled import BoardOp, BoardTensor, CompiledModel
from harness.emulator.model.layout import Array
from harness.platforms.horizon.dumps import file_word
from harness.records import TensorSpec

LONGEST_NAME_BYTES = 240  # file systems end at 255
LONGEST_STEM_BYTES = 120  # of it for layer, kind and node


def file_stem(stem: str, tensor: str) -> str:
    """`<stem><tensor>` as a file name; a tensor name that does not fit loses its front, as toolchains cut names."""
    word = file_word(tensor)
    room = LONGEST_NAME_BYTES - len(stem)
    return stem + (word if len(word) <= room else word[-room:])


def padding_seed(name: str, frame_seed: int) -> int:
    """Padding differs between runs and tensors, as undefined memory does."""
    return (frame_seed * 1_000_003 + sum(name.encode())) & 0x7FFFFFFF


def write_tensor(path: Path, array: Array, spec: TensorSpec, seed: int) -> None:
    """Aligned and still quantized, row major in the stored layout."""
    path.write_bytes(layout.pack(array, spec, padding_seed(spec.name, seed)))


def text_of(array: Array, precision: int, axis: int) -> str:
    """Numbers separated by blanks; a new line wherever an index of an axis before `axis` changes.

    How the real tool breaks lines is documented only as "range [0, n] for an n-D output"; this is an assumption.
    """
    width = int(np.prod(array.shape[axis:], dtype=np.int64)) if axis < array.ndim else 1
    rows = array.reshape(-1, max(width, 1))
    form = f"%.{precision}f" if array.dtype.kind == "f" else "%d"
    return "".join(" ".join(form % value for value in row) + "\n" for row in rows.tolist())


def dequantized(array: Array, spec: TensorSpec) -> Array:
    """Real values, float32, in the axis order of `spec`: what DequantizeLinear computes."""
    scaling = spec.quantization
    if scaling is None:
        return array.astype(np.float32)
    shape = [-1 if i == scaling.axis else 1 for i in range(array.ndim)] if scaling.axis is not None else []
    scales = np.array(scaling.scales, np.float32).reshape(shape or ())
    zeros = np.array(scaling.zero_points, np.int32).reshape(shape if len(scaling.zero_points) > 1 else ())
    return np.asarray((array.astype(np.int32) - zeros).astype(np.float32) * scales)


def handed_out(array: Array, tensor: BoardTensor) -> Array:
    """A model output as the tool hands it out: dequantized where the model says so, ONNX axis order."""
    return dequantized(array, tensor.spec) if tensor.spec.quantization and not tensor.handed_out.quantization else array


@dataclass(frozen=True)
class OutputDump:
    """How a model output is written: `form` says format, dequantizing and padding."""

    form: OutputForm
    precision: int
    txt_axis: int
    seed: int

    def write(self, stem: Path, array: Array, tensor: BoardTensor) -> Path:
        """The file that was written; `stem` is its path without the suffix."""
        path = stem.with_name(f"{stem.name}.{self.form.format}")
        spec = tensor.handed_out
        value = dequantized(array, tensor.spec) if self.form.dequantize else handed_out(array, tensor)
        stored = np.ascontiguousarray(layout.to_stored_axes(value, spec))
        if self.form.format == "txt":
            path.write_text(text_of(stored, self.precision, self.txt_axis))
        elif self.form.format == "npy":
            np.save(path, stored)
        elif self.form.valid_only or self.form.dequantize:
            path.write_bytes(stored.tobytes())
        else:
            write_tensor(path, value, spec, self.seed)
        return path


# --------------------------------------------------------------------------- nodes


def node_files(model: CompiledModel) -> list[tuple[str, BoardTensor, str]]:
    """(file name without suffix, tensor, unit whose memory it is dumped from) of every node dump, in execution order.

    A debug build (debug layers) hands out every tensor inside a subgraph as an output of it; otherwise only what
    enters and leaves a subgraph exists in memory.
    """
    files: list[tuple[str, BoardTensor, str]] = []
    maker = {name: op.subgraph for op in model.ops for name in op.outputs}
    for index, group in enumerate(_groups(model)):
        stem = _stem(index, group[0])
        made = {name for op in group for name in op.outputs}
        inner = {n for op in group for n in op.inputs if op.subgraph and maker.get(n) == op.subgraph}
        entering = [n for n in _unique(n for op in group for n in op.inputs) if n not in made | inner]
        leaving = [n for op in group for n in op.outputs if model.debug_layers or _is_border(model, n, group)]
        for role, names in (("input", entering), ("output", leaving)):
            stems = [file_stem(f"{stem}-{role}-{k}-", name) for k, name in enumerate(names)]
            files += [(s, model.tensor(name), group[0].unit) for s, name in zip(stems, names, strict=True)]
    return files


def _stem(index: int, op: BoardOp) -> str:
    node = f"bpu-{op.subgraph}" if op.unit == "BPU" else f"{op.kind}-{file_word(op.name)}"
    return f"layer-{index}-{node}"[:LONGEST_STEM_BYTES]


def _groups(model: CompiledModel) -> list[list[BoardOp]]:
    """Layers as the runtime counts them: a debug build counts every op, otherwise a subgraph is one layer."""
    groups: dict[str, list[BoardOp]] = {}
    for op in model.ops:
        alone = model.debug_layers or not op.subgraph
        groups.setdefault(op.name if alone else f"subgraph {op.subgraph}", []).append(op)
    return list(groups.values())


def _is_border(model: CompiledModel, name: str, group: Sequence[BoardOp]) -> bool:
    inside = {op.name for op in group}
    readers = [op for op in model.ops if name in op.inputs]
    return name in model.outputs or any(op.name not in inside for op in readers)


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


@dataclass(frozen=True)
class NodeDump:
    """How to write the dumps of `dump_intermediate`.

    `mode` 1: aligned bin; 2: aligned bin and txt; 3: bin of the valid region and txt (model outputs stay aligned).
    `frames` are the NV12 inputs as given: a node that reads one gets a Y and a UV file.
    """

    folder: Path
    family: str
    mode: int
    seed: int
    frames: Mapping[str, bytes]

    def write(self, model: CompiledModel, values: Mapping[str, Array]) -> list[Path]:
        """The tensors of the model as files of the folder; their paths."""
        paths: list[Path] = []
        for stem, tensor, unit in node_files(model):
            if tensor.name in self.frames:
                paths += self._planes(stem, tensor)
            elif tensor.name in values:
                spec = layout.stored(tensor.spec, unit, self.family)
                paths.append(self._write(self.folder / f"{stem}.bin", values[tensor.name], spec, tensor.is_output))
        return paths

    def _planes(self, stem: str, tensor: BoardTensor) -> list[Path]:
        nv12 = self.frames[tensor.name]
        luma = tensor.spec.shape[2] * tensor.spec.shape[3]
        paths = [self.folder / f"{stem}.y0.data.bin", self.folder / f"{stem}.uv0.data.bin"]
        for path, plane in zip(paths, (nv12[:luma], nv12[luma:]), strict=True):
            path.write_bytes(plane)
        return paths

    def _write(self, path: Path, array: Array, spec: TensorSpec, is_output: bool) -> Path:
        valid = np.ascontiguousarray(layout.to_stored_axes(array, spec))
        if self.mode == 3 and not is_output:
            path.write_bytes(valid.tobytes())
        else:
            write_tensor(path, array, spec, self.seed)
        if self.mode in (2, 3):
            path.with_suffix(".txt").write_text(text_of(valid, 9, valid.ndim - 1))
        return path
