"""`harness emulator build` for Sophgo's chips: the vendor's own model_transform, run_calibration and model_deploy."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from harness.emulator.compiler.options import BuildRequest
from harness.emulator.sophgo.board import SOCS
from harness.emulator.sophgo.environment import call, prepare
from harness.errors import InputError
from harness.files import npz
from harness.files.safe import make_folder, output_file
from harness.records.callbacks import LogCallback

Array = npt.NDArray[Any]

MODES = {"int8": "INT8", "f16": "F16", "bf16": "BF16"}
KEPT = (
    "{stem}", "{stem}_in_f32.npz", "{stem}_top_outputs.npz", "{stem}_cali_table", "{stem}_*_tpu_outputs.npz",
    "{stem}_*_model_outputs.npz", "{stem}_*_tpu.mlir", "{stem}_tpu_addressed_*_weight.npz", "{stem}.mlir",
    "compiler_profile_0.txt", "{stem}_deploy.log",
)  # fmt: skip


def build(models: Sequence[Path], request: BuildRequest, output: Path | None, tell: LogCallback) -> tuple[Path, ...]:
    """The compiled model, and beside it what the vendor's compiler leaves: the context folder, the PC's float and
    quantized layers for one input, that input, the calibration table, weights as they lie in the file.

    Errors: InputError with the compiler's last line, HostError where it cannot be set up.
    """
    _check(models, request)
    suffix = ".cvimodel" if SOCS[request.soc] == "cv" else ".bmodel"
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
    pixels = request.types or (request.mean, request.scale, request.colour, request.var) != ("0", "1", "rgb", "255")
    if (
        pixels
        or request.times_only
        or request.int16
        or request.on_cpu
        or request.on_accelerator
        or request.output_type != "float"
    ):
        raise InputError(
            f"only --calibration, --quantize, --layer-type, --shape and --seed apply to {request.soc}",
            "build a model that takes normalised floats",
        )
    if not models[0].is_file():
        raise InputError(f"{models[0]}: no such file", "give an ONNX")


def _compile(model: Path, request: BuildRequest, stem: str, work: Path, tell: LogCallback) -> None:
    feeds, shapes = _samples(model, request)
    folder = work / "samples"
    folder.mkdir()
    for i, feed in enumerate(feeds):
        (folder / f"{i:05d}.npz").write_bytes(npz.packed(feed))
    (work / "input.npz").write_bytes(npz.packed(feeds[0]))
    mode = MODES[request.quantize]
    tell("model_transform (float layers by Sophgo's interpreter)")
    transform = ["--model_name", stem, "--model_def", str(model), "--input_shapes", shapes, "--mlir", f"{stem}.mlir"]
    _tool("model_transform.py", [*transform, *_tested("input.npz", f"{stem}_top_outputs.npz")], work)
    deploy = ["--mlir", f"{stem}.mlir", "--quantize", mode, "--processor", request.soc]
    if mode == "INT8":
        tell(f"run_calibration ({len(feeds)} samples)")
        table = f"{stem}_cali_table"
        _tool(
            "run_calibration.py",
            [f"{stem}.mlir", "--dataset", "samples", "--input_num", str(len(feeds)), "-o", table],
            work,
        )
        deploy += ["--calibration_table", table]
    if request.layer_types:
        (work / "quantize_table").write_text("".join(f"{line}\n" for line in _table(request.layer_types)))
        deploy += ["--quantize_table", "quantize_table"]
    tell(f"model_deploy ({mode} for {request.soc})")
    deploy += ["--test_input", f"{stem}_in_f32.npz", "--test_reference", f"{stem}_top_outputs.npz"]
    deploy += ["--tolerance", "0.0,-10.0", "--compare_all", "--debug"]  # its own judgement ends no build of ours
    suffix = ".cvimodel" if SOCS[request.soc] == "cv" else ".bmodel"
    log = _tool("model_deploy.py", [*deploy, "--model", f"{stem}{suffix}"], work)
    (work / f"{stem}_deploy.log").write_text(log)


def _tested(given: str, result: str) -> list[str]:
    return ["--test_input", given, "--test_result", result]


def _table(layer_types: Sequence[str]) -> list[str]:
    """`LAYER=bf16` as lines of the vendor's quantize table. Errors: InputError for another type."""
    rows = []
    for text in layer_types:
        name, _, kind = text.rpartition("=")
        if not name or kind.lower() not in MODES:
            raise InputError(f"--layer-type {text}: expected LAYER=int8, f16 or bf16", "--layer-type conv2_Conv=bf16")
        rows.append(f"{name} {MODES[kind.lower()]}")
    return rows


def _samples(model: Path, request: BuildRequest) -> tuple[list[dict[str, Array]], str]:
    """Feeds for calibration, the first of them also the input of the PC's layers; and the input shapes as text."""
    import onnx

    from harness.emulator.compiler.calibration import random_samples, read_samples
    from harness.emulator.compiler.prepare_model import complete

    loaded = complete(onnx.load(str(model)), dict(_shape(text) for text in request.shapes))
    samples = (
        read_samples(request.calibration, loaded, {}) if request.calibration else random_samples(loaded, request.seed)
    )
    feeds = [dict(feed) for feed in samples.feeds]
    shapes = ",".join(str(list(array.shape)).replace(" ", "") for array in feeds[0].values())
    return feeds, f"[{shapes}]"


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    match = re.fullmatch(r"(.+)=([0-9]+(?:,[0-9]+)*)", text)
    if match is None:
        raise InputError(f"--shape {text}: expected INPUT=1,3,224,224", "--shape images=1,3,224,224")
    return match[1], tuple(int(size) for size in match[2].split(","))


def _tool(tool: str, arguments: Sequence[str], work: Path) -> str:
    finished = call(tool, arguments, cwd=work)
    text = finished.stdout + finished.stderr
    if finished.returncode != 0:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        errors = [line for line in lines if re.match(r"\w*(?:Error|error)\b", line)] or lines or ["no reason given"]
        raise InputError(f"{tool}: {errors[-1][:300]}", "the model may hold an op that the compiler does not take")
    return text


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
