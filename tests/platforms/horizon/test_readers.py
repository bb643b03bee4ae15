"""What libdnn boards print: model_info, consoles, profiler.log. Real captures are read where they are at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.platforms import load
from harness.platforms.horizon.model_info import read_model_info
from harness.platforms.text import number_list, plain
from harness.records import InputFacts, ModelInfo, Quantization, TensorSpec
from tests.support.horizon_fixtures import NODES, captured, feature, nv12, perf_console, profiler_log, times, x5_info

HBDNN = load("hbdnn")

# --------------------------------------------------------------------------- model_info


def test_tensors_are_read_with_shapes_strides_and_scales() -> None:
    scales = ",".join(f"{0.001 * (i + 1):g}" for i in range(4)) + ","
    out = feature(
        "318", (1, 8, 8, 4), "S32", aligned_shape="(1,8,8,8,)", aligned_byte_size=2048, stride="(2048,256,32,4,)"
    )
    out |= {"quanti type": "SCALE", "scale data": scales, "quantizeAxis": 3}
    info = HBDNN.read_model_info(x5_info([nv12("images", 16, 32)], [out]))
    assert info.problems == ()
    assert info.name == "tiny" and info.models_in_file == ("tiny",) and info.load_us == 12500.0
    assert info.inputs[0] == TensorSpec(
        "images", "u8", (1, 3, 16, 32), "NV12", aligned_shape=(1, 3, 16, 32), aligned_bytes=768
    )
    assert info.input_sources == ("pyramid",) and info.input_types == ("NV12",)
    assert info.outputs[0].stride_bytes == (2048, 256, 32, 4)
    assert info.outputs[0].quantization == Quantization((0.001, 0.002, 0.003, 0.004), (0,), 3)
    assert info.versions == {
        "platform": "1.3.6", "hbrt": "3.15.55.0", "runtime": "1.24.5", "builder": "1.24.3",
    }  # fmt: skip


def test_interleaved_log_lines_colours_and_windows_newlines_change_nothing() -> None:
    text = x5_info([nv12("images", 16, 32)], [feature("out", (1, 10))])
    lines = text.split("\n")
    noisy = "\r\n".join(f"\x1b[31mI1120 10:00:00 1 a.cpp:1] noise {i}\x1b[0m\r\n{line}" for i, line in enumerate(lines))
    assert HBDNN.read_model_info(noisy).outputs == HBDNN.read_model_info(text).outputs
    assert HBDNN.read_model_info(noisy).inputs == HBDNN.read_model_info(text).inputs


def test_a_missing_scale_line_is_told_and_no_scale_is_made_up() -> None:
    out = feature("o", (1, 8, 8, 4), "S32") | {"quanti type": "SCALE", "quantizeAxis": 3}
    info = HBDNN.read_model_info(x5_info([], [out]))
    assert info.outputs[0].quantization is None
    assert any("scale" in problem for problem in info.problems)


def test_scales_that_do_not_fit_their_axis_are_refused() -> None:
    out = feature("o", (1, 8, 8, 4), "S32") | {"quanti type": "SCALE", "scale data": "0.1,0.2,", "quantizeAxis": 3}
    info = HBDNN.read_model_info(x5_info([], [out]))
    assert info.outputs[0].quantization is None and "2 scales do not fit axis 3" in info.problems[0]


def test_shift_data_become_powers_of_two() -> None:
    same = feature("i", (1, 4, 4, 3), "S8") | {"quanti type": "SHIFT", "shift data": "3,3,3,"}
    each = feature("i", (1, 4, 4, 3), "S8") | {"quanti type": "SHIFT", "shift data": "0,1,2,"}
    info = HBDNN.read_model_info(x5_info([same, each], [feature("o", (1, 2))]))
    assert info.inputs[0].quantization == Quantization((0.125,), (0,), None)
    assert info.inputs[1].quantization == Quantization((1.0, 0.5, 0.25), (0,), 3)


def test_a_text_that_ends_inside_a_number_does_not_give_the_number() -> None:
    text = x5_info([], [feature("o", (1, 10), aligned_byte_size=40960)])
    cut = text[: text.index("40960") + 2]
    info = HBDNN.read_model_info(cut)
    assert info.outputs[0].aligned_bytes is None
    assert any("ends inside" in problem for problem in info.problems)


def test_contradicting_blocks_of_one_tensor_are_a_problem() -> None:
    text = x5_info([], [feature("o", (1, 10))])
    text += "\noutput[0]: \nvalid shape: (1,20,)\n"
    info = HBDNN.read_model_info(text)
    assert info.outputs[0].shape == (1, 10)
    assert any("twice" in problem for problem in info.problems)


def test_a_gap_in_the_numbering_of_tensors_is_told() -> None:
    text = x5_info([], [feature("a", (1, 2)), feature("b", (1, 2)), feature("c", (1, 2))])
    start, end = text.index("output[1]"), text.index("output[2]")
    assert "output[1] is missing" in HBDNN.read_model_info(text[:start] + text[end:]).problems


def test_of_a_packed_file_one_model_is_read_and_the_others_are_named() -> None:
    one, two = (x5_info([], [feature(n, (1, 2))], name=n, banner="") for n in ("first", "second"))
    head = "This model file has 2 model:\n[first]\n[second]\n" + "-" * 69 + "\n"
    body = "".join(text.split("-" * 69, 1)[1] for text in (one, two))
    info = HBDNN.read_model_info(head + body)
    assert info.models_in_file == ("first", "second")
    assert info.name == "first" and info.outputs[0].name == "first"
    assert any("2 models" in problem for problem in info.problems)
    assert read_model_info(head + body, "second").outputs[0].name == "second"


def test_text_of_another_program_gives_problems_and_nothing_else() -> None:
    info = HBDNN.read_model_info("Segmentation fault\n")
    assert info == ModelInfo(name="", problems=("no model reported", "no output tensor reported"))


@pytest.mark.parametrize("text", ["(1,2", "1,,2", "a", "", "()", "nan", "inf", "1_0", "٣"])
def test_odd_lists_are_not_numbers(text: str) -> None:
    assert number_list(text) is None


def test_colours_are_stripped_and_a_cut_last_line_is_known() -> None:
    text = plain("\x1b[1;31mred\x1b[0m\r\nlast")
    assert text.lines == ("red", "last") and text.cut


# ---- real captures


def test_captured_x5_yolo11n_is_read_whole() -> None:
    info = HBDNN.read_model_info(captured("x5_model_info_yolo11n_rt1.24.5.txt"))
    assert info.name == "yolo11n_detect_bayese_640x640_nv12" and info.load_us == 157554.0
    assert info.problems == () and info.warnings == ()
    assert info.versions == {
        "platform": "1.3.6", "hbrt": "3.15.55.0", "runtime": "1.24.5", "builder": "1.24.3",
    }  # fmt: skip
    assert [o.name for o in info.outputs] == ["output0", "480", "494", "502", "516", "524"]
    assert [o.aligned_bytes for o in info.outputs] == [2048000, 1638400, 512000, 409600, 128000, 102400]
    assert info.outputs[0].shape == (1, 80, 80, 80) and info.outputs[0].stride_bytes == (2048000, 25600, 320, 4)
    assert HBDNN.read_input_facts(info) == (
        InputFacts(
            name="images",
            size_bytes=614400,
            dtype="u8",
            describe="NV12 640x640, from the image pyramid",
            shapes=((1, 960, 640), (614400,)),
            convert="--size 640x640 --to nv12",
            encoded_suffixes=(".jpg", ".jpeg", ".png"),
        ),
    )


def test_captured_per_channel_scales_are_not_lost() -> None:
    info = HBDNN.read_model_info(captured("x5_model_info_yolo11n_pose_quantized_rt1.24.txt"))
    first, plain_float = info.outputs[0], info.outputs[1]
    assert first.dtype == "s32" and first.quantization is not None
    assert len(first.quantization.scales) == 64 and first.quantization.axis == 3
    assert first.quantization.scales[:2] == (0.000195859, 0.000192412) and 8.58645e-05 in first.quantization.scales
    assert plain_float.shape == (1, 80, 80, 1) and plain_float.quantization is None
    assert [o.name for o in info.outputs] == ["output0", "493", "501", "515", "523", "537", "545", "553", "561"]


def test_captured_yolov8n_mixes_scaled_integers_and_floats() -> None:
    info = HBDNN.read_model_info(captured("x5_model_info_yolov8n_quantized_scale.txt"))
    assert [(o.name, o.dtype) for o in info.outputs] == [
        ("output0", "s32"), ("326", "s32"), ("334", "s32"), ("342", "f32"), ("350", "f32"), ("358", "f32"),
    ]  # fmt: skip
    assert info.load_us == 25791.0 and info.problems == ()


def test_captured_yolov5s_has_three_float_outputs() -> None:
    info = HBDNN.read_model_info(captured("x5_model_info_yolov5s_v2_rt1.23.10.txt"))
    assert [(o.name, o.shape) for o in info.outputs] == [
        ("small", (1, 80, 80, 255)), ("medium", (1, 40, 40, 255)), ("big", (1, 20, 20, 255)),
    ]  # fmt: skip
    assert info.versions["runtime"] == "1.23.10" and info.versions["builder"] == "1.23.8"


def test_captured_excerpt_of_2026_says_that_its_scale_line_is_missing() -> None:
    info = HBDNN.read_model_info(captured("x5_model_info_socinfo_x5.txt"))
    assert info.versions["soc"] == "x5" and info.models_in_file == ("yolov8n_640x640_nv12",)
    assert info.problems == ("output[1]: no 'scale data' line; the scale is not known",)


def test_captured_old_x3_format_has_no_names_and_no_sizes() -> None:
    info = HBDNN.read_model_info(captured("x3_model_info_mobilenetv1_stage_screenshot.txt"))
    assert info.problems == () and info.name == "MOBILENET_hybrid_mobilenetv1"
    assert info.inputs == (TensorSpec("input[0]", "u8", (1, 3, 224, 224), "NV12", aligned_shape=(1, 8, 224, 224)),)
    assert info.outputs == (TensorSpec("output[0]", "f32", (1, 1000, 1, 1), "NCHW", aligned_shape=(1, 1000, 1, 1)),)
    assert info.versions == {"hbrt": "3.13.4", "platform": "1.3.2", "builder": "1.1.49"}
    assert HBDNN.read_input_facts(info)[0].size_bytes == 224 * 224 * 3 // 2


def test_captured_source_comment_with_shift_is_read() -> None:
    info = HBDNN.read_model_info(captured("x3_model_info_unet_shift_as_code_comment.txt"))
    assert info.input_types == ("BGR",) and info.inputs[0].aligned_shape == (1, 256, 256, 4)
    assert info.inputs[0].quantization == Quantization((1.0,), (0,), None)
    assert HBDNN.read_input_facts(info)[0].size_bytes == 256 * 256 * 3


@pytest.mark.parametrize("model", ["yolo11n", "yolov10n", "yolov5nu", "yolov8n", "yolov8n_seg"])
def test_captured_logs_of_the_model_zoo_are_read_whole(model: str) -> None:
    text = captured(f"x5_board_hrt_model_exec_log_{model}.txt", "horizon-toolchain")
    info = HBDNN.read_model_info(text)
    assert info.problems == () and info.versions["builder"] == "1.24.3"
    for spec in info.outputs:
        assert spec.aligned_bytes == int(np.prod(spec.aligned_shape)) * 4


# --------------------------------------------------------------------------- latency


def test_console_and_profiler_log_make_one_latency(tmp_path: Path) -> None:
    (tmp_path / "profiler.log").write_text(profiler_log())
    latency = HBDNN.read_latency(tmp_path, perf_console())
    assert latency is not None
    assert (latency.mean_us, latency.min_us, latency.max_us) == (2500.0, 1875.0, 3125.0)
    assert latency.fps == pytest.approx(392.156863) and latency.frames == 200 and latency.threads == 1
    assert latency.total_us == 510000.0 and latency.core == "0" and latency.problems == ()


def test_a_killed_run_has_no_latency(tmp_path: Path) -> None:
    text = perf_console()
    assert HBDNN.read_latency(tmp_path, text[: text.index("\nRunning condition")]) is None


def test_a_summary_cut_inside_a_figure_does_not_use_it(tmp_path: Path) -> None:
    text = perf_console()
    latency = HBDNN.read_latency(tmp_path, text[: text.rindex(" FPS")])
    assert latency is not None and latency.fps is None
    assert HBDNN.read_latency(tmp_path, text[: text.rindex("2.500000 ms") + 3]) is None


def test_two_different_summaries_in_one_log_are_not_mixed(tmp_path: Path) -> None:
    assert HBDNN.read_latency(tmp_path, perf_console(2.5) + perf_console(3.5)) is None


def test_the_tool_s_own_arithmetic_is_checked(tmp_path: Path) -> None:
    text = perf_console().replace("Average    latency    is: 2.500000", "Average    latency    is: 2.900000")
    latency = HBDNN.read_latency(tmp_path, text)
    assert latency is not None and latency.mean_us == 2900.0
    assert "average latency: the tool says 2.9" in latency.problems[0]


def test_of_several_progress_lines_the_extremes_count(tmp_path: Path) -> None:
    text = perf_console(frames=400)
    line = (
        "Frame count: 200,  Thread Average: 2.4 ms,  thread max latency: 9.5 ms,  thread min latency: 0.5 ms,  FPS: 9.0"
    )
    latency = HBDNN.read_latency(tmp_path, text.replace("Frame count: 400,", f"{line}\nFrame count: 400,"))
    assert latency is not None and (latency.min_us, latency.max_us) == (500.0, 9500.0)


def test_fps_is_not_checked_against_latency(tmp_path: Path) -> None:
    latency = HBDNN.read_latency(tmp_path, perf_console(mean_ms=11.5, run_ms=295.0, threads=4))
    assert latency is not None and latency.problems == ()


def test_a_profiler_log_of_another_run_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "profiler.log").write_text(profiler_log(mean_ms=9.5))
    latency = HBDNN.read_latency(tmp_path, perf_console())
    assert latency is not None and any("may be of different runs" in problem for problem in latency.problems)


def test_without_a_console_the_profiler_log_tells_the_latency(tmp_path: Path) -> None:
    (tmp_path / "profiler.log").write_text(profiler_log())
    latency = HBDNN.read_latency(tmp_path, "")
    assert latency is not None and latency.mean_us == 2500.0 and latency.min_us is None
    assert "console" in latency.problems[0]


def test_an_infer_run_gives_its_frames(tmp_path: Path) -> None:
    latency = HBDNN.read_latency(tmp_path, "Infer time: 1.5 ms\nInfer time: 2.5 ms\n")
    assert latency is not None and latency.samples_us == (1500.0, 2500.0) and latency.mean_us == 2000.0
    one = HBDNN.read_latency(tmp_path, "Infer time: 1.5 ms\n")
    assert one is not None and "cold" in one.notes[0] and not one.problems


@pytest.mark.parametrize(
    ("name", "mean", "least", "most", "fps", "frames", "threads", "core"),
    [
        ("x5_perf_mobilenetv1_rt1.23.5.txt", 2902.294, 2187.0, 3393.0, 1356.254026, 200, 4, "0"),
        ("x5_perf_vargconvnet_nonpadded_timestamp.txt", 12757.5, 4960.0, 13534.0, 310.293522, 200, 4, "0"),
        ("x3_perf_mobilenetv1_keros_ansi.txt", 6104.969, 3524.0, 10309.0, 647.827833, 200, 4, "0"),
        ("x3_perf_console_mobilenetv1_profile_path_screenshot.txt", 21014.851, 20639.0, 24621.0, 94.381026, 20, 2, "0"),
        ("x3_perf_console_summary_core_number_line.txt", 4003.106, None, None, 244.204717, 200, 1, ""),
        ("x3_perf_summary_yolov5s_frame500.txt", 72651.039, None, None, 13.756448, 500, 1, ""),
    ],
)
def test_captured_perf_consoles(
    tmp_path: Path, name: str, mean: float, least: float, most: float, fps: float, frames: int, threads: int, core: str
) -> None:
    latency = HBDNN.read_latency(tmp_path, captured(name))
    assert latency is not None and latency.problems == ()
    assert latency.mean_us == pytest.approx(mean, rel=1e-12) and latency.fps == fps
    assert (latency.min_us, latency.max_us) == (least, most)
    assert (latency.frames, latency.threads, latency.core) == (frames, threads, core)


def test_captured_infer_consoles(tmp_path: Path) -> None:
    first = HBDNN.read_latency(tmp_path, captured("x3_infer_console_mobilenetv1_screenshot.txt"))
    second = HBDNN.read_latency(tmp_path, captured("x3_infer_console_cls_dump_txt_screenshot.txt"))
    assert first is not None and first.mean_us == 23659.0
    assert second is not None and second.mean_us == 22899.0


# --------------------------------------------------------------------------- profiler.log


def ops_of(tmp_path: Path, text: str) -> dict[str, Any]:
    (tmp_path / "profiler.log").write_text(text)
    return {op.name: op for op in HBDNN.read_ops(tmp_path, "")}


def test_nodes_get_their_unit_and_category_from_their_names(tmp_path: Path) -> None:
    ops = ops_of(tmp_path, profiler_log())
    placed = {name: (op.kind, op.unit, op.category) for name, op in ops.items()}
    assert placed == {
        "torch_jit_subgraph_0": ("subgraph", "BPU", "compute"),
        "torch_jit_subgraph_1": ("subgraph", "BPU", "compute"),
        "mid_HzDequantize": ("Dequantize", "CPU", "dequantize"),
        "Preprocess": ("Preprocess", "CPU", "pre"),
        "softmax_out_HzQuantize": ("Quantize", "CPU", "quantize"),
        "softmax": ("Softmax", "CPU", "compute"),
        "torch_jit_subgraph_0_output_layout_convert": ("layout_convert", "CPU", "layout"),
        "TaskPendingTime": ("task", "", "wait"),
        "TaskRunningTime": ("task", "", "wait"),
    }
    assert (ops["softmax"].mean_us, ops["softmax"].min_us, ops["softmax"].max_us) == (125.0, 62.5, 187.5)


def test_a_log_without_a_second_block_says_so(tmp_path: Path) -> None:
    (tmp_path / "profiler.log").write_text(profiler_log().split("***")[0])
    latency = HBDNN.read_latency(tmp_path, perf_console())
    assert latency is not None and any("one block" in p for p in latency.problems)
    assert HBDNN.read_ops(tmp_path, "") == ()


def test_a_cut_second_block_gives_only_nodes_whose_braces_close(tmp_path: Path) -> None:
    text = profiler_log()
    (tmp_path / "profiler.log").write_text(text[: text.index('"Preprocess"') + 40])
    names = [op.name for op in HBDNN.read_ops(tmp_path, "")]
    assert names == ["torch_jit_subgraph_0", "torch_jit_subgraph_1", "mid_HzDequantize"]
    latency = HBDNN.read_latency(tmp_path, perf_console())
    assert latency is not None and any("is truncated" in p for p in latency.problems)


def test_a_node_that_is_told_twice_with_different_times_is_not_used(tmp_path: Path) -> None:
    first, second = profiler_log().split("***\n")
    other = profiler_log(NODES | {"Softmax_softmax": times(0.5)}).split("***\n")[1]
    ops = ops_of(tmp_path, first + "***\n" + second + "***\n" + other)
    assert "softmax" not in ops and "torch_jit_subgraph_0" in ops


def test_times_that_are_no_numbers_are_left_out_and_named(tmp_path: Path) -> None:
    text = profiler_log({"BPU_a_subgraph_0": times(1.0), "Preprocess": {"avg_time": "fast"}})
    text = text.replace('"min_time": 0.5', '"min_time": NaN')
    ops = ops_of(tmp_path, text)
    assert ops["a_subgraph_0"].min_us is None and "Preprocess" not in ops
    latency = HBDNN.read_latency(tmp_path, perf_console())
    assert latency is not None and any("'Preprocess' has no avg_time" in p for p in latency.problems)


def test_the_emulator_s_side_file_marks_accelerator_times_as_estimates(tmp_path: Path) -> None:
    (tmp_path / "emulated.json").write_text('{"estimated": ["BPU"]}')
    ops = ops_of(tmp_path, profiler_log())
    assert ops["torch_jit_subgraph_0"].estimated and not ops["softmax"].estimated


def test_a_broken_side_file_still_marks_them(tmp_path: Path) -> None:
    (tmp_path / "emulated.json").write_text("{")
    assert ops_of(tmp_path, profiler_log())["torch_jit_subgraph_0"].estimated


def test_captured_profiler_log_with_chip_latency(tmp_path: Path) -> None:
    ops = ops_of(tmp_path, captured("x3_profiler_log_mobilenetv1_valid_chip_latency.log"))
    assert {name: op.mean_us for name, op in ops.items()} == pytest.approx(
        {
            "MOBILENET_subgraph_0": 11091.22,
            "fc7_1_HzDequantize": 78.85,
            "MOBILENET_subgraph_0_output_layout_convert": 18.765,
            "Preprocess": 6.5,
            "prob": 84.255,
            "TaskPendingTime": 29.375,
            "TaskRunningTime": 11403.24,
        }
    )
    latency = HBDNN.read_latency(tmp_path, "")
    assert latency is not None and latency.mean_us == pytest.approx(11506.142616271973)
    assert latency.frames == 200 and latency.threads == 1 and latency.core == "0"


def test_captured_broken_log_of_the_manual_is_salvaged_and_called_broken(tmp_path: Path) -> None:
    ops = ops_of(tmp_path, captured("x3_profiler_log_mobilenetv1_broken_json_docs.log"))
    assert ops["MOBILENET_subgraph_0"].mean_us == pytest.approx(3425.56)
    assert ops["prob"].mean_us == pytest.approx(133.67) and len(ops) == 7
    latency = HBDNN.read_latency(tmp_path, "")
    assert latency is not None and any("block 2 is damaged" in p for p in latency.problems)


def test_captured_oneline_log_of_x5(tmp_path: Path) -> None:
    ops = ops_of(tmp_path, captured("x5_profiler_log_1.24_oneline_fixture.log"))
    assert ops["x5_conv_relu_linear_subgraph_0"].mean_us == pytest.approx(249.425)
    assert ops["Preprocess"].max_us == pytest.approx(22.0) and len(ops) == 2


def test_captured_captures_that_readme_authors_re_typed_are_not_read(tmp_path: Path) -> None:
    for name in ("s100_perf_readme_bullets.txt", "s600_perf_foundationpose_excerpt.txt"):
        assert HBDNN.read_latency(tmp_path, captured(name)) is None
