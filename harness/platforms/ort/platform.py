"""Any Linux board with Python 3.8, numpy and ONNX Runtime: Raspberry Pi, Jetson, the CPU side of an NPU board.

The model is an ONNX file; agents/ort_runner.py runs it on the board. Facts: docs/boards/ort.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.files.arrays import NPY_MAGIC
from harness.platforms.base import Platform
from harness.platforms.ort import failures
from harness.platforms.ort import folder as ort_folder
from harness.platforms.ort import options as ort_options
from harness.platforms.ort.bundle import runner_archive
from harness.platforms.ort.text import lines_of, number_of, spec_of
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

VERSIONS = ("runtime", "onnxruntime", "numpy", "python", "machine", "kernel")
EXPECTED = {
    "release": ("manifest.json", "t*.bin"),
    "debug": ("manifest.json", "t*.bin"),
    "profile": ("latency.json", "ops.json"),
    "memory": ("memory.json",),
}


class Ort(Platform):
    """ONNX Runtime through our own runner: see platforms/base.py for the contract."""

    name = "ort"
    modes: tuple[str, ...] = ("release", "debug", "profile", "memory")
    units: tuple[str, ...] = ("CPU", "XNNPACK", "ACL", "CUDA", "TensorRT", "QNN", "OpenVINO")
    tools: tuple[str, ...] = ("python3",)
    runs_onnxruntime = True
    takes_wheels = True
    tool_hint = "install Python on the board, then run harness boards prepare {board} --wheels DIR"
    options: Mapping[str, str] = ort_options.OPTIONS

    # ---- before the run

    def check_model(self, path: Path, board: BoardIdentity) -> None:
        """Errors: InputError for a file that is no ONNX, or that keeps its weights in other files."""
        import onnx
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

        try:
            model = onnx.load(str(path), load_external_data=False)
        except (DecodeError, ValueError, OSError) as error:
            raise InputError(f"{path}: not an ONNX model ({error})", "platform ort runs .onnx files") from None
        if not model.graph.node:
            raise InputError(f"{path}: not an ONNX model, or without nodes")
        outside = [t.name for t in model.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
        if outside:
            raise InputError(
                f"{path}: {len(outside)} weights are in external files (first: {outside[0]})",
                "save it as one file: onnx.save(onnx.load(path), path)",
            )

    def files(self, board: BoardIdentity, job: Job) -> tuple[Path, ...]:
        return (runner_archive(),)

    def invocation(self, board: BoardIdentity, job: Job) -> Invocation:
        """The runner's command line. Errors: InputError for a mode, option or value that it does not take."""
        if job.mode not in (*self.modes, "info"):
            raise InputError(f"platform ort has no mode {job.mode!r}", f"its modes: {', '.join(self.modes)}")
        values = ort_options.merged(board, job)
        argv = [str(values["python"]), ort_options.runner(job), job.model, "--mode", job.mode]
        argv += ["--out", ".", "--site", ort_options.site(job), *ort_options.flags(job.mode, values)]
        argv += [part for path in job.inputs for part in ("--input", path)]
        return Invocation(tuple(argv), {}, expected=EXPECTED.get(job.mode, ()))

    def sweep_axes(self, board: BoardIdentity) -> Mapping[str, tuple[str, ...]]:
        """Threads of one inference: onnxruntime has no cores to choose from."""
        return {"threads": ("1", "2", "4", "8")}

    # ---- reading

    def read_model_info(self, text: str) -> ModelInfo:
        lines = lines_of(text)
        specs: dict[str, tuple[TensorSpec, ...]] = {}
        problems: list[str] = []
        for key in ("input", "output"):
            made = [spec_of(row) for row in lines.get(key, [])]
            specs[key] = tuple(spec for spec in made if spec is not None)
            if len(specs[key]) != len(made):
                problems.append(f"{len(made) - len(specs[key])} {key} lines of the runner are not readable")
        model = _mapping(lines, "model")
        return ModelInfo(
            name=str(model.get("graph", "")),
            inputs=specs["input"],
            outputs=specs["output"],
            load_us=_number(model.get("load_us")),
            versions=self.read_versions(text),
            problems=tuple(problems),
        )

    def read_versions(self, text: str) -> dict[str, str]:
        versions = _mapping(lines_of(text), "versions")
        return {key: str(versions[key])[:100] for key in VERSIONS if key in versions}

    def read_latency(self, folder: Path, log: str) -> Latency | None:
        return ort_folder.latency(folder) or _single_run(log)

    def read_ops(self, folder: Path, log: str) -> tuple[OpTime, ...]:
        return ort_folder.ops(folder)

    def read_outputs(self, folder: Path, log: str, info: ModelInfo) -> tuple[Dump, ...]:
        return ort_folder.outputs(folder)

    def read_dumps(self, folder: Path, log: str, info: ModelInfo) -> tuple[Dump, ...]:
        return ort_folder.layers(folder)

    def read_memory(self, folder: Path) -> dict[str, int] | None:
        """Peak resident bytes of mode memory: import_bytes, load_bytes, peak_bytes, model_bytes."""
        return ort_folder.memory(folder)

    def read_failure(self, mode: str, code: int | None, log: str, present: Sequence[str]) -> Failure | None:
        return failures.judge(code, log, present, EXPECTED.get(mode, ()))

    # ---- inputs

    def read_input_facts(self, info: ModelInfo) -> tuple[InputFacts, ...]:
        return tuple(_input_facts(spec) for spec in info.inputs)

    def reference_feed(self, info: ModelInfo, spec: TensorSpec, board_input: bytes) -> bytes:
        """The same bytes: board and PC run the same ONNX; for open sizes the array, which tells its shape.

        Errors: InputError where the sizes disagree.
        """
        wanted = size_bytes(spec)
        if wanted is None:
            return board_input
        data = _npy_bytes(spec, board_input) if board_input.startswith(NPY_MAGIC) else board_input
        if wanted != len(data):
            raise InputError(f"input {spec.name!r} needs {wanted} bytes on the PC, the board got {len(data)}")
        return data


PLATFORM: Platform = Ort()


def size_bytes(spec: TensorSpec) -> int | None:
    """Bytes of a dense tensor; None where a dimension is open."""
    if any(n < 0 for n in spec.shape):
        return None
    return math.prod(spec.shape) * (int("".join(c for c in spec.dtype if c.isdigit()) or 8) // 8)


def _input_facts(spec: TensorSpec) -> InputFacts:
    shape = "x".join("?" if n < 0 else str(n) for n in spec.shape)
    return InputFacts(
        name=spec.name,
        size_bytes=size_bytes(spec),
        dtype=spec.dtype,
        describe=f"{shape} {spec.dtype}, raw or .npy",
        shapes=(spec.shape,),
        convert=_convert_options(spec),
        encoded_suffixes=(".npy",),
    )


def _convert_options(spec: TensorSpec) -> str:
    """What `harness convert` is to be asked for: it makes u8 pixels of fixed sizes and nothing else."""
    shape = spec.shape
    if spec.dtype != "u8" or len(shape) != 4 or shape[0] != 1 or min(shape) < 1:
        return ""
    for form, channels, height, width in (("nhwc", shape[3], shape[1], shape[2]), ("nchw", *shape[1:])):
        if channels in (1, 3, 4):
            return f"--size {width}x{height} --to {form}" + (f" --channels {channels}" if channels != 3 else "")
    return ""


def _npy_bytes(spec: TensorSpec, data: bytes) -> bytes:
    import io

    import numpy as np

    try:
        return np.ascontiguousarray(np.load(io.BytesIO(data), allow_pickle=False)).tobytes()
    except ValueError as error:
        raise InputError(f"input {spec.name!r}: not a readable .npy ({error})") from None


def _mapping(lines: Mapping[str, Sequence[Any]], key: str) -> dict[str, Any]:
    rows = [row for row in lines.get(key, []) if isinstance(row, dict)]
    return rows[-1] if rows else {}


def _number(value: Any) -> float | None:
    return number_of({"": value}, "")


def _single_run(log: str) -> Latency | None:
    """A release run times its one inference, which is the first one."""
    time_us = _number(_mapping(lines_of(log), "run").get("us"))
    return None if time_us is None else Latency(mean_us=time_us, frames=1, warmup_excluded=False)
