"""Running an ONNX to a reference folder: what is kept, what is recorded, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper

from harness.cli import cli
from harness.errors import InputError
from harness.reference.open import array_md5, model_inputs, open_reference, read_inputs, run_reference
from tests.support.nets import float_model, inputs_of, quantized_model, tiny_model


def relu(shape: list[Any], kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
    return tiny_model([helper.make_node("Relu", ["x"], ["y"], name="relu")], {"x": (kind, shape)}, ["y"])


def saved(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    onnx.save(model, path)
    return path


def test_every_logical_tensor_is_kept_with_its_integers_and_hash(tmp_path: Path) -> None:
    model = quantized_model("pyramid", tmp_path)
    reference = run_reference(model, inputs_of(float_model("pyramid"), 1), tmp_path / "r")
    assert reference.graph is not None and len(reference.tensors) == len(reference.graph.ops) + 1
    for tensor in reference.tensors.values():
        assert tensor.spec is not None and tensor.spec.dtype == "s8" and tensor.spec.quantization is not None
        assert tensor.load().dtype == np.int8 and array_md5(np.array(tensor.load())) == tensor.md5
    assert {n for n, t in reference.tensors.items() if t.is_output} == {"near", "far"}


def test_outputs_are_what_onnxruntime_gives(tmp_path: Path) -> None:
    quantized_model("cnn", tmp_path)
    feed = inputs_of(float_model("cnn"), 1)
    reference = run_reference(tmp_path / "cnn.onnx", feed, tmp_path / "r")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    [wanted] = onnxruntime.InferenceSession(tmp_path / "cnn.onnx", options).run(["logits"], feed)
    assert np.array_equal(reference.tensors["logits"].load(), wanted)


def test_batches_change_nothing(tmp_path: Path) -> None:
    from harness.reference import open as module

    model = quantized_model("cnn", tmp_path)
    feed = inputs_of(float_model("cnn"), 1)
    whole = run_reference(model, feed, tmp_path / "whole")
    limit = module.BATCH_BYTES
    try:
        module.BATCH_BYTES = 1  # every tensor a batch of its own
        parts = run_reference(model, feed, tmp_path / "parts")
    finally:
        module.BATCH_BYTES = limit
    assert {n: t.md5 for n, t in whole.tensors.items()} == {n: t.md5 for n, t in parts.tensors.items()}


def test_a_folder_opens_as_it_was_written(tmp_path: Path) -> None:
    model = quantized_model("two_inputs", tmp_path)
    written = run_reference(model, inputs_of(float_model("two_inputs"), 2), tmp_path / "r")
    opened = open_reference(tmp_path / "r")
    assert opened == written and opened.model == model
    assert [i["name"] for i in opened.provenance["inputs"]] == ["left", "right"]
    model.write_bytes(model.read_bytes() + b" ")
    assert open_reference(tmp_path / "r").model is None  # another file now: single ops would be of another model


def test_optimizations_are_recorded_and_so_is_what_dumping_did(tmp_path: Path) -> None:
    model = quantized_model("cnn", tmp_path)
    feed = inputs_of(float_model("cnn"), 1)
    on = run_reference(model, feed, tmp_path / "on", optimizations="all").provenance["runner"]
    off = run_reference(model, feed, tmp_path / "off").provenance["runner"]
    assert on["optimizations"] == "all" and isinstance(on["dumping_changed_outputs"], bool)
    assert off["optimizations"] == "disabled" and "dumping_changed_outputs" not in off
    assert off["threads"] == 1 and off["onnxruntime"] == onnxruntime.__version__ and "cpu_flags" in off


def test_an_onnx_as_reference_is_run_with_bytes_that_somebody_feeds(tmp_path: Path) -> None:
    path = saved(relu([1, 4]), tmp_path)
    wanted = np.array([[-1, 2, -3, 4]], np.float32)
    requested = []

    def feeds(specs: Any) -> dict[str, bytes]:
        requested.extend(specs)
        return {"x": wanted.tobytes()}

    reference = open_reference(path, feeds=feeds, scratch=tmp_path / "kept")
    assert [spec.shape for spec in requested] == [(1, 4)] and (tmp_path / "kept" / "manifest.json").is_file()
    assert reference.tensors["y"].load().tolist() == [[0, 2, 0, 4]]


def test_an_onnx_without_inputs_says_what_to_add(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        open_reference(saved(relu([1, 4]), tmp_path))
    assert "--input" in caught.value.hint


@pytest.mark.parametrize(
    ("given", "messages"),
    [
        ({}, ["'x': expected f32 1x4", "got nothing"]),
        ({"x": np.zeros((1, 5), np.float32)}, ["f32 1x4", "f32 1x5 (20 bytes)"]),
        ({"x": np.zeros((1, 4), np.float64)}, ["f32 1x4", "f64 1x4"]),
        ({"x": np.zeros((1, 4), np.float32), "z": np.zeros(1)}, ["'z': no such input"]),
    ],
)
def test_inputs_that_do_not_fit_are_listed_as_expected_and_given(
    given: Any, messages: list[str], tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        run_reference(saved(relu([1, 4]), tmp_path), given, tmp_path / "r")
    assert all(text in caught.value.message for text in messages)


def test_raw_bytes_of_the_wrong_size_name_both_sizes_of_every_tensor(tmp_path: Path) -> None:
    add = helper.make_node("Add", ["a", "b"], ["y"], name="add")
    path = saved(tiny_model([add], {"a": [1, 4], "b": [1, 4]}, ["y"]), tmp_path)
    for name, size in (("a", 16), ("b", 15)):
        (tmp_path / f"{name}.bin").write_bytes(bytes(size))
    with pytest.raises(InputError) as caught:
        read_inputs(path, {"a": tmp_path / "a.bin", "b": tmp_path / "b.bin"})
    for text in (
        "'a': expected f32 1x4 (16 bytes), got 16 bytes",
        "'b': expected f32 1x4 (16 bytes), got 15 bytes",
    ):
        assert text in caught.value.message


def test_a_dynamic_size_takes_its_number_from_an_npy_and_never_from_bytes(tmp_path: Path) -> None:
    path = saved(relu(["batch", 4]), tmp_path)
    assert model_inputs(path)[0].shape == (-1, 4)
    (tmp_path / "x.bin").write_bytes(bytes(16))
    with pytest.raises(InputError, match="dynamic"):
        read_inputs(path, {"x": tmp_path / "x.bin"})
    np.save(tmp_path / "x.npy", np.zeros((2, 4), np.float32))
    feed = read_inputs(path, {"x": tmp_path / "x.npy"})
    assert run_reference(path, feed, tmp_path / "r").tensors["y"].load().shape == (2, 4)


def test_a_model_that_onnxruntime_refuses_is_a_sentence(tmp_path: Path) -> None:
    node = helper.make_node("NoSuchOp", ["x"], ["y"], name="odd")
    with pytest.raises(InputError, match="onnxruntime cannot load"):
        run_reference(saved(tiny_model([node], {"x": [1]}, ["y"]), tmp_path), {"x": np.zeros(1, np.float32)}, tmp_path)


def test_a_reference_that_was_cut_off_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    path = saved(relu([1, 4]), tmp_path)
    run_reference(path, {"x": np.ones((1, 4), np.float32)}, tmp_path / "r")
    (tmp_path / "r" / "t09999.npy").write_bytes(b"left over")
    node = helper.make_node("Gather", ["x", "i"], ["y"], name="out_of_range")
    broken = saved(tiny_model([node], {"x": [1, 4], "i": (TensorProto.INT64, [1])}, ["y"]), tmp_path)
    feed = {"x": np.ones((1, 4), np.float32), "i": np.array([9])}
    with pytest.raises(InputError, match="failed while running"):
        run_reference(broken, feed, tmp_path / "r")
    assert not (tmp_path / "r" / "t09999.npy").exists()
    with pytest.raises(InputError) as caught:
        open_reference(tmp_path / "r")
    assert "tensors" in caught.value.message


def test_what_no_dump_can_hold_is_listed_as_skipped(tmp_path: Path) -> None:
    nodes = [helper.make_node("SequenceConstruct", ["x", "x"], ["s"], name="seq")]
    nodes.append(helper.make_node("ConcatFromSequence", ["s"], ["y"], name="cat", axis=0))
    reference = run_reference(
        saved(tiny_model(nodes, {"x": [1, 2]}, ["y"]), tmp_path), {"x": np.ones((1, 2), np.float32)}, tmp_path / "r"
    )
    assert set(reference.tensors) == {"x", "y"}
    assert [s["name"] for s in reference.provenance["skipped"]] == ["s"]


def test_external_weights_are_found(tmp_path: Path) -> None:
    weights = np.random.default_rng(0).normal(0, 1, (64, 64)).astype(np.float32)
    model = tiny_model([helper.make_node("MatMul", ["x", "w"], ["y"], name="mm")], {"x": [1, 64]}, ["y"], w=weights)
    path = tmp_path / "big.onnx"
    onnx.save_model(model, path, save_as_external_data=True, location="big.data", size_threshold=0)
    x = np.ones((1, 64), np.float32)
    result = run_reference(path, {"x": x}, tmp_path / "r").tensors["y"].load()
    assert np.allclose(result, x @ weights, atol=1e-4)


# --------------------------------------------------------------------------- the command


def call(*arguments: object) -> Any:
    return CliRunner().invoke(cli, [str(a) for a in arguments])


def test_the_command_takes_inputs_by_name_or_in_order(tmp_path: Path) -> None:
    model = quantized_model("two_inputs", tmp_path)
    for name, value in inputs_of(float_model("two_inputs"), 3).items():
        value.tofile(tmp_path / f"{name}.bin")
    left, right = tmp_path / "left.bin", tmp_path / "right.bin"
    named = call(
        "reference", model, "--input", f"right={right}", "--input", f"left={left}", "-o", tmp_path / "a", "--json"
    )
    ordered = call("reference", model, "--input", left, "--input", right, "-o", tmp_path / "b", "--json")
    assert named.exit_code == ordered.exit_code == 0, named.output
    assert json.loads(named.stdout)["tensors"] == json.loads(ordered.stdout)["tensors"]


@pytest.mark.parametrize("content", [b"", b"garbage"])
def test_the_command_refuses_what_is_no_model_with_exit_code_2(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    result = call("reference", path, "--input", "x", "-o", tmp_path / "r")
    assert result.exit_code == 2 and "m.onnx" in result.output and "Traceback" not in result.output


def test_the_command_copes_with_blanks_quotes_and_chinese_in_names(tmp_path: Path) -> None:
    folder = tmp_path / "a b'c 模型"
    folder.mkdir()
    model = saved(relu([1, 4]), folder)
    np.save(folder / "输入.npy", np.ones((1, 4), np.float32))
    result = call("reference", model, "--input", f"x={folder / '输入.npy'}", "-o", folder / "out put")
    assert result.exit_code == 0, result.output
    assert open_reference(folder / "out put").tensors["y"].load().tolist() == [[1, 1, 1, 1]]
