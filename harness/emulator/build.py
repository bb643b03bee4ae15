"""`harness emulator build`: files on disk as a toolchain leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from harness.emulator.compile import Build, BuildOptions, compile_model
from harness.emulator.compiled import write_compiled
from harness.errors import InputError


@dataclass(frozen=True)
class Built:
    """What was written, and what there is to say about it."""

    output: Path
    files: tuple[Path, ...]
    builds: tuple[Build, ...]

    def facts(self) -> dict[str, Any]:
        """The answer of `--json`."""
        return {
            "output": str(self.output),
            "files": [str(path) for path in self.files],
            "models": [_facts(build) for build in self.builds],
        }


def build(models: Sequence[Path], options: BuildOptions, output: Path | None) -> Built:
    """Compile one or several ONNX into one file, with the ONNX beside it that the board's results are held against.

    Errors: InputError for a model that cannot be compiled, or an output folder that does not exist.
    """
    target = output or models[0].with_suffix(".hbm" if options.soc.family == "ucp" else ".bin")
    if not target.parent.is_dir():
        raise InputError(f"{target.parent}: no such folder for the output")
    if target.resolve() in [path.resolve() for path in models]:
        raise InputError(f"{target}: the output would overwrite the model", "give another -o")
    builds = tuple(compile_model(path, options, i) for i, path in enumerate(models))
    _refuse_same_names(builds)
    files: dict[str, bytes] = {}
    for one in builds:
        files |= one.files
    write_compiled(target, [one.model for one in builds], files)
    beside = [path for one in builds for path in _write_beside(target, one, len(builds) > 1)]
    return Built(target, (target, *beside), builds)


def _refuse_same_names(builds: Sequence[Build]) -> None:
    names = [one.model.name for one in builds]
    if len(set(names)) < len(names):
        raise InputError(f"two models are called {max(names, key=names.count)!r}", "rename one of the files")


def _write_beside(target: Path, one: Build, several: bool) -> list[Path]:
    stem = f"{target.stem}_{one.model.name}" if several else target.stem
    quantized = target.with_name(f"{stem}_quantized_model.onnx")
    onnx.save(one.quantized, str(quantized))
    written = [quantized]
    if one.float_model is not None:
        optimized = target.with_name(f"{stem}_optimized_float_model.onnx")
        onnx.save(one.float_model, str(optimized))
        written.append(optimized)
    return written


def _facts(one: Build) -> dict[str, Any]:
    model = one.model
    return {
        "name": model.name,
        "march": model.march,
        "calibration": one.calibration,
        "inputs": [
            {"name": i.name, "type": i.kind, "shape": list(i.spec.shape), "bytes": i.bytes} for i in model.inputs
        ],
        "outputs": list(model.outputs),
        "nodes": [
            {"name": op.name, "type": op.kind, "on": op.unit, "subgraph": op.subgraph, "reason": op.reason}
            for op in model.ops
        ],
    }
