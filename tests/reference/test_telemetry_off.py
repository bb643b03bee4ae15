"""ONNX Runtime tells nobody anything: its telemetry is off before it is imported, here and on a board."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HARNESS = "import harness.reference.open; print('done')"
CALIBRATOR = "import harness.emulator.compiler.calibration; print('done')"
BOARD = "import sys; sys.path.insert(0, 'agents'); import ort_io; ort_io.libraries(); print('done')"


@pytest.mark.parametrize("code", [HARNESS, CALIBRATOR, BOARD], ids=["harness", "calibrator", "board"])
def test_importing_it_makes_no_device_identifier_and_no_thread_that_sends(code: str, tmp_path: Path) -> None:
    """The official Linux builds make both where they are imported as they are."""
    environment = {key: value for key, value in os.environ.items() if key not in ("ORT_DISABLE_TELEMETRY",)}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    result = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert result.stdout == "done\n", result.stderr
    assert [path.name for path in tmp_path.rglob("*")] == []


def test_only_one_module_imports_it_and_the_calibrator_comes_after() -> None:
    pattern = re.compile(r"^\s*(?:import onnxruntime|from onnxruntime)(.*)$", re.MULTILINE)
    importers = {
        (path.relative_to(ROOT).as_posix(), line)
        for path in (ROOT / "harness").rglob("*.py")
        for line in pattern.findall(path.read_text())
    }
    assert {file for file, line in importers if not line.startswith(".quantization")} == {
        "harness/reference/onnx_runtime.py"
    }
    first = (ROOT / "harness" / "__init__.py").read_text()
    assert 'os.environ["ORT_DISABLE_TELEMETRY"] = "1"' in first
