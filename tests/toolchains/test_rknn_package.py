"""What rknn-toolkit2 leaves of our own network, where somebody has installed it: a build, a snapshot, an analysis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli import cli
from tests.support.toolchain_samples import ROOT

# The vendor's package in its own interpreter. `torch` is imported by it, and ONNX models need none: a stand-in serves.
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
    argv = [python, "-c", SCRIPT, str(tmp_path / "digits.onnx"), str(tmp_path / "dataset.txt"), str(samples[0])]
    with (tmp_path / "build.log").open("w") as log:
        made = subprocess.run(argv, cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT, check=False, timeout=300)
    assert made.returncode == 0, (tmp_path / "build.log").read_text()[-2000:]

    def read(*words: str) -> dict[str, object]:
        result = CliRunner().invoke(cli, [*words, "--json"])
        assert result.exit_code in (0, 1), result.output
        answer: dict[str, object] = json.loads(result.stdout)
        return answer

    kinds = {name: read("inspect", str(tmp_path / name))["kind"] for name in ("build.log", "digits.rknn")}
    assert kinds == {"build.log": "rknn_build", "digits.rknn": "rknn_model"}
    snapshot = tmp_path / "snapshot"
    assert read("inspect", str(snapshot / "error_analysis.txt"))["kind"] == "rknn_error_analysis"
    compared = read("compare", str(snapshot / "golden"), str(snapshot / "simulator"), "--policy", "float-reference")
    layers = compared["layers"]
    assert isinstance(layers, list) and sum(row["verdict"] != "not_compared" for row in layers) >= 6
