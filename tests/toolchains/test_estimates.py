"""Estimates of J6's compiler keep every figure; a summary of hb_analyzer holds one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.toolchains import read_any
from harness.toolchains.records import Artifact

SUMMARY = {
    "performance": {"FPS": 812.5, "latency (us)": 1230.8, "latency (us) by segments": [1000.0, 230.8]},
    "DDR access data": {"DDR megabytes per run": 30.5, "input memory": 150528, "dynamic memory": 3000000},
    "interval info": {"interval number": 2, "interval computing unit utilization": [0.71, 0.33]},
    "layer details": [
        {"layer name": "Conv_0", "computing cost (no DDR)": "59 us (8% of model)", "load cost": "3 us (1% of model)",
         "store cost": "0 us (0% of model)", "origin ops": 236027904},
    ],
    "model info": {"BPU march": "nash-e", "compiling HBDK version": "4.9.7", "double int8 macs": 16},
}  # fmt: skip


def read(value: object, folder: Path) -> Artifact:
    (folder / "model.json").write_text(json.dumps(value))
    artifact = read_any(folder / "model.json")
    assert artifact is not None
    return artifact


def test_every_figure_of_a_j6_estimate_is_kept(tmp_path: Path) -> None:
    artifact = read({"summary": SUMMARY, "coreSummaryGroup": [], "details": []}, tmp_path)
    assert (artifact.march, artifact.versions, artifact.problems) == ("nash-e", {"hbdk": "4.9.7"}, ())
    assert artifact.estimates[0].latency_us == 1230.8
    (layer,) = artifact.layers
    assert (layer.operations, layer.compute_us, layer.load_store_us) == (236027904, 59.0, 3.0)
    facts = artifact.facts
    assert facts["DDR megabytes per run"] == 30.5 and facts["input memory"] == 150528
    assert facts["latency (us) by segments"] == [1000.0, 230.8]
    assert facts["interval computing unit utilization"] == [0.71, 0.33] and facts["double int8 macs"] == 16


def test_a_summary_of_hb_analyzer_shows_its_estimate_and_tables(tmp_path: Path) -> None:
    value = {
        "hbm_key_indicators": [{"title": "latency", "value": 1.2, "unit": "ms"}],
        "bc_quantized_model_cpu_ops": ["Resize"],
        "perf_json_data": {"summary": SUMMARY},
    }
    artifact = read(value, tmp_path)
    assert "hb_analyzer" in artifact.title and artifact.estimates[0].fps == 812.5 and artifact.problems == ()
    assert artifact.facts["bc_quantized_model_cpu_ops"] == ["Resize"] and artifact.facts["hbm_key_indicators"]


def test_a_summary_is_read_whole(tmp_path: Path) -> None:
    """Blocks where the summary has no layers, DDR traffic, memory, and the products by operand types."""
    summary = {key: value for key, value in SUMMARY.items() if key != "layer details"}
    blocks = [{"block": "enc.0.attn.softmax.exp", "total_time_us": 560.5}, {"block": "x", "total_time_us": "much"}, 3]
    value: dict[str, Any] = {
        "perf_json_data": {"summary": summary},
        "hbm_block_time": blocks,
        "hbm_ddr_bytes_per_run": 125829120,
    }
    artifact = read(value, tmp_path)
    (layer,) = artifact.layers
    assert (layer.name, layer.total_us, layer.compute_us) == ("enc.0.attn.softmax.exp", 560.5, None)
    assert "2 rows of hbm_block_time are not rows" in artifact.problems
    assert any("hbm_ddr_bytes_per_run is 125829120" in problem for problem in artifact.problems)  # against 30.5 MB
    (estimate,) = artifact.estimates
    assert estimate.ddr_bytes == 31981568 and estimate.memory_bytes == {"inputs": 150528, "features": 3000000}
    assert estimate.mac_shares == {"int8": 1.0}
    del value["perf_json_data"]["summary"]["DDR access data"]
    alone = read(value, tmp_path)
    assert alone.estimates[0].ddr_bytes == 125829120


def test_shares_of_products_are_of_all_operand_types(tmp_path: Path) -> None:
    counted = {"double int8 macs": 16, "feature int16 weight int8 macs": 84, "double int16 macs": 0, "x macs": 9}
    artifact = read({"summary": {**SUMMARY, "model info": counted}}, tmp_path)
    shares = artifact.estimates[0].mac_shares
    assert shares == {"int8": 0.16, "int16 features, int8 weights": 0.84, "int16": 0.0}
    none = read({"summary": {**SUMMARY, "model info": {"double int8 macs": 0, "double int16 macs": "x"}}}, tmp_path)
    assert none.estimates[0].mac_shares == {}


def test_loaded_and_stored_bytes_are_exact_where_megabytes_are_rounded(tmp_path: Path) -> None:
    moved = {"DDR megabytes per run": 30.5, "loaded bytes per run": 27000000, "stored bytes per run": 4982000}
    artifact = read({"summary": {**SUMMARY, "DDR access data": moved}}, tmp_path)
    assert artifact.estimates[0].ddr_bytes == 31982000
