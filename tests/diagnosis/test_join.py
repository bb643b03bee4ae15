"""Real and own toolchain files held against a board's run: planned against actual, estimate against measured."""

from __future__ import annotations

import json
from pathlib import Path

from harness.diagnosis.plan import Plan, find_beside, join, read_build
from harness.records import Comparison, Coverage, Latency, Layer, Metrics, OpTime, Profile, Verdict
from harness.toolchains.horizon.log import read_build_log
from harness.toolchains.records import Artifact, PlannedNode
from tests.support.toolchain_samples import sample, x5_log

LOG = Path("hb_mapper_makertbin.log")


def profile(*ops: OpTime) -> Profile:
    return Profile(Latency(1000.0), ops, {}, (), 0.0)


def segment(index: int, mean_us: float) -> OpTime:
    return OpTime(f"main_graph_subgraph_{index}", "subgraph", "BPU", "compute", mean_us)


def cpu(name: str, kind: str, mean_us: float, category: str = "compute") -> OpTime:
    return OpTime(name, kind, "CPU", category, mean_us)


def joined(*ops: OpTime, comparison: Comparison | None = None) -> Plan:
    plan = join([(LOG, read_build_log(x5_log()))], profile(*ops), comparison)
    assert plan is not None
    return plan


def units(plan: Plan) -> dict[str, tuple[str, str]]:
    return {row.name: (row.planned_unit, row.measured_unit) for row in plan.rows}


def test_placements_agree_where_the_board_shows_the_same() -> None:
    plan = joined(
        segment(0, 4700.0),
        cpu("/net/Softmax", "Softmax", 350.0),
        cpu("/net/Softmax_HzDequantize", "Dequantize", 80.0, "dequantize"),
        segment(1, 3100.0),
    )
    assert all(planned == measured for planned, measured in units(plan).values())
    softmax = next(row for row in plan.rows if row.name == "/net/Softmax")
    assert (softmax.measured_us, softmax.toolchain_cosine) == (350.0, 0.985373)
    assert plan.segments[0].estimated_us == 4623.9 and round(plan.segments[0].ratio or 0.0, 4) == 1.0165


def test_a_node_that_ran_elsewhere_is_told_and_an_unseen_one_is_not_called_good() -> None:
    ran = units(joined(segment(0, 4700.0), cpu("/net/conv1/Conv", "Conv", 90.0)))
    assert ran["/net/conv1/Conv"] == ("BPU", "CPU")
    assert ran["/net/Softmax"] == ("CPU", "")  # planned for the CPU, the profile does not show it
    assert ran["/net/conv2/Conv"] == ("BPU", "")  # its segment did not run


def test_a_plan_without_segment_numbers_is_held_against_the_named_cpu_ops() -> None:
    table = Artifact("node_info", "x", nodes=(PlannedNode("a", "BPU", "Conv"), PlannedNode("b", "CPU", "Mul")))
    ucp = OpTime("net_bpu_segment_0", "subgraph", "BPU", "compute", 10.0)
    plan = join([(Path("net_node_info.csv"), table)], profile(ucp, cpu("b", "Mul", 1.0)), None)
    assert plan is not None and units(plan) == {"a": ("BPU", "BPU"), "b": ("CPU", "CPU")}
    nothing = join([(Path("net_node_info.csv"), table)], profile(), None)
    assert nothing is not None and units(nothing)["a"] == ("BPU", "")


def test_the_boards_figures_stand_beside_the_toolchains() -> None:
    metrics = Metrics(10, 1, one_minus_cosine=0.25)
    layer = Layer(0, "conv1_out", "/net/conv1/Conv", "Conv", "differs", unit="BPU", metrics=metrics)
    comparison = Comparison(Verdict("diverges", "", 1), Coverage(1, 1, 1, 1), (layer,))
    row = next(row for row in joined(comparison=comparison).rows if row.name == "/net/conv1/Conv")
    assert (row.toolchain_cosine, row.board_one_minus_cosine, row.measured_unit) == (0.999453, 0.25, "BPU")


def test_a_real_log_quant_info_and_a_run_of_the_same_model_become_one_plan() -> None:
    build = read_build([sample("x5_bear_hb_mapper_makertbin.log"), sample("x5_bear_quant_info.json")])
    run = profile(segment(0, 4700.0), cpu("/model.22/dfl/Softmax", "Softmax", 900.0), segment(1, 3200.0))
    plan = join(build, run, None)
    assert plan is not None
    # 190 nodes of quant_info and 23 requantize rows that only the table has; 3 have no row in the table
    assert len(plan.rows) == 213 and plan.march == "bayes-e"
    known = [row for row in plan.rows if row.planned_unit]
    assert len(known) == 210 and all(row.planned_unit == row.measured_unit for row in known)
    assert [round(one.ratio or 0.0, 3) for one in plan.segments] == [1.016, 1.036]
    assert plan.estimated_us == 4623.9 + 3090.1


def test_files_beside_a_model_are_found_by_its_name(tmp_path: Path) -> None:
    model = tmp_path / "net.bin"
    model.write_bytes(bytes(10))
    (tmp_path / "net_hb_mapper_makertbin.log").write_text(x5_log())
    quant = {"/net/conv1/Conv": {"type": "Conv", "thresholds": [[1.5]], "cosine_similarity": "0.999453"}}
    (tmp_path / "net_quant_info.json").write_text(json.dumps(quant))
    (tmp_path / "notes.txt").write_text("hello")
    kinds = {artifact.kind for _, artifact in read_build(find_beside(model))}
    assert kinds == {"hb_mapper_log", "quant_info"}
