"""The runner of ONNX Runtime boards, started as a board starts it; no board in between."""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from harness.assets import asset
from harness.platforms.ort.text import lines_of
from harness.reference.graph import logical_tensors
from tests.support.ort_models import chain, noise, run_runner, small_float, small_quantized


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_float(tmp_path_factory.mktemp("float") / "small.onnx")


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_quantized(tmp_path_factory.mktemp("quantized") / "q.onnx")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "x.bin"
    noise((1, 3, 8, 8)).tofile(path)
    return path


def expected(model: Path, names: list[str] | None = None) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    proto = onnx.load(str(model))
    proto.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names or [])
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return session.run(names, {name: noise((1, 3, 8, 8))})


def test_release_writes_the_models_outputs_with_their_hashes(model: Path, picture: Path, tmp_path: Path) -> None:
    ran = run_runner(tmp_path / "run", model, "--input", str(picture), "--optimizations", "disabled")
    assert ran.code == 0, ran.log
    y, z = expected(model)
    np.testing.assert_array_equal(ran.tensor("y"), y)
    np.testing.assert_array_equal(ran.tensor("z"), z)
    row = ran.manifest["tensors"][0]
    assert row["md5"] == hashlib.md5((ran.folder / row["file"]).read_bytes()).hexdigest()
    assert row["bytes"] == y.nbytes


def test_debug_writes_every_tensor_of_a_float_model_with_its_true_values(
    model: Path, picture: Path, tmp_path: Path
) -> None:
    flags = ("--mode", "debug", "--input", str(picture), "--optimizations", "disabled", "--dump", "all")
    ran = run_runner(tmp_path / "run", model, *flags)
    assert {row["name"] for row in ran.manifest["tensors"]} == {"c1", "r1", "pooled", "y", "z"}
    for name, wanted in zip(("c1", "r1", "pooled"), expected(model, ["c1", "r1", "pooled"]), strict=True):
        np.testing.assert_array_equal(ran.tensor(name), wanted)
    assert ran.manifest["debug_vs_release"] == "same"
    assert not (ran.folder / "marked.onnx").exists()


def test_small_batches_give_the_same_tensors_as_one_batch(model: Path, picture: Path, tmp_path: Path) -> None:
    flags = ("--mode", "debug", "--input", str(picture), "--dump", "all", "--optimizations", "disabled")
    one = run_runner(tmp_path / "one", model, *flags)
    many = run_runner(tmp_path / "many", model, *flags, "--dump-bytes", "600")
    assert one.manifest["batches"] == 1
    assert many.manifest["batches"] == 3
    hashes = [{row["name"]: row["md5"] for row in ran.manifest["tensors"]} for ran in (one, many)]
    assert hashes[0] == hashes[1]


def test_layers_of_a_quantized_model_are_the_integers_that_the_reference_has(
    quantized: Path, picture: Path, tmp_path: Path
) -> None:
    ran = run_runner(tmp_path / "run", quantized, "--mode", "debug", "--input", str(picture))
    dumped = {row["name"] for row in ran.manifest["tensors"] if not row["is_output"]}
    wanted = {tensor.onnx_name for tensor in logical_tensors(quantized)}
    assert dumped == wanted
    assert {row["dtype"] for row in ran.manifest["tensors"] if not row["is_output"]} == {"s8"}


def test_scale_and_zero_point_in_the_manifest_are_those_of_the_logical_graph(
    quantized: Path, picture: Path, tmp_path: Path
) -> None:
    ran = run_runner(tmp_path / "run", quantized, "--mode", "debug", "--input", str(picture))
    rows = {row["name"]: row for row in ran.manifest["tensors"]}
    for tensor in logical_tensors(quantized):
        written, expected = rows[tensor.onnx_name]["quantization"], tensor.spec.quantization
        assert expected is not None
        assert written["scales"] == pytest.approx(list(expected.scales))
        assert written["zero_points"] == list(expected.zero_points)


def test_marking_tensors_reports_whether_the_outputs_noticed(quantized: Path, picture: Path, tmp_path: Path) -> None:
    flags = ("--mode", "debug", "--input", str(picture), "--optimizations", "disabled")
    assert run_runner(tmp_path / "off", quantized, *flags).manifest["debug_vs_release"] == "same"


def test_chosen_tensors_only_are_dumped(model: Path, picture: Path, tmp_path: Path) -> None:
    ran = run_runner(tmp_path / "run", model, "--mode", "debug", "--input", str(picture), "--dump", "r1")
    assert [row["name"] for row in ran.manifest["tensors"] if not row["is_output"]] == ["r1"]


def test_profile_times_every_op_and_every_frame(model: Path, picture: Path, tmp_path: Path) -> None:
    flags = (
        "--mode",
        "profile",
        "--input",
        str(picture),
        "--frames",
        "4",
        "--warmup",
        "2",
        "--optimizations",
        "disabled",
    )
    ran = run_runner(tmp_path / "run", model, *flags)
    ops = json.loads((ran.folder / "ops.json").read_text())
    latency = json.loads((ran.folder / "latency.json").read_text())
    assert {row["name"] for row in ops["ops"]} == {"conv1", "relu1", "conv2", "pool", "same"}
    assert {row["count"] for row in ops["ops"]} == {4}
    assert len(latency["samples_us"]) == latency["frames"] == 4
    assert (ran.folder / "trace.json").is_file()


def test_memory_grows_from_import_to_load_to_run(model: Path, picture: Path, tmp_path: Path) -> None:
    ran = run_runner(tmp_path / "run", model, "--mode", "memory", "--input", str(picture))
    figures = json.loads((ran.folder / "memory.json").read_text())
    assert 0 < figures["import_bytes"] <= figures["load_bytes"] <= figures["peak_bytes"]


@pytest.mark.slow
def test_the_memory_of_a_debug_run_does_not_grow_with_what_it_dumps(tmp_path: Path) -> None:
    picture = tmp_path / "x.bin"
    noise((1, 16, 256, 256)).tofile(picture)
    peaks = []
    for layers in (10, 60):
        model = chain(tmp_path / f"{layers}.onnx", layers)
        flags = ("--mode", "debug", "--input", str(picture), "--dump", "all", "--dump-bytes", str(16 * 2**20))
        ran = run_runner(tmp_path / str(layers), model, *flags, "--optimizations", "disabled")
        peaks.append(lines_of(ran.log)["result"][0]["peak_bytes"])
        dumped = sum(row["bytes"] for row in ran.manifest["tensors"])
    assert dumped == 60 * 4 * 2**20
    assert peaks[1] - peaks[0] < 40 * 2**20


@pytest.mark.parametrize("name", ["ort_runner.py", "ort_io.py", "ort_model.py"])
def test_the_runner_is_written_for_python_3_8(name: str) -> None:
    source = asset(f"agents/{name}").read_text()
    ast.parse(source, feature_version=(3, 8))
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert imported <= {*sys.stdlib_module_names, "numpy", "onnxruntime"}


def test_an_npy_input_by_name_is_the_same_as_raw_bytes_by_order(model: Path, picture: Path, tmp_path: Path) -> None:
    npy = tmp_path / "x.npy"
    np.save(npy, noise((1, 3, 8, 8)))
    raw = run_runner(tmp_path / "raw", model, "--input", str(picture))
    named = run_runner(tmp_path / "npy", model, "--input", f"x={npy}")
    assert raw.manifest["tensors"][0]["md5"] == named.manifest["tensors"][0]["md5"]


def test_an_open_dimension_follows_from_the_size_of_the_file(tmp_path: Path) -> None:
    model = tmp_path / "open.onnx"
    small_float(model, side="side")
    picture = tmp_path / "x.bin"
    noise((1, 3, 1, 24)).tofile(picture)
    ran = run_runner(tmp_path / "run", model, "--input", str(picture))
    assert ran.tensor("y").shape == (1, 2, 1, 24)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--input", "nothing.bin"), "error: missing_input: "),
        ((), "error: missing_input: no file for input x"),
        (("--input", __file__), "error: input_size: "),
        (("--provider", "Warp"), "error: unknown_provider: this onnxruntime has no Warp provider; it has"),
        (("--threads", "-1"), "error: bad_option: "),
        (("--config", "nonsense"), "error: bad_option: "),
    ],
)
def test_every_refusal_is_one_line_with_its_kind(
    model: Path, tmp_path: Path, flags: tuple[str, ...], message: str
) -> None:
    ran = run_runner(tmp_path / "run", model, *flags)
    assert ran.code == 1
    assert ran.log.splitlines()[-1].startswith(message), ran.log
    assert "Traceback" not in ran.log


def test_a_tensor_that_does_not_exist_is_named(model: Path, picture: Path, tmp_path: Path) -> None:
    ran = run_runner(tmp_path / "run", model, "--mode", "debug", "--input", str(picture), "--dump", "r1,absent")
    assert ran.log.splitlines()[-1] == "error: unknown_tensor: the model computes no tensor absent"


@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"HARNEMU1" + b"x" * 100, b"\x08\x08\x3a\xff\xff\x03abc"])
def test_a_file_that_is_no_model_is_a_bad_model(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    ran = run_runner(tmp_path / "run", path)
    assert ran.code == 1
    assert "error: bad_model: " in ran.log.splitlines()[-1]


def test_a_python_without_the_libraries_says_which_one_is_missing(model: Path, tmp_path: Path) -> None:
    empty = tmp_path / "python"
    empty.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    empty.chmod(0o755)
    ran = run_runner(tmp_path / "run", model, python=str(empty))
    assert ran.log.splitlines()[-1].startswith("error: no_numpy: ")


def test_session_options_reach_onnxruntime(quantized: Path, picture: Path, tmp_path: Path) -> None:
    flags = ("--input", str(picture), "--config", "session.qdqisint8allowed=1", "--threads", "2")
    ran = run_runner(tmp_path / "run", quantized, *flags)
    assert ran.manifest["settings"]["config"] == {"session.qdqisint8allowed": "1"}
    assert ran.manifest["settings"]["threads"] == 2
