"""`harness emulator build`: files on disk as a toolchain leaves them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from harness.emulator.compiler.calibrated import calibrated
from harness.emulator.compiler.compile import Build, BuildOptions, compile_model
from harness.emulator.compiler.node_types import NodeSettings, NodeTypes
from harness.emulator.compiler.options import BuildRequest
from harness.emulator.model.compiled import CompiledFile, compiled_bytes
from harness.emulator.rooms import room_of_soc
from harness.emulator.socs import Soc
from harness.errors import InputError
from harness.files.safe import new_file, output_file
from harness.toolchains.stages import MD5_LIST


@dataclass(frozen=True)
class BuildResult:
    """What was written, and what there is to say about it."""

    output: Path
    files: tuple[Path, ...]
    builds: tuple[Build, ...]
    soc: Soc

    def facts(self) -> dict[str, object]:
        """The answer of `--json`."""
        return {
            "output": str(self.output),
            "files": [str(path) for path in self.files],
            "models": [_facts(build) for build in self.builds],
        }


def build(models: Sequence[Path], options: BuildOptions, output: Path | None) -> BuildResult:
    """Compile one or several ONNX into one file, with the ONNX beside it that the board's results are held against.

    Without `output` the file is named after the first model, and after the chip too where that name is another
    chip's build. Errors: InputError for a model that cannot be compiled, an output folder that does not exist, or a
    name whose ONNX files are those of another build.
    """
    target = output or _own_name(models[0], options.soc)
    if not target.parent.is_dir():
        raise InputError(f"{target.parent}: no such folder")
    _refuse_shared_name(target, options.soc)
    if target.resolve() in [path.resolve() for path in models]:
        raise InputError(f"{target}: the output would overwrite the model", "give another -o")
    builds = tuple(compile_model(path, options, i) for i, path in enumerate(models))
    _refuse_same_names(builds)
    files: dict[str, bytes] = {}
    for one in builds:
        files |= one.files
    files |= room_of_soc(options.soc).inside(options)
    contents = {target: compiled_bytes([one.model for one in builds], files)}
    for one in builds:
        contents |= _beside(target, one, options, len(builds) > 1)
    contents[target.with_suffix(MD5_LIST)] = _md5s(contents)
    _write_together(contents)
    return BuildResult(target, tuple(contents), builds, options.soc)


def node_settings(given: BuildRequest, soc: Soc) -> NodeSettings:
    """What --config and --int16 set for single nodes; a model of times alone is priced by --int16 itself.

    Errors: InputError, ConfigError.
    """
    config = room_of_soc(soc).node_settings(given.config, soc) if given.config else NodeSettings()
    wide, types = NodeTypes("int16", output="int16"), config.types
    if given.int16 and not given.times_only:
        nodes = {**types.nodes, **{name: wide for name in given.int16 if name != "all"}}
        types = replace(types, nodes=nodes, every=wide if "all" in given.int16 else types.every)
    return replace(config, types=types)


def _own_name(model: Path, soc: Soc) -> Path:
    """`<model>.bin`, or `<model>_<soc>.bin` where that name, or one that differs in its suffix, is another build's."""
    plain = model.with_suffix(soc.suffix)
    is_taken = _march_of(plain) not in ("", soc.march) or _of_same_stem(plain) is not None
    return plain.with_name(f"{plain.stem}_{soc.name}{plain.suffix}") if is_taken else plain


def _refuse_shared_name(target: Path, soc: Soc) -> None:
    """The ONNX and logs of a build are named by its stem: two builds of one stem would have one set of them."""
    other = _of_same_stem(target)
    if other is not None:
        raise InputError(
            f"{target}: its ONNX and logs would overwrite those of {other.name}, a build for {_march_of(other)}",
            f"give another -o, for example -o {target.with_name(f'{target.stem}_{soc.name}{target.suffix}')}",
        )


def _of_same_stem(target: Path) -> Path | None:
    """A compiled model in the folder whose name differs from `target` in its suffix only."""
    beside = target.parent.iterdir() if target.parent.is_dir() else iter(())
    same = sorted(path for path in beside if path.stem == target.stem and path.suffix != target.suffix)
    return next((path for path in same if _march_of(path)), None)


def _march_of(path: Path) -> str:
    """Of a compiled model; "" where there is none."""
    with suppress(InputError):
        return CompiledFile(path).models[0].march if path.is_file() and path.suffix != ".onnx" else ""
    return ""


def _md5s(contents: Mapping[Path, bytes]) -> bytes:
    """All files of a build, as md5sum prints them: what belongs together, whatever is built beside it later."""
    sums = {path: hashlib.md5(content, usedforsecurity=False).hexdigest() for path, content in contents.items()}
    return "".join(f"{md5}  {path.name}\n" for path, md5 in sums.items()).encode()


def _write_together(contents: Mapping[Path, bytes]) -> None:
    """All files of a build or none: a model beside the ONNX of another build would be compared with it. The first is
    the one that the user named."""
    with ExitStack() as stack:
        for path, content in contents.items():
            named = path == next(iter(contents))
            file = stack.enter_context(output_file(path) if named else new_file(path))
            file.write(content)
            file.flush()


def _refuse_same_names(builds: Sequence[Build]) -> None:
    names = [one.model.name for one in builds]
    if len(set(names)) < len(names):
        raise InputError(f"two models are named {max(names, key=names.count)!r}", "rename one of the files")


def _beside(target: Path, one: Build, options: BuildOptions, several: bool) -> dict[Path, bytes]:
    """What a toolchain leaves beside a compiled model: its ONNX files, and what it says of the build."""
    stem = f"{target.stem}_{one.model.name}" if several else target.stem
    models = {f"{stem}_quantized_model.onnx": one.quantized, f"{stem}_optimized_float_model.onnx": one.float_model}
    has_values = bool(one.model.graph)
    room = room_of_soc(options.soc)
    if has_values and one.float_model is not None:
        models |= {f"{stem}_{ending}": one.original for ending in room.original_files}
        models |= {f"{stem}_{ending}": calibrated(one.quantized) for ending in room.calibrated_files}
    contents = {name: bytes(model.SerializeToString()) for name, model in models.items() if has_values and model}
    contents |= {name: text.encode() for name, text in room.reports(stem, one, options).items()}
    return {target.with_name(name): content for name, content in contents.items()}


def _facts(one: Build) -> dict[str, object]:
    model = one.model
    return {
        "name": model.name,
        "march": model.march,
        "calibration": one.calibration,
        "inputs": [
            {"name": i.name, "type": i.kind, "shape": list(i.spec.shape), "bytes": i.bytes} for i in model.inputs
        ],
        "outputs": list(model.outputs),
        "refused": list(one.refused),
        "nodes": [
            {"name": op.name, "type": op.kind, "on": op.unit, "subgraph": op.subgraph, "reason": op.reason}
            for op in model.ops
        ],
    }
