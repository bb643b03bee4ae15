"""Clean runs: on boards without a fault no finding above "note" comes up.

    python benchmarks/clean_runs.py --runs 12
    python benchmarks/clean_runs.py --runs 100 --json

Each run is a small network on a built-in emulated board, with a right picture as its input and the quantized ONNX as
reference; boards, kinds of input, sizes and weights change from run to run. A warning or an error is an alarm.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from harness.cli import cli

SOCS = ("x5", "x3", "j5", "s100", "j6e", "ultra")
INPUTS = ("featuremap", "nv12", "rgb", "gray")
SIDES = ((32, 32), (48, 64), (64, 40), (24, 96))


@dataclass(frozen=True)
class CleanRun:
    """What one run is made of."""

    soc: str
    kind: str
    height: int
    width: int
    seed: int

    @property
    def name(self) -> str:
        """Of its folder and case."""
        return f"{self.soc}_{self.kind}_{self.height}x{self.width}_{self.seed}"


def runs(count: int) -> Iterator[CleanRun]:
    """Boards, kinds of input and sizes in turn, each with a seed of its own."""
    turns = itertools.cycle(itertools.product(SIDES, INPUTS, SOCS))
    for seed, (sides, kind, soc) in zip(range(count), _spread(list(itertools.islice(turns, 96))), strict=False):
        yield CleanRun(soc, kind, *sides, seed)


def _spread(made: list[tuple[tuple[int, int], str, str]]) -> Iterator[tuple[tuple[int, int], str, str]]:
    """In an order in which a few runs see every board and every kind of input."""
    return itertools.cycle(made[i * 19 % len(made)] for i in range(len(made)))


def network(run: CleanRun, path: Path) -> None:
    """Three convolutions, the middle one with a shortcut."""
    rng = np.random.default_rng(run.seed)
    channels = 1 if run.kind == "gray" else 3
    shapes = {"w1": (8, channels, 3, 3), "w2": (8, 8, 3, 3), "w3": (6, 8, 1, 1)}
    weights = [
        numpy_helper.from_array((rng.normal(0, 1, s) / np.sqrt(np.prod(s[1:]))).astype(np.float32), n)
        for n, s in shapes.items()
    ]
    nodes = [
        helper.make_node("Conv", ["images", "w1"], ["c1"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], "conv2", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c2", "r1"], ["a"], "add"),
        helper.make_node("Conv", ["a", "w3"], ["out"], "head"),
    ]
    sides = (run.height, run.width)
    value = helper.make_tensor_value_info("images", TensorProto.FLOAT, (1, channels, *sides))
    output = helper.make_tensor_value_info("out", TensorProto.FLOAT, (1, 6, *sides))
    graph = helper.make_graph(nodes, "clean", [value], [output], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


def pixels(run: CleanRun, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A smooth picture with an edge and noise: uint8 (C, H, W)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : run.height, 0 : run.width]
    bow = [np.sin(x / (5 + i) + seed) * 60 + np.cos(y / (7 + i)) * 40 + 120 + 30 * (x > y) for i in range(3)]
    planes = np.stack(bow) + rng.normal(0, 6, (3, run.height, run.width))
    rounded: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = np.clip(planes, 0, 255).astype(np.uint8)
    return rounded[: 1 if run.kind == "gray" else 3]


def fed(run: CleanRun, seed: int) -> bytes:
    """A right input as the board takes it."""
    picture = pixels(run, seed)
    if run.kind == "nv12":
        from harness.emulator.model.image import nv12_from_rgb

        return nv12_from_rgb(np.ascontiguousarray(picture.transpose(1, 2, 0)))
    if run.kind == "featuremap":
        return ((picture.astype(np.float32) - 118) / 58).astype(np.float32).tobytes()
    return np.ascontiguousarray(picture).tobytes()


def alarms(run: CleanRun) -> list[str]:
    """Findings above "note", and a verdict that is not consistent, of one run in the current folder."""
    network(run, Path(f"{run.name}.onnx"))
    calibration = Path(f"cal_{run.name}")
    calibration.mkdir()
    for i in range(4):
        (calibration / f"{i}.{'nv12' if run.kind == 'nv12' else 'bin'}").write_bytes(fed(run, 1000 * run.seed + i))
    Path(f"{run.name}.raw").write_bytes(fed(run, 1000 * run.seed + 99))
    scale = [] if run.kind == "featuremap" else ["--mean", "118", "--scale", "0.0172"]
    build = ["emulator", "build", f"{run.name}.onnx", "--soc", run.soc, "--input-type", run.kind, *scale]
    built = CliRunner().invoke(cli, [*build, "--calibration", str(calibration), "-o", f"{run.name}.bin"])
    if built.exit_code:
        return [f"not built: {built.output.strip()[-300:]}"]
    words = ["run", "--board", f"emu-{run.soc}", f"{run.name}.bin", "--input", f"{run.name}.raw", "--wait", "300"]
    result = CliRunner().invoke(cli, [*words, "--reference", f"{run.name}_quantized_model.onnx", "--json"])
    if result.exit_code:
        return [f"exit {result.exit_code}: {result.output.strip()[-300:]}"]
    (file,) = Path("runs", run.name).glob("*/*/run.json")
    findings = json.loads(file.read_text(encoding="utf-8"))["findings"]
    return [f"{one['rule']} {one['severity']}: {one['title']}" for one in findings if one["severity"] != "note"]


def measured(count: int) -> dict[str, list[str]]:
    """Alarms by run; runs without one are not in it."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="clean-runs-") as folder:
        os.chdir(folder)
        try:
            return {run.name: seen for run in runs(count) if (seen := alarms(run))}
        finally:
            os.chdir(before)


def main() -> None:
    """Print the runs with alarms; exit 1 where there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    noisy = measured(given.runs)
    if given.json:
        print(json.dumps({"runs": given.runs, "alarms": noisy}, indent=1))
    else:
        for name, seen in noisy.items():
            print(f"{name}: {'; '.join(seen)}")
        print(f"{given.runs} clean runs, {len(noisy)} with a finding above note")
    sys.exit(1 if noisy else 0)


if __name__ == "__main__":
    main()
