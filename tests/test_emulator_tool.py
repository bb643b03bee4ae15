"""The played hrt_model_exec as a real process: what it prints, what it leaves, how it fails."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from harness.consistency.tensors import open_tensor
from harness.emulator.layout import pack
from harness.emulator.nodes import Network
from harness.graph import read_logical
from harness.platforms import load
from harness.reference import open_session
from tests import emulator_kit as kit

PLATFORM = load("hbdnn")


def reference_values(quantized: Path, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every logical tensor of the quantized ONNX by plain onnxruntime: no code of the emulator."""
    model = onnx.load(str(quantized))
    logical = read_logical(model)
    inputs = {value.name for value in model.graph.input}
    names = [t.onnx_name for t in logical.tensors if t.onnx_name not in inputs]
    present = {value.name for value in model.graph.output}
    for name in names:
        if name not in present:
            model.graph.output.append(onnx.ValueInfoProto(name=name))
    session = open_session(model, quantized)
    values = dict(zip(names, session.run(names, feed), strict=True))
    return {t.name: values[t.onnx_name] if t.onnx_name in values else feed[t.onnx_name] for t in logical.tensors}


def dumped(folder: Path, model: Path) -> dict[str, np.ndarray]:
    """What the platform's own readers make of a debug run, in ONNX axis order."""
    specs = {t.name: t.spec for t in read_logical(kit_quantized(model)).tensors}
    found = {}
    for dump in PLATFORM.read_dumps(folder, "", None):
        if dump.role != "output":
            continue
        size = dump.path.stat().st_size
        for spec in PLATFORM.storages(specs[dump.name], dump.unit):
            if size_of(spec) == size:
                array = open_tensor(dump.path, spec)
                found[dump.name] = array.transpose(0, 3, 1, 2) if spec.layout == "NHWC" else array
                break
    return found


def size_of(spec) -> int:
    from harness.emulator.layout import file_bytes

    return file_bytes(spec)


def kit_quantized(model: Path) -> Path:
    return model.with_name(f"{model.stem}_quantized_model.onnx")


# --------------------------------------------------------------------------- right


def test_every_dumped_tensor_of_a_clean_run_equals_plain_onnxruntime(tmp_path: Path) -> None:
    model = kit.branched()
    done = kit.infer(tmp_path, model)
    assert done.returncode == 0, done.stderr
    expected = reference_values(kit_quantized(model), {"x": kit.feed()})
    found = dumped(tmp_path, model)
    assert set(found) == {name for name in expected if name != "x"}
    for name, value in found.items():
        assert np.array_equal(value, expected[name]), name


def test_release_and_debug_runs_leave_the_same_outputs(tmp_path: Path) -> None:
    source = kit.input_file(tmp_path)
    outputs = []
    for name in ("release", "debug"):
        (tmp_path / name).mkdir()
        more = ["--dump_intermediate=1"] if name == "debug" else []
        done = kit.tool(tmp_path / name, "infer", f"--model_file={kit.branched()}", f"--input_file={source}",
                        "--enable_dump=true", *more)  # fmt: skip
        assert done.returncode == 0
        outputs.append((tmp_path / name / "model_infer_output_0_prob.bin").read_bytes())
    assert outputs[0] == outputs[1]


def test_model_info_tells_what_the_platform_reads_back(tmp_path: Path) -> None:
    done = kit.tool(tmp_path, "model_info", f"--model_file={kit.branched()}")
    info = PLATFORM.read_model_info(done.stdout + done.stderr)
    assert done.returncode == 0
    assert info.problems == ()
    assert [spec.shape for spec in info.inputs] == [kit.INPUT_SHAPE]
    assert [spec.name for spec in info.outputs] == ["prob", "c4"]
    assert info.versions["runtime"] == "1.24.5"


def test_padding_is_there_is_not_zero_and_differs_between_runs(tmp_path: Path) -> None:
    runs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        kit.infer(tmp_path / name, kit.branched())
        dump = next((tmp_path / name).glob("layer-*-output-0-r1.bin"))
        runs.append(np.frombuffer(dump.read_bytes(), np.int8).reshape(16, 20, 16))
    assert np.all(runs[0][..., 12:] != 0)
    assert not np.array_equal(runs[0][..., 12:], runs[1][..., 12:])
    assert np.array_equal(runs[0][..., :12], runs[1][..., :12])


def test_a_model_built_without_debug_layers_dumps_only_what_enters_and_leaves_a_subgraph(tmp_path: Path) -> None:
    model = kit.compile_to(tmp_path, kit.branched_model(), debug_layers=False)
    (tmp_path / "run").mkdir()
    kit.infer(tmp_path / "run", model)
    names = {path.name.rsplit("-", 1)[1] for path in (tmp_path / "run").glob("layer-*-output-*")}
    assert {"c3.bin", "s3.bin", "c4.bin", "y.bin", "prob.bin"} <= names  # what units hand to each other
    assert not names & {"m.bin", "a.bin", "p.bin", "g.bin", "f.bin"}  # inside the second subgraph


def test_nv12_goes_through_the_tool_to_the_same_values_as_yuv444_through_the_quantized_onnx(tmp_path: Path) -> None:
    from harness.emulator.image import nv12_bytes, reference_feed

    frame = np.random.default_rng(2).integers(0, 256, nv12_bytes(16, 20), np.uint8).tobytes()
    source = tmp_path / "frame.nv12"
    source.write_bytes(frame)
    model = kit.pictured()
    done = kit.tool(tmp_path, "infer", f"--model_file={model}", f"--input_file={source}", "--enable_dump=true",
                    "--dump_intermediate=1")  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = reference_values(kit_quantized(model), {"x": reference_feed(frame, 16, 20)})
    found = dumped(tmp_path, model)
    assert np.array_equal(found["x_preprocessed"], expected["x_preprocessed"])
    assert np.array_equal(found["prob"], expected["prob"])
    planes = [next(tmp_path.glob(f"layer-0-*-x.{p}0.data.bin")).read_bytes() for p in ("y", "uv")]
    assert b"".join(planes) == frame


def test_the_platforms_feed_for_a_reference_is_the_emulators(tmp_path: Path) -> None:
    from harness.emulator.image import nv12_bytes, reference_feed

    done = kit.tool(tmp_path, "model_info", f"--model_file={kit.pictured()}")
    info = PLATFORM.read_model_info(done.stdout)
    spec = read_logical(kit_quantized(kit.pictured())).tensors[0].spec
    frame = np.random.default_rng(3).integers(0, 256, nv12_bytes(16, 20), np.uint8).tobytes()
    assert PLATFORM.reference_feed(info, spec, frame) == reference_feed(frame, 16, 20).tobytes()


def test_quantized_outputs_keep_their_scale_and_their_padding(tmp_path: Path) -> None:
    model = kit.compile_to(tmp_path, kit.branched_model(), output_type="quantized")
    done = kit.tool(tmp_path, "model_info", f"--model_file={model}")
    info = PLATFORM.read_model_info(done.stdout)
    output = next(spec for spec in info.outputs if spec.name == "c4")
    assert output.dtype == "s8" and output.layout == "NHWC"
    assert output.shape == (1, 8, 10, 24) and output.aligned_shape == (1, 8, 10, 32)
    assert output.quantization is not None and len(output.quantization.scales) == 1
    kit.infer(tmp_path, model)
    (dump,) = [d for d in PLATFORM.read_outputs(tmp_path, "", info) if d.name == "c4"]
    assert dump.path.stat().st_size == 8 * 10 * 32


def test_dequantized_text_outputs_hold_the_valid_region_as_floats(tmp_path: Path) -> None:
    model = kit.compile_to(tmp_path, kit.branched_model(), output_type="quantized")
    source = kit.input_file(tmp_path)
    base = ["infer", f"--model_file={model}", f"--input_file={source}", "--enable_dump"]
    refused = kit.tool(tmp_path, *base, "--hybrid_dequantize_process=true")
    assert refused.returncode != 0 and "4-D" in refused.stderr  # prob has two dimensions
    kit.tool(tmp_path, *base, "--dump_format", "txt", "--dump_precision=3")
    words = (tmp_path / "model_infer_output_1_c4.txt").read_text().split()
    assert len(words) == 24 * 8 * 10 and all(re.fullmatch(r"-?\d+", word) for word in words)


def test_pictures_are_decoded_and_scaled_by_the_tool(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (64, 48), (200, 30, 30)).save(tmp_path / "red.png")
    done = kit.tool(tmp_path, "infer", f"--model_file={kit.pictured()}", "--input_file=red.png", "--enable_dump")
    assert done.returncode == 0, done.stderr
    frame = np.frombuffer((tmp_path / "model_infer_input_0_x.bin").read_bytes(), np.uint8)
    assert frame.size == 16 * 20 * 3 // 2
    assert abs(int(frame[0]) - 81) <= 1  # luma of that red


# --------------------------------------------------------------------------- perf


def test_perf_prints_a_summary_and_writes_two_sorted_json_blocks(tmp_path: Path) -> None:
    done = kit.tool(tmp_path, "perf", f"--model_file={kit.branched()}", "--frame_count=40", "--thread_num=3",
                    "--profile_path=.")  # fmt: skip
    assert done.returncode == 0
    latency = PLATFORM.read_latency(tmp_path, done.stdout)
    assert latency is not None and latency.frames == 40 and latency.threads == 3
    assert latency.problems == ()
    first, second = (tmp_path / "profiler.log").read_text().split("***\n")
    assert first == json.dumps(json.loads(first), indent=2, sort_keys=True) + "\n"
    assert set(json.loads(second)) == {"model_latency", "processor_latency", "task_latency"}


def test_accelerator_times_are_marked_as_estimates_and_cpu_times_are_not(tmp_path: Path) -> None:
    kit.tool(tmp_path, "perf", f"--model_file={kit.branched()}", "--frame_count=8", "--profile_path=.")
    ops = PLATFORM.read_ops(tmp_path, "")
    assert {op.estimated for op in ops if op.unit == "BPU"} == {True}
    assert {op.estimated for op in ops if op.unit == "CPU"} == {False}
    record = json.loads((tmp_path / "emulated.json").read_text())
    assert record["emulated"] is True
    assert set(record["estimated_ops"]) == {op.name for op in ops if op.unit == "BPU"} or record["estimated_ops"]


def test_more_threads_than_cores_wait_for_the_accelerator(tmp_path: Path) -> None:
    means = []
    for threads in (1, 8):
        done = kit.tool(tmp_path, "perf", f"--model_file={kit.branched()}", "--frame_count=60",
                        f"--thread_num={threads}")  # fmt: skip
        latency = PLATFORM.read_latency(tmp_path, done.stdout)
        assert latency is not None
        means.append(latency)
    assert means[1].mean_us > 2 * means[0].mean_us
    assert means[1].fps > means[0].fps


def test_a_thread_count_above_eight_is_clamped_as_documented(tmp_path: Path) -> None:
    done = kit.tool(tmp_path, "perf", f"--model_file={kit.branched()}", "--frame_count=10", "--thread_num=50")
    assert "Thread number is: 8" in done.stdout


def test_a_slow_step_takes_its_factor_longer(tmp_path: Path) -> None:
    times = {}
    for fault in ("", "slow@conv4:by=5"):
        kit.tool(
            tmp_path, "perf", f"--model_file={kit.branched()}", "--frame_count=5", "--profile_path=.", faults=fault
        )
        ops = {op.name: op.mean_us for op in PLATFORM.read_ops(tmp_path, "")}
        times[fault] = max(v for k, v in ops.items() if k.startswith("BPU_") or "subgraph" in k)
    assert times["slow@conv4:by=5"] > 3 * times[""]


# --------------------------------------------------------------------------- flags


def test_the_last_of_a_repeated_flag_wins_and_stray_words_are_ignored(tmp_path: Path) -> None:
    done = kit.tool(tmp_path, "perf", "stray", "--model_file=gone.bin", "--model_file", str(kit.branched()),
                    "--frame_count=3", "--frame_count", "5")  # fmt: skip
    assert done.returncode == 0 and "Frame count   is: 5" in done.stdout


def test_an_unknown_flag_is_refused_in_the_words_of_gflags(tmp_path: Path) -> None:
    done = kit.tool(tmp_path, "infer", "--no_such_flag=1")
    assert done.returncode != 0
    assert "ERROR: unknown command line flag 'no_such_flag'" in done.stderr


@pytest.mark.parametrize("flag", ["-v", "--version"])
def test_the_version_flag_prints_the_runtimes_version(tmp_path: Path, flag: str) -> None:
    assert kit.tool(tmp_path, flag).stdout.strip() == "1.24.5"


@pytest.mark.parametrize("argv", [[], ["-h"], ["--help"]])
def test_no_argument_and_help_print_the_usage(tmp_path: Path, argv: list[str]) -> None:
    done = kit.tool(tmp_path, *argv)
    assert done.returncode == 0 and done.stdout.startswith("Usage:")


def test_the_command_line_is_echoed_first(tmp_path: Path) -> None:
    done = kit.tool(tmp_path, "model_info", f"--model_file={kit.branched()}")
    assert done.stdout.splitlines()[0] == f"hrt_model_exec model_info --model_file={kit.branched()}"


# --------------------------------------------------------------------------- bad input


def failure(mode: str, done, folder: Path):
    return PLATFORM.read_failure(mode, done.returncode, done.stdout + done.stderr, [p.name for p in folder.iterdir()])


def test_a_missing_model_is_said_in_the_vendors_words(tmp_path: Path) -> None:
    done = kit.tool(tmp_path, "model_info", "--model_file=gone.bin")
    assert done.returncode != 0
    assert "Can not open gone.bin, file not exists or no read permission." in done.stderr
    assert failure("info", done, tmp_path).kind == "missing_file"


def test_a_model_of_another_march_is_refused_in_the_vendors_words(tmp_path: Path) -> None:
    done = kit.tool(tmp_path, "model_info", f"--model_file={kit.branched('x3')}")
    assert done.returncode != 0
    assert "The model's march is bernoulli2, please run on X/J3 board!" in done.stderr
    assert failure("info", done, tmp_path).kind == "wrong_march"


@pytest.mark.parametrize("content", [b"", b"\x7fELF" + bytes(64), b"HARNEMU1", b"HARNEMU1PK\x03\x04garbage"])
def test_a_foreign_or_damaged_model_is_a_clear_refusal(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.bin").write_bytes(content)
    done = kit.tool(tmp_path, "model_info", "--model_file=model.bin")
    assert done.returncode != 0
    assert "model.bin" in done.stderr and "Traceback" not in done.stderr


def test_a_truncated_model_is_a_clear_refusal(tmp_path: Path) -> None:
    data = kit.branched().read_bytes()
    (tmp_path / "cut.bin").write_bytes(data[: len(data) // 2])
    done = kit.tool(tmp_path, "model_info", "--model_file=cut.bin")
    assert done.returncode != 0 and "damaged" in done.stderr and "Traceback" not in done.stderr


def test_an_input_of_the_wrong_size_names_both_sizes(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(bytes(10))
    done = kit.tool(tmp_path, "infer", f"--model_file={kit.branched()}", "--input_file=x.bin")
    assert done.returncode != 0
    assert "expected 3840, given 10" in done.stderr


def test_a_wrong_number_of_inputs_names_the_models_inputs(tmp_path: Path) -> None:
    source = kit.input_file(tmp_path)
    done = kit.tool(tmp_path, "infer", f"--model_file={kit.branched()}", f"--input_file={source},{source}")
    assert done.returncode != 0 and "input file num(2)" in done.stderr


def test_a_core_that_the_chip_lacks_is_refused(tmp_path: Path) -> None:
    done = kit.tool(tmp_path, "perf", f"--model_file={kit.branched()}", "--core_id=2")
    assert done.returncode != 0 and "core_id [2]" in done.stderr


def test_a_path_with_blanks_quotes_newline_and_chinese_works(tmp_path: Path) -> None:
    folder = tmp_path / "a b'c\"d\n模型"
    folder.mkdir()
    (folder / "m.bin").write_bytes(kit.branched().read_bytes())
    source = kit.input_file(folder)
    done = kit.tool(tmp_path, "infer", f"--model_file={folder / 'm.bin'}", f"--input_file={source}", "--enable_dump")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model_infer_output_0_prob.bin").is_file()


def test_a_python_file_in_the_working_folder_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('taken from the working folder')")
    done = kit.tool(tmp_path, "model_info", f"--model_file={kit.branched()}")
    assert done.returncode == 0, done.stderr


def test_a_packed_file_needs_a_model_name(tmp_path: Path) -> None:
    from harness.emulator.build import build
    from harness.emulator.compile import BuildOptions
    from harness.emulator.socs import soc_named

    sources = [kit.save(tmp_path, kit.branched_model(seed), f"net{seed}.onnx") for seed in (1, 2)]
    packed = build(sources, BuildOptions(soc_named("x5")), tmp_path / "packed.bin").output
    source = kit.input_file(tmp_path)
    base = ["infer", f"--model_file={packed}", f"--input_file={source}", "--enable_dump=true"]
    refused = kit.tool(tmp_path, *base)
    assert refused.returncode != 0 and "net1,net2" in refused.stderr
    done = kit.tool(tmp_path, *base, "--model_name=net2")
    assert done.returncode == 0
    expected = reference_values(tmp_path / "packed_net2_quantized_model.onnx", {"x": kit.feed()})
    written = np.frombuffer((tmp_path / "model_infer_output_0_prob.bin").read_bytes(), np.float32)
    assert np.array_equal(written, expected["prob"].reshape(-1))


def test_inputs_are_taken_in_the_models_order(tmp_path: Path) -> None:
    model = kit.compile_to(tmp_path, kit.two_input_model())
    rng = np.random.default_rng(4)
    feed = {n: rng.standard_normal((1, 6, 5, 7)).astype(np.float32) for n in ("left", "right")}
    for name, value in feed.items():
        (tmp_path / f"{name}.bin").write_bytes(value.tobytes())
    done = kit.tool(tmp_path, "infer", f"--model_file={model}", "--input_file=left.bin,right.bin", "--enable_dump")
    assert done.returncode == 0, done.stderr
    expected = reference_values(kit_quantized(model), feed)["y"]
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
    info = PLATFORM.read_model_info(kit.tool(tmp_path, "model_info", f"--model_file={model}").stdout)
    assert info.problems == () and [spec.shape for spec in info.outputs] == [(1, 7, 16), (1,)]
    done = kit.tool(tmp_path, "infer", f"--model_file={model}", "--input_file=ids.bin", "--enable_dump")
    assert done.returncode == 0, done.stderr
    expected = reference_values(kit_quantized(model), {"ids": ids})
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
    done = kit.infer(tmp_path / "run", model)
    assert done.returncode == 0, done.stderr
    (dump,) = (tmp_path / "run").glob("layer-*-output-*block_name_11_Conv_output_0.bin")
    assert len(dump.name.encode()) <= 255


def test_the_home_of_a_board_may_hold_blanks_and_quotes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "it's a $HOME"))
    done = kit.tool(tmp_path, "model_info", f"--model_file={kit.branched()}")
    assert done.returncode == 0, done.stderr


# --------------------------------------------------------------------------- bytes


def test_packing_follows_the_board_formats_to_the_byte() -> None:
    from harness.emulator.layout import stored
    from harness.records import TensorSpec

    spec = TensorSpec("t", "s8", (1, 5, 2, 3), "NCHW")
    memory = np.frombuffer(
        pack(np.arange(30, dtype=np.int8).reshape(1, 5, 2, 3), stored(spec, "BPU", "hbdnn")), np.int8
    )
    assert memory.size == 2 * 3 * 16  # 5 channels are padded to 16
    assert memory[:5].tolist() == [0, 6, 12, 18, 24]  # channels of the first pixel
    assert memory[16:21].tolist() == [1, 7, 13, 19, 25]
    small = stored(TensorSpec("t", "s8", (1, 3, 5, 40), "NCHW"), "BPU", "hbdnn")
    assert small.aligned_shape == (1, 6, 64, 4)  # C <= 4: H to 2, W to 32, C to 4


def test_every_session_of_the_tool_runs_unoptimized_on_one_thread() -> None:
    from harness.emulator.execute import open_session as open_played

    file, model = kit.opened(kit.branched())
    options = open_played(file.read(model.graph)).get_session_options()
    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    assert options.intra_op_num_threads == 1
    assert Network(onnx.load(str(kit_quantized(kit.branched())))).output_names
