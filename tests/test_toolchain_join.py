"""Planned against actual: toolchain files beside a board's run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toolchain_samples import sample, x5_log

from harness.errors import InputError
from harness.records import Comparison, Coverage, Latency, Layer, Metrics, OpTime, Profile, Verdict
from harness.toolchains import read_any
from harness.toolchains.beside import build_record, files_beside, files_of, read_build
from harness.toolchains.hb_log import read_build_log
from harness.toolchains.join import full_name, join, merge_nodes, segment_of
from harness.toolchains.records import Artifact, PlannedNode


def profile(*ops: OpTime) -> Profile:
    return Profile(Latency(1000.0), ops, {}, (), 0.0)


def segment(index: int, mean_us: float) -> OpTime:
    return OpTime(f"main_graph_subgraph_{index}", "subgraph", "BPU", "compute", mean_us)


def cpu(name: str, kind: str, mean_us: float, category: str = "compute") -> OpTime:
    return OpTime(name, kind, "CPU", category, mean_us)


def comparison(*layers: Layer) -> Comparison:
    return Comparison(Verdict("consistent", "", 0), Coverage(1, 1, 1, 1), layers)


def test_placements_agree_where_the_board_shows_the_same() -> None:
    log = read_build_log(x5_log())
    run = profile(
        segment(0, 4700.0),
        cpu("/net/Softmax", "Softmax", 350.0),
        cpu("/net/Softmax_HzDequantize", "Dequantize", 80.0, "dequantize"),
        segment(1, 3100.0),
    )
    result = join([log], run)
    assert (result.agree, result.differ, result.unseen) == (5, 0, 0)
    softmax = next(row for row in result.placements if row.name == "/net/Softmax")
    assert (softmax.planned, softmax.actual, softmax.measured_us, softmax.toolchain_cosine) == (
        "CPU",
        "CPU",
        350.0,
        0.985373,
    )
    first = result.estimates[0]
    assert (first.estimated_us, first.measured_us, round(first.ratio or 0, 4)) == (4623.9, 4700.0, 1.0165)


def test_a_node_that_ran_elsewhere_is_told_and_an_unseen_one_is_not_called_good() -> None:
    log = read_build_log(x5_log())
    result = join([log], profile(segment(0, 4700.0), cpu("/net/conv1/Conv", "Conv", 90.0)))
    by_name = {row.name: row for row in result.placements}
    assert by_name["/net/conv1/Conv"].agrees is False and "not the model" in by_name["/net/conv1/Conv"].note
    assert by_name["/net/Softmax"].agrees is None  # planned for the CPU, the profile does not show it
    assert by_name["/net/conv2/Conv"].agrees is None  # its segment did not run
    assert (result.agree, result.differ, result.unseen) == (1, 1, 3)
    assert result.estimates[1].measured_us is None and result.estimates[1].ratio is None


def test_a_cpu_op_that_no_file_names_gets_a_row() -> None:
    result = join([read_build_log(x5_log())], profile(cpu("/net/ArgMax", "ArgMax", 12.0)))
    row = result.placements[-1]
    assert (row.name, row.planned, row.actual, row.agrees) == ("/net/ArgMax", "", "CPU", None)


def test_board_cosines_stand_beside_the_toolchains() -> None:
    layer = Layer(
        0, "conv1_out", "/net/conv1/Conv", "Conv", "differs", unit="BPU", metrics=Metrics(10, 1, one_minus_cosine=0.25)
    )
    result = join([read_build_log(x5_log())], None, comparison(layer))
    row = next(row for row in result.placements if row.name == "/net/conv1/Conv")
    assert (row.toolchain_cosine, row.board_cosine, row.actual, row.agrees) == (0.999453, 0.75, "BPU", True)


def test_no_run_at_all_agrees_with_nothing() -> None:
    result = join([read_build_log(x5_log())])
    assert (result.agree, result.differ, result.unseen) == (0, 0, 5)


def test_log_and_quant_info_of_one_build_become_one_node_each() -> None:
    log = read_any(sample("x5_bear_hb_mapper_makertbin.log"))
    info = read_any(sample("x5_bear_quant_info.json"))
    assert log is not None and info is not None
    nodes, problems = merge_nodes([log, info])
    # 190 nodes of quant_info and 23 requantize rows that only the table has; 3 have no row in the table
    assert len(nodes) == 213 and problems == []
    assert sum(node.unit == "" for node in nodes) == 3
    conv = next(node for node in nodes if node.name == "/model.0/conv/Conv")
    assert (conv.unit, conv.subgraph, conv.cosine, conv.thresholds) == ("BPU", 0, 0.999453, ((1.018066,),))


def test_cut_names_join_the_one_name_that_they_end() -> None:
    known = {"/a/b/conv1/Conv": 1, "/x/b/conv1/Conv": 1, "/a/Softmax": 1}
    assert full_name(".../Softmax", known) == "/a/Softmax"
    assert full_name(".../conv1/Conv", known) is None
    assert full_name("...nothing", known) == "...nothing"
    one = Artifact("a", "a", nodes=(PlannedNode(".../Softmax", "CPU", "Softmax"),))
    two = Artifact("b", "b", nodes=(PlannedNode("/a/Softmax", "", "Softmax", cosine=0.5),))
    nodes, _ = merge_nodes([one, two])
    assert [(n.name, n.unit, n.cosine) for n in nodes] == [("/a/Softmax", "CPU", 0.5)]


def test_segment_numbers() -> None:
    names = ("BPU_MOBILENET_subgraph_0", "main_graph_subgraph_12", "Node-0-BPU-net_bpu_segment_3", "Preprocess")
    assert [segment_of(name) for name in names] == [0, 12, 3, None]


def test_a_plan_without_segment_numbers_is_held_against_the_named_cpu_ops() -> None:
    plan = Artifact("node_info", "x", nodes=(PlannedNode("a", "BPU", "Conv"), PlannedNode("b", "CPU", "Mul")))
    ran = join([plan], profile(segment(0, 10.0), cpu("b", "Mul", 1.0)))
    assert (ran.agree, ran.differ, ran.unseen) == (2, 0, 0)
    assert join([plan], profile(cpu("a", "Conv", 1.0))).differ == 1


# --------------------------------------------------------------------------- files beside a model


def build_folder(folder: Path) -> Path:
    """A build's folder: the model, its log, its quant_info, and what belongs to nobody."""
    (folder / "net.bin").write_bytes(bytes(10))
    (folder / "hb_mapper_makertbin.log").write_text(x5_log())
    quant = {"/net/conv1/Conv": {"type": "Conv", "thresholds": [[1.5]], "cosine_similarity": "0.999453"}}
    (folder / "net_quant_info.json").write_text(json.dumps(quant))
    (folder / "notes.txt").write_text("hello")
    return folder / "net.bin"


def test_files_beside_a_model_are_found_by_its_prefix(tmp_path: Path) -> None:
    model = build_folder(tmp_path)
    assert {path.name for path in files_beside(model)} == {"net_quant_info.json", "hb_mapper_makertbin.log"}
    (tmp_path / "other.bin").write_bytes(bytes(10))
    assert {path.name for path in files_beside(model)} == {"net_quant_info.json"}  # whose log is it?
    assert files_beside(tmp_path / "nowhere" / "x.bin") == ()


def test_a_folder_given_as_build_is_searched_and_other_files_are_left_out(tmp_path: Path) -> None:
    build_folder(tmp_path)
    artifacts = read_build(files_of([tmp_path]))
    assert {artifact.kind for artifact in artifacts} == {"hb_mapper_log", "quant_info"}
    with pytest.raises(InputError, match="no such file"):
        files_of([tmp_path / "missing"])


def test_the_record_of_a_build_is_plain_json_with_the_joined_rows(tmp_path: Path) -> None:
    model = build_folder(tmp_path)
    run = profile(segment(0, 4700.0), cpu("/net/Softmax", "Softmax", 350.0), segment(1, 3100.0))
    record = build_record(read_build(files_beside(model)), run)
    assert json.loads(json.dumps(record)) == json.loads(json.dumps(record, default=list))
    assert (record["march"], record["agree"], record["differ"]) == ("bayes-e", 5, 0)
    assert record["versions"]["hb_mapper"] == "1.24.3"
    assert [one["name"] for one in record["files"]] == ["net_quant_info.json", "hb_mapper_makertbin.log"]
    assert record["estimates"][1]["measured_us"] == 3100.0


def test_a_real_log_and_quant_info_join_a_run_of_the_same_model() -> None:
    paths = (sample("x5_bear_hb_mapper_makertbin.log"), sample("x5_bear_quant_info.json"))
    run = profile(segment(0, 4700.0), cpu("/model.22/dfl/Softmax", "Softmax", 900.0), segment(1, 3200.0))
    record = build_record(read_build(paths), run)
    # 3 nodes of quant_info have no row in the log's table: nobody says where they were planned
    assert (record["agree"], record["differ"], record["unseen"]) == (210, 0, 3)
    softmax = next(row for row in record["placements"] if row["name"] == "/model.22/dfl/Softmax")
    assert (softmax["planned"], softmax["actual"], softmax["toolchain_cosine"]) == ("CPU", "CPU", 0.985373)
    assert [round(row["ratio"], 3) for row in record["estimates"]] == [1.016, 1.036]
