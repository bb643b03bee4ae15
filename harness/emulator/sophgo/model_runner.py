"""`model_runner` of CV18xx's TPU SDK, played: an .npz of inputs in, an .npz of outputs or of all kept tensors out.

The PC's runner gives dequantized floats where the board's gives what is stored (int8, bf16 as uint16): its values are
put back on their grid by the scales of `model_tool --info`, which is exact, for they came from it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.emulator.sophgo import faults, rebuilt, simulation
from harness.emulator.sophgo.environment import call
from harness.files import npz
from harness.platforms.sophgo.info import read_info, tensor_map
from harness.records import TensorSpec

Array = npt.NDArray[Any]


def run(arguments: Sequence[str]) -> int:
    """The tool's exit code."""
    parser = argparse.ArgumentParser(prog="model_runner")
    for name in ("input", "model", "output"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--dump-all-tensors", action="store_true")
    parser.add_argument("--enable-timer", action="store_true")
    parser.add_argument("--count", type=int, default=1)
    given = parser.parse_args(list(arguments))
    given.model = str(rebuilt.actual(Path(given.model).resolve()))
    text = call("model_tool", ["--info", given.model]).stdout
    info = read_info(text)
    if not info.inputs:
        print("failed to register cvimodel", file=sys.stderr)
        return 1
    print("Inputs:", *(_line(i, spec) for i, spec in enumerate(info.inputs)), sep="\n")
    print("Outputs:", *(_line(i, spec) for i, spec in enumerate(info.outputs)), sep="\n", flush=True)
    wanted = None if given.dump_all_tensors else {spec.name for spec in info.outputs}
    return _simulated(given, tensor_map(text), wanted)


def _line(index: int, spec: TensorSpec) -> str:
    return f"  [{index}] {spec.name} <{','.join(map(str, spec.shape))}>,{spec.dtype}"


def _simulated(given: argparse.Namespace, specs: dict[str, TensorSpec], wanted: set[str] | None) -> int:
    with tempfile.TemporaryDirectory(prefix="harness-sophgo-") as name:
        work = Path(name)
        _feed(Path(given.input), work / "in.npz")
        arguments = ["--input", "in.npz", "--model", given.model, "--output", "out.npz"]
        finished = call("model_runner.py", [*arguments, "--dump_all_tensors"], cwd=work)
        if finished.returncode != 0 or not (work / "out.npz").is_file():
            sys.stderr.write((finished.stdout + finished.stderr)[-2000:])
            return finished.returncode or 1
        with np.load(work / "out.npz") as archive:
            names = [name for name in archive.files if name in specs and (wanted is None or name in wanted)]
            stored = {name: _stored(archive[name], specs[name]) for name in sorted(names)}
    Path(given.output).write_bytes(npz.packed(stored))
    simulation.write_side_file(Path.cwd())
    if given.enable_timer:
        print("harness: the simulator of CV18xx counts no cycles, so there is no time to tell")
    return 0


def _feed(given: Path, target: Path) -> None:
    planted = faults.planted()
    with np.load(given) as archive:
        arrays = {name: archive[name] for name in archive.files}
    for name, array in arrays.items():
        data = faults.scaled(array.tobytes(), array.dtype.str, planted)
        arrays[name] = np.frombuffer(data, array.dtype).reshape(array.shape)
    target.write_bytes(npz.packed(arrays))


def _stored(values: Array, spec: TensorSpec) -> Array:
    shaped = values.reshape(spec.shape) if values.size == np.prod(spec.shape) else values
    if spec.dtype == "bf16":
        upper: Array = (np.ascontiguousarray(shaped, "<f4").view("<u4") >> 16).astype("<u2")
        return upper
    if spec.quantization is not None and shaped.dtype.kind == "f":
        kind = np.dtype(simulation.DTYPES[spec.dtype])
        stored: Array = np.rint(shaped / np.float32(spec.quantization.scales[0])).astype(kind)
        return stored
    return shaped
