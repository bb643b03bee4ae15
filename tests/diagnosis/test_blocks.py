"""Layers of an estimate, summed by block and joined with the subgraph that was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.diagnosis.blocks import block_of, blocks_of
from harness.diagnosis.plan import join
from harness.profiling import profile
from harness.records import Latency, PlanSegment, Run
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
