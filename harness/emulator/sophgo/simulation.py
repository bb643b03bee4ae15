"""One run of a compiled model on the vendor's simulator: raw inputs in, raw outputs and cycles out."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.emulator.sophgo import faults, rebuilt
from harness.emulator.sophgo.environment import call
from harness.emulator.sophgo.packages import VERSION
from harness.errors import InputError
from harness.files import npz
from harness.platforms.emulated import SIDE_FILE
from harness.platforms.sophgo import profile
from harness.platforms.sophgo.info import read_info
from harness.records import ModelInfo, TensorSpec

Array = npt.NDArray[Any]

DTYPES = {
    "f32": "<f4", "f16": "<f2", "bf16": "<u2", "s8": "i1", "u8": "u1", "s16": "<i2", "u16": "<u2", "s32": "<i4",
    "u32": "<u4",
}  # fmt: skip
SIMULATOR = f"Sophgo's chip simulator (tpu-mlir {VERSION})"


@dataclass(frozen=True)
class Outcome:
    """What the simulator left: outputs as the chip holds them, its profile folder, or why there is nothing."""

    outputs: tuple[bytes, ...] = ()
    cycles_us: float | None = None
    profile: Path | None = None
    trouble: str = ""


def model_facts(model: Path) -> ModelInfo:
    """What the vendor's model_tool tells. Errors: InputError for a model that it cannot read."""
    finished = call("model_tool", ["--info", str(model)])
    info = read_info(finished.stdout)
    if finished.returncode != 0 or not info.inputs:
        raise InputError(f"{model}: model_tool cannot read it: {(finished.stderr or finished.stdout).strip()[-200:]}")
    return info


def dtype_of(spec: TensorSpec) -> str:
    """numpy's name of a stored type. Errors: InputError for one that the simulator's files do not have."""
    if spec.dtype not in DTYPES:
        raise InputError(f"tensor {spec.name!r}: type {spec.dtype} is not played")
    return DTYPES[spec.dtype]


def read_inputs(raw: bytes, specs: Sequence[TensorSpec]) -> dict[str, Array] | None:
    """Arrays by name out of input_ref_data.dat; None where it holds too few bytes."""
    arrays, at, planted = {}, 0, faults.planted()
    for spec in specs:
        kind = np.dtype(dtype_of(spec))
        size = int(np.prod(spec.shape)) * kind.itemsize
        part = raw[at : at + size]
        if len(part) < size:
            return None
        arrays[spec.name] = np.frombuffer(faults.scaled(part, kind.str, planted), kind).reshape(spec.shape)
        at += size
    return arrays


@contextmanager
def faulty(context: Path) -> Iterator[Path]:
    """A context folder of its own, with the faulty model in the good one's place. Errors: InputError."""
    with tempfile.TemporaryDirectory(prefix="harness-sophgo-") as temporary:
        copy = Path(temporary) / "context"
        copy.mkdir()
        for path in context.iterdir():
            if path.is_file() and path.name != "output_ref_data.dat":
                shutil.copyfile(path, copy / path.name)
        model = copy / "compilation.bmodel"
        made = rebuilt.actual(model) if model.is_file() else model
        if made != model:
            for name in rebuilt.NEIGHBOURS:
                if (made.parent / name).is_file():
                    shutil.copyfile(made.parent / name, copy / name)
            shutil.copyfile(made, model)
        yield copy


def simulate(model: Path, info: ModelInfo, inputs: dict[str, Array], work: Path) -> Outcome:
    """Runs `model` once in the folder `work`, which keeps the profile."""
    (work / "in.npz").write_bytes(npz.packed(inputs))
    arguments = ["--input", "in.npz", "--model", str(model), "--output", "out.npz"]
    finished = call("model_runner.py", arguments, cwd=work, more={"BMRUNTIME_ENABLE_PROFILE": "1"})
    if finished.returncode != 0 or not (work / "out.npz").is_file():
        return Outcome(trouble=(finished.stdout + finished.stderr).strip())
    with np.load(work / "out.npz") as archive:
        outputs = tuple(_raw(archive[spec.name], spec) for spec in info.outputs)
    folder = next(iter(sorted(work.glob("bmprofile_data-*"))), None)
    cycles_us = profile.end_us(folder) if folder else None
    return Outcome(outputs, cycles_us, folder)


def _raw(array: Array, spec: TensorSpec) -> bytes:
    """As the chip's memory holds it: the runner gives f16 as such and bf16 as uint16."""
    kind = np.dtype(dtype_of(spec))
    if array.dtype == kind or (array.dtype.itemsize == kind.itemsize and array.dtype.kind == "u"):
        return array.tobytes()
    return array.astype(kind).tobytes()


def write_side_file(folder: Path, estimated: Sequence[str] = ("NPU", "CPU")) -> None:
    """Says beside a run that no clock measured its times, and whose they are."""
    record = {"emulated": True, "estimated": list(estimated), "simulator": SIMULATOR}
    (folder / SIDE_FILE).write_text(json.dumps(record, indent=1) + "\n")
