"""`harness.load_run`, `harness.run` and `harness.compare`, and the notebook of docs/ in a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

import harness
from harness.cli import cli
from harness.errors import InputError
from harness.records import Comparison
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


def test_a_list_of_md5s_is_compared_as_the_command_does(tmp_path: Path) -> None:
    (tmp_path / "pc").mkdir()
    for name, values in (("a", [1.0, 2.0]), ("b", [3.0, 4.0])):
        np.array(values, np.float32).tofile(tmp_path / "pc" / f"{name}.bin")
    listed = tmp_path / "md5s.txt"
    digest = hashlib.md5((tmp_path / "pc/a.bin").read_bytes()).hexdigest()
    listed.write_text(f"{digest}  a.bin\n{'0' * 32}  b.bin\n")
    compared = harness.compare(tmp_path / "pc", listed)
    command = CliRunner().invoke(cli, ["compare", str(tmp_path / "pc"), str(listed), "--json"])
    assert compared.verdict.exit_code == command.exit_code == 1
    assert compared.verdict.word == json.loads(command.stdout)["verdict"]["word"]
    assert sorted(zip(compared.layers["name"], compared.layers["verdict"], strict=True)) == [
        (row["name"], row["verdict"]) for row in sorted(json.loads(command.stdout)["layers"], key=lambda r: r["name"])
    ]
    with pytest.raises(InputError, match="policy"):
        harness.compare(tmp_path / "pc", listed, policy="default")


def test_swapped_folders_are_refused(tmp_path: Path) -> None:
    for name, facts in (("board", {}), ("reference", {"runner": {"onnxruntime": "1"}})):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "y.npy", np.ones((2, 3), np.float32))
        if facts:
            tensor = {"file": "y.npy", "dtype": "f32", "shape": [2, 3]}
            (tmp_path / name / "manifest.json").write_text(json.dumps({"tensors": {"y": tensor}} | facts))
    with pytest.raises(InputError, match="swapped"):
        harness.compare(tmp_path / "board", tmp_path / "reference")
    command = CliRunner().invoke(cli, ["compare", str(tmp_path / "board"), str(tmp_path / "reference")])
    assert command.exit_code == 2 and "swapped" in command.output + command.stderr


def test_a_toolchains_float_graph_is_judged_by_its_policy_on_both_ways(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for layer in ("x", "y", "z"):
        values = rng.normal(0, 1, (1, 8, 16, 16)).astype(np.float32)
        step = np.float32(np.abs(values).max() / 127)
        for name, written in (("golden", values), ("board", np.round(values / step).astype(np.float32) * step)):
            (tmp_path / name / "npy").mkdir(parents=True, exist_ok=True)
            np.save(tmp_path / name / "npy" / f"{layer}.npy", written)
    golden, board = tmp_path / "golden", tmp_path / "board"
    command = CliRunner().invoke(cli, ["compare", str(golden), str(board), "--json"])
    compared = harness.compare(golden, board)
    answer = json.loads(command.stdout)
    assert answer["policy"] == "float-reference"
    assert isinstance(compared.record, Comparison) and compared.record.policy == answer["policy"]
    assert compared.verdict.word == answer["verdict"]["word"]
