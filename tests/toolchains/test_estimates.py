"""Estimates of J6's compiler keep every figure; a summary of hb_analyzer holds one."""

from __future__ import annotations

import json
from pathlib import Path

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
