"""Figures of chips beside the fitted one: prices of their own, CPU ops by core, and a YOLO pose head against boards."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from benchmarks.chips import built as built_for
from benchmarks.estimate_parts.cost_samples import load_graph
from benchmarks.estimate_parts.x3_networks import NETWORKS, weights_m
from harness.emulator.compiler.compile import BuildOptions, compile_model
from harness.emulator.compiler.pixels import PixelInput
from harness.emulator.cost import cpu, estimate
from harness.emulator.cost.bands import LIKE, band_of, kind_of
from harness.emulator.cost.graph import network_works, output_elements
from harness.emulator.cost.model import CONSTANTS, accelerator_us, work_of
from harness.emulator.cost.model import estimate as formula
from harness.emulator.cost.timing import step_times
from harness.emulator.horizon.socs import CPUS, DMIPS_PER_MHZ, SOCS
from harness.emulator.model.compiled import CompiledModel
from tests.emulator.test_one_work import Net, built, pose_head
from tests.support.toolchain_samples import SAMPLES


def latency_us(model: CompiledModel, soc: str) -> float:
    return sum(float(one.us.mean()) for one in step_times(model, SOCS[soc], 400, warm=True))


# --------------------------------------------------------------------------- prices


def test_the_tables_of_x3_take_128_channels_at_a_time(tmp_path: Path) -> None:
    """A SiLU of 16 channels costs what one of 128 does; a LeakyRelu is taken along by its convolution."""
    net = Net()
    net.add("Mul", "silu", net.conv("conv", "x", 8, 16), net.add("Sigmoid", "gate", "conv"))
    path = net.save(tmp_path / "net.onnx", [1, 8, 32, 32], "silu")
    tables = {soc: sum(w.lookup_elements for op in built(path, soc).model.ops for w in estimate.op_works(op))
              for soc in ("x3", "x5")}  # fmt: skip
    assert tables == {"x3": 128 * 32 * 32, "x5": 16 * 32 * 32}
    assert work_of("LeakyRelu", [(1, 16, 8, 8)], [(1, 16, 8, 8)], table_channels=128).ops == 0
    flat = work_of("Sigmoid", [(1, 10)], [(1, 10)], table_channels=128)
    assert flat.lookup_elements == 10, "no channels to pad"


def test_a_chip_without_prices_of_its_own_has_those_of_its_peak() -> None:
    for name in ("j5", "ultra"):
        prices, soc = estimate.constants_of(SOCS[name]), SOCS[name]
        share = 10.0 / (soc.tops / soc.cores)
        assert prices.dense_macs_ns == pytest.approx(CONSTANTS.dense_macs_ns * share)
        assert prices.call_ns == CONSTANTS.call_ns
    assert estimate.constants_of(SOCS["x5"]) == CONSTANTS


def test_more_of_the_same_core_is_never_slower() -> None:
    """S100P is S100's march at a higher clock; J6P's cores are a little faster than S100P's."""
    slow, fast, faster = (estimate.constants_of(SOCS[name]) for name in ("s100", "s100p", "j6p"))
    assert slow.dense_macs_ns > fast.dense_macs_ns > faster.dense_macs_ns
    assert slow.weight_bytes_ns > fast.weight_bytes_ns > faster.weight_bytes_ns


# --------------------------------------------------------------------------- CPU ops


@pytest.mark.parametrize(
    ("soc", "core", "ghz"),
    [("x3", "Cortex-A53", 1.8), ("x5", "Cortex-A55", 1.5), ("s100", "Cortex-A78AE", 1.5), ("j6m", "Cortex-A78AE", 2.0)],
)
def test_an_op_of_the_cpu_is_priced_by_its_core_and_clock(tmp_path: Path, soc: str, core: str, ghz: float) -> None:
    """Against X5's, as the published DMIPS of one core stand to each other."""
    net = Net()
    path = net.save(tmp_path / "net.onnx", [1, 8, 16, 16], net.add("Relu", "end", net.conv("conv", "x", 8, 8)))
    times = {}
    for name in (soc, "x5"):
        model = built(path, name, on_cpu=("end",)).model
        (step,) = [step for step in model.steps if step.op == "end"]
        times[name] = cpu.step_us(model, step, SOCS[name].cpu_scale)
    assert (CPUS[soc].core, CPUS[soc].ghz) == (core, ghz)
    speed = DMIPS_PER_MHZ[core] * ghz / (DMIPS_PER_MHZ["Cortex-A55"] * 1.5)
    assert times[soc] == pytest.approx(times["x5"] / speed)


def test_every_chip_with_an_estimate_has_a_cpu_that_is_known() -> None:
    assert {name for name, soc in SOCS.items() if not soc.not_estimated} == set(CPUS)
    cores = [DMIPS_PER_MHZ[f"Cortex-{core}"] for core in ("A53", "A55", "A78AE")]
    assert cores == sorted(cores) and 3.0 < cores[2] / cores[1] < 4.0


# --------------------------------------------------------------------------- a YOLO pose head


def test_what_a_pose_head_costs_beside_its_convolutions(tmp_path: Path) -> None:
    """One scale: three tables, one call, and (1 + 64 + 51) x 400 floats over the border; nothing for Transposes."""
    model = built(pose_head(tmp_path / "pose.onnx")).model
    works = [work for op in model.ops for work in estimate.op_works(op)]
    assert sum(work.dense_macs for work in works) == pytest.approx(
        20 * 24 * (9 * 16 * 32 + 3 * 9 * 32 * 32 + 32 * (1 + 64 + 51)), rel=1e-9
    )
    border_us = (1 + 64 + 51) * 400 * CONSTANTS.border_elements_ns / 1e3
    entering_us = 16 * 400 * CONSTANTS.border_elements_ns / 1e3
    whole = accelerator_us(works) + CONSTANTS.call_ns / 1e3 + border_us + entering_us + cpu.PREPROCESS_US
    assert latency_us(model, "x5") == pytest.approx(whole, rel=0.01)
    assert not [step for step in model.steps if step.work == "op"]


def published_ms(name: str) -> float:
    with (SAMPLES / "board-measurements" / "x5.csv").open(newline="", encoding="utf-8") as file:
        return next(float(row["latency_ms_1thread"]) for row in csv.DictReader(file) if row["model"] == name)


def pose_network(name: str, folder: Path) -> CompiledModel:
    """As the zoo built it: a picture as input, Softmaxes on the BPU."""
    network = load_graph(name, SAMPLES)
    assert network is not None
    onnx.save(network.model, folder / "net.onnx")
    softmaxes = tuple(node.name for node in network.nodes if node.op_type == "Softmax")
    options = BuildOptions(SOCS["x5"], pixels={network.inputs[0].name: PixelInput()}, times_only=True)
    return compile_model(folder / "net.onnx", replace(options, on_accelerator=softmaxes)).model


@pytest.mark.slow
@pytest.mark.skipif(not (SAMPLES / "topologies").is_dir(), reason=f"no published networks under {SAMPLES}")
def test_a_published_pose_network_takes_on_the_board_what_boards_took(tmp_path: Path) -> None:
    model, measured_us = pose_network("YOLO11n-Pose", tmp_path), published_ms("YOLO11n-Pose") * 1e3
    estimated_us, band = latency_us(model, "x5"), band_of(model, SOCS["x5"], 0.0)
    assert estimated_us == pytest.approx(measured_us, rel=0.20)
    assert band.low <= measured_us / estimated_us <= band.high
    assert len({op.subgraph for op in model.ops}) == 1


@pytest.mark.slow
@pytest.mark.skipif(not (SAMPLES / "topologies").is_dir(), reason=f"no published networks under {SAMPLES}")
def test_the_other_published_pose_network_by_the_formula() -> None:
    """Of the same work as on the board, see test_one_work; building it takes too long for a test."""
    network = load_graph("YOLOv8l-Pose", SAMPLES)
    assert network is not None
    works = network_works(network)
    estimated_ms = formula([works], output_elements(network)).total_us / 1e3
    assert estimated_ms == pytest.approx(published_ms("YOLOv8l-Pose"), rel=0.05)
    band = LIKE[kind_of(works)]
    assert band.low <= published_ms("YOLOv8l-Pose") / estimated_ms <= band.high


# --------------------------------------------------------------------------- the published X3 networks


@pytest.mark.parametrize("name", sorted(name for name in NETWORKS if "x_" not in name))
def test_networks_drawn_from_their_papers_have_the_published_number_of_weights(name: str) -> None:
    published, build = NETWORKS[name]
    assert weights_m(build()) == pytest.approx(published, rel=0.03)


# RDK X3, published: milliseconds of one frame, or of two cores per frame where only the rate is.
X3_MS = {"Mobilenetv4": 1.43, "GoogLeNet": 8.34, "YOLOv5n_v7.0": 2e3 / 37.2}


@pytest.mark.parametrize(
    "name", [one if one == "Mobilenetv4" else pytest.param(one, marks=pytest.mark.slow) for one in X3_MS]
)
def test_the_x3_takes_what_was_published(name: str) -> None:
    """Inside its band; a network of narrow SiLUs among them."""
    soc = SOCS["x3"]
    model = built_for(NETWORKS[name][1](), soc)
    step = next(step for step in model.steps if step.subgraph)
    busy_us = estimate.subgraph_us(model, step.subgraph, soc)
    rest_us = sum(cpu.step_us(model, one, soc.cpu_scale) for one in model.steps if not one.subgraph)
    estimated_us = busy_us if name.startswith("YOLO") else busy_us + rest_us
    assert soc.scaled_band is not None
    assert soc.scaled_band.low <= X3_MS[name] * 1e3 / estimated_us <= soc.scaled_band.high
    assert np.isfinite(estimated_us)
