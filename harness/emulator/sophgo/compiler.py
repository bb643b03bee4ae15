"""`harness emulator build` for Sophgo's chips: the vendor's own model_transform, run_calibration and model_deploy."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.emulator.compiler.options import BuildRequest
from harness.emulator.sophgo.environment import prepare
from harness.emulator.sophgo.recipe import RECIPE, TABLE, Recipe, deploy, suffix_of, tool
from harness.emulator.sophgo.samples import arrays, pictures, takes_pixels
from harness.errors import InputError
from harness.files.safe import make_folder, output_file
from harness.records.callbacks import LogCallback

MODES = {"int8": "INT8", "f16": "F16", "bf16": "BF16"}
KEPT = (
    "{stem}", "{stem}_in_f32.npz", "{stem}_top_outputs.npz", "{stem}_cali_table", "{stem}_*_tpu_outputs.npz",
    "{stem}_*_model_outputs.npz", "{stem}_*_tpu.mlir", "{stem}_tpu_addressed_*_weight.npz", "{stem}.mlir",
    "{stem}_top_f32_all_weight.npz", "{stem}_in_ori.npz", "{stem}_build.json", "compiler_profile_0.txt",
    "{stem}_deploy.log",
)  # fmt: skip


def build(models: Sequence[Path], request: BuildRequest, output: Path | None, tell: LogCallback) -> tuple[Path, ...]:
    """The compiled model, and beside it what the vendor's compiler leaves: the context folder, the PC's float and
    quantized layers for one input, that input (floats, or the pixels of a model that normalises them), the calibration
    table, weights as they lie in the file, and what it takes to build it again with one thing changed.

    Errors: InputError with the compiler's last line, HostError where it cannot be set up.
    """
    _check(models, request)
    suffix = suffix_of(request.soc)
    target = output or models[0].with_suffix(suffix)
    if not target.parent.is_dir():
        raise InputError(f"{target.parent}: no such folder")
    prepare(tell=tell)
    with tempfile.TemporaryDirectory(prefix="harness-build-") as name:
        work = Path(name)
        _compile(models[0].resolve(), request, target.stem, work, tell)
        return _keep(work, target, suffix)


def _check(models: Sequence[Path], request: BuildRequest) -> None:
    if len(models) > 1:
        raise InputError(f"{len(models)} models given: one at a time for {request.soc}", "build each separately")
    if (
        request.types
        or request.var != "255"
        or request.times_only
        or request.int16
        or request.on_cpu
        or request.on_accelerator
        or request.output_type != "float"
    ):
        raise InputError(
            f"only --calibration, --quantize, --layer-type, --mean, --scale, --colour, --shape and --seed "
            f"apply to {request.soc}",
            "without --mean, --scale and --colour the model takes floats, with one of them pictures",
        )
    if not models[0].is_file():
        raise InputError(f"{models[0]}: no such file", "give an ONNX")


def _compile(model: Path, request: BuildRequest, stem: str, work: Path, tell: LogCallback) -> None:
    samples = pictures(model, request, work) if takes_pixels(request) else arrays(model, request, work)
    recipe = Recipe(request.soc, MODES[request.quantize], samples.is_pixels, tuple(_table(request.layer_types)))
    recipe.save(work / f"{stem}{RECIPE}")
    tell("model_transform (float layers by Sophgo's interpreter)")
    shapes = f"[{samples.shapes}]"
    transform = ["--model_name", stem, "--model_def", str(model), "--input_shapes", shapes, "--mlir", f"{stem}.mlir"]
    tested = ["--test_input", samples.first, "--test_result", f"{stem}_top_outputs.npz"]
    tool("model_transform.py", [*transform, *samples.pixel_words, *tested], work)
    if recipe.quantize == "INT8":
        tell(f"run_calibration ({samples.count} samples)")
        calibration = ["--dataset", "samples", "--input_num", str(samples.count), "-o", f"{stem}{TABLE}"]
        tool("run_calibration.py", [f"{stem}.mlir", *calibration], work)
    tell(f"model_deploy ({recipe.quantize} for {request.soc})")
    given = samples.first if samples.is_pixels else f"{stem}_in_f32.npz"
    checked = ["--test_input", given, "--test_reference", f"{stem}_top_outputs.npz", "--compare_all"]
    # Its own judgement ends no build of ours.
    log = deploy(stem, recipe, work, [*checked, "--tolerance", "0.0,-10.0"])
    (work / f"{stem}_deploy.log").write_text(log)


def _table(layer_types: Sequence[str]) -> list[str]:
    """`LAYER=bf16` as lines of the vendor's quantize table. Errors: InputError for another type."""
    rows = []
    for text in layer_types:
        name, _, kind = text.rpartition("=")
        if not name or kind.lower() not in MODES:
            raise InputError(f"--layer-type {text}: expected LAYER=int8, f16 or bf16", "--layer-type conv2_Conv=bf16")
        rows.append(f"{name} {MODES[kind.lower()]}")
    return rows


def _keep(work: Path, target: Path, suffix: str) -> tuple[Path, ...]:
    """The compiled model and its neighbours, moved beside each other; the model first."""
    made = work / f"{target.stem}{suffix}"
    if not made.is_file():
        raise InputError(f"model_deploy.py left no {made.name}")
    _copy(made, target)
    kept = [target]
    for pattern in KEPT:
        for path in sorted(work.glob(pattern.format(stem=target.stem))):
            for file in sorted(path.rglob("*")) if path.is_dir() else (path,):
                place = target.parent / file.relative_to(work)
                make_folder(place.parent)
                _copy(file, place)
            kept.append(target.parent / path.name)
    return tuple(kept)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as stream, output_file(target) as sink:
        shutil.copyfileobj(stream, sink)
