"""Files that people have beside a build are recognised, and their figures read; damaged rows are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.toolchains import board_readers, read_any
from harness.toolchains.records import Artifact

VERIFIER = """\
2026-01-02 03:04:05,325 INFO verifier tool version: 3.5.16
2026-01-02 03:04:05,883 INFO | NodeName | TensorName | CosineSimilarity |
2026-01-02 03:04:05,890 INFO | /a/Relu  | /a/Relu_0  | 0.81 |
2026-01-02 03:04:05,895 INFO | /b/Gemm  | logits     | 0.99 |
2026-01-02 03:04:05,899 INFO | /c/Gemm  | cut
"""
HMCT = """\
2026-05-06 10:00:00,000 - INFO - The quantized model output:
===============================================================================
Output      Cosine Similarity  L1 Distance  L2 Distance  Chebyshev Distance
-------------------------------------------------------------------------------
output1     0.987601           0.012345     0.000123     0.345000
"""
MODIFIER = """\
2026-01-02 03:04:05,521 INFO log will be stored in /data/hb_model_modifier.log
2026-01-02 03:04:05,581 INFO Nodes that will be removed from this model: ['/head/Conv_HzDequantize']
2026-01-02 03:04:05,582 INFO Node '/head/Conv_HzDequantize' is removed
2026-01-02 03:04:05,587 INFO modified model saved as m_modified.bin
"""
SENSITIVITY = """\
=====================node sensitivity=====================
node                                        cosine-similarity
--------------------------------------------------------------
/head/Conv_1                                0.15596
Softmax_618_reciprocal_FROM_QUANTIZED_SOFTMAX 0.98123
"""
PER_LAYER = """\
+-----+------------------+--------------+----------+--------+
|     | mod_name         | base_op_type | COSINE   | ATOL   |
|-----+------------------+--------------+----------+--------|
|   0 | backbone.conv1   | Conv         | 0.9991   | 0.05   |
|   1 | head.cls         | Conv         | 0.8120   | 1.95   |
"""
MONITOR = "BPU Utilization:\n  Core 0: busy=85.2%  idle=14.8%\nDDR Bandwidth:\n  Read:  2048.5 MiB/s\n"
REMOVABLE = "####### Removable node info #######\nNode Name              Type\nQuantize_0             Quantize\n"
PROFILE = [
    {"cat": "Session", "name": "model_loading_uri", "dur": 100, "ts": 1},
    {"cat": "Node", "name": "/a/Conv_kernel_time", "dur": 30, "ts": 2},
    {"cat": "Node", "name": "/a/Conv_kernel_time", "dur": 50, "ts": 3},
    {"cat": "Node", "name": "/b/Add_kernel_time", "dur": 5, "ts": 4},
]


def read(text: str, folder: Path, name: str = "x.txt") -> Artifact:
    (folder / name).write_text(text)
    artifact = read_any(folder / name, *board_readers())
    assert artifact is not None
    return artifact


def test_a_verifier_table_without_rules_is_read(tmp_path: Path) -> None:
    artifact = read(VERIFIER, tmp_path)
    assert [(row.tensor, row.metrics["cosine"]) for row in artifact.similarities] == [
        ("/a/Relu_0", 0.81),
        ("logits", 0.99),
    ]
    assert artifact.problems == ("1 truncated table rows skipped",)


def test_a_log_of_hmct_with_its_own_prefix_is_read(tmp_path: Path) -> None:
    artifact = read(HMCT, tmp_path, "hmct.log")
    assert artifact.kind == "hmct_log" and artifact.outputs[0].cosine == 0.987601


def test_a_log_of_the_modifier_names_what_was_removed_and_where_it_is_saved(tmp_path: Path) -> None:
    artifact = read(MODIFIER, tmp_path)
    assert artifact.title == "hb_model_modifier log"
    assert artifact.facts["deleted_nodes"] == ["/head/Conv_HzDequantize"]
    assert artifact.facts["saved_as"] == "m_modified.bin"


def test_a_name_that_is_longer_than_its_column_keeps_its_row(tmp_path: Path) -> None:
    artifact = read(SENSITIVITY, tmp_path)
    assert [row.metrics["cosine"] for row in artifact.similarities] == [0.15596, 0.98123] and artifact.problems == ()


def test_a_per_layer_comparison_is_read_as_table_and_as_csv(tmp_path: Path) -> None:
    csv = 'mod_name,base_op_type,shape,COSINE,ATOL\nhead.cls,Conv,"(1, 8)",0.81,1.95\nhead.box,Conv,"(1, 8)"\n'
    table, values = read(PER_LAYER, tmp_path), read(csv, tmp_path, "compare_per_layer_out.csv")
    assert [(row.name, row.metrics["cosine"]) for row in table.similarities] == [
        ("backbone.conv1", 0.9991),
        ("head.cls", 0.812),
    ]
    assert values.similarities[0].metrics == {"cosine": 0.81, "atol": 1.95}
    assert values.problems == ("line 3: incomplete row",)


def test_a_quant_config_is_recognised_with_its_settings(tmp_path: Path) -> None:
    value = {"model_config": {"all_node_type": "int16"}, "node_config": {"Conv_0": {"qtype": "int8"}}, "nodes": {}}
    artifact = read(json.dumps(value), tmp_path, "quant_config.json")
    assert artifact.settings == {"model_config": {"all_node_type": "int16"}, "node_config": {"Conv_0.qtype": "int8"}}
    assert artifact.problems == ("unknown keys: nodes",)


def test_monitors_of_a_board_are_read(tmp_path: Path) -> None:
    ddr = read("timestamp,read_MiB/s,write_MiB/s\n1,2000.0,1000.0\n2,3000.0,1500.0\n3,1\n", tmp_path, "ddr.csv")
    assert ddr.facts["mean read_MiB/s"] == 2500.0 and ddr.problems == ("line 4: incomplete row",)
    figures = read(MONITOR, tmp_path).facts["figures"]
    assert isinstance(figures, list) and [(row["what"], row["value"]) for row in figures] == [
        ("core 0 busy", 85.2),
        ("DDR read", 2048.5),
    ]
    csv = read("ucp_version,3.14.7\nrunning_condition\nthread_num,1\naverage_latency,4.62\n", tmp_path, "profiler.csv")
    assert csv.versions == {"ucp": "3.14.7"} and csv.facts["average_latency"] == "4.62"


def test_removable_nodes_are_listed(tmp_path: Path) -> None:
    assert read(REMOVABLE, tmp_path).facts["removable_nodes"] == ["Quantize_0"]


@pytest.mark.parametrize("whole", [True, False])
def test_a_profile_of_onnxruntime_is_summed_per_op(whole: bool, tmp_path: Path) -> None:
    text = json.dumps(PROFILE)
    artifact = read(text if whole else text[:-20], tmp_path, "onnxruntime_profile.json")
    rows = artifact.facts["ops"]
    assert isinstance(rows, list) and rows[0] == {"op": "/a/Conv", "runs": 2, "mean_us": 40.0, "sum_us": 80.0}
    assert bool(artifact.problems) is not whole


TEXTS = {
    "verifier": VERIFIER,
    "hmct": HMCT,
    "modifier": MODIFIER,
    "sensitivity": SENSITIVITY,
    "per layer": PER_LAYER,
    "monitor": MONITOR,
    "removable": REMOVABLE,
    "profile": json.dumps(PROFILE, indent=1),
    "ddr": "timestamp,read_MiB/s,write_MiB/s\n1,2000.0,1000.0\n2,3000.0,1500.0\n",
    "csv": "ucp_version,3.14.7\nrunning_condition\nthread_num,1\naverage_latency,4.62\n",
    "quant config": json.dumps({"model_config": {"all_node_type": "int16"}, "node_config": {"a": {"qtype": "int8"}}}),
}
FOREIGN = [
    "",
    "| |",
    "####",
    '{"a": ',
    "timestamp,read",
    "  0: busy=1%",
    "|--",
    "\x1b[0m",
    "ValueError: the a_b is invalid",
]


@pytest.mark.parametrize("name", TEXTS)
@settings(max_examples=40)
@given(data=st.data())
def test_a_damaged_file_is_read_without_an_exception(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Cut, repeated, reordered and foreign lines."""
    lines = TEXTS[name].splitlines(keepends=True)
    chosen = data.draw(st.lists(st.sampled_from([*lines, *(f"{one}\n" for one in FOREIGN)]), max_size=12))
    text = "".join([*lines[: data.draw(st.integers(0, len(lines)))], *chosen])
    path = tmp_path_factory.mktemp("damaged") / "x.txt"
    path.write_text(text[: data.draw(st.integers(0, len(text)))])
    artifact = read_any(path, *board_readers())
    assert artifact is None or artifact.kind
