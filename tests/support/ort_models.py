"""Small ONNX models for tests of the ONNX Runtime board, and the runner started as a board starts it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from harness.platforms.ort.bundle import runner_archive


def small_float(path: Path, side: int | str = 8) -> Path:
    """conv -> relu -> conv, a second output behind the relu; the side of the picture may be open."""
    rng = np.random.default_rng(5)
    weights = [
        numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name)
        for name, shape in (("w1", (4, 3, 3, 3)), ("w2", (2, 4, 1, 1)))
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c1"], name="conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], name="relu1"),
        helper.make_node("Conv", ["r1", "w2"], ["y"], name="conv2"),
        helper.make_node("GlobalAveragePool", ["r1"], ["pooled"], name="pool"),
        helper.make_node("Identity", ["pooled"], ["z"], name="same"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, side, side])
    outs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("y", "z")]
    graph = helper.make_graph(nodes, "small", [x], outs, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def chain(path: Path, layers: int) -> Path:
    """`layers` ops one after the other on 4 MB of floats."""
    names = ["x", *(f"t{i}" for i in range(1, layers)), "y"]
    nodes = [helper.make_node("Neg", [a], [b], name=b) for a, b in pairwise(names)]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 16, 256, 256]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def small_quantized(path: Path) -> Path:
    """`small_float`'s shape in QDQ form, quantized by onnxruntime with int8 activations."""
    from benchmarks.networks import models as nm

    net = nm.NetworkWriter(9)
    a = net.op("Relu", net.conv("input", (3, 8)))
    b = net.op("Mul", a, net.op("Sigmoid", a))
    y = net.op("Softmax", net.op("Flatten", net.op("GlobalAveragePool", net.conv(b, (8, 6)))))
    return nm.quantize(net.model((1, 3, 8, 8), y), path, unsigned=False)


def noise(shape: Sequence[int], seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@dataclass(frozen=True)
class Ran:
    """What a run of the runner left."""

    code: int
    log: str
    folder: Path

    @property
    def present(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    @property
    def manifest(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.folder / "manifest.json").read_text())
        return loaded

    def tensor(self, name: str) -> NDArray[Any]:
        row = next(row for row in self.manifest["tensors"] if row["name"] == name)
        kinds = {"f32": "<f4", "s8": "i1", "u8": "u1", "s64": "<i8"}
        return np.fromfile(self.folder / row["file"], kinds[row["dtype"]]).reshape(row["shape"])


def run_runner(folder: Path, model: Path, *flags: str, python: str = sys.executable) -> Ran:
    """Start the runner in `folder`, as a board's agent does."""
    folder.mkdir(parents=True, exist_ok=True)
    argv = [python, str(runner_archive()), str(model), *flags]
    result = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    return Ran(result.returncode, result.stdout + result.stderr, folder)
