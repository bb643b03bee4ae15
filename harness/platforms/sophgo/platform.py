"""Sophgo boards: BM168x and CV186X by bmrt_test, CV18xx by model_runner. Facts and sources: docs/boards/sophgo.md."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import InputError
from harness.files import npz
from harness.files.safe import write_file
from harness.platforms.base import Platform
from harness.platforms.emulated import SIDE_FILE, mark_estimates
from harness.platforms.sophgo import chips, console, dumps, failures, info, profile, status
from harness.platforms.sophgo import options as sophgo_options
from harness.profiling.telemetry import Sense
from harness.records import (
    BoardIdentity,
    Dump,
    Failure,
    InputFacts,
    Invocation,
    Job,
    Latency,
    ModelInfo,
    OpTime,
    TensorSpec,
)

Array = npt.NDArray[Any]

BYTES = {"s4": 0.5, "u4": 0.5, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "f16": 2, "bf16": 2, "s64": 8, "u64": 8}
FEED = "feed.npz"  # of CV18xx: all inputs, by name


class Sophgo(Platform):
    """Sophgo's runtimes: see platforms/base.py for the contract."""

    name = "sophgo"
    modes: tuple[str, ...] = ("release", "debug", "profile")
    units: tuple[str, ...] = ("NPU", "CPU")
    status_command: tuple[str, ...] = status.COMMAND
    tool_hint = "install libsophon on the board, or set options: {{tool: PATH}} of {board}"
    options: Mapping[str, str] = sophgo_options.OPTIONS

    # ---- before the run

    def check_model(self, path: Path, board: BoardIdentity) -> None:
        """Errors: InputError for a file of another format or chip."""
        chips.check_model(path, board.soc)

    def beside(self, model: Path, soc: str, *, is_emulated: bool) -> tuple[Path, ...]:
        """What a debug run of BM168x needs: the compiler's files, and names of the layers from the PC's reference."""
        if chips.chip_of(soc).family == "cv":
            return ()
        folders = (model.parent / model.stem, model.parent)
        context = [next((f / name for f in folders if (f / name).is_file()), None) for name in _CONTEXT]
        stem = model.parent.name if model.stem == "compilation" else model.stem
        places = (model.parent, model.parent.parent)
        chip_names = chips.chip_of(soc).names
        names = _first(places, [f"{stem}_{chip}_*{sophgo_options.NAMES_OF_LAYERS}" for chip in chip_names])
        return (*(path for path in context if path), *names)

    def pack_inputs(self, info: ModelInfo, files: Sequence[tuple[str, Path]], folder: Path) -> tuple[Path, ...]:
        """CV18xx's tool takes one .npz with every input by its name. Errors: InputError for an unknown type."""
        if not info.versions.get("cvimodel"):
            return tuple(path for _, path in files)
        arrays = {name: _array(spec, path) for (name, path), spec in zip(files, info.inputs, strict=True)}
        write_file(folder / FEED, npz.packed(arrays), folder.parent)
        return (folder / FEED,)

    def invocation(self, board: BoardIdentity, job: Job) -> Invocation:
        """The script of one mode. Errors: InputError for a mode, option or value that it does not take."""
        values = sophgo_options.merged(board, job)
        family = chips.chip_of(board.soc).family
        tool = str(values["tool"]) or sophgo_options.TOOLS[family]
        if job.mode == "info":
            words = (str(values["model_tool"]), job.model, job.model_name)
            return Invocation(("sh", "-c", sophgo_options.INFO, "sophgo", *words))
        if job.mode not in self.modes:
            raise InputError(f"platform sophgo has no mode {job.mode!r}", f"its modes: {', '.join(self.modes)}")
        sophgo_options.refuse_without_effect(job)
        if family == "cv":
            return _run_cv(board, job, tool, values)
        return _run_bm(board, job, tool, values)

    # ---- reading

    def read_model_info(self, text: str) -> ModelInfo:
        return info.read_info(text)

    def read_versions(self, text: str) -> dict[str, str]:
        return info.versions(text) | console.versions(text)

    def read_latency(self, folder: Path, log: str) -> Latency | None:
        return console.latency(log)

    def read_ops(self, folder: Path, log: str) -> tuple[OpTime, ...]:
        """Single ops of the NPU where a profile tells them, beside the runtime's own CPU part; else both parts."""
        parts, ops = console.parts(log), profile.read_profile(folder)
        tells_cpu = any(op.unit == "CPU" for op in ops)
        on_cpu = () if tells_cpu else (part for part in parts if part.unit == "CPU" and part.mean_us)
        whole = (*ops, *on_cpu) if ops else parts
        return mark_estimates(folder, whole)

    def read_status(self, text: str) -> tuple[Sense, ...]:
        return status.read_status(text)

    def read_outputs(self, folder: Path, log: str, info: ModelInfo) -> tuple[Dump, ...]:
        return dumps.outputs(folder, info)

    def read_dumps(self, folder: Path, log: str, info: ModelInfo) -> tuple[Dump, ...]:
        return dumps.layers(folder, info)

    def read_failure(self, mode: str, code: int | None, log: str, present: Sequence[str]) -> Failure | None:
        return failures.judge(mode, code, log, present)

    # ---- inputs

    def read_input_facts(self, info: ModelInfo) -> tuple[InputFacts, ...]:
        return tuple(_facts(spec) for spec in info.inputs)

    def reference_feed(self, info: ModelInfo, spec: TensorSpec, board_input: bytes) -> bytes:
        """The same values as floats where the reference takes floats. Errors: InputError where the sizes disagree."""
        own = next((one for one in info.inputs if one.name == spec.name), info.inputs[0] if info.inputs else None)
        count = math.prod(spec.shape)
        if own is not None and own.dtype == spec.dtype and len(board_input) == _size_bytes(spec):
            return board_input
        if own is not None and own.dtype == "u8" and spec.dtype == "f32" and len(board_input) == count:
            return np.frombuffer(board_input, np.uint8).astype(np.float32).tobytes()
        raise InputError(
            f"the reference's input {spec.name!r} takes {spec.dtype} {'x'.join(map(str, spec.shape))}, "
            f"the board got {len(board_input)} bytes of {own.dtype if own else 'an unknown type'}",
            "give the PC's layers with --reference MODEL_tpu_outputs.npz",
        )


_CONTEXT = sophgo_options.CONTEXT_FILES


def _first(places: Sequence[Path], patterns: Sequence[str]) -> list[Path]:
    """The first file that fits, in a list; none where no file does."""
    return [path for place in places for pattern in patterns for path in sorted(place.glob(pattern))][:1]


def _run_bm(board: BoardIdentity, job: Job, tool: str, values: Mapping[str, object]) -> Invocation:
    files = sophgo_options.context_words(job)
    loops = _loops(board, job) if job.mode == "profile" else 1
    compare = ("--accuracy_f", "1e30", "--accuracy_i", "2147483647")
    line = [tool, "--context_dir", "context", "--export_output", *compare, *sophgo_options.tool_flags(values, loops)]
    script = sophgo_options.RUN_BM
    keep: tuple[str, ...] = ("output_*.bin", SIDE_FILE)
    if job.mode == "debug":
        _check_names(job)
        script, keep = sophgo_options.DEBUG_BM, (*keep, "soc_infer_*.npz", dumps.LOCATIONS)
        line = [str(values["soc_tools"]), str(values["python"]), *line]
    elif job.mode == "profile":
        script, keep = sophgo_options.PROFILE_BM, ("*.profile", *profile.FILES, *_PROFILE_FILES)
        line = [" ".join(sophgo_options.tool_flags(values, 1)), *line]
    return Invocation(("sh", "-c", script, "sophgo", *files, *line), keep=keep)


_PROFILE_FILES = (dumps.LOCATIONS, SIDE_FILE)


def _loops(board: BoardIdentity, job: Job) -> int:
    """Launches that are timed; a simulator gives the same cycles each time, so one is all there is."""
    return 1 if board.emulated is not None else max(1, job.frames)


def _check_names(job: Job) -> None:
    if not job.is_trial and not any(name.endswith(sophgo_options.NAMES_OF_LAYERS) for name in job.support_names):
        raise InputError(
            "no MODEL_CHIP_..._tpu_outputs.npz beside the model: the layer tool takes its names from there",
            "build with model_deploy.py --compare_all --debug, or omit the mode: --mode release,profile",
        )


def _run_cv(board: BoardIdentity, job: Job, tool: str, values: Mapping[str, object]) -> Invocation:
    feed = job.inputs[0] if job.inputs else FEED
    line = [tool, "--input", feed, "--model", job.model]
    script = '"$@"'
    keep: tuple[str, ...] = ("output.npz", SIDE_FILE)
    if job.mode == "release":
        line += ["--output", "output.npz"]
    elif job.mode == "debug":
        line = [str(values["model_tool"]), *line, "--output", "layers.npz", "--dump-all-tensors"]
        script = f'model_tool=$1; shift; "$model_tool" --info "$5" > {dumps.MODEL_TEXT} 2>/dev/null; "$@"'
        keep = ("layers.npz", dumps.MODEL_TEXT, SIDE_FILE)
    else:
        line += ["--output", "output.npz", "--enable-timer", "--count", str(_loops(board, job))]
        keep = (SIDE_FILE, *profile.FILES)
    return Invocation(("sh", "-c", script, "model_runner", *line), keep=keep)


def _size_bytes(spec: TensorSpec) -> int | None:
    if any(size < 0 for size in spec.shape):
        return None
    return math.ceil(math.prod(spec.shape) * BYTES.get(spec.dtype, 4))


def _facts(spec: TensorSpec) -> InputFacts:
    shape = "x".join(map(str, spec.shape))
    return InputFacts(
        spec.name, _size_bytes(spec), spec.dtype, f"{shape} {spec.dtype}, raw, .npy or .npz", (spec.shape,)
    )


_READ = {"f32": "<f4", "f16": "<f2", "bf16": "<u2", "s8": "i1", "u8": "u1", "s16": "<i2", "u16": "<u2", "s32": "<i4"}


def _array(spec: TensorSpec, path: Path) -> Array:
    if spec.dtype not in _READ:
        raise InputError(f"input {spec.name!r}: type {spec.dtype} cannot be packed for model_runner")
    return np.fromfile(path, _READ[spec.dtype]).reshape(spec.shape)


PLATFORM: Platform = Sophgo()
