"""One count of work, from the float graph to the emulated board: groups, fusions, folded ops, quantized graphs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from harness.emulator.compiler.compile import BuildOptions, compile_model
from harness.emulator.compiler.result import Build
from harness.emulator.cost import cpu, estimate
from harness.emulator.cost.graph import network_work, network_works, output_elements
from harness.emulator.cost.model import Work, total
from harness.emulator.cost.model import estimate as cost_of
from harness.emulator.cost.timing import step_times
from harness.emulator.horizon.build_log import reports
from harness.emulator.horizon.socs import SOCS
from harness.emulator.model.nodes import ModelGraph


class Net:
    """A network, node by node; weights are seeded noise."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.draw = np.random.default_rng(0)

    def add(self, kind: str, name: str, *inputs: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def weight(self, name: str, *shape: int) -> str:
        values = self.draw.standard_normal(shape).astype(np.float32) * np.float32(0.1)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def constant(self, name: str, value: float) -> str:
        self.weights.append(numpy_helper.from_array(np.array(value, np.float32), name))
        return name

    def conv(self, name: str, source: str, channels: int, made: int, side: int = 3, group: int = 1) -> str:
        weight = self.weight(f"{name}_w", made, channels // group, side, side)
        return self.add("Conv", name, source, weight, pads=[side // 2] * 4, group=group)

    def save(self, path: Path, shape: Sequence[int], *outputs: str) -> Path:
        made = [helper.make_empty_tensor_value_info(name) for name in outputs]
        entering = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, "net", [entering], made, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.save(onnx.shape_inference.infer_shapes(model), path)
        return path


def built(path: Path, soc: str = "x5", **more: object) -> Build:
    return compile_model(path, BuildOptions(soc=SOCS[soc], **more))  # type: ignore[arg-type]


def work_on_the_board(build: Build) -> Work:
    return total(work for op in build.model.ops if op.subgraph for work in estimate.op_works(op))


def boards(build: Build) -> dict[str, str]:
    return {op.name: op.unit for op in build.model.ops}


def subgraphs(build: Build) -> set[str]:
    return {op.subgraph for op in build.model.ops if op.subgraph}


@pytest.mark.parametrize(("group", "padding"), [(1, 1.0), (2, 1.0), (4, 1.0), (32, 4.0)])
def test_a_grouped_convolution_asks_for_the_multiply_adds_of_its_groups(
    tmp_path: Path, group: int, padding: float
) -> None:
    """A 3x3 Conv of 128 channels at 56x56; input channels of a group are padded to 16."""
    net = Net()
    net.conv("conv", "x", 128, 128, group=group)
    build = built(net.save(tmp_path / "conv.onnx", [1, 128, 56, 56], "conv"))
    work = work_on_the_board(build)
    assert work.depthwise_macs == 0
    assert work.dense_macs == pytest.approx(padding * 128 * 56 * 56 * 9 * 128 / group)
    assert work.weight_bytes == 128 * 128 * 9 / group
    us = estimate.subgraph_us(build.model, build.model.ops[0].subgraph, SOCS["x5"])
    assert 200.0 < us < 520.0, "never dearer than the dense one, 481 us"


def fused(path: Path) -> Path:
    """SiLU, GELU and a layer norm in pieces."""
    net = Net()
    silu = net.add("Mul", "silu", net.conv("conv", "x", 8, 16), net.add("Sigmoid", "gate", "conv"))
    mean = net.add("ReduceMean", "mean", silu, axes=[-1])
    centred = net.add("Sub", "centred", silu, mean)
    square = net.add("Pow", "square", centred, net.constant("two", 2.0))
    deviation = net.add(
        "Add", "variance_e", net.add("ReduceMean", "variance", square, axes=[-1]), net.constant("e", 1e-5)
    )
    norm = net.add("Div", "norm", centred, net.add("Sqrt", "deviation", deviation))
    erf = net.add("Erf", "erf", net.add("Div", "scaled", norm, net.constant("root", 1.4142)))
    product = net.add("Mul", "product", norm, net.add("Add", "shifted", erf, net.constant("one", 1.0)))
    net.conv("last", net.add("Mul", "gelu", product, net.constant("half", 0.5)), 16, 8)
    return net.save(path, [1, 8, 16, 16], "last")


def test_what_a_compiler_fuses_is_one_op_on_the_board_too(tmp_path: Path) -> None:
    path = fused(tmp_path / "fused.onnx")
    build = built(path)
    assert len(subgraphs(build)) == 1 and set(boards(build).values()) == {"BPU"}
    work = work_on_the_board(build)
    assert work == network_work(ModelGraph(onnx.load(path)))
    assert (work.lookup_elements, work.normalized_elements, work.elementwise_elements) == (8192, 4096, 0)


def test_a_fusion_ends_where_a_part_of_it_runs_elsewhere(tmp_path: Path) -> None:
    build = built(fused(tmp_path / "fused.onnx"), on_cpu=("erf",))
    work = work_on_the_board(build)
    assert boards(build)["erf"] == "CPU" and work.elementwise_elements == 4 * 4096


def test_a_model_that_came_quantized_asks_for_the_same_work(tmp_path: Path) -> None:
    first = built(fused(tmp_path / "fused.onnx"))
    onnx.save(first.quantized, tmp_path / "quantized.onnx")
    assert work_on_the_board(built(tmp_path / "quantized.onnx")) == work_on_the_board(first)


# --------------------------------------------------------------------------- what the toolchain takes along


def lenet(path: Path) -> Path:
    net = Net()
    pool = net.add("MaxPool", "pool1", net.conv("conv1", "x", 1, 6, 5), kernel_shape=[2, 2], strides=[2, 2])
    pool = net.add("MaxPool", "pool2", net.conv("conv2", pool, 6, 16, 5), kernel_shape=[2, 2], strides=[2, 2])
    last = net.add("Flatten", "flatten", pool)
    for number, (read, made) in enumerate(((784, 120), (120, 84), (84, 10))):
        last = net.add("Gemm", f"fc{number}", last, net.weight(f"fc{number}_w", read, made))
    return net.save(path, [1, 1, 28, 28], last)


def test_a_lenet_is_one_subgraph_on_x3_with_a_reshape_at_its_tail(tmp_path: Path) -> None:
    """As in the real log of X3: no Flatten, and `<last>_reshape_0` on the CPU."""
    build = built(lenet(tmp_path / "lenet.onnx"), "x3")
    assert len(subgraphs(build)) == 1
    assert [op.name for op in build.model.ops if op.unit == "CPU"] == ["fc2_reshape_0"]
    assert build.model.ops[-1].name == "fc2_reshape_0" and build.model.outputs == ("fc2",)
    log = reports("lenet", build, BuildOptions(soc=SOCS["x3"]))["lenet_hb_mapper_makertbin.log"]
    rows = [line.split()[0] for line in log.splitlines() if line.split()[1:2] in (["BPU"], ["CPU"])]
    assert rows == ["conv1", "pool1", "conv2", "pool2", "fc0", "fc1", "fc2", "fc2_reshape_0"]
    assert [op.unit for op in built(lenet(tmp_path / "lenet.onnx"), "x5").model.ops] == ["BPU"] * 8


def pose_head(path: Path) -> Path:
    """Classes, boxes and key points of one scale behind a trunk, NHWC as the zoo exports them."""
    net = Net()
    trunk = net.conv("trunk", "x", 16, 32)
    outputs = []
    for name, made in (("classes", 1), ("boxes", 64), ("points", 51)):
        hidden = net.conv(f"{name}_hidden", trunk, 32, 32)
        silu = net.add("Mul", f"{name}_silu", hidden, net.add("Sigmoid", f"{name}_gate", hidden))
        last = net.conv(f"{name}_last", silu, 32, made, 1)
        outputs.append(net.add("Transpose", name, last, perm=[0, 2, 3, 1]))
    return net.save(path, [1, 16, 20, 20], *outputs)


@pytest.mark.parametrize("soc", ["x3", "x5", "j5"])
def test_output_transposes_of_a_pose_head_are_no_ops_of_the_cpu(tmp_path: Path, soc: str) -> None:
    build = built(pose_head(tmp_path / "pose.onnx"), soc)
    assert len(subgraphs(build)) == 1 and set(boards(build).values()) == {"BPU"}
    work = work_on_the_board(build)
    assert work.lookup_elements == 3 * (128 if soc == "x3" else 32) * 20 * 20, "X3's tables take 128 channels at a time"
    scales = {output: build.model.tensor(output).spec.quantization for output in build.model.outputs}
    assert set(scales.values()) == {None}, "accumulators are handed over as they are"


def test_accumulators_behind_a_folded_transpose_have_their_scales_along_the_last_axis(tmp_path: Path) -> None:
    build = built(pose_head(tmp_path / "pose.onnx"), output_type="int32")
    spec = build.model.tensor("boxes").spec
    assert spec.quantization is not None and len(spec.quantization.scales) == 64 == spec.shape[-1]


# --------------------------------------------------------------------------- the whole board


def test_a_board_takes_what_the_formula_says(tmp_path: Path) -> None:
    """Accelerator, border and call; no clock of this PC, so the same on every one."""
    path = fused(tmp_path / "fused.onnx")
    model, network = built(path).model, ModelGraph(onnx.load(path))
    times = [step_times(model, SOCS["x5"], 400, warm=True) for _ in range(2)]
    board_us = sum(float(one.us.mean()) for one in times[0] if not one.step.name.startswith(("Preprocess", "Quantize")))
    entering = next(one for one in times[0] if one.step.name.endswith("_input_layout_convert"))
    formula = cost_of([network_works(network)], output_elements(network))
    assert board_us - float(entering.us.mean()) == pytest.approx(formula.total_us, rel=0.01)
    assert all(np.array_equal(a.us, b.us) for a, b in zip(*times, strict=True))


def test_an_op_of_the_cpu_costs_a_node_and_its_elements(tmp_path: Path) -> None:
    model = built(fused(tmp_path / "fused.onnx"), on_cpu=("erf",)).model
    step = next(one for one in model.steps if one.op == "erf")
    assert step.elements == 4096
    assert cpu.step_us(model, step, 1.0) == pytest.approx(cpu.NODE_US + 4096 * cpu.TABLE_NS / 1e3)
    assert cpu.step_us(model, step, 1.5) == 1.5 * cpu.step_us(model, step, 1.0)
