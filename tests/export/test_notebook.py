"""`harness.load_run`, `harness.run` and `harness.compare`, and the notebook of docs/ in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

import harness
from harness.errors import InputError
from tests.support import fixtures_run as runs
from tests.support.nets import float_model

ROOT = Path(__file__).resolve().parents[2]


def test_import_brings_neither_numpy_nor_pandas() -> None:
    program = "import harness, sys; print([m for m in ('numpy', 'pandas', 'onnx') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert shown.stdout.strip() == "[]"


def test_a_run_folder_is_its_tables(tmp_path: Path) -> None:
    made = runs.diverging_run(18, origin=8)
    (tmp_path / "run.json").write_text(json.dumps(made))
    run = harness.load_run(tmp_path)
    assert run.verdict.word == made["verdict"]["word"]
    assert list(run.layers["name"]) == [layer["name"] for layer in made["comparison"]["layers"]]
    assert "<script" not in run._repr_html_()
    with pytest.raises(InputError):
        harness.load_run(tmp_path / "absent")


def test_an_option_that_no_case_has_is_told_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        harness.run(tmp_path / "a.bin", "emu-x5", thread=3)
    assert "thread" in str(caught.value) and "threads" in caught.value.hint


@pytest.mark.slow
def test_the_notebook_of_the_docs_runs(tmp_path: Path) -> None:
    cells = json.loads((ROOT / "docs/notebook.ipynb").read_text())["cells"]
    program = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    model = tmp_path / "small.onnx"
    onnx.save(float_model("cnn"), model)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"HARNESS_EXAMPLE_ONNX": str(model), "PATH": path}
    finished = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert finished.returncode == 0, finished.stderr
