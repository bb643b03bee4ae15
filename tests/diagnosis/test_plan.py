"""Findings on what a toolchain planned, held against what the board did."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.diagnosis.plan import find_beside, join, read_build
from harness.profiling import profile
from harness.records import (
    Latency,
    Metrics,
)
from harness.toolchains.records import Message, PlannedNode, SegmentEstimate
from tests.records.kit import find
from tests.support.diagnosis_kit import CUT, build, compared, layer, op, planned, subgraph
from tests.support.toolchain_samples import SAMPLES, x5_log

# --------------------------------------------------------------------------- the plan


def test_a_log_of_another_build_is_noticed() -> None:
    run = {"model_info": {"versions": {"builder": "1.23.6"}}}
    assert "B-501" in planned({"versions": {"hb_mapper": "1.24.3", "hbdk": "3.49.15"}}, **run)
    assert "B-501" not in planned({"versions": {"hb_mapper": "1.23.6", "hbdk": "3.49.15"}}, **run)
    assert "B-501" not in planned({"versions": {"hbdk": "3.49.15"}}, **run)
    assert "B-501" in planned({"march": "bayes-e"}, model_info={"versions": {"march": "nash-e"}})


def test_a_node_that_ran_elsewhere_than_planned_is_noticed() -> None:
    nodes = (PlannedNode("soft", "BPU", "Softmax"), PlannedNode("conv", "BPU", "Conv"))
    assert "B-502" in planned({"nodes": nodes}, CUT)
    assert "B-502" not in planned({"nodes": (PlannedNode("soft", "CPU", "Softmax"),)}, CUT)


def test_estimates_are_held_against_the_board_but_not_against_an_emulated_one() -> None:
    parts = {"estimates": (SegmentEstimate("s_0", 100.0, 40.0), SegmentEstimate("main_graph_subgraph_1", 99.0, 79.0))}
    assert "B-503" in planned(parts, CUT)
    assert "B-503" not in planned(parts, CUT, board={"emulated": True})
    assert "B-503" not in planned({"estimates": (SegmentEstimate("s_0", 99.0, 99.0),)}, CUT)


def test_subgraphs_meet_by_name_then_by_their_number() -> None:
    times = profile(Latency(200.0), (subgraph("net_subgraph_0", 100.0), subgraph("net_subgraph_1", 50.0)))
    plan = join(build(estimates=(SegmentEstimate("main_graph_subgraph_1", 9.0, 40.0),)), times, None)
    assert plan is not None
    assert [(s.name, s.estimated_us, s.measured_us) for s in plan.segments] == [
        ("main_graph_subgraph_1", 40.0, 50.0),
        ("net_subgraph_0", None, 100.0),
    ]
    assert plan.segments[0].ratio == 1.25 and plan.estimated_us is None


def test_toolchain_cosine_and_board_cosine_stand_side_by_side() -> None:
    metrics = Metrics(elements=4, mismatched=1, one_minus_cosine=1e-4)
    met = replace(layer(0, "differs"), op="/net/conv1/Conv", metrics=metrics, unit="BPU")
    nodes = (PlannedNode("/net/conv1/Conv", "BPU", "HzSQuantizedConv", 0, cosine=0.91),)
    plan = join(build(nodes=nodes), None, compared(met))
    assert plan is not None
    row = plan.rows[0]
    assert (row.toolchain_cosine, row.board_one_minus_cosine, row.board_verdict) == (0.91, 1e-4, "differs")
    assert "B-504" in planned({"nodes": nodes})


def test_a_name_that_a_table_cut_meets_the_whole_one_only_when_one_fits() -> None:
    whole = (PlannedNode("/a/block/conv", "BPU", "Conv"), PlannedNode("/b/block/conv", "BPU", "Conv"))
    one = join([*build(nodes=whole[:1]), *build(nodes=(PlannedNode("...block/conv", "", "", cosine=0.5),))], None, None)
    two = join([*build(nodes=whole), *build(nodes=(PlannedNode("...block/conv", "", "", cosine=0.5),))], None, None)
    assert one is not None and [row.toolchain_cosine for row in one.rows] == [0.5]
    assert two is not None and [row.toolchain_cosine for row in two.rows] == [None, None, 0.5]


def test_warnings_of_the_toolchain_come_with_their_meaning() -> None:
    message = Message("warning", "The input0 ... does not support data type: int16", "it runs as int8", subject="soft")
    (finding,) = find({}, None, None, join(build(messages=(message,)), None, None))
    assert finding.rule == "B-505" and finding.advice == "it runs as int8" and finding.subject == "soft"


def test_a_log_beside_the_model_is_found_and_joined_with_the_board(tmp_path: Path) -> None:
    model = tmp_path / "net.bin"
    model.write_bytes(b"\x00")
    (tmp_path / "hb_mapper_makertbin.log").write_text(x5_log())
    (tmp_path / "notes.txt").write_text("mine")
    assert [path.name for path in find_beside(model)] == ["hb_mapper_makertbin.log"]
    times = profile(Latency(9000.0), (subgraph("main_graph_subgraph_0", 5000.0), op("/net/Softmax", 100.0)))
    plan = join(read_build(find_beside(model)), times, None)
    assert plan is not None and plan.march == "bayes-e" and plan.versions["hb_mapper"] == "1.24.3"
    soft = next(row for row in plan.rows if row.name == "/net/Softmax")
    assert (soft.planned_unit, soft.measured_unit, soft.measured_us) == ("CPU", "CPU", 100.0)
    assert plan.segments[0].ratio == pytest.approx(5000.0 / 4623.9)
    assert plan.estimated_us == pytest.approx(4623.9 + 3090.1)


def test_files_of_another_model_in_the_folder_are_not_taken(tmp_path: Path) -> None:
    model = tmp_path / "net.bin"
    for name in ("hb_compile.log", "net_x5_quant_info.json", "other_quant_info.json"):
        (tmp_path / name).write_text("{}")
    assert [path.name for path in find_beside(model)] == ["hb_compile.log"]
    (tmp_path / "net_quant_info.json").write_text("{}")
    (tmp_path / "net_two_hb_mapper_makertbin.log").write_text("{}")
    assert [path.name for path in find_beside(model)] == ["net_quant_info.json"]
    assert [path.name for path in find_beside(model, "two")] == ["net_two_hb_mapper_makertbin.log"]


def test_captured_log_and_quant_info_of_one_build_agree() -> None:
    folder = SAMPLES / "horizon-toolchain"
    files = [folder / "x5_bear_hb_mapper_makertbin.log", folder / "x5_bear_quant_info.json"]
    if not all(path.is_file() for path in files):
        pytest.skip(f"real vendor output is not here: {folder} (set HARNESS_SAMPLES)")
    plan = join(read_build(files), None, None)
    assert plan is not None and plan.march == "bayes-e"
    assert [row.name for row in plan.rows if row.planned_unit == "CPU"] == ["/model.22/dfl/Softmax"]
    assert [s.estimated_us for s in plan.segments] == [4623.9, 3090.1]
