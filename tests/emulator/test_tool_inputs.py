"""What the played hrt_model_exec takes and refuses: models, inputs, names, paths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support import emulator_kit as kit

# --------------------------------------------------------------------------- bad input


def test_a_missing_model_is_said_in_the_vendors_words(tmp_path: Path) -> None:
    result = kit.tool(tmp_path, "model_info", "--model_file=gone.bin")
    assert result.returncode != 0
    assert "Can not open gone.bin, file not exists or no read permission." in result.stderr
    assert kit.failure("info", result, tmp_path).kind == "missing_file"


def test_a_model_of_another_march_is_refused_in_the_vendors_words(tmp_path: Path) -> None:
    result = kit.tool(tmp_path, "model_info", f"--model_file={kit.branched('x3')}")
    assert result.returncode != 0
    assert "The model's march is bernoulli2, please run on X/J3 board!" in result.stderr
    assert kit.failure("info", result, tmp_path).kind == "wrong_march"


@pytest.mark.parametrize("content", [b"", b"\x7fELF" + bytes(64), b"HARNEMU1", b"HARNEMU1PK\x03\x04garbage"])
def test_a_foreign_or_damaged_model_is_a_clear_refusal(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.bin").write_bytes(content)
    result = kit.tool(tmp_path, "model_info", "--model_file=model.bin")
    assert result.returncode != 0
    assert "model.bin" in result.stderr and "Traceback" not in result.stderr


def test_a_truncated_model_is_a_clear_refusal(tmp_path: Path) -> None:
    data = kit.branched().read_bytes()
    (tmp_path / "cut.bin").write_bytes(data[: len(data) // 2])
    result = kit.tool(tmp_path, "model_info", "--model_file=cut.bin")
    assert result.returncode != 0 and "damaged" in result.stderr and "Traceback" not in result.stderr


def test_an_input_of_the_wrong_size_names_both_sizes(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(bytes(10))
    result = kit.tool(tmp_path, "infer", f"--model_file={kit.branched()}", "--input_file=x.bin")
    assert result.returncode != 0
    assert "expected 3840, given 10" in result.stderr


def test_a_wrong_number_of_inputs_names_the_models_inputs(tmp_path: Path) -> None:
    source = kit.input_file(tmp_path)
    result = kit.tool(tmp_path, "infer", f"--model_file={kit.branched()}", f"--input_file={source},{source}")
    assert result.returncode != 0 and "input file num(2)" in result.stderr


def test_a_core_that_the_chip_lacks_is_refused(tmp_path: Path) -> None:
    result = kit.tool(tmp_path, "perf", f"--model_file={kit.branched()}", "--core_id=2")
    assert result.returncode != 0 and "core_id [2]" in result.stderr


def test_a_path_with_blanks_quotes_newline_and_chinese_works(tmp_path: Path) -> None:
    folder = tmp_path / "a b'c\"d\n模型"
    folder.mkdir()
    (folder / "m.bin").write_bytes(kit.branched().read_bytes())
    source = kit.input_file(folder)
    result = kit.tool(tmp_path, "infer", f"--model_file={folder / 'm.bin'}", f"--input_file={source}", "--enable_dump")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "model_infer_output_0_prob.bin").is_file()


def test_a_python_file_in_the_working_folder_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('taken from the working folder')")
    result = kit.tool(tmp_path, "model_info", f"--model_file={kit.branched()}")
    assert result.returncode == 0, result.stderr


def test_a_packed_file_needs_a_model_name(tmp_path: Path) -> None:
    from harness.emulator.build import build
    from harness.emulator.compiler.compile import BuildOptions
    from harness.emulator.rooms import soc_named

    sources = [kit.save(tmp_path, kit.branched_model(seed), f"net{seed}.onnx") for seed in (1, 2)]
    packed = build(sources, BuildOptions(soc_named("x5")), tmp_path / "packed.bin").output
    source = kit.input_file(tmp_path)
    base = ["infer", f"--model_file={packed}", f"--input_file={source}", "--enable_dump=true"]
    refused = kit.tool(tmp_path, *base)
    assert refused.returncode != 0 and "net1,net2" in refused.stderr
    result = kit.tool(tmp_path, *base, "--model_name=net2")
    assert result.returncode == 0
    expected = kit.reference_values(tmp_path / "packed_net2_quantized_model.onnx", {"x": kit.feed()})
    written = np.frombuffer((tmp_path / "model_infer_output_0_prob.bin").read_bytes(), np.float32)
    assert np.array_equal(written, expected["prob"].reshape(-1))


def test_inputs_are_taken_in_the_models_order(tmp_path: Path) -> None:
    model = kit.compile_to(tmp_path, kit.two_input_model())
    rng = np.random.default_rng(4)
    feed = {n: rng.standard_normal((1, 6, 5, 7)).astype(np.float32) for n in ("left", "right")}
    for name, value in feed.items():
        (tmp_path / f"{name}.bin").write_bytes(value.tobytes())
    result = kit.tool(tmp_path, "infer", f"--model_file={model}", "--input_file=left.bin,right.bin", "--enable_dump")
    assert result.returncode == 0, result.stderr
    expected = kit.reference_values(kit.kit_quantized(model), feed)["y"]
    assert np.array_equal(np.fromfile(tmp_path / "model_infer_output_0_y.bin", np.float32), expected.reshape(-1))
    assert (tmp_path / "model_infer_input_1_right.bin").read_bytes() == feed["right"].tobytes()


def test_integers_booleans_and_scalars_go_in_and_out(tmp_path: Path) -> None:
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    table = numpy_helper.from_array(rng.standard_normal((50, 16)).astype(np.float32), "table")
    half = numpy_helper.from_array(np.array(0.5, np.float32), "half")
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["embedded"], name="embed"),
        helper.make_node("Greater", ["embedded", "half"], ["mask"], name="greater"),
        helper.make_node("Where", ["mask", "embedded", "half"], ["kept"], name="where"),
        helper.make_node("ReduceMean", ["kept"], ["mean"], name="mean", keepdims=0),
    ]
    outputs = [helper.make_tensor_value_info("mask", TensorProto.BOOL, (1, 7, 16)),
               helper.make_tensor_value_info("mean", TensorProto.FLOAT, ())]  # fmt: skip
    graph = helper.make_graph(nodes, "words", [helper.make_tensor_value_info("ids", TensorProto.INT64, (1, 7))],
                              outputs, initializer=[table, half])  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    model = kit.compile_to(tmp_path, made)
    ids = np.array([[3, 1, 4, 1, 5, 9, 2]], np.int64)
    (tmp_path / "ids.bin").write_bytes(ids.tobytes())
    info = kit.PLATFORM.read_model_info(kit.tool(tmp_path, "model_info", f"--model_file={model}").stdout)
    assert info.problems == () and [spec.shape for spec in info.outputs] == [(1, 7, 16), (1,)]
    result = kit.tool(tmp_path, "infer", f"--model_file={model}", "--input_file=ids.bin", "--enable_dump")
    assert result.returncode == 0, result.stderr
    expected = kit.reference_values(kit.kit_quantized(model), {"ids": ids})
    mask = np.fromfile(tmp_path / "model_infer_output_0_mask.bin", np.bool_)
    assert np.array_equal(mask, expected["mask"].reshape(-1))
    assert (tmp_path / "model_infer_output_1_mean.bin").stat().st_size == 4


def test_text_inputs_are_numbers_and_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "x.txt"
    source.write_text(" ".join(repr(float(v)) for v in kit.feed().reshape(-1)))
    base = ["infer", f"--model_file={kit.branched()}", "--input_file=x.txt", "--enable_dump"]
    assert kit.tool(tmp_path, *base).returncode == 0
    assert (tmp_path / "model_infer_input_0_x.bin").read_bytes() == kit.feed().tobytes()
    source.write_text("one two")
    refused = kit.tool(tmp_path, *base)
    assert refused.returncode != 0 and "something else than numbers" in refused.stderr


def test_a_tensor_name_longer_than_a_file_name_loses_its_front(tmp_path: Path) -> None:
    graph = kit.branched_model()
    long = "/model/" + "/".join(f"a_very_long_block_name_{i}" for i in range(12)) + "/Conv_output_0"
    for node in graph.graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name == "c2":
                    names[i] = long
    model = kit.compile_to(tmp_path, graph)
    (tmp_path / "run").mkdir()
    result = kit.infer(tmp_path / "run", model)
    assert result.returncode == 0, result.stderr
    (dump,) = (tmp_path / "run").glob("layer-*-output-*block_name_11_Conv_output_0.bin")
    assert len(dump.name.encode()) <= 255


def test_the_home_of_a_board_may_hold_blanks_and_quotes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "it's a $HOME"))
    result = kit.tool(tmp_path, "model_info", f"--model_file={kit.branched()}")
    assert result.returncode == 0, result.stderr
