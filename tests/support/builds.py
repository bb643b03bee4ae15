"""Example models, built and compiled once per test run, shared by all workers."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from harness.cli import cli

ROOT = Path(__file__).resolve().parents[2]
_ARGUMENTS = {
    "digits": ["--calibration", "digits_calibration"],
    "mobilenet": ["--calibration", "mobilenet_calibration", "--input-type", "nv12", "--scale", "0.00392157"],
    "yolo": ["--calibration", "yolo_calibration", "--input-type", "nv12", "--scale", "0.00392157"],
    "motionbert": ["--calibration", "motionbert_calibration"],
}
_INPUTS = {
    "digits": "digits_input.bin",
    "mobilenet": "photo_224.nv12",
    "yolo": "photo_320.nv12",
    "motionbert": "motionbert_input.bin",
}


@dataclass(frozen=True)
class ExampleModel:
    """One example: the float ONNX, the compiled model, the quantized ONNX that is its reference, an input."""

    onnx: Path
    model: Path
    reference: Path
    input: Path
    folder: Path


def harness(*argv: str | Path, cwd: Path | None = None, check: bool = False) -> subprocess.CompletedProcess[str]:
    """The real command line in its own process."""
    result = subprocess.run(
        [sys.executable, "-m", "harness", *map(str, argv)], capture_output=True, text=True, cwd=cwd, timeout=300
    )
    if check and result.returncode:
        raise AssertionError(f"{argv}: exit {result.returncode}\n{result.stdout}\n{result.stderr}")
    return result


def harness_here(*argv: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The same command line in this process: where a test is about the answer, not about the process."""
    before = Path.cwd()
    os.chdir(cwd)
    try:
        result = CliRunner().invoke(cli, [str(word) for word in argv])
    finally:
        os.chdir(before)
    return subprocess.CompletedProcess(list(argv), result.exit_code, result.stdout, result.stderr)


def build(shared: Path, name: str, soc: str = "x5") -> ExampleModel:
    """Build one example for one SoC, or find it built by another worker."""
    folder = shared / "examples"
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "digits.onnx").exists():
            subprocess.run(
                [sys.executable, ROOT / "scripts/build_examples.py", folder], check=True, capture_output=True
            )
        stem = f"{name}_{soc}"
        if not (folder / f"{stem}.bin").exists():
            argv = ["emulator", "build", f"{name}.onnx", "--soc", soc, *_ARGUMENTS[name], "-o", f"{stem}.bin"]
            harness(*argv, cwd=folder, check=True)
    return ExampleModel(
        folder / f"{name}.onnx",
        folder / f"{stem}.bin",
        folder / f"{stem}_quantized_model.onnx",
        folder / _INPUTS[name],
        folder,
    )
