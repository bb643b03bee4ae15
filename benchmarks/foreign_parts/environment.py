"""An environment of its own with public runtimes and trained networks, in the user's cache folder."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from harness.files.user_folders import cache_folder

INSTALL_LIMIT_S = 600
RUNNER = Path(__file__).parent / "board_runner.py"


@dataclass(frozen=True)
class Package:
    """What is installed: the first of `versions` that this Python can have; what it is good for."""

    name: str
    versions: tuple[str, ...]
    modules: tuple[str, ...] = ()  # of a runtime: what must be importable, besides its programs
    role: str = "runtime"


PACKAGES = (
    Package("numpy", ("numpy<2", "numpy"), ("numpy",), role="needed"),
    Package("onnxruntime", ("onnxruntime==1.17.3", "onnxruntime==1.20.1", "onnxruntime"), ("onnxruntime",)),
    Package("openvino", ("openvino==2026.4.1", "openvino"), ("openvino",)),
    Package("ncnn", ("ncnn",), ("ncnn",)),
    Package("pnnx", ("pnnx",), role="converter"),
    Package("mnn", ("MNN",), ("MNN",)),
    Package("rapidocr-onnxruntime", ("rapidocr-onnxruntime==1.2.3",), role="networks"),
    Package("silero-vad", ("silero-vad==6.2.3", "silero-vad"), role="networks"),
    Package("openwakeword", ("openwakeword==0.4.0",), role="networks"),
    Package("nudenet", ("nudenet==3.4.2", "nudenet"), role="networks"),
)
MARK = "installed.json"


@dataclass(frozen=True)
class Environment:
    """Where things are; `versions` of what is there, `skipped` with the reason of what is not."""

    folder: Path
    versions: dict[str, str]
    skipped: dict[str, str]

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def find(self, pattern: str) -> Path | None:
        """A file of an installed package; None where the package is not there."""
        return next(iter(sorted(self.folder.glob(f"lib/python3*/site-packages/{pattern}"))), None)


def prepare(folder: Path | None = None, offline: bool = False) -> Environment:
    """Install what is missing. Without a network everything that is not there yet ends in `skipped`."""
    folder = folder or cache_folder() / "foreign" / f"python3.{sys.version_info.minor}"
    if not (folder / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)
    mark = folder / MARK
    versions: dict[str, str] = json.loads(mark.read_text()) if mark.exists() else {}
    skipped = {}
    for package in PACKAGES:
        if package.name in versions:
            continue
        reason = "not installed, and told to stay offline" if offline else _install(folder, package)
        if reason:
            skipped[package.name] = reason
            continue
        versions[package.name] = _version(folder, package)
        mark.write_text(json.dumps(versions))
    return _with_torch(Environment(folder, versions, skipped))


def _install(folder: Path, package: Package) -> str:
    """Why it could not be installed; "" where it was. Dependencies are left out: no network needs them."""
    reason = ""
    for version in package.versions:
        command = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--no-deps", version]
        process = _run(command, INSTALL_LIMIT_S)
        if process.returncode == 0:
            reason = _imported(folder, package)
        else:
            lines = [line for line in process.stderr.splitlines() if line.startswith("ERROR")]
            reason = lines[-1][:160] if lines else f"pip ended with exit code {process.returncode}"
        if not reason:
            return ""
    return reason


def _imported(folder: Path, package: Package) -> str:
    if not package.modules:
        return ""
    process = _run([str(folder / "bin" / "python"), "-c", f"import {', '.join(package.modules)}"], 120)
    return (
        "" if process.returncode == 0 else (process.stderr.strip().splitlines() or ["it cannot be imported"])[-1][:160]
    )


def _version(folder: Path, package: Package) -> str:
    code = f"import importlib.metadata as m; print(m.version({package.name!r}))"
    return _run([str(folder / "bin" / "python"), "-c", code], 60).stdout.strip()


def _with_torch(made: Environment) -> Environment:
    """PyTorch is used only where it lies beside this Python already: it is too large to install for this."""
    process = _run([sys.executable, "-c", "import torch; print(torch.__version__)"], 120)
    if process.returncode == 0:
        made.versions["torch"] = process.stdout.strip()
    else:
        made.skipped["torch"] = "not on this machine; it is used only where it is there already"
    return made


def _run(command: Sequence[str], limit_s: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=limit_s)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"ERROR: not ready after {limit_s:.0f} s")


class Runner:
    """One process of the environment that runs jobs (see board_runner.py)."""

    def __init__(self, made: Environment) -> None:
        command = [str(made.python), str(RUNNER)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def run(self, job: dict[str, Any]) -> tuple[list[str], str]:
        """The tensors that were dumped, and why none were."""
        writer, reader = _pipes(self.process)
        writer.write(json.dumps(job) + "\n")
        writer.flush()
        line = reader.readline()
        if not line:
            return [], f"the runtime ended with {self.process.wait()}"
        answer = json.loads(line)
        return answer["tensors"], answer["error"]

    def close(self) -> None:
        self.process.communicate(timeout=60)


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None and process.stdout is not None
    return process.stdin, process.stdout
