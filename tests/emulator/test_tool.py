"""The played hrt_model_exec as a real process: what it prints, what it leaves, how it fails."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from harness.emulator.model.layout import pack
from harness.emulator.model.nodes import ModelGraph
from harness.reference.graph import read_logical
from tests.support import emulator_kit as kit

# --------------------------------------------------------------------------- right


def test_every_dumped_tensor_of_a_clean_run_equals_plain_onnxruntime(tmp_path: Path) -> None:
    model = kit.branched()
    result = kit.infer(tmp_path, model)
    assert result.returncode == 0, result.stderr
    expected = kit.reference_values(kit.kit_quantized(model), {"x": kit.feed()})
    dumped = kit.dumped(tmp_path, model)
    assert set(dumped) == {name for name in expected if name != "x"}
    for name, value in dumped.items():
        assert np.array_equal(value, expected[name]), name


def test_release_and_debug_runs_leave_the_same_outputs(tmp_path: Path) -> None:
    source = kit.input_file(tmp_path)
    outputs = []
    for name in ("release", "debug"):
        (tmp_path / name).mkdir()
        more = ["--dump_intermediate=1"] if name == "debug" else []
        result = kit.tool(tmp_path / name, "infer", f"--model_file={kit.branched()}", f"--input_file={source}",
                        "--enable_dump=true", *more)  # fmt: skip
        assert result.returncode == 0
        outputs.append((tmp_path / name / "model_infer_output_0_prob.bin").read_bytes())
    assert outputs[0] == outputs[1]


def test_model_info_tells_what_the_platform_reads_back(tmp_path: Path) -> None:
    result = kit.tool(tmp_path, "model_info", f"--model_file={kit.branched()}")
    info = kit.PLATFORM.read_model_info(result.stdout + result.stderr)
    assert result.returncode == 0
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
    from harness.emulator.model.image import nv12_bytes, reference_feed

    frame = np.random.default_rng(2).integers(0, 256, nv12_bytes(16, 20), np.uint8).tobytes()
    source = tmp_path / "frame.nv12"
    source.write_bytes(frame)
    model = kit.pictured()
    result = kit.tool(tmp_path, "infer", f"--model_file={model}", f"--input_file={source}", "--enable_dump=true",
                    "--dump_intermediate=1")  # fmt: skip
    assert result.returncode == 0, result.stderr
    expected = kit.reference_values(kit.kit_quantized(model), {"x": reference_feed(frame, 16, 20)})
    dumped = kit.dumped(tmp_path, model)
    assert np.array_equal(dumped["x_preprocessed"], expected["x_preprocessed"])
    assert np.array_equal(dumped["prob"], expected["prob"])
    planes = [next(tmp_path.glob(f"layer-0-*-x.{p}0.data.bin")).read_bytes() for p in ("y", "uv")]
    assert b"".join(planes) == frame


def test_the_platforms_feed_for_a_reference_is_the_emulators(tmp_path: Path) -> None:
    from harness.emulator.model.image import nv12_bytes, reference_feed

    result = kit.tool(tmp_path, "model_info", f"--model_file={kit.pictured()}")
    info = kit.PLATFORM.read_model_info(result.stdout)
    spec = read_logical(kit.kit_quantized(kit.pictured())).tensors[0].spec
    frame = np.random.default_rng(3).integers(0, 256, nv12_bytes(16, 20), np.uint8).tobytes()
    assert kit.PLATFORM.reference_feed(info, spec, frame) == reference_feed(frame, 16, 20).tobytes()


def test_quantized_outputs_keep_their_scale_and_their_padding(tmp_path: Path) -> None:
    model = kit.compile_to(tmp_path, kit.branched_model(), output_type="quantized")
    result = kit.tool(tmp_path, "model_info", f"--model_file={model}")
    info = kit.PLATFORM.read_model_info(result.stdout)
    output = next(spec for spec in info.outputs if spec.name == "c4")
    assert output.dtype == "s8" and output.layout == "NHWC"
    assert output.shape == (1, 8, 10, 24) and output.aligned_shape == (1, 8, 10, 32)
    assert output.quantization is not None and len(output.quantization.scales) == 1
    kit.infer(tmp_path, model)
    (dump,) = [d for d in kit.PLATFORM.read_outputs(tmp_path, "", info) if d.name == "c4"]
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
    result = kit.tool(tmp_path, "infer", f"--model_file={kit.pictured()}", "--input_file=red.png", "--enable_dump")
    assert result.returncode == 0, result.stderr
    frame = np.frombuffer((tmp_path / "model_infer_input_0_x.bin").read_bytes(), np.uint8)
    assert frame.size == 16 * 20 * 3 // 2
    assert abs(int(frame[0]) - 81) <= 1  # luma of that red


# --------------------------------------------------------------------------- perf


def test_perf_prints_a_summary_and_writes_two_sorted_json_blocks(tmp_path: Path) -> None:
    result = kit.tool(tmp_path, "perf", f"--model_file={kit.branched()}", "--frame_count=40", "--thread_num=3",
                    "--profile_path=.")  # fmt: skip
    assert result.returncode == 0
    latency = kit.PLATFORM.read_latency(tmp_path, result.stdout)
    assert latency is not None and latency.frames == 40 and latency.threads == 3
    assert latency.problems == ()
    first, second = (tmp_path / "profiler.log").read_text().split("***\n")
    assert first == json.dumps(json.loads(first), indent=2, sort_keys=True) + "\n"
    assert set(json.loads(second)) == {"model_latency", "processor_latency", "task_latency"}


def test_all_times_of_a_board_that_is_none_are_marked_as_estimates(tmp_path: Path) -> None:
    kit.tool(tmp_path, "perf", f"--model_file={kit.branched()}", "--frame_count=8", "--profile_path=.")
    ops = kit.PLATFORM.read_ops(tmp_path, "")
    assert {op.estimated for op in ops if op.unit == "BPU"} == {True}
    assert {op.estimated for op in ops if op.unit == "CPU"} == {True}
    record = json.loads((tmp_path / "emulated.json").read_text())
    assert record["emulated"] is True
    assert len(record["estimated_ops"]) == sum(op.category != "wait" for op in ops)


def test_more_threads_than_cores_wait_for_the_accelerator(tmp_path: Path) -> None:
    means = []
    for threads in (1, 8):
        result = kit.tool(tmp_path, "perf", f"--model_file={kit.branched()}", "--frame_count=60",
                        f"--thread_num={threads}")  # fmt: skip
        latency = kit.PLATFORM.read_latency(tmp_path, result.stdout)
        assert latency is not None
        means.append(latency)
    assert means[1].mean_us > 2 * means[0].mean_us
    assert means[1].fps > means[0].fps


def test_a_thread_count_above_eight_is_clamped_as_documented(tmp_path: Path) -> None:
    result = kit.tool(tmp_path, "perf", f"--model_file={kit.branched()}", "--frame_count=10", "--thread_num=50")
    assert "Thread number is: 8" in result.stdout


def test_a_slow_step_takes_its_factor_longer(tmp_path: Path) -> None:
    times = {}
    for fault in ("", "slow@conv4:by=5"):
        kit.tool(
            tmp_path, "perf", f"--model_file={kit.branched()}", "--frame_count=5", "--profile_path=.", faults=fault
        )
        ops = {op.name: op.mean_us for op in kit.PLATFORM.read_ops(tmp_path, "")}
        times[fault] = max(v for k, v in ops.items() if k.startswith("BPU_") or "subgraph" in k)
    assert times["slow@conv4:by=5"] > 3 * times[""]


# --------------------------------------------------------------------------- flags


def test_the_last_of_a_repeated_flag_wins_and_stray_words_are_ignored(tmp_path: Path) -> None:
    result = kit.tool(tmp_path, "perf", "stray", "--model_file=gone.bin", "--model_file", str(kit.branched()),
                    "--frame_count=3", "--frame_count", "5")  # fmt: skip
    assert result.returncode == 0 and "Frame count   is: 5" in result.stdout


def test_an_unknown_flag_is_refused_in_the_words_of_gflags(tmp_path: Path) -> None:
    result = kit.tool(tmp_path, "infer", "--no_such_flag=1")
    assert result.returncode != 0
    assert "ERROR: unknown command line flag 'no_such_flag'" in result.stderr


@pytest.mark.parametrize("flag", ["-v", "--version"])
def test_the_version_flag_prints_the_runtimes_version(tmp_path: Path, flag: str) -> None:
    assert kit.tool(tmp_path, flag).stdout.strip() == "1.24.5"


@pytest.mark.parametrize("argv", [[], ["-h"], ["--help"]])
def test_no_argument_and_help_print_the_usage(tmp_path: Path, argv: list[str]) -> None:
    result = kit.tool(tmp_path, *argv)
    assert result.returncode == 0 and result.stdout.startswith("Usage:")


def test_the_command_line_is_echoed_first(tmp_path: Path) -> None:
    result = kit.tool(tmp_path, "model_info", f"--model_file={kit.branched()}")
    assert result.stdout.splitlines()[0] == f"hrt_model_exec model_info --model_file={kit.branched()}"


# --------------------------------------------------------------------------- bytes


def test_packing_follows_the_board_formats_to_the_byte() -> None:
    from harness.emulator.model.layout import stored
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
    from harness.emulator.model.execute import open_session as open_played

    file, model = kit.opened(kit.branched())
    options = open_played(file.read(model.graph)).get_session_options()
    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    assert options.intra_op_num_threads == 1
    assert ModelGraph(onnx.load(str(kit.kit_quantized(kit.branched())))).output_names
