"""Which models of a build lie beside a compiled one, and what the build does with an input's pixels.

They belong together by name (`<model>_quantized_model.onnx`) and, where a list of md5s lies there (`<model>.md5`, as
md5sum prints it), by content too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from harness.errors import InputError
from harness.files.digests import md5_of_file
from harness.files.md5_lists import LARGEST_BYTES, read_list
from harness.records import BuiltPixels
from harness.toolchains import read_any
from harness.toolchains.records import Artifact
from harness.toolchains.rooms import rooms

QUANTIZED = "quantized"  # the stage that is a board's reference
MD5_LIST = ".md5"
MOVES = ("Transpose", "Resize", "Concat", "Cast", "Reshape", "Identity")  # between an input and its preprocessing


@dataclass(frozen=True)
class StagesBeside:
    """The stages of one build in their order, float first; `left_out` says why another is not used."""

    reference: Path | None = None
    stages: Mapping[str, Path] = field(default_factory=dict)
    by: str = "by name"
    left_out: Mapping[str, str] = field(default_factory=dict)


def stages_beside(model: Path, model_name: str = "") -> StagesBeside:
    """What a toolchain left beside `model`; of a packed file `model_name` chooses. Errors: InputError where a file that
    lies there cannot be read."""
    if model.suffix.lower() == ".onnx":
        return StagesBeside()  # boards that run it take it as it is
    fronts = [f"{model.stem}_{model_name}"] if model_name else []
    files = next((named for front in (*fronts, model.stem) if (named := dict(_named(model, front)))), {})
    if not files:
        return _of_folders(model)
    listed = _listed(model)
    if listed and listed.get(model.name, "") not in ("", _md5(model)):
        why = f"{model.stem}{MD5_LIST} is of another build of {model.name}"
        return StagesBeside(left_out=dict.fromkeys(files, why))
    left_out = {name: _another(path) for name, path in files.items() if listed and listed.get(path.name) != _md5(path)}
    kept = {name: path for name, path in files.items() if name not in left_out}
    reference = kept.pop(QUANTIZED, None)
    return StagesBeside(reference, kept, "by name and md5" if listed else "by name", left_out)


def _named(model: Path, front: str) -> Iterator[tuple[str, Path]]:
    for name, ending in (stage for room in rooms() for stage in room.stages):
        path = model.with_name(f"{front}_{ending}")
        if path.is_file() or (path.is_dir() and not path.suffix):
            yield name, path


def _of_folders(model: Path) -> StagesBeside:
    """Folders of tensors in the model's own folder, whatever it is called: of its build where nothing else lies there.

    Of several of one name the first counts.
    """
    stages: dict[str, Path] = {}
    for name, place in (folder for room in rooms() for folder in room.stage_folders):
        if (model.parent / place).is_dir():
            stages.setdefault(name, model.parent / place)
    reference = stages.pop(QUANTIZED, None)
    return StagesBeside(reference, stages, "by their folder") if reference else StagesBeside()


def _listed(model: Path) -> Mapping[str, str]:
    """md5 by name of the build's list; empty where there is none."""
    path = model.with_suffix(MD5_LIST)
    try:
        if not path.is_file() or path.stat().st_size > LARGEST_BYTES:
            return {}
        return read_list(path.read_text(encoding="utf-8", errors="replace")).md5s
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", "check its permissions: ls -l") from error


def _md5(path: Path) -> str:
    return md5_of_file(path) if path.is_file() else ""


def _another(path: Path) -> str:
    return f"{path.name} is not of this build (its md5 is not the one in the list of md5s beside the model)"


# --------------------------------------------------------------------------- pixels


def built_pixels(build: Iterable[Path]) -> dict[str, BuiltPixels]:
    """What a build's logs and configs say of each picture input, by its name in the float model; the first word holds.

    A file that cannot be read says nothing.
    """
    pixels: dict[str, BuiltPixels] = {}
    for artifact in (_read(path) for path in build):
        for room in rooms():
            if artifact is not None and room.pixels is not None:
                pixels = {**room.pixels(artifact), **pixels}
    return pixels


def _read(path: Path) -> Artifact | None:
    try:
        return read_any(path)
    except InputError:
        return None


def pixels_of(model: Path, pixels: Mapping[str, BuiltPixels]) -> dict[str, BuiltPixels]:
    """The same for one ONNX, which may hold the preprocessing in its first op. A file that is no ONNX: as given."""
    try:
        facts = model.stat()
    except OSError:
        return dict(pixels)
    inside = _preprocessed(model, (facts.st_mtime_ns, facts.st_size))
    return {**pixels, **{name: replace(pixels.get(name, BuiltPixels()), is_inside=True) for name in inside}}


@lru_cache(maxsize=16)
def _preprocessed(model: Path, _when: tuple[int, int]) -> frozenset[str]:
    """Inputs that a model preprocesses itself; many samples ask it of one model."""
    try:
        graph = onnx.load(str(model), load_external_data=False).graph
    except (DecodeError, ValueError, OSError):
        return frozenset()
    return frozenset(value.name for value in graph.input if _is_preprocessed(graph, value.name))


def _is_preprocessed(graph: onnx.GraphProto, name: str) -> bool:
    """Whether the first op that computes something of an input is a toolchain's preprocessing."""
    names = {name}
    for node in graph.node:  # in topological order
        if not names & set(node.input):
            continue
        if any(room.is_preprocess(node.op_type, node.name) for room in rooms() if room.is_preprocess is not None):
            return True
        if node.op_type in (*MOVES, "QuantizeLinear", "DequantizeLinear"):
            names.update(node.output)
    return False
