"""Layers of an estimate, summed by block and joined with the subgraph that was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.diagnosis import find
from harness.diagnosis.blocks import block_of, blocks_of, composites_of
from harness.diagnosis.plan import join
from harness.profiling import profile
from harness.records import (
    Checks,
    Comparison,
    Coverage,
    Latency,
    Layer,
    ModelInfo,
    NetworkOps,
    Op,
    PlanSegment,
    Run,
    Verdict,
)
from harness.report.page import render
from harness.report.tables.run import tables
from harness.toolchains.records import LayerCost, SegmentEstimate
from tests.support.diagnosis_kit import build, subgraph


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("/model.10/attn/Softmax_exp", "/model.10/attn"),
        ("/model.10/attn/qkv/conv/Conv", "/model.10/attn"),
        ("layers.3.norm.mul", "layers.3"),
        ("_features_0_0_hz_conv2d", "_features_0"),
        ("conv1", "conv1"),
        ("", ""),
    ],
)
def test_a_block_is_what_names_begin_with(name: str, block: str) -> None:
    assert block_of(name) == block


def test_costs_are_summed_and_say_what_bounds_a_segment() -> None:
    layers = (
        LayerCost("/a/x/exp", 1, 10.0, 40.0),
        LayerCost("/a/x/sum", 1, 5.0, 5.0),
        LayerCost("/b/x/y", 1, None, 3.0),
    )
    blocks = blocks_of(layers)
    assert [(b.name, b.layers, b.compute_us, b.load_store_us) for b in blocks] == [
        ("/a/x", 2, 15.0, 45.0),
        ("/b/x", 1, 0.0, 3.0),
    ]
    segment = PlanSegment("s", 50.0, None, None, blocks)
    assert segment.bound == "memory"
    assert replace(segment, blocks=(replace(blocks[0], compute_us=50.0),)).bound == "both"
    assert replace(segment, blocks=(replace(blocks[0], compute_us=90.0),)).bound == "compute"
    assert replace(segment, blocks=()).bound == ""


def test_the_layers_meet_the_measured_subgraph() -> None:
    estimate = SegmentEstimate("net_subgraph_0", 100.0, 9000.0, ddr_bytes=2_000_000)
    files = build(estimates=(estimate,), layers=(LayerCost("/a/b/c", 1, 900.0, 8000.0),))
    times = profile(Latency(10_000.0), (subgraph("main_subgraph_0", 9500.0),), ordered=True)
    plan = join(files, times, None)
    assert plan is not None
    (segment,) = plan.segments
    assert (segment.measured_us, segment.ddr_bytes, segment.bound) == (9500.0, 2_000_000, "memory")
    run = Run(state="complete", profile=times, plan=plan)
    row = tables(run)["plan"]["segments"][0]
    assert row["bound"] == "memory" and row["blocks"][0]["name"] == "/a/b"
    assert "DDR-bound" in render(run)


@pytest.mark.parametrize(
    ("names", "kind", "places"),
    [
        (("enc.0.attn.softmax.exp", "enc.0.attn.softmax.sum", "enc.1.attn.softmax.exp"), "Softmax", 2),
        (("/model.10/attn/Softmax_exp", "/model.10/attn/Softmax_sum"), "Softmax", 1),
        (("layers.3.norm.mean", "layers.3.norm1.var", "layers.3.layernorm.mul"), "LayerNorm", 3),
        (("mlp.act_gelu.mul",), "GELU", 1),
    ],
)
def test_what_an_op_was_split_into_is_summed_by_its_kind(names: tuple[str, ...], kind: str, places: int) -> None:
    (one,) = composites_of([LayerCost(name, 1, 3.0, 2.0, total_us=4.0) for name in names])
    assert (one.kind, one.places, one.layers) == (kind, places, len(names))
    assert (one.compute_us, one.load_store_us, one.total_us) == (3.0 * len(names), 2.0 * len(names), 4.0 * len(names))


def test_a_folded_norm_and_other_names_are_no_composite() -> None:
    assert composites_of([LayerCost(name) for name in ("bn1", "batch_norm_3", "normal_head.conv", "conv", "")]) == ()


def test_the_only_estimate_without_a_name_is_of_the_only_subgraph() -> None:
    blocks = (LayerCost("enc.0.softmax.exp", total_us=500.0), LayerCost("enc.0.conv", total_us=90.0))
    shares = {"int8": 0.6, "int16 features, int8 weights": 0.4}
    estimate = SegmentEstimate("", 65.0, 15000.0, 31982000, mac_shares=shares, memory_bytes={"inputs": 150528})
    times = profile(Latency(20_000.0), (subgraph("net_bpu_segment_0", 18_000.0),), ordered=True)
    plan = join(build(estimates=(estimate,), layers=blocks), times, None)
    assert plan is not None
    (segment,) = plan.segments
    assert (segment.name, segment.measured_us, segment.bound) == ("net_bpu_segment_0", 18_000.0, "")
    run = Run(state="complete", profile=times, plan=plan)
    page = render(run)
    assert "Softmax: 1 op split into 1 layer" in page and "int16 features, int8 weights" in page
    (wide,) = [one for one in find(run) if one.rule == "B-507"]
    assert wide.subject == "net_bpu_segment_0" and wide.evidence.startswith("40.0%") and "review" in wide.evidence
    two = profile(Latency(20_000.0), (subgraph("a", 1.0), subgraph("b", 1.0)), ordered=True)
    both = join(build(estimates=(estimate,), layers=blocks), two, None)
    assert both is not None and [s.measured_us for s in both.segments] == [None, 1.0, 1.0]


def row(op: str, kind: str, shape: tuple[int, ...]) -> Layer:
    return Layer(0, f"{op}_out", op, kind, "exact", shape=shape)


@pytest.mark.parametrize(("march", "count"), [("nash-e", 1), ("nash-p", 1), ("bayes-e", 0), ("", 0)])
def test_channels_and_heads_that_are_padded_are_told_on_the_chips_that_pad_them(march: str, count: int) -> None:
    graph = NetworkOps((Op("soft", "Softmax", ("qk_out",), ("w",)), Op("av", "MatMul", ("w", "v"), ("av_out",))))
    layers = (
        row("conv1", "Conv", (1, 24, 56, 56)),
        row("fits", "Conv", (1, 32, 56, 56)),
        row("mask", "Conv", (1, 1, 56, 56)),
        row("av", "MatMul", (1, 8, 49, 48)),
        row("head", "MatMul", (1, 8, 49, 48)),  # reads no softmax
    )
    comparison = Comparison(Verdict("consistent", "", 0), Coverage(5, 5, 1, 1), layers, extras=Checks(graph=graph))
    info = ModelInfo("net", versions={"march": march})
    findings = [one for one in find(Run(comparison=comparison, model_info=info)) if one.rule == "B-506"]
    assert len(findings) == count
    for one in findings:
        assert one.evidence == "2 ops: conv1 (24 channels), av (head size 48)"
