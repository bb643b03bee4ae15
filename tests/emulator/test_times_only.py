"""`--times-only`: the same places and times as a whole build, no values, and no claim of any."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.emulator.build import build
from harness.emulator.compiler.compile import BuildOptions, compile_model
from harness.emulator.cost.estimate import subgraph_us
from harness.emulator.horizon.socs import SOCS
from harness.emulator.model.compiled import CompiledFile
from harness.emulator.model.execute import Executor
from harness.errors import InputError
from tests.emulator.test_one_work import fused
from tests.support.toolchain_samples import ROOT, SAMPLES

WHOLE = BuildOptions(soc=SOCS["x5"], on_cpu=("erf",))
TIMES = replace(WHOLE, times_only=True)


def test_a_model_without_values_has_the_places_and_times_of_one_with_them(tmp_path: Path) -> None:
    path = fused(tmp_path / "net.onnx")
    whole, times = compile_model(path, WHOLE).model, compile_model(path, TIMES).model
    assert [(op.name, op.unit, op.subgraph, op.works) for op in times.ops] == [
        (op.name, op.unit, op.subgraph, op.works) for op in whole.ops
    ]
    assert times.steps == whole.steps and whole.graph and not times.graph
    assert times.notes == ("calibration: none: times only, values are not computed",)


def test_nothing_that_would_be_taken_for_values_lies_beside_it(tmp_path: Path) -> None:
    built = build([fused(tmp_path / "net.onnx")], TIMES, None)
    assert {path.name for path in built.files} == {
        "net.bin", "net.md5", "net_hb_mapper_makertbin.log", "net_quant_info.json",
    }  # fmt: skip
    file = CompiledFile(tmp_path / "net.bin")
    with pytest.raises(InputError, match="built with --times-only"):
        Executor(file, file.models[0])


def test_int16_doubles_the_compute_of_the_nodes_that_are_named(tmp_path: Path) -> None:
    path = fused(tmp_path / "net.onnx")
    narrow, one, every = (compile_model(path, replace(TIMES, int16=names)).model for names in ((), ("conv",), ("all",)))
    doubled = [op.name for op, was in zip(one.ops, narrow.ops, strict=True) if op.works != was.works]
    assert doubled == ["conv"]
    us = [subgraph_us(model, model.ops[0].subgraph, SOCS["x5"]) for model in (narrow, one, every)]
    assert us[0] < us[1] < us[2]


def test_a_quantized_model_has_values_already(tmp_path: Path) -> None:
    build([fused(tmp_path / "net.onnx")], WHOLE, None)
    with pytest.raises(InputError, match="--times-only does not apply"):
        compile_model(tmp_path / "net_quantized_model.onnx", TIMES)


@pytest.mark.slow
def test_eight_published_networks_take_on_the_board_what_the_formula_says() -> None:
    if not (SAMPLES / "topologies").is_dir():
        pytest.skip(f"published latencies and graphs are not here: {SAMPLES} (set HARNESS_SAMPLES)")
    argv = [sys.executable, str(ROOT / "benchmarks" / "estimate.py"), "--only", "8", "--json"]
    result = subprocess.run(argv, capture_output=True, text=True, check=True)
    figures = json.loads(result.stdout.splitlines()[-1])
    assert figures["models"] == 8 and figures["formula_vs_board_max"] <= 1.02
    assert figures["report_median_abs_error"] <= 0.1
