"""Compiling for an emulated board: placement, quantization, subgraphs, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from harness.emulator.compiler.placement import FOLDED, TAKEN_ALONG, place
from harness.emulator.compiler.prepare_model import prepare
from harness.emulator.horizon.op_rules import rules_of
from harness.emulator.horizon.socs import SOCS
from harness.emulator.model.execute import open_session
from harness.emulator.model.nodes import ModelGraph
from harness.errors import InputError
from tests.support import emulator_kit as kit


def units(path: Path) -> dict[str, str]:
    _, model = kit.opened(path)
    return {op.name: op.unit for op in model.ops}


def quantized_of(path: Path) -> onnx.ModelProto:
    return onnx.load(str(path.with_name(f"{path.stem}_quantized_model.onnx")))


# --------------------------------------------------------------------------- placement


def test_softmax_is_a_cpu_op_on_x5_and_a_bpu_op_on_j6(tmp_path: Path) -> None:
    assert units(kit.branched("x5"))["attention"] == "CPU"
    assert units(kit.branched("j6e"))["attention"] == "BPU"


def test_a_cpu_op_in_the_middle_cuts_the_network_into_subgraphs() -> None:
    _, model = kit.opened(kit.branched())
    subgraph = {op.name: op.subgraph for op in model.ops}
    assert subgraph["conv1"] == subgraph["conv3"] != ""
    assert subgraph["gate"] == subgraph["conv4"] != subgraph["conv1"]
    assert subgraph["attention"] == ""


def test_no_subgraph_waits_for_a_cpu_op_that_waits_for_it() -> None:
    for soc in SOCS:
        _, model = kit.opened(kit.branched(soc))
        steps = [step.subgraph or step.name for step in model.steps if step.work in ("subgraph", "graph")]
        assert len(steps) == len(set(steps))


def test_a_result_that_is_handed_out_and_read_on_does_not_cut_the_network() -> None:
    _, model = kit.opened(kit.branched())
    subgraph = {op.name: op.subgraph for op in model.ops}
    assert subgraph["conv4"] == subgraph["gap"] != ""


def test_steps_of_an_op_with_several_outputs_have_names_of_their_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weight = onnx.numpy_helper.from_array(rng.standard_normal((8, 3, 1, 1)).astype(np.float32), "w")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
        helper.make_node("Split", ["c"], ["left", "right"], name="split", axis=1),
    ]
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, (1, 4, 16, 20)) for n in ("left", "right")]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, kit.INPUT_SHAPE)],
                              outputs, initializer=[weight])  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    _, model = kit.opened(kit.compile_to(tmp_path, made))
    names = [step.name for step in model.steps]
    assert len(names) == len(set(names)) and sum("Dequantize_split" in name for name in names) == 2


def test_a_node_can_be_forced_to_either_unit(tmp_path: Path) -> None:
    path = kit.compile_to(tmp_path, kit.branched_model(), on_cpu=("conv4",), on_accelerator=("attention",))
    assert units(path)["conv4"] == "CPU" and units(path)["attention"] == "BPU"


def test_an_unknown_forced_node_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        kit.compile_to(tmp_path, kit.branched_model(), on_cpu=("conv44",))
    assert "conv4" in caught.value.hint and caught.value.message.startswith("--on-cpu 'conv44'")


def test_a_node_cannot_be_forced_to_both_units(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'conv4' is in both --on-cpu and --on-bpu"):
        kit.compile_to(tmp_path, kit.branched_model(), on_cpu=("conv4",), on_accelerator=("conv4", "attention"))


def _chain(*nodes: onnx.NodeProto, shape: tuple[int, ...] = (1, 8, 6, 6)) -> ModelGraph:
    rng = np.random.default_rng(0)
    weight = onnx.numpy_helper.from_array(rng.standard_normal((8, 8, 1, 1)).astype(np.float32), "w")
    large = onnx.numpy_helper.from_array(rng.standard_normal((8, 8, 9, 9)).astype(np.float32), "large")
    to = onnx.numpy_helper.from_array(np.array([1, 8, 36], np.int64), "to")
    back = onnx.numpy_helper.from_array(np.array([1, 8, 6, 6], np.int64), "back")
    graph = helper.make_graph(
        list(nodes), "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        initializer=[weight, large, to, back],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return ModelGraph(prepare(model, {}, lambda m: m))


def test_a_passive_op_stays_on_the_bpu_only_between_bpu_ops() -> None:
    network = _chain(
        helper.make_node("Conv", ["x", "w"], ["a"], name="first"),
        helper.make_node("Transpose", ["a"], ["b"], name="inside", perm=[0, 1, 3, 2]),
        helper.make_node("Conv", ["b", "w"], ["c"], name="second"),
        helper.make_node("Reshape", ["c", "to"], ["d"], name="tail"),
    )
    placed = {name: p.unit for name, p in place(network, rules_of("bayes-e")).items()}
    assert placed == {"first": "BPU", "inside": "BPU", "second": "BPU", "tail": "CPU"}
    assert place(network, rules_of("bernoulli2"))["inside"].unit == "CPU"
    assert place(network, rules_of("nash-e"))["tail"].unit == "BPU"


def test_a_kernel_over_the_marchs_limit_goes_to_the_cpu_and_the_reason_says_so() -> None:
    network = _chain(helper.make_node("Conv", ["x", "large"], ["a"], name="wide", pads=[4] * 4))
    assert place(network, rules_of("bayes-e"))["wide"].unit == "BPU"
    choice = place(network, rules_of("bernoulli2"))["wide"]
    assert choice.unit == "CPU" and "9x9" in choice.reason


# --------------------------------------------------------------------------- quantization


def test_conv_weights_are_int8_per_channel_and_biases_int32() -> None:
    model = quantized_of(kit.branched())
    constants = {t.name: t for t in model.graph.initializer}
    dequantizers = {n.output[0]: n for n in model.graph.node if n.op_type == "DequantizeLinear"}
    conv = next(n for n in model.graph.node if n.name == "conv2")
    weight, bias = dequantizers[conv.input[1]], dequantizers[conv.input[2]]
    assert constants[weight.input[0]].data_type == TensorProto.INT8
    assert tuple(constants[weight.input[1]].dims) == (12,)
    assert constants[bias.input[0]].data_type == TensorProto.INT32


def test_an_activation_is_folded_into_the_convolution_in_front_of_it() -> None:
    network = ModelGraph(quantized_of(kit.branched()))
    assert [n.op_type for n in network.consumers["c1"]] == ["Relu"]
    assert [n.op_type for n in network.consumers["r1"]] == ["QuantizeLinear"]


def test_ops_that_only_move_data_keep_the_scale_and_every_bit() -> None:
    path = kit.branched()
    _, model = kit.opened(path)
    scale = {t.name: t.spec.quantization.scales for t in model.tensors if t.spec.quantization}
    assert scale["p"] == scale["a"]
    assert scale["f"] == scale["g"]


def test_the_quantized_model_stays_close_to_the_float_one(tmp_path: Path) -> None:
    feeds = [{"x": kit.feed(seed)} for seed in range(16)]
    np.savez(tmp_path / "samples.npz", x=np.stack([f["x"] for f in feeds]))
    path = kit.compile_to(tmp_path, kit.branched_model(), calibration=tmp_path / "samples.npz")
    exact = open_session(kit.branched_model().SerializeToString()).run(["c4"], feeds[0])[0]
    close = open_session(quantized_of(path).SerializeToString()).run(["c4"], feeds[0])[0]
    noise_db = 20 * np.log10(np.linalg.norm(exact) / np.linalg.norm(exact - close))
    assert noise_db > 20


def test_activations_use_their_range() -> None:
    file, model = kit.opened(kit.branched())
    from harness.emulator.model.execute import Executor

    names = [t.name for t in model.tensors if t.spec.dtype == "s8" and not t.is_input]
    for name, value in Executor(file, model).run({"x": kit.feed()}, names).items():
        assert np.unique(value).size > min(12, value.size // 2), name


def test_a_quantized_onnx_is_taken_as_it_is(tmp_path: Path) -> None:
    first = kit.branched()
    second = kit.compile_to(tmp_path, quantized_of(first))
    _, one = kit.opened(first)
    _, two = kit.opened(second)
    assert [(op.name, op.unit) for op in two.ops if op.kind != "Flatten"] == [
        (op.name, op.unit) for op in one.ops if op.kind != "Flatten"
    ]
    assert [t.spec for t in two.tensors] == [t.spec for t in one.tensors]
    assert "already quantized" in two.notes[0]


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_what_onnxruntimes_own_quantizer_writes_is_taken_and_played_exactly(tmp_path: Path, form: str) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.remaining = iter([{"x": kit.feed(seed)} for seed in range(4)])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.remaining, None)

    source = kit.save(tmp_path, kit.branched_model(), "float.onnx")
    quantized = tmp_path / "asymmetric.onnx"
    quantize_static(str(source), str(quantized), Reader(), quant_format=QuantFormat[form],
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)  # fmt: skip
    path = kit.compile_to(tmp_path, onnx.load(str(quantized)))
    assert {units(path)[name] for name in units(path) if name.startswith("conv")} == {"BPU"}
    result = kit.infer(tmp_path, path)
    assert result.returncode == 0, result.stderr
    expected = open_session(quantized.read_bytes()).run(["prob", "c4"], {"x": kit.feed()})
    for i, name in enumerate(("prob", "c4")):
        dumped = np.fromfile(tmp_path / f"model_infer_output_{i}_{name}.bin", np.float32)
        assert np.array_equal(dumped, expected[i].reshape(-1)), name


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    files = [kit.compile_to(folder, kit.branched_model()) for folder in folders]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_random_calibration_is_said_and_given_samples_are_named(tmp_path: Path) -> None:
    samples = tmp_path / "samples"
    samples.mkdir()
    np.save(samples / "0.npy", kit.feed())
    _, without = kit.opened(kit.branched())
    _, given = kit.opened(kit.compile_to(tmp_path, kit.branched_model(), calibration=samples))
    assert "random data (seed 0)" in without.notes[0]
    assert "1 samples of samples" in given.notes[0]


def test_the_opset_of_the_vendors_toolchains_is_taken(tmp_path: Path) -> None:
    model = kit.branched_model()
    model.opset_import[0].version = 11
    for node in model.graph.node:  # what opset 11's Softmax means differs: keep to one that does not
        if node.name == "attention":
            node.op_type = "Sigmoid"
            del node.attribute[:]
    assert units(kit.compile_to(tmp_path, model))["conv1"] == "BPU"


# --------------------------------------------------------------------------- what a toolchain leaves


@pytest.mark.parametrize("soc", ["x3", "x5", "j5", "ultra"])
def test_the_log_of_hb_mapper_is_read_back_node_by_node(soc: str) -> None:
    from harness.toolchains import read_any

    path = kit.branched(soc)
    _, model = kit.opened(path)
    log = read_any(path.with_name("net_hb_mapper_makertbin.log"))
    assert log is not None and log.problems == ()
    assert log.finished is True and log.march == SOCS[soc].march
    rows = [op for op in model.ops if op.reason not in (FOLDED, TAKEN_ALONG)]
    assert {n.name: n.unit for n in log.nodes} == {op.name: op.unit for op in rows}
    assert len({n.subgraph for n in log.nodes if n.unit == "BPU"}) == len(log.estimates)
    cosines = [n.cosine for n in log.nodes if n.unit == "BPU" and n.kind != "HzRequantize"]
    assert all(c is not None and c > 0.9 for c in cosines)


def test_the_log_says_first_that_the_emulator_wrote_it() -> None:
    for soc, name in (("x5", "net_hb_mapper_makertbin.log"), ("j6e", "net_hb_compile.log")):
        first = kit.branched(soc).with_name(name).read_text().splitlines()[0]
        assert "written by harness's emulator" in first


def test_quant_info_tells_thresholds_inputs_and_cosines() -> None:
    from harness.toolchains import read_any

    info = read_any(kit.branched().with_name("net_quant_info.json"))
    assert info is not None and info.problems == ()
    conv = next(node for node in info.nodes if node.name == "conv2")
    assert conv.outputs == ("c2",) and conv.cosine is not None and conv.thresholds[0][0] > 0


def test_the_log_of_hb_compile_and_its_node_info_are_read_back() -> None:
    from harness.toolchains import read_any

    path = kit.branched("j6m")
    log, info = read_any(path.with_name("net_hb_compile.log")), read_any(path.with_name("net_node_info.csv"))
    assert log is not None and log.finished is True and log.march == "nash-m"
    assert info is not None and info.problems == ()
    fused = [node.name for node in info.nodes if node.fused]
    assert "relu1" in fused
    assert {node.unit for node in info.nodes} == {"BPU"}


def test_cosines_in_the_log_are_measured_against_the_float_model(tmp_path: Path) -> None:
    """The figure of one tensor, computed here again from the two models that lie beside the log."""
    from harness.toolchains import read_any

    samples = tmp_path / "samples"
    samples.mkdir()
    np.save(samples / "0.npy", kit.feed())
    path = kit.compile_to(tmp_path, kit.branched_model(), calibration=samples)
    log = read_any(path.with_name("net_hb_mapper_makertbin.log"))
    assert log is not None
    exact = open_session(path.with_name("net_optimized_float_model.onnx").read_bytes()).run(["c4"], {"x": kit.feed()})
    close = open_session(quantized_of(path).SerializeToString()).run(["c4"], {"x": kit.feed()})
    a, b = exact[0].astype(float).reshape(-1), close[0].astype(float).reshape(-1)
    logged = next(node.cosine for node in log.nodes if node.name == "conv4")
    assert logged == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-6)
