"""What rknn-toolkit2 leaves of our own network, where somebody has installed it: a build, a snapshot, an analysis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.emulator.sophgo.stand_in import TORCH
from tests.support.toolchain_samples import ROOT

# The vendor's package in its own interpreter (docs/boards/rockchip.md has what to install).
SCRIPT = """\
import sys
from rknn.api import RKNN

model, dataset, sample = sys.argv[1:]
rknn = RKNN(verbose=True)
assert rknn.config(target_platform="rk3588") == 0
assert rknn.load_onnx(model=model) == 0
assert rknn.build(do_quantization=True, dataset=dataset) == 0
assert rknn.export_rknn("digits.rknn") == 0
assert rknn.accuracy_analysis(inputs=[sample], output_dir="snapshot") == 0
"""


@pytest.mark.slow
def test_a_build_and_its_analysis_are_read(tmp_path: Path) -> None:
    python = os.environ.get("HARNESS_RKNN_PYTHON", "")
    if not python:
        pytest.skip("HARNESS_RKNN_PYTHON names no Python with rknn-toolkit2, whose licence is proprietary")
    examples = [sys.executable, str(ROOT / "scripts/build_examples.py"), str(tmp_path), "digits"]
    subprocess.run(examples, check=True, capture_output=True)
    samples = sorted((tmp_path / "digits_calibration").glob("*.npy"))[:8]
    for path in samples:
        np.save(path, np.load(path).reshape(1, 1, 8, 8))
    (tmp_path / "dataset.txt").write_text("".join(f"{path}\n" for path in samples))
    # `torch` is imported by the package, and ONNX models need none: a stand-in serves.
    (tmp_path / "stand_in/torch").mkdir(parents=True)
    (tmp_path / "stand_in/torch/__init__.py").write_text(TORCH)
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "stand_in")}
    argv = [python, "-c", SCRIPT, str(tmp_path / "digits.onnx"), str(tmp_path / "dataset.txt"), str(samples[0])]
    with (tmp_path / "build.log").open("w") as log:
        made = subprocess.run(argv, cwd=tmp_path, env=environment, stdout=log, stderr=log, check=False, timeout=300)
    assert made.returncode == 0, (tmp_path / "build.log").read_text()[-2000:]

    def read(*words: str) -> dict[str, object]:
        result = CliRunner().invoke(cli, [*words, "--json"])
        assert result.exit_code in (0, 1), result.output
        answer: dict[str, object] = json.loads(result.stdout)
        return answer

    def inspected(path: Path) -> dict[str, Any]:
        (file,) = read("inspect", str(path))["files"]  # type: ignore[misc]
        return dict(file)

    build, model, snapshot = (
        inspected(tmp_path / "build.log"),
        inspected(tmp_path / "digits.rknn"),
        tmp_path / "snapshot",
    )
    assert (build["kind"], model["kind"], model["march"]) == ("rknn_build", "rknn_model", "rk3588")
    assert {node["unit"] for node in build["nodes"]} <= {"NPU", "CPU"} and len(build["nodes"]) >= 6
    # The analysis stands in the same log.
    assert {"estimate", "simulator_entire"} <= {one["kind"] for one in build["similarities"]}
    assert inspected(snapshot / "error_analysis.txt")["kind"] == "rknn_error_analysis"
    compared = read("compare", str(snapshot / "golden"), str(snapshot / "simulator"), "--policy", "float-reference")
    layers = compared["layers"]
    assert isinstance(layers, list) and sum(row["verdict"] != "not_compared" for row in layers) >= 6
