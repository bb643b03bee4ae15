"""`harness inspect`: what a file is, by its content, on the real command."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper

from harness.cli import cli
from tests.support.toolchain_samples import SAMPLES, TOOLCHAIN, sample, x5_log


@dataclass
class InspectResult:
    returncode: int
    stdout: str
    stderr: str


def inspect(*argv: str | Path) -> InspectResult:
    """The real command, in this process."""
    result = CliRunner().invoke(cli, ["inspect", *map(str, argv)], prog_name="harness")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return InspectResult(result.exit_code, result.stdout, result.stderr)


def facts(path: Path) -> dict[str, Any]:
    result = inspect(path, "--json")
    assert result.returncode == 0, result.stderr
    first: dict[str, Any] = json.loads(result.stdout)["files"][0]
    return first


def test_a_toolchain_log_shows_placement_estimates_and_meanings(tmp_path: Path) -> None:
    log = tmp_path / "hb_mapper_makertbin.log"
    log.write_text(x5_log())
    result = inspect(log)
    assert result.returncode == 0
    for words in (
        "hb_mapper log",
        "bayes-e",
        "nodes     5: 4 BPU, 1 CPU; 2 BPU segments",
        "main_graph_subgraph_1: 3090.1 us",
        "0.985373",
        "neither a setting nor a loss",
    ):
        assert words in result.stdout, words


def test_nodes_can_be_filtered(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text(x5_log())
    shown = inspect(log, "--nodes", "CPU").stdout
    assert "/net/Softmax" in shown and "/net/conv1/Conv" not in shown


def test_several_files_become_one_json_object(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text(x5_log())
    (tmp_path / "a.npy").write_bytes(b"")
    np.save(tmp_path / "b.npy", np.zeros((2, 3), np.int8))
    result = inspect(log, tmp_path / "b.npy", "--json")
    value = json.loads(result.stdout)
    assert [one["kind"] for one in value["files"]] == ["hb_mapper_log", "npy"]
    assert value["files"][1]["facts"] == {"dtype": "int8", "shape": [2, 3]}


@pytest.mark.parametrize("content", [b"hello\n", b"\x00\x01\x02rubbish", b"{}", b"[1, 2]", b"\xff\xfe"])
def test_a_file_of_no_known_kind_is_exit_2_with_what_is_known(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "thing"
    path.write_bytes(content)
    result = inspect(path)
    assert result.returncode == 2 and result.stdout == ""
    assert "unrecognised file type" in result.stderr and "hint: see harness inspect --kinds" in result.stderr
    assert "harness run" in inspect("--kinds").stdout.splitlines()


def test_the_program_itself_answers_the_same(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text(x5_log())
    argv = [sys.executable, "-m", "harness", "inspect", str(log), "--json"]
    result = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert result.returncode == 0 and json.loads(result.stdout) == json.loads(inspect(log, "--json").stdout)


def test_a_missing_file_is_exit_2(tmp_path: Path) -> None:
    result = inspect(tmp_path / "nothing.log")
    assert result.returncode == 2 and "no such file" in result.stderr


def test_escape_sequences_of_a_file_never_reach_the_terminal(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text(x5_log().replace("/net/conv1/Conv", "/net/\x07conv1/Co"))
    assert "\x07" not in inspect(log).stdout


def test_an_onnx_model_shows_its_ops_and_opset(tmp_path: Path) -> None:
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", info[:1], info[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)])
    onnx.save(model, str(tmp_path / "m.onnx"))
    shown = facts(tmp_path / "m.onnx")
    assert shown["kind"] == "onnx" and shown["facts"]["ops"] == {"Relu": 1}
    assert shown["facts"]["opset"] == {"ai.onnx": 11}
    assert shown["facts"]["inputs"] == [{"name": "x", "dtype": "float", "shape": [1, 4]}]
    (tmp_path / "cut.onnx").write_bytes((tmp_path / "m.onnx").read_bytes()[:-7])
    assert facts(tmp_path / "cut.onnx")["problems"]


def test_a_model_of_an_emulated_board_is_not_a_vendors(tmp_path: Path) -> None:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("meta.json", '{"march": "bayes-e"}')
    (tmp_path / "m.bin").write_bytes(b"HARNEMU1" + body.getvalue())
    shown = facts(tmp_path / "m.bin")
    assert shown["kind"] == "emulator_model" and shown["facts"]["meta.json"] == {"march": "bayes-e"}
    (tmp_path / "cut.bin").write_bytes((b"HARNEMU1" + body.getvalue())[:40])
    assert facts(tmp_path / "cut.bin")["problems"]


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        (
            {"models": [{"name": "net", "march": "nna1", "source": "net.onnx", "outputs": ["y"],
                         "ops": [{"unit": "NNA"}] * 3,
                         "inputs": [{"name": "x", "kind": "nv12", "spec": {"shape": [1, 3, 8, 8]}}]}]},
            ["model     net for nna1, of net.onnx", "model's inputs: x nv12 1x3x8x8", "model's ops: 3"],
        ),
        ({"models": [{"name": "a"}, {"name": "b", "inputs": [{}, 7]}]}, ["model 1   a for", "model 2   b for"]),
        ({"models": "none"}, ["meta.json: models none"]),
        ([1], ["meta.json: 1"]),
    ],
)  # fmt: skip
def test_a_model_of_an_emulated_board_is_told_in_a_few_words(tmp_path: Path, meta: Any, words: list[str]) -> None:
    with zipfile.ZipFile(tmp_path / "body", "w") as archive:
        archive.writestr("meta.json", json.dumps(meta))
    (tmp_path / "m.bin").write_bytes(b"HARNEMU1" + (tmp_path / "body").read_bytes())
    result = inspect(tmp_path / "m.bin")
    assert result.returncode == 0 and [line for line in words if line not in result.stdout] == []


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "nothing.bin").touch()
    result = inspect(tmp_path / "nothing.bin")
    assert result.returncode == 2 and "nothing.bin: empty" in result.stderr


def test_a_vendor_model_is_known_by_what_stands_in_it_or_by_its_name_only(tmp_path: Path) -> None:
    text = b'\x00\x01{"BUILDER_VERSION": "3.5.16", "HBDK_VERSION": "4.11.11", "MARCH": "nash-p"}\x00'
    (tmp_path / "a.hbm").write_bytes(text)
    shown = facts(tmp_path / "a.hbm")
    assert (shown["kind"], shown["march"]) == ("vendor_model", "nash-p")
    assert shown["versions"] == {"hbdk": "4.11.11", "builder": "3.5.16"}
    (tmp_path / "b.bin").write_bytes(bytes(100))
    named = facts(tmp_path / "b.bin")
    assert named["facts"]["recognised_by"] == "name only" and named["march"] == "" and named["problems"]


def test_runs_references_and_arrays(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text('{"format": 1, "id": "a/b/c", "state": "complete", "modes": [{"mode": "release"}]}')
    assert facts(run)["facts"]["modes"] == ["release"]
    assert facts(run / "run.json")["kind"] == "run"
    reference = tmp_path / "reference"
    reference.mkdir()
    (reference / "manifest.json").write_text('{"kind": "onnx", "tensors": [{"name": "y", "dtype": "s8"}]}')
    assert facts(reference)["facts"]["tensors"][0]["name"] == "y"
    (reference / "manifest.json").write_text('{"kind": "on')
    assert facts(reference)["problems"]
    np.savez(tmp_path / "r.npz", y=np.zeros(3))
    assert facts(tmp_path / "r.npz")["facts"] == {"arrays": ["y"]}


def test_board_files_are_read_by_the_platforms(tmp_path: Path) -> None:
    profiler = {
        "perf_result": {"FPS": 100.0, "average_latency": 10.0},
        "running_condition": {"frame_count": 50, "thread_num": 1},
    }
    nodes = {"model_latency": {"BPU_g_subgraph_0": {"avg_time": 9.0, "max_time": 9.5, "min_time": 8.5}}}
    (tmp_path / "profiler.log").write_text(f"{json.dumps(profiler)}\n***\n{json.dumps(nodes)}\n")
    shown = facts(tmp_path / "profiler.log")
    assert shown["facts"]["fps"] == 100.0 and shown["facts"]["ops"][0]["mean_us"] == 9000.0
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    (dumps / "layer-3-Softmax-net_Softmax-output-0-y.bin").write_bytes(bytes(16))
    assert facts(dumps)["facts"]["node_dumps"] == 1
    assert facts(dumps / "layer-3-Softmax-net_Softmax-output-0-y.bin")["facts"]["op"] == "net_Softmax"


def test_a_config_is_pointed_at_the_linter() -> None:
    shown = facts(sample("x5_bear_nv12.yaml"))
    assert shown["kind"] == "build_config" and "harness lint" in shown["title"]


def test_a_board_console_of_the_samples() -> None:
    shown = facts(sample("x5_board_hrt_model_exec_log_yolo11n.txt"))
    assert shown["kind"] == "board_console" and len(shown["facts"]["outputs"]) == 6
    assert shown["versions"]["runtime"] == "1.24.5"


def test_no_sample_makes_inspect_fall_over() -> None:
    if not TOOLCHAIN.is_dir():
        pytest.skip(f"real vendor output is not here: {SAMPLES} (set HARNESS_SAMPLES)")
    for path in sorted((SAMPLES / "horizon-board").iterdir())[::6] + sorted(TOOLCHAIN.iterdir())[::9]:
        result = inspect(path)
        assert result.returncode in (0, 2), path
