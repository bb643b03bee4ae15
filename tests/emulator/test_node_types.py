"""Nodes in int16, error compensation and float by a toolchain's config: what the emulated compiler makes of them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import onnx
import pytest

from harness.emulator.compiler.compile import Build, BuildOptions, compile_model
from harness.emulator.compiler.node_types import NodeTypes, TypeWishes
from harness.emulator.horizon.op_rules import node_settings
from harness.emulator.rooms import soc_named
from harness.errors import ConfigError, InputError
from harness.platforms.horizon.op_lists import DUAL_INT16, EC_INPUTS, INT16, takes_type
from tests.support import emulator_kit as kit
from tests.support.toolchain_samples import SAMPLES

WIDE = NodeTypes("int16", output="int16")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("types") / "net.onnx"
    onnx.save(kit.branched_model(), path)
    return path


def built(network: Path, soc: str = "j6e", **nodes: NodeTypes) -> Build:
    return compile_model(network, BuildOptions(soc=soc_named(soc), types=TypeWishes(nodes)))


def error(build: Build, tensor: str) -> float:
    return build.distances[tensor].l2


def test_wide_feature_maps_and_weights_each_take_their_part_of_the_error_away(network: Path) -> None:
    plain, feature = built(network), built(network, conv1=NodeTypes("int16"))
    both = built(network, conv1=NodeTypes("int16", {1: "int16"}, "int16"))
    compensated = built(network, conv1=NodeTypes("int16", {1: "ec"}, "int16"))
    assert error(both, "r1") < error(feature, "r1") / 20 < error(plain, "r1") / 20
    assert error(both, "r1") == pytest.approx(error(compensated, "r1"), rel=0.5)


def test_readers_in_int8_get_the_tensor_requantized_and_movers_follow_their_readers(network: Path) -> None:
    build = built(network, conv2=NodeTypes("int16"), fc=NodeTypes("int16"))
    types = {tensor.name: tensor.spec.dtype for tensor in build.model.tensors}
    assert types["r1"] == "s16" and types["r1_Requantize_Output"] == "s8"
    assert types["g"] == types["f"] == "s16"  # the Flatten in front of fc only moves
    assert types["p"] == "s8"
    requantize = next(op for op in build.model.ops if op.name == "r1_Requantize")
    assert requantize.unit == "BPU"


def test_what_a_march_does_not_offer_stays_int8_and_is_named(network: Path) -> None:
    build = built(network, "x5", fc=NodeTypes("int16"), conv1=NodeTypes("", {1: "ec"}))
    assert [line.split(" of ")[0] for line in build.refused] == ["The input1", "The input0"]
    assert "(name:fc, type:Gemm) does not support data type: int16" in build.refused[1]
    assert {tensor.spec.dtype for tensor in build.model.tensors} == {"s8", "f32"}


def test_chips_that_are_emulated_with_8_bits_refuse(network: Path) -> None:
    with pytest.raises(InputError, match="8 bits only"):
        built(network, "t40", conv1=WIDE)


def test_wide_ops_are_priced(network: Path) -> None:
    def work(build: Build, name: str) -> float:
        op = next(op for op in build.model.ops if op.name == name)
        return sum(amounts.get("dense_macs", 0.0) for amounts in op.works)

    plain, wide = built(network), built(network, conv1=NodeTypes("int16"), conv2=NodeTypes("int16", {1: "int16"}))
    assert work(wide, "conv1") == 2 * work(plain, "conv1") and work(wide, "conv2") == 4 * work(plain, "conv2")


def test_the_configs_of_both_toolchains_are_read(tmp_path: Path) -> None:
    mapper, quant = tmp_path / "m.yaml", tmp_path / "quant_config.json"
    mapper.write_text(
        "model_parameters:\n  node_info:\n    a: {'ON': CPU}\n    b: {InputType0: int16, OutputType: int16}\n"
        "calibration_parameters:\n  run_on_cpu: c;d\n  optimization: set_model_output_int16\n"
    )
    settings = node_settings(mapper)
    assert settings.on_cpu == ("c", "d", "a") and settings.types.outputs == "int16"
    assert settings.types.nodes == {"b": NodeTypes("", {0: "int16"}, "int16")}
    nodes = {"a": {"qtype": "dual-int16"}, "b": {"input0": "int16", "input1": "ec"}, "c": {"qtype": "float32"}}
    quant.write_text(json.dumps({"model_config": {"all_node_type": "int16"}, "node_config": nodes}))
    settings = node_settings(quant)
    assert settings.on_cpu == ("c",) and settings.types.every.features == "int16"
    assert settings.types.nodes["a"] == NodeTypes("int16", {1: "int16"})
    yaml = tmp_path / "j.yaml"
    yaml.write_text("model_parameters: {}\ncalibration_parameters:\n  quant_config: quant_config.json\n")
    assert node_settings(yaml) == settings


def test_text_form_and_a_file_that_is_no_config(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("model_parameters:\n  node_info: a:int16;b:int8\n")
    assert node_settings(path).types.nodes["a"] == WIDE
    path.write_text("- 1\n")
    with pytest.raises(ConfigError, match="no model_parameters"):
        node_settings(path)


def test_settings_of_op_types_and_outputs_reach_their_nodes(network: Path) -> None:
    wishes = TypeWishes(kinds={"Add": WIDE}, outputs="int16")
    options = BuildOptions(soc=soc_named("j6e"), types=wishes)
    types = {tensor.name: tensor.spec.dtype for tensor in compile_model(network, options).model.tensors}
    assert types["a"] == types["m"] == "s16" and types["r1"] == "s16"


def test_the_list_of_wide_ops_is_that_of_the_operator_support_table() -> None:
    table = SAMPLES.parent / "research" / "op_support.csv"
    if not table.is_file():
        pytest.skip("no op_support.csv beside the samples")
    with table.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if not row["op"].startswith("_")]
    stated = {(row["march"], row["op"]) for row in rows if row["int16"] == "yes"}
    ours = {(march, op) for march, ops in INT16.items() for op in ops}
    assert stated - ours == set()
    assert ours - stated == {("bayes-e", "Conv"), ("bayes-e", "GlobalAveragePool")}  # the vendor's zoo builds them
    refused = [(row["march"], row["op"]) for row in rows if row["int16"] == "no"]
    assert refused and not [one for one in refused if takes_type(one[0], one[1], 0, "int16")]
    assert {*EC_INPUTS, *DUAL_INT16} <= INT16["nash"]
