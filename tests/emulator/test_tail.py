"""What stands at the tail of a network: activations behind an int32 convolution, and who makes floats of it."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from harness.diagnosis.horizon.placement import why_off
from harness.diagnosis.rules import OffView
from harness.emulator.compiler.compile import BuildOptions
from harness.emulator.horizon.build_log import reports
from harness.emulator.horizon.socs import SOCS
from harness.toolchains.horizon.log import read_build_log
from tests.emulator.test_one_work import Net, boards, built, subgraphs


def tail(path: Path, kind: str = "Relu", maker: str = "Conv") -> Path:
    """conv -> Relu -> conv -> activation, which ends the network."""
    net = Net()
    hidden = net.add("Relu", "inner", net.conv("first", "x", 8, 16))
    if maker == "Gemm":
        flat = net.add("Flatten", "flat", hidden)
        last = net.add("Gemm", "last", flat, net.weight("last_w", 16 * 64, 10))
    else:
        last = net.conv("last", hidden, 16, 8)
    limits = (net.constant("low", 0.0), net.constant("high", 6.0)) if kind == "Clip" else ()
    return net.save(path, [1, 8, 8, 8], net.add(kind, "end", last, *limits))


@pytest.mark.parametrize(("kind", "maker"), [("Relu", "Conv"), ("Clip", "Conv"), ("Relu", "Gemm")])
def test_an_activation_behind_an_int32_convolution_at_the_tail_is_one_of_the_cpu(
    tmp_path: Path, kind: str, maker: str
) -> None:
    """The J5 FAQ: only a Conv gives int32, it takes no ReLU along then, and precision comes first. Elsewhere: fused."""
    path = tail(tmp_path / "net.onnx", kind, maker)
    build = built(path, "j5")
    off = {name: unit for name, unit in boards(build).items() if unit == "CPU"}
    assert off == {"end": "CPU"} and len(subgraphs(build)) == 1
    (op,) = [op for op in build.model.ops if op.name == "end"]
    assert op.reason == f"at the tail last gives int32, which takes no {kind} along"
    assert build.model.tensor("last").spec.quantization is None, "accumulators, not int8"
    assert [step.name for step in build.model.steps][-2:] == ["Dequantize_last_HzDequantize", f"{kind}_end"]
    assert set(boards(built(path, "ultra")).values()) == {"BPU", "CPU"}, "the same march"
    for soc in ("x5", "j6e"):
        assert set(boards(built(path, soc)).values()) == {"BPU"}


def test_asked_for_the_accelerator_it_is_taken_along(tmp_path: Path) -> None:
    assert set(boards(built(tail(tmp_path / "net.onnx"), "j5", on_accelerator=("end",))).values()) == {"BPU"}


def test_only_what_ends_the_network_is_at_its_tail(tmp_path: Path) -> None:
    """A table at the tail stays (a real J5 log ends in Sigmoid, Reshape, Transpose on the BPU), and so does a Relu that
    is handed out and read on."""
    assert set(boards(built(tail(tmp_path / "table.onnx", "Sigmoid"), "j5")).values()) == {"BPU"}
    net = Net()
    first = net.add("Relu", "both", net.conv("first", "x", 8, 16))
    path = net.save(tmp_path / "both.onnx", [1, 8, 8, 8], "both", net.conv("last", first, 16, 8))
    assert boards(built(path, "j5"))["first"] == "BPU" and "CPU" not in boards(built(path, "j5")).values()


def test_the_build_log_and_the_finding_say_why(tmp_path: Path) -> None:
    build = built(tail(tmp_path / "net.onnx"), "j5")
    log = reports("net", build, BuildOptions(soc=SOCS["j5"]))["net_hb_mapper_makertbin.log"]
    rows = {node.name: node.unit for node in read_build_log(log).nodes}
    assert (rows["last"], rows["end"]) == ("BPU", "CPU")
    neighbours = (("before", "last", "HzSQuantizedConv", "BPU"),)
    why = why_off(OffView("end", "Relu", "tail", "hbdnn", "j5", "bayes", neighbours, None))
    assert why is not None and why.why == "at the tail the Conv before it gives int32, which cannot take a Relu along"


@pytest.mark.parametrize(
    ("soc", "on_cpu"), [("j6e", True), ("j6m", True), ("s100", True), ("j6p", False), ("j6h", False), ("s600", False)]
)
def test_who_makes_floats_of_the_last_convolution(tmp_path: Path, soc: str, on_cpu: bool) -> None:
    """nash-e and nash-m hand over int32, which the CPU dequantizes; nash-p and nash-h float32 by themselves."""
    model = built(tail(tmp_path / "net.onnx"), soc).model
    converts = [step.name for step in model.steps if step.name.startswith("Dequantize")]
    assert converts == (["Dequantize_end_HzDequantize"] if on_cpu else [])
    assert model.tensor(model.outputs[0]).handed_out.dtype == "f32"


def test_int8_results_are_dequantized_everywhere(tmp_path: Path) -> None:
    """Only what a convolution makes is a float by itself."""
    path = tail(tmp_path / "net.onnx", "Sigmoid")
    for soc in ("j6e", "j6p"):
        names = [step.name for step in built(path, soc).model.steps]
        assert "Dequantize_end_HzDequantize" in names


def test_an_output_that_is_read_on_is_a_float_on_j6p_too(tmp_path: Path) -> None:
    """The next convolution quantizes it on the accelerator; no step of the CPU."""
    net = Net()
    first = net.conv("first", "x", 8, 16)
    path = net.save(tmp_path / "both.onnx", [1, 8, 8, 8], "first", net.conv("last", first, 16, 8))
    onnx.checker.check_model(onnx.load(path))
    model = built(path, "j6p").model
    assert not [step.name for step in model.steps if step.name.startswith("Dequantize")]
    assert len({op.subgraph for op in model.ops}) == 1
