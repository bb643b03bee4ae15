"""`harness emulator build`: files on disk as a toolchain leaves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from harness.emulator.compiler.compile import Build, BuildOptions, compile_model
from harness.emulator.horizon import build_log
from harness.emulator.model.compiled import compiled_bytes
from harness.errors import InputError
from harness.files.safe import new_file, output_file


@dataclass(frozen=True)
class Built:
    """What was written, and what there is to say about it."""

    output: Path
    files: tuple[Path, ...]
    builds: tuple[Build, ...]

    def facts(self) -> dict[str, object]:
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
        raise InputError(f"{target.parent}: no such folder")
    if target.resolve() in [path.resolve() for path in models]:
        raise InputError(f"{target}: the output would overwrite the model", "give another -o")
    builds = tuple(compile_model(path, options, i) for i, path in enumerate(models))
    _refuse_same_names(builds)
    files: dict[str, bytes] = {}
    for one in builds:
        files |= one.files
    if options.soc.family == "magik":
        from harness.emulator.magik.model import meta

        files |= meta(options.mean, options.var, options.soc.march)
    contents = {target: compiled_bytes([one.model for one in builds], files)}
    for one in builds:
        contents |= _beside(target, one, options, len(builds) > 1)
    _write_together(contents)
    return Built(target, tuple(contents), builds)


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
        raise InputError(f"two models are called {max(names, key=names.count)!r}", "rename one of the files")


def _beside(target: Path, one: Build, options: BuildOptions, several: bool) -> dict[Path, bytes]:
    """What a toolchain leaves beside a compiled model: its ONNX files, and what it says of the build."""
    stem = f"{target.stem}_{one.model.name}" if several else target.stem
    models = {f"{stem}_quantized_model.onnx": one.quantized, f"{stem}_optimized_float_model.onnx": one.float_model}
    contents = {name: bytes(model.SerializeToString()) for name, model in models.items() if model is not None}
    contents |= {name: text.encode() for name, text in _reports(stem, one, options).items()}
    return {target.with_name(name): content for name, content in contents.items()}


def _reports(stem: str, one: Build, options: BuildOptions) -> dict[str, str]:
    """What the toolchain of this family would say of the build, by file name."""
    kinds = {node.name: node.op_type for node in one.quantized.graph.node}
    facts = build_log.Facts(options.soc, one.model, one.calibration, options.pixels, one.distances, kinds)
    if options.soc.family == "magik":
        from harness.emulator.magik.build_log import transform_log

        return {f"{stem}_magik_transform.log": transform_log(options.soc, one.model, one.distances)}
    if options.soc.family == "ucp":
        return {
            f"{stem}_hb_compile.log": build_log.hb_compile_log(facts, stem),
            f"{stem}_node_info.csv": build_log.node_info_csv(facts),
        }
    return {
        f"{stem}_hb_mapper_makertbin.log": build_log.hb_mapper_log(facts, stem),
        f"{stem}_quant_info.json": build_log.quant_info(facts),
    }


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
        "nodes": [
            {"name": op.name, "type": op.kind, "on": op.unit, "subgraph": op.subgraph, "reason": op.reason}
            for op in model.ops
        ],
    }
