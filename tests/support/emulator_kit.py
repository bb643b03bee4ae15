"""Small models for the emulated board's tests, built once per worker, and the played tool as a real process."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from harness.consistency.reading.tensor_files import open_tensor
from harness.emulator.build import build
from harness.emulator.compiler.compile import BuildOptions
from harness.emulator.compiler.pixels import PixelInput
from harness.emulator.horizon.board import prepare
from harness.emulator.model.compiled import CompiledFile, CompiledModel
from harness.emulator.model.faults import ENVIRONMENT
from harness.emulator.model.layout import file_bytes
from harness.emulator.rooms import soc_named
from harness.platforms import load
from harness.records import Failure, TensorSpec
from harness.reference.graph import read_logical
from harness.reference.open import open_session
from tests.support.kept import kept_folder

INPUT_SHAPE = (1, 3, 16, 20)
PLATFORM = load("hbdnn")


def _weights(rng: np.random.Generator, name: str, *shape: int, gain: float = 1.0) -> onnx.TensorProto:
    fan_in = int(np.prod(shape[1:])) or 1
    return numpy_helper.from_array((rng.standard_normal(shape) * gain / np.sqrt(fan_in)).astype(np.float32), name)


def branched_model(seed: int = 0) -> onnx.ModelProto:
    """Two branches, a CPU op in the middle (Softmax on X boards), a residual Add, a tail on the CPU."""
    rng = np.random.default_rng(seed)
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c1"], name="conv1", kernel_shape=[3, 3], pads=[1] * 4),
        node("Relu", ["c1"], ["r1"], name="relu1"),
        node("Conv", ["r1", "w2", "b2"], ["c2"], name="conv2", kernel_shape=[3, 3], pads=[1] * 4),
        node("Conv", ["r1", "w3", "b3"], ["c3"], name="conv3", kernel_shape=[1, 1]),
        node("Softmax", ["c3"], ["s3"], name="attention", axis=1),
        node("Mul", ["c2", "s3"], ["m"], name="gate"),
        node("Add", ["m", "r1"], ["a"], name="residual"),
        node("MaxPool", ["a"], ["p"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["p", "w4", "b4"], ["c4"], name="conv4", kernel_shape=[1, 1]),
        node("GlobalAveragePool", ["c4"], ["g"], name="gap"),
        node("Flatten", ["g"], ["f"], name="flat"),
        node("Gemm", ["f", "w5", "b5"], ["y"], name="fc", transB=1),
        node("Softmax", ["y"], ["prob"], name="prob", axis=1),
    ]
    constants = [
        _weights(rng, "w1", 12, 3, 3, 3), _weights(rng, "b1", 12),
        _weights(rng, "w2", 12, 12, 3, 3), _weights(rng, "b2", 12),
        _weights(rng, "w3", 12, 12, 1, 1, gain=3), _weights(rng, "b3", 12),
        _weights(rng, "w4", 24, 12, 1, 1, gain=4), _weights(rng, "b4", 24),
        _weights(rng, "w5", 10, 24, gain=8), _weights(rng, "b5", 10),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "main_graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, INPUT_SHAPE)],
        [
            helper.make_tensor_value_info("prob", TensorProto.FLOAT, (1, 10)),
            helper.make_tensor_value_info("c4", TensorProto.FLOAT, (1, 24, 8, 10)),
        ],
        initializer=constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def two_input_model() -> onnx.ModelProto:
    """`left` and `right` of one shape; their difference goes through a Conv."""
    rng = np.random.default_rng(5)
    nodes = [
        helper.make_node("Sub", ["left", "right"], ["d"], name="difference"),
        helper.make_node("Conv", ["d", "w", "b"], ["y"], name="conv", kernel_shape=[1, 1]),
    ]
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, (1, 6, 5, 7)) for n in ("left", "right")]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 4, 5, 7))]
    constants = [_weights(rng, "w", 4, 6, 1, 1), _weights(rng, "b", 4)]
    graph = helper.make_graph(nodes, "pair", values, outputs, initializer=constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def save(folder: Path, model: onnx.ModelProto, name: str = "net.onnx") -> Path:
    path = folder / name
    onnx.save(model, str(path))
    return path


def compile_to(folder: Path, model: onnx.ModelProto, soc: str = "x5", name: str = "net", **options: Any) -> Path:
    """The compiled file of a model; its quantized ONNX lies beside it."""
    source = save(folder, model, f"{name}.onnx")
    suffix = soc_named(soc).suffix
    return build([source], BuildOptions(soc_named(soc), **options), folder / f"{name}{suffix}").output


@cache
def branched(soc: str = "x5") -> Path:
    """The branched model, compiled; never written to again."""
    return compile_to(kept_folder("harness-test-"), branched_model(), soc)


@cache
def pictured() -> Path:
    """The branched model with its input as NV12."""
    folder = kept_folder("harness-test-")
    pixels = {"x": PixelInput((118.0, 120.0, 122.0), (0.017, 0.018, 0.019))}
    return compile_to(folder, branched_model(), pixels=pixels)


def opened(path: Path) -> tuple[CompiledFile, CompiledModel]:
    file = CompiledFile(path)
    return file, file.models[0]


def feed(seed: int = 1) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal(INPUT_SHAPE).astype(np.float32)


def input_file(folder: Path, seed: int = 1) -> Path:
    path = folder / "x.bin"
    path.write_bytes(feed(seed).tobytes())
    return path


def tool(
    folder: Path, *argv: str, faults: str = "", soc: str = "x5", timeout_s: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Call the stub of the played tool, as the agent does, in `folder`."""
    stub = prepare(soc) / "bin" / "hrt_model_exec"
    environment = {k: v for k, v in os.environ.items() if k != ENVIRONMENT} | ({ENVIRONMENT: faults} if faults else {})
    return subprocess.run(
        [str(stub), *argv],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
    )


def infer(folder: Path, model: Path, *more: str, faults: str = "", soc: str = "x5") -> subprocess.CompletedProcess[str]:
    """A debug run of the branched model that leaves every tensor in `folder`."""
    source = input_file(folder)
    flags = ("--enable_dump=true", "--dump_intermediate=1", *more)
    return tool(folder, "infer", f"--model_file={model}", f"--input_file={source}", *flags, faults=faults, soc=soc)


def reference_values(quantized: Path, feed: dict[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    """Every logical tensor of the quantized ONNX by plain onnxruntime: no code of the emulator."""
    model = onnx.load(str(quantized))
    logical = read_logical(model)
    inputs = {value.name for value in model.graph.input}
    names = [t.onnx_name for t in logical.tensors if t.onnx_name not in inputs]
    present = {value.name for value in model.graph.output}
    for name in names:
        if name not in present:
            model.graph.output.append(onnx.ValueInfoProto(name=name))
    session = open_session(model, quantized)
    values = dict(zip(names, session.run(names, feed), strict=True))
    return {t.name: values[t.onnx_name] if t.onnx_name in values else feed[t.onnx_name] for t in logical.tensors}


def dumped(folder: Path, model: Path) -> dict[str, np.ndarray[Any, Any]]:
    """What the platform's own readers make of a debug run, in ONNX axis order."""
    specs = {t.name: t.spec for t in read_logical(kit_quantized(model)).tensors}
    arrays = {}
    for dump in PLATFORM.read_dumps(folder, "", None):
        if dump.role != "output":
            continue
        size = dump.path.stat().st_size
        for spec in PLATFORM.storages(specs[dump.name], dump.unit):
            if size_of(spec) == size:
                array = open_tensor(dump.path, spec)
                arrays[dump.name] = array.transpose(0, 3, 1, 2) if spec.layout == "NHWC" else array
                break
    return arrays


def size_of(spec: TensorSpec) -> int:
    return file_bytes(spec)


def kit_quantized(model: Path) -> Path:
    return model.with_name(f"{model.stem}_quantized_model.onnx")


def failure(mode: str, result: subprocess.CompletedProcess[str], folder: Path) -> Failure | None:
    """What the platform makes of a call that left `folder`."""
    return PLATFORM.read_failure(
        mode, result.returncode, result.stdout + result.stderr, [p.name for p in folder.iterdir()]
    )
