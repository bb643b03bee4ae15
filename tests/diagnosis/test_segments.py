"""Subgraphs and what stands between them: figures that add up, and why an op left the accelerator."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from harness.diagnosis.horizon.placement import why_off
from harness.diagnosis.plan import join
from harness.diagnosis.rules import OffView
from harness.profiling import profile
from harness.profiling.stretches import segmentation
from harness.records import Graph, Latency, Op, Plan, Profile, Run
from harness.report.markdown import markdown
from harness.report.page import render
from harness.report.tables.run import tables
from harness.toolchains.horizon.log import read_build_log
from harness.toolchains.records import Message
from tests.support.builds import harness
from tests.support.diagnosis_kit import build, op, subgraph

OPS = (
    op("q0", 4.0, category="quantize"),
    subgraph("a", 100.0),
    op("deq", 11.0, category="dequantize"),
    op("soft", 30.0),
    op("lay", 7.0, category="layout"),
    op("q", 13.0, category="quantize"),
    subgraph("b", 60.0),
    op("deq2", 5.0, category="dequantize"),
    op("top", 9.0, kind="TopK"),
)


def test_every_part_has_its_place_and_the_sum_is_the_end_to_end_time() -> None:
    whole = segmentation(profile(Latency(259.0), OPS, ordered=True))
    assert whole is not None and whole.sum_us == pytest.approx(259.0)
    head, cut, tail = whole.stretches
    assert [s.place for s in whole.stretches] == ["head", "middle", "tail"]
    assert (cut.own_us, cut.dequantize_us, cut.quantize_us, cut.layout_us, cut.launch_us) == (30, 11, 13, 7, 10)
    assert cut.total_us == 71 and (cut.gain_low_us, cut.gain_high_us) == (41, 71)
    assert head.total_us == 4 and head.ops == ()
    assert (tail.gain_low_us, tail.gain_high_us) == (0, 9)  # its dequantize stays, behind it
    assert whole.launch_us == 10 and whole.unattributed_us == 0


@pytest.mark.parametrize(
    ("latency", "ordered", "unattributed_us"),
    [
        (Latency(259.0, threads=4), True, 20.0),  # waiting
        (Latency(259.0), False, 20.0),
        (replace(Latency(259.0), problems=("model_latency is truncated: 1 node",)), True, 20.0),
        (Latency(200.0), True, -39.0),  # ops overlap
    ],
)
def test_time_that_cannot_be_of_starts_is_given_to_none(
    latency: Latency, ordered: bool, unattributed_us: float
) -> None:
    whole = segmentation(profile(latency, OPS, ordered=ordered))
    assert whole is not None and whole.sum_us == pytest.approx(latency.mean_us)
    assert whole.unattributed_us == pytest.approx(unattributed_us) and whole.launch_us == 0
    assert all(stretch.launch_us == 0 for stretch in whole.stretches)
    if not ordered:
        assert [s.place for s in whole.stretches] == [""] and whole.cuts == ()


def node(name: str, kind: str, inputs: str, outputs: str) -> Op:
    return Op(name, kind, tuple(inputs.split()), tuple(outputs.split()))


def test_an_op_that_nobody_on_the_accelerator_waits_for_is_no_cut() -> None:
    """Two branches: what ran between the subgraphs is the tail of the first."""
    ops = (subgraph("a", 100.0), op("soft", 30.0), subgraph("b", 60.0))
    nodes = (node("c1", "Conv", "x", "t1"), node("soft", "Softmax", "t1", "o1"), node("c2", "Conv", "t1", "o2"))
    branch = segmentation(profile(Latency(190.0), ops, ordered=True), Graph(nodes, ("x",), ("o1", "o2")))
    chain = (*nodes[:2], node("c2", "Conv", "o1", "o2"))
    through = segmentation(profile(Latency(190.0), ops, ordered=True), Graph(chain, ("x",), ("o2",)))
    assert branch is not None and through is not None
    assert [s.place for s in branch.stretches] == ["tail"] and [s.place for s in through.stretches] == ["middle"]


def test_a_chain_of_ops_shares_its_borders() -> None:
    ops = (subgraph("a", 10.0), op("q", 2.0, category="dequantize"), op("soft", 5.0), op("flat", 1.0, kind="Flatten"))
    whole = segmentation(profile(Latency(38.0), (*ops, subgraph("b", 20.0)), ordered=True))
    assert whole is not None
    (cut,) = whole.cuts
    assert (cut.gain_low_us, cut.gain_high_us) == (2.0, 8.0)
    assert [(one.gain_low_us, one.gain_high_us) for one in cut.ops] == [(0.0, 5.0), (0.0, 1.0)]


# --------------------------------------------------------------------------- why


def plan_of(*texts: str) -> Plan | None:
    messages = tuple(Message("warning", text, "", 7, "") for text in texts)
    return join(build(messages=messages), None, None)


def reason_of(kind: str, march: str, place: str = "middle", name: str = "net/op_1", **more: Any) -> str:
    view = OffView(
        name, kind, place, more.pop("platform", "hbdnn"), "", march, more.pop("beside", ()), more.get("plan")
    )
    answer = why_off(view)
    return answer.reason if answer else "none"


@pytest.mark.parametrize(
    ("kind", "march", "place", "reason"),
    [
        ("Softmax", "bayes", "middle", "default"),
        ("HzSoftmax", "bayes-e", "tail", "default"),
        ("Softmax", "bernoulli2", "middle", "default"),
        ("Softmax", "nash-e", "middle", "none"),
        ("Reshape", "bayes-e", "middle", "passive"),
        ("Transpose", "bayes", "tail", "passive"),
        ("Reshape", "bernoulli2", "middle", "unsupported"),
        ("Reshape", "nash-p", "middle", "none"),
        ("ScatterND", "bayes-e", "middle", "unsupported"),
        ("Relu", "bayes", "tail", "tail"),
        ("Sigmoid", "bayes", "tail", "tail"),
        ("Relu", "bayes-e", "tail", "none"),
        ("Relu", "bayes", "middle", "none"),
        ("Conv", "bayes-e", "middle", "none"),
    ],
)
def test_the_rules_of_a_march(kind: str, march: str, place: str, reason: str) -> None:
    assert reason_of(kind, march, place) == reason
    assert reason_of(kind, march, place, platform="magik") == "none"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Layer net/op_1 xxx expect data shape range:[[1,1],[2,2]], but the data shape is [9]", "limit"),
        ("Tensor net/op_1 expects be 4 dimensions, but 3 provided", "limit"),
        ("Layer net/op_1 will be executed on CPU", "limit"),
        ("Layer net/op_11 will be executed on CPU", "default"),  # another node
        ("There are 2 nodes designated to run on the cpu: ['a', 'net/op_1'].", "forced"),
        ("There are 2 nodes designated to run on the cpu: ['a', 'op_1'].", "default"),
        ("There are 1 nodes designated to run on the bpu: ['net/op_1'].", "default"),
        ("Unsupported op Softmax", "unsupported"),
        ("Unsupported op Softplus", "default"),
    ],
)
def test_the_logs_own_line_comes_before_the_rules(text: str, reason: str) -> None:
    log = f"2026-01-01 00:00:00,000 INFO {text}\n"
    artifact = read_build_log(log)
    plan = join(build(messages=artifact.messages), None, None)
    assert reason_of("Softmax", "bayes", plan=plan) == reason


def test_a_relu_behind_an_int32_conv_is_told_from_other_tails() -> None:
    conv = (("before", "c", "HzSQuantizedConv", "BPU"),)
    view = OffView("r", "Relu", "tail", "hbdnn", "j5", "", conv, None)
    alone = why_off(replace(view, neighbours=()))
    with_conv = why_off(view)
    assert with_conv is not None and "int32" in with_conv.why
    assert alone is not None and "int32" not in alone.why


def test_a_passive_op_names_the_neighbour_that_keeps_it_off() -> None:
    beside = (("before", "soft", "Softmax", "CPU"), ("behind", "c", "Conv", "BPU"))
    answer = why_off(OffView("r", "Reshape", "middle", "hbdnn", "x5", "", beside, None))
    assert answer is not None and "soft (Softmax)" in answer.why and "replacing the op itself" in answer.advice
    at_end = why_off(OffView("r", "Reshape", "tail", "hbdnn", "x5", "", (("before", "c", "Conv", "BPU"),), None))
    assert at_end is not None and "an output of the model" in at_end.why


@pytest.mark.parametrize(
    "group",
    [
        {"run_on_cpu": "a;net/op_1"},
        {"node_info": "{'net/op_1': {'ON': 'CPU', 'InputType': 'int16'}, 'b': {'ON': 'BPU'}}"},
    ],
)
def test_the_dumped_configuration_forces_an_op(group: dict[str, str]) -> None:
    body = "\n".join(f"  {key}: {value!r}" for key, value in group.items())
    stamp = "2026-01-01 00:00:00,000 file: a.py func: a line No: 1"
    log = f"{stamp} Dump config:\n{stamp} \nmodel_parameters:\n{body}\n{stamp} end\n"
    artifact = read_build_log(log.replace(f"{stamp} \n", ""))
    plan = join(build(messages=artifact.messages), None, None)
    assert reason_of("Add", "bayes", plan=plan) == "forced"
    assert reason_of("Add", "bayes", name="b", plan=plan) == "none"


# --------------------------------------------------------------------------- shown


def judged(times: Profile) -> Run:
    return Run(state="complete", profile=times, segmentation=segmentation(times))


def test_page_markdown_and_json_show_rows_that_add_up() -> None:
    run = judged(profile(Latency(259.0), OPS, ordered=True))
    data = tables(run)
    shown = data["segmentation"]
    assert sum(row["total_us"] for row in shown["rows"]) == pytest.approx(259.0) == shown["end_to_end_us"]
    assert [row["name"] for row in shown["rows"]] == [
        "before the accelerator", "a", "CUT", "b", "behind the accelerator", "start of the accelerator",
    ]  # fmt: skip
    assert 'id="segments"' in render(run)
    assert "| CUT | 71.0 \u00b5s | 27.4 % |" in markdown(data).replace("\u202f", " ")
    assert tables(Run())["segmentation"] is None


@pytest.mark.slow
def test_a_j5_with_one_cpu_op_in_the_middle_shows_the_cost_of_the_cut(tmp_path: Path) -> None:
    weights = [
        numpy_helper.from_array(np.full((8, 3, 3, 3), 0.1, np.float32), "w1"),
        numpy_helper.from_array(np.full((8, 8, 3, 3), 0.1, np.float32), "w2"),
    ]
    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["a"], "conv1", pads=[1] * 4),
        helper.make_node("Softmax", ["a"], ["b"], "soft", axis=3),
        helper.make_node("Conv", ["b", "w2"], ["out"], "conv2", pads=[1] * 4),
    ]
    shapes = {"image": [1, 3, 32, 32], "out": [1, 8, 32, 32]}
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), tmp_path / "n.onnx")
    harness("emulator", "build", "n.onnx", "--soc", "j5", "-o", "n.bin", cwd=tmp_path, check=True)
    argv = ["run", "n.bin", "--board", "emu-j5", "--reference", "n_quantized_model.onnx", "--frames", "50", "--json"]
    run = json.loads(harness(*argv, cwd=tmp_path, check=True).stdout)
    whole = run["segmentation"]
    (cut,) = [stretch for stretch in whole["stretches"] if stretch["place"] == "middle"]
    assert [one["name"] for one in cut["ops"]] == ["soft"] and cut["ops"][0]["reason"] == "default"
    assert cut["own_us"] > 0 and cut["quantize_us"] > 0 and cut["dequantize_us"] > 0 and cut["estimated"]
    costs = ("own_us", "quantize_us", "dequantize_us", "layout_us", "other_us", "launch_us")
    parts = [one["time_us"] for one in whole["subgraphs"]] + [s[key] for s in whole["stretches"] for key in costs]
    rest = whole["launch_us"] + whole["outliers_us"] + whole["unattributed_us"]
    assert len(whole["subgraphs"]) == 2
    assert sum(parts) + rest == pytest.approx(run["profile"]["latency"]["mean_us"])
    assert abs(whole["unattributed_us"]) < 0.01 * whole["end_to_end_us"]  # and not by leaving much to nobody
    cut_findings = [one for one in run["findings"] if one["rule"] == "T-201"]
    assert [one["subject"] for one in cut_findings] == ["soft"] and "run_on_bpu" in cut_findings[0]["advice"]


def test_without_the_order_no_number_of_cuts_is_stated() -> None:
    """Two subgraphs and a Softmax between them, or behind: "0 cuts" would be a statement that nobody measured."""
    whole = segmentation(profile(Latency(259.0), OPS, ordered=False))
    assert whole is not None
    for run, cuts in (
        (Run(segmentation=whole), None),
        (Run(segmentation=segmentation(profile(Latency(259.0), OPS, ordered=True))), 1),
    ):
        table, page = tables(run)["segmentation"], render(run)
        assert table["cuts"] == cuts
        assert ("is not known, because the order" in page) == (cuts is None)
        assert ("1 cut by ops" in page) == (cuts == 1)
