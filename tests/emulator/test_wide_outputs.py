"""Outputs as int32 with a scale per channel, and as int16: model info, dumps, and a planted fault found in them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from harness.consistency.origins.isolate import Isolator, Request
from harness.consistency.reading.tensor_files import dequantize, open_tensor
from harness.platforms import load
from harness.reference.open import run_reference
from tests.support import emulator_kit as kit
from tests.support.builds import harness

SHAPE = (1, 6, 5, 7)
FEED = np.random.default_rng(2).standard_normal(SHAPE).astype(np.float32)


def network() -> onnx.ModelProto:
    """Three outputs: a convolution's, one of a pool (int8 by nature), and a fully connected one of rank 2."""
    rng = np.random.default_rng(7)
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["h"], name="conv1", kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Relu", ["h"], ["r"], name="relu1"),
        helper.make_node("Conv", ["r", "w2", "b2"], ["heat"], name="conv2", kernel_shape=[1, 1]),
        helper.make_node("MaxPool", ["r"], ["pooled"], name="pool", kernel_shape=[2, 2]),
        helper.make_node("Flatten", ["r"], ["f"], name="flat"),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["scores"], name="fc", transB=1),
    ]
    shapes = {"w1": (8, 6, 3, 3), "b1": (8,), "w2": (5, 8, 1, 1), "b2": (5,), "w3": (4, 8 * 35), "b3": (4,)}
    constants = [
        onnx.numpy_helper.from_array((rng.standard_normal(s) / 4).astype(np.float32), n) for n, s in shapes.items()
    ]
    outputs = {"heat": (1, 5, 5, 7), "pooled": (1, 8, 4, 6), "scores": (1, 4)}
    graph = helper.make_graph(
        nodes,
        "wide",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        initializer=constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.fixture(scope="module", params=["int32", "int16"])
def wide(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The type asked for and the folder with `net.bin`, its quantized ONNX and `x.bin`."""
    folder = tmp_path_factory.mktemp(request.param)
    kit.compile_to(folder, network(), output_type=request.param)
    (folder / "x.bin").write_bytes(FEED.tobytes())
    return request.param, folder


def quantized(folder: Path) -> dict[str, np.ndarray]:
    """What the quantized ONNX gives on the PC."""
    session = onnxruntime.InferenceSession(str(folder / "net_quantized_model.onnx"))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(["heat", "pooled", "scores"], session.run(names, {"x": FEED}), strict=True))


def test_model_info_tells_type_and_scales_as_real_tools_do(wide: tuple[str, Path]) -> None:
    kind, folder = wide
    info = load("hbdnn").read_model_info(kit.tool(folder, "model_info", "--model_file=net.bin").stdout)
    heat, pooled, scores = info.outputs
    assert not info.problems
    assert heat.layout == "NHWC" and heat.shape == (1, 5, 7, 5)
    if kind == "int16":
        assert [spec.dtype for spec in info.outputs] == ["s16", "s16", "s16"]
        assert heat.quantization is not None and len(heat.quantization.scales) == 1
        return
    assert [heat.dtype, pooled.dtype, scores.dtype] == ["s32", "s8", "s32"]
    assert heat.quantization is not None and scores.quantization is not None
    assert len(heat.quantization.scales) == 5 and heat.quantization.axis == 3
    assert len(scores.quantization.scales) == 4 and scores.quantization.axis == 1


def test_dumps_hold_the_integers_of_the_quantized_model(wide: tuple[str, Path]) -> None:
    _, folder = wide
    platform, out = load("hbdnn"), folder / "infer"
    out.mkdir(exist_ok=True)
    argv = ["--model_file=../net.bin", "--input_file=../x.bin", "--enable_dump=true"]
    assert kit.tool(out, "infer", *argv).returncode == 0
    info = platform.read_model_info(kit.tool(folder, "model_info", "--model_file=net.bin").stdout)
    expected = quantized(folder)
    for dump in platform.read_outputs(out, "", info):
        assert dump.spec is not None
        stored = open_tensor(dump.path, dump.spec)
        logical = stored.transpose(0, 3, 1, 2) if stored.ndim == 4 else stored
        assert logical.dtype == expected[dump.name].dtype
        np.testing.assert_array_equal(logical, expected[dump.name])


def test_the_integers_are_the_float_models_values_on_their_scales(wide: tuple[str, Path]) -> None:
    """So that a wrong scale or axis would be seen: dequantized, they are near the float model."""
    _, folder = wide
    reference = run_reference(folder / "net_quantized_model.onnx", {"x": FEED}, folder / "reference")
    floats = onnxruntime.InferenceSession(str(folder / "net.onnx")).run(None, {"x": FEED})
    for name, real in zip(["heat", "pooled", "scores"], floats, strict=True):
        tensor = reference.tensors[name]
        assert tensor.spec is not None and tensor.is_output
        values = dequantize(np.asarray(tensor.load()), tensor.spec.quantization)
        assert np.linalg.norm(values - real) < 0.15 * np.linalg.norm(real)


def test_an_op_with_a_wide_output_runs_alone(wide: tuple[str, Path]) -> None:
    _, folder = wide
    reference = run_reference(folder / "net_quantized_model.onnx", {"x": FEED}, folder / "alone")
    feeds = {name: np.asarray(reference.tensors[name].load()) for name in ("r",)}
    isolator = Isolator(folder / "net_quantized_model.onnx")
    ((_, given),) = isolator.run([Request("heat", feeds)])
    assert given is not None, isolator.problems
    np.testing.assert_array_equal(given, np.asarray(reference.tensors["heat"].load()))


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "op"), [("", ""), ("halved@conv2", "conv2"), ("off_by_one@conv1", "conv1")])
def test_a_fault_in_a_wide_output_is_found(wide: tuple[str, Path], tmp_path: Path, fault: str, op: str) -> None:
    _, folder = wide
    argv = ["run", folder / "net.bin", "--board", "emu-x5", "--input", folder / "x.bin", "--mode", "debug"]
    argv += ["--reference", folder / "net_quantized_model.onnx", *(["--fault", fault] if fault else [])]
    result = harness(*argv, cwd=tmp_path)
    assert result.returncode == bool(fault), (result.stdout, result.stderr)
    comparison = json.loads(next(tmp_path.rglob("run.json")).read_text())["comparison"]
    assert [origin["op"] for origin in comparison["origins"]] == ([op] if op else [])
    heat = next(layer for layer in comparison["layers"] if layer["name"] == "heat")
    assert heat["verdict"] == ("differs" if fault else "exact") and heat["is_output"]


@pytest.mark.parametrize("soc", ["x3", "j5", "j6m", "s100"])
def test_every_family_hands_over_wide_outputs(soc: str, tmp_path: Path) -> None:
    model = kit.compile_to(tmp_path, network(), soc, output_type="int32")
    platform = load("ucp" if model.suffix == ".hbm" else "hbdnn")
    info = platform.read_model_info(kit.tool(tmp_path, "model_info", f"--model_file={model}", soc=soc).stdout)
    assert [spec.dtype for spec in info.outputs] == ["s32", "s8", "s32"]
    heat = info.outputs[0].quantization
    assert heat is not None and len(heat.scales) == 5 and heat.axis == 3
    # the old tool has no line for the axis: of two axes nothing tells which one it is, and that is said
    assert info.problems == (("output[2]: 4 scales do not fit axis None of shape (1, 4)",) if soc == "x3" else ())


def test_a_chip_that_has_no_such_outputs_refuses_them(tmp_path: Path) -> None:
    source = kit.save(tmp_path, network())
    result = harness("emulator", "build", source, "--soc", "t40", "--output-type", "int32", cwd=tmp_path)
    assert result.returncode == 2 and "not supported on T40 and T41" in result.stderr
