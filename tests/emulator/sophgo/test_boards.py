"""Boards played by Sophgo's own simulator: the main job, real faults, both families, behind a real sshd."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper, numpy_helper

from benchmarks import vendor
from harness.cli import cli
from harness.emulator.sophgo import environment, faults, simulation
from harness.errors import UserError
from tests.emulator.sophgo.kit import prepared


@pytest.fixture(scope="module")
def simulator() -> Iterator[Path]:
    with prepared() as place:
        yield place


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two convolutions, a pool and a fully connected layer: small enough that the simulator takes seconds."""
    rng = np.random.default_rng(1)
    shapes = {"w1": (8, 1, 3, 3), "b1": (8,), "w2": (12, 8, 3, 3), "b2": (12,), "w3": (192, 5), "b3": (5,)}
    weights = [numpy_helper.from_array(rng.normal(0, 0.4, s).astype(np.float32), n) for n, s in shapes.items()]
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["c1"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("MaxPool", ["r1"], ["p1"], "pool1", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p1", "w2", "b2"], ["c2"], "conv2", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c2"], ["r2"], "relu2"),
        helper.make_node("Flatten", ["r2"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "w3", "b3"], ["logits"], "fc"),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 8, 8])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 5])
    graph = helper.make_graph(nodes, "small", [image], [logits], weights)
    folder = tmp_path_factory.mktemp("sophgo")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), folder / "net.onnx")
    return folder


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments])


def built(net: Path, soc: str) -> tuple[Path, Path, Path]:
    """The compiled model, its input and the PC's reference, built on first use."""
    model = net / soc / ("net.cvimodel" if soc.startswith("cv") else "net.bmodel")
    if not model.exists():
        model.parent.mkdir()
        result = call("emulator", "build", net / "net.onnx", "--soc", soc, "-o", model)
        assert result.exit_code == 0, result.output
    return model, model.with_name("net_in_f32.npz"), model.with_name(f"net_{soc}_int8_sym_tpu_outputs.npz")


def run(net: Path, soc: str, *more: str, board: str = "", code: int = 0) -> dict[str, object]:
    model, given, reference = built(net, soc)
    runs = net / "runs"
    line = ["run", model, "--board", board or f"emu-{soc}", "--input", given, "--reference", reference]
    result = call(*line, "--runs", runs, *more)
    assert result.exit_code == code, result.output
    newest = max(runs.rglob("report.json"), key=lambda path: path.stat().st_mtime)
    report: dict[str, object] = json.loads(newest.read_text())
    return report


@pytest.mark.slow
def test_a_clean_run_is_equal_layer_by_layer_and_its_times_are_not_measured(simulator: Path, net: Path) -> None:
    """One command after `prepare`: locally with every mode, and behind a real sshd."""
    model, _, reference = built(net, "bm1684x")
    made = {"float": "net_top_outputs.npz", "quantized": reference.name, "compiled": "net_*_model_outputs.npz"}
    stages = [f"--stage={name}={next(model.parent.glob(pattern))}" for name, pattern in made.items()]
    report = run(net, "bm1684x", *stages)
    newest = json.loads(max((net / "runs").rglob("run.json"), key=lambda path: path.stat().st_mtime).read_text())
    steps = newest["comparison"]["extras"]["stages"]["steps"]
    assert [step["from"] for step in steps] == ["float", "quantized", "compiled"]
    assert [step["word"] for step in steps[1:]] == ["consistent", "consistent"]
    time = report["time"]
    assert isinstance(time, dict) and time["estimated"] and {op["unit"] for op in time["ops"]} == {"NPU"}
    assert time["simulator"] == simulation.SIMULATOR
    (flag,) = [fact for fact in report["facts"] if fact["label"] == "SIMULATED"]  # type: ignore[attr-defined]
    assert simulation.SIMULATOR in flag["value"]
    remote = run(net, "bm1684x", "--mode", "debug", board="emu-bm1684x-ssh")
    for layers in (report["layers"], remote["layers"]):
        assert isinstance(layers, list) and {layer["verdict"] for layer in layers} == {"exact"} and len(layers) >= 8


@pytest.mark.slow
def test_the_benchmarks_part_for_ci(simulator: Path, tmp_path: Path) -> None:
    """Digits and mobilenet in INT8 on BM1684X, digits on CV181x, clean; six faults, beside the vendor's own tool."""
    vendor.make_models(tmp_path)
    figures = vendor.measure(tmp_path, vendor.plan(True, ""), vendor.QUICK_FAULTS, vendor.Tally())
    assert (figures["clean_runs"], figures["false_verdicts"], figures["ops_blamed"]) == (3, 0, 0), figures
    assert figures["planted"] + figures["not_planted"] == 6 and figures["planted"] >= 4, figures
    assert figures["detected"] == 1 and figures["origin"] >= 0.97, figures
    assert figures["detected"] >= figures["vendor_detected"], figures


# ---- what needs no simulator


def test_without_the_simulator_the_command_that_sets_it_up_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(environment.ENVIRONMENT, str(tmp_path / "nothing"))
    model = tmp_path / "net.bmodel"
    model.write_bytes(b"\xee\xaa\x55\xff" + bytes(60) + b"BM1684X\0")
    result = call("run", model, "--board", "emu-bm1684x", "--runs", tmp_path / "runs")
    assert result.exit_code == 3 and "harness boards prepare emu-bm1684x" in result.stderr


def test_weights_are_changed_where_the_compilers_archive_finds_them(tmp_path: Path) -> None:
    archive = tmp_path / "net_tpu_addressed_bm1684x_int8_sym_weight.npz"
    weights, bias = np.arange(100, dtype=np.int8), np.full(4, 7, np.int32)
    np.savez(archive, a_Relu_merge=weights, b_Gemm_filter_int8=weights[::-1], b_Gemm_bias_int32=bias)
    model = b"head" + weights.tobytes() + b"gap" + weights[::-1].tobytes() + bias.tobytes()

    def changed(text: str) -> list[int]:
        content = faults.changed(model, archive, faults.planted(text))
        return [i for i, (a, b) in enumerate(zip(model, content, strict=True)) if a != b]

    assert changed("weight_bit@a_Relu:at=3") == [7]
    assert changed("weight_block@a_Relu:at=1") == list(range(5, 69))
    assert set(changed("weight_bias@b_Gemm")) == {207, 211, 215, 219}
    assert changed("input_scaled:by=2") == []
    with pytest.raises(UserError, match="no such array") as caught:
        changed("weight_bias@a_Relu")
    assert "a_Relu" in (caught.value.hint or "")
    with pytest.raises(UserError, match="outside of its 100 bytes"):
        changed("weight_bit@a_Relu:at=100")


@pytest.mark.parametrize("text", ["halved@conv", "weight_bit", "weight_bit@a:by=1", "input_scaled:by=x"])
def test_other_faults_are_refused(text: str) -> None:
    with pytest.raises(UserError):
        faults.planted(text)


def test_a_scaled_input_stays_in_its_type() -> None:
    planted = faults.planted("input_scaled:by=2")
    assert list(faults.scaled(bytes([10, 200]), "u1", planted)) == [20, 255]
    assert np.frombuffer(faults.scaled(np.float32([1.5]).tobytes(), "<f4", planted), "<f4")[0] == 3.0
