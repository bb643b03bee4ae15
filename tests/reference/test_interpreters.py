"""agents/reference_runner.py under the old interpreters of vendors' images.

Every one on this machine compiles it; those named in $HARNESS_RUNTIME_PYTHONS (paths with colons, each with numpy and
an onnxruntime of its time) run it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.assets import asset
from tests.support.vendor_models import plain_model, save_input, stand_in_environment, vendor_model

COMPILE = "import sys; compile(open(sys.argv[1]).read(), 'runner', 'exec'); print(sys.version_info[:2])"
OLD = [f"3.{minor}" for minor in range(6, 12)]


def interpreters() -> list[str]:
    """Old Pythons on PATH, and those of pyenv where there is one."""
    on_path = [path for version in OLD if (path := shutil.which(f"python{version}")) is not None]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    kept = [str(path) for version in OLD for path in sorted(pyenv.glob(f"{version}.*/bin/python3"))]
    real = [path for path in (*on_path, *kept) if "/shims/" not in path]  # a shim may name what is not installed
    return sorted({os.path.realpath(path): path for path in real}.values())


def test_old_interpreters_compile_the_script() -> None:
    seen = []
    for python in interpreters():
        argv = [python, "-S", "-c", COMPILE, str(asset("agents/reference_runner.py"))]
        result = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert result.returncode == 0, f"{python}: {result.stderr}"
        seen.append(result.stdout.strip())
    if not any(version in ("(3, 6)", "(3, 7)", "(3, 8)") for version in seen):
        pytest.skip(f"NOT TRIED: no Python 3.6 to 3.8 on this machine (compiled by {', '.join(seen) or 'none'})")


@pytest.mark.slow
@pytest.mark.parametrize("python", [p for p in os.environ.get("HARNESS_RUNTIME_PYTHONS", "").split(":") if p] or [""])
def test_old_runtimes_compute_every_layer(tmp_path: Path, python: str) -> None:
    if not python:
        pytest.skip("NOT TRIED: $HARNESS_RUNTIME_PYTHONS names no interpreter with an old onnxruntime")
    data = save_input(tmp_path / "x.npy", [-1, 0, 1, 2])
    for make, variables in ((plain_model, {}), (vendor_model, stand_in_environment("older"))):
        model = make(tmp_path / f"{make.__name__}.onnx")
        out = tmp_path / make.__name__
        argv = [sys.executable, "-m", "harness", "reference", str(model), "--input", f"x={data}", "-o", str(out)]
        result = subprocess.run(
            [*argv, "--python", python], capture_output=True, text=True, check=False, env={**os.environ, **variables}
        )
        assert result.returncode == 0, result.stderr
        rows = {row["name"]: row["file"] for row in json.loads((out / "manifest.json").read_text())["tensors"]}
        assert np.load(out / rows["b"]).tolist() == [[0, 0, 1, 2]]
        assert np.load(out / rows["y"]).tolist() == [[0, 0, 2, 4]]
