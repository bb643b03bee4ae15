"""The J6/S100/S600 family: its command line, its model_info without layouts, its staged nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.boards.flat import compose
from harness.errors import InputError
from harness.platforms import load
from harness.platforms.horizon.profiler import describe_node
from harness.profiling import profile
from harness.records import Job, Latency, ModelInfo, Quantization, TensorSpec
from tests.records.kit import find
from tests.support.horizon_fixtures import BANNER_UCP, captured, perf_console, profiler_log, times, ucp_node

UCP = load("ucp")


def invoke(mode: str, soc: str = "s100", **job: Any) -> tuple[str, ...]:
    board = compose(name=f"lab-{soc}", platform="ucp", soc=soc)
    return UCP.invocation(board.identity, Job(mode=mode, model="/b/tiny.hbm", folder="/b/run", **job)).argv


# --------------------------------------------------------------------------- command lines


def test_several_cores_are_given_as_a_list() -> None:
    assert "--core_id=1,2" in invoke("profile", "s600", core="1,2")
    assert "--core_id=4" in invoke("profile", "j6p", core=4)


@pytest.mark.parametrize(
    ("soc", "option", "value", "says"),
    [
        ("s100", "core", "2", "s100 has one BPU core"),
        ("s600", "core", "5", "4 BPU cores"),
        ("s600", "core", "0,1", "cannot be combined"),
        ("s100", "threads", "33", "1 to 32"),
        ("s100", "priority", "256", "0 to 255"),
        ("s100", "warmup", "maybe", "true or false"),
        ("s100", "img_properties", "Y UV", "Y,UV"),
        ("s100", "l2", "6,6", "megabytes"),
        ("s100", "roi", "1,2,3,4", "third input"),
        ("s100", "input_valid_shape", "1,2;x", "numbers"),
        ("s100", "time", "0.5", "whole seconds"),
    ],
)
def test_an_option_out_of_range_is_refused(soc: str, option: str, value: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        invoke("profile", soc, options={option: value})


def test_a_soc_with_an_unknown_number_of_cores_is_not_limited() -> None:
    assert "--core_id=7" in invoke("profile", "j6h", core=7)


def test_a_core_is_named_once() -> None:
    with pytest.raises(InputError, match="duplicate core"):
        invoke("profile", "s600", core="1,1")


def test_short_times_use_the_flag_in_seconds() -> None:
    assert "--perf_time_in_seconds=30" in invoke("profile", time_s=30.0)
    assert "--perf_time=1" in invoke("profile", time_s=60.0)
    with pytest.raises(InputError, match="whole seconds") as refused:
        invoke("profile", time_s=2.5)
    assert refused.value.hint.endswith("--time 2 or --time 3")


def test_strides_of_dynamic_images_follow_from_their_shapes() -> None:
    options = {"input_valid_shape": "1,220,220,1;1,110,110,2"}
    assert "--input_stride=49280,224,1,1;24640,224,2,1" in invoke("release", options=options)
    wide = {"input_valid_shape": "1,220,220,1"}
    for soc in ("s600", "j6p", "j6h"):
        assert "--input_stride=56320,256,1,1" in invoke("release", soc, options=wide)


def test_strides_too_small_for_the_shape_are_refused() -> None:
    options = {"input_valid_shape": "1,8,8,1", "input_stride": "32,8,1,1"}
    with pytest.raises(InputError, match="too small"):
        invoke("release", options=options)
    with pytest.raises(InputError, match="do not match"):
        invoke("release", options={"input_valid_shape": "1,8,8,1", "input_stride": "64,8,1"})


def test_l2_memory_goes_into_the_environment() -> None:
    board = compose(name="b", platform="ucp", soc="s600")
    job = Job("release", "/b/m.hbm", "/b", options={"l2": "6:6:6:6"})
    assert UCP.invocation(board.identity, job).environment == {"HB_DNN_USER_DEFINED_L2M_SIZES": "6:6:6:6"}


# --------------------------------------------------------------------------- model_info


def test_captured_j6_model_with_dynamic_strides() -> None:
    info = UCP.read_model_info(captured("j6_model_info_resnet50_dynamic_stride.txt"))
    assert info.name == "resnet50_224x224_nv12" and info.load_us == 1965570.0 and info.problems == ()
    assert info.inputs[0] == TensorSpec("input_y", "u8", (1, 224, 224, 1), stride_bytes=(-1, -1, 1, 1))
    assert info.outputs == (TensorSpec("output", "f32", (1, 1000), stride_bytes=(4000, 4), aligned_bytes=4096),)
    assert [fact.size_bytes for fact in UCP.read_input_facts(info)] == [50176, 25088]
    assert len(info.warnings) == 2 and "dynamic" in info.warnings[0]


def test_captured_zero_points_and_padded_rows() -> None:
    info = UCP.read_model_info(captured("j6_model_info_bev_quantized_zero_point.txt"))
    assert info.problems == () and info.name == ""
    assert info.inputs[0] == TensorSpec(
        "features",
        "s8",
        (1, 5, 20, 30000),
        stride_bytes=(3008000, 601600, 30080, 1),
        aligned_bytes=3008000,
        quantization=Quantization((0.00771821,), (0,)),
    )
    assert [i.name for i in info.inputs] == ["features", "coors", "img", "ego2img", "points0", "points1"]
    assert info.outputs[0].stride_bytes == (2560000, 12800, 64, 4) and info.outputs[0].dtype == "s32"


def test_captured_j6p_run_on_a_pc_has_its_versions_and_fourteen_tensors() -> None:
    info = UCP.read_model_info(captured("j6p_hrt_model_exec_model_info.log", "horizon-toolchain"))
    assert info.problems == () and len(info.inputs) == 4 and len(info.outputs) == 10
    versions = {"runtime": "3.15.8", "hbrt": "4.11.11", "ucp": "3.15.8", "builder": "3.5.16", "hbdk": "4.11.11"}
    assert info.versions == versions | {"march": "nash-p"}
    assert info.outputs[0] == TensorSpec("plan_length_logits", "f32", (1, 4), stride_bytes=(16, 4), aligned_bytes=256)


def test_captured_banners_tell_the_versions() -> None:
    s600 = UCP.read_versions(captured("s600_hbm_runtime_resnet18_excerpt.txt"))
    assert s600 == {"runtime": "3.13.6", "hbrt": "4.7.5", "ucp": "3.13.6", "bpulib": "2.2.20"}
    debug = UCP.read_versions(captured("j6_ucp_debug_log_loglevel0_excerpt.txt"))
    assert debug["soc"] == "J6E/M" and debug["ucp"] == "3.3.3" and debug["bpulib"] == "2.1.2"


# --------------------------------------------------------------------------- times


def test_captured_perf_consoles(tmp_path: Path) -> None:
    lane = UCP.read_latency(tmp_path, captured("s100_perf_lanenet_ucp3.3.3.txt"))
    assert lane is not None and (lane.mean_us, lane.fps, lane.frames, lane.threads) == (14245.0, 69.894, 200, 1)
    assert lane.max_us == pytest.approx(38879.002) and lane.warmup_excluded is True and lane.problems == ()
    eight = UCP.read_latency(tmp_path, captured("j6_perf_console_resnet50_thread8.txt"))
    assert eight is not None and eight.threads == 8 and eight.mean_us == pytest.approx(5262.16)
    infer = UCP.read_latency(tmp_path, captured("j6_infer_console_resnet50.txt"))
    assert infer is not None and infer.mean_us == 1464.0 and infer.warmup_excluded is False


def test_a_run_without_warmup_says_so(tmp_path: Path) -> None:
    for flag, warm in (("--enable_warmup=false", False), ("-enable_warmup 0", False), ("--noenable_warmup", False),
                       ("--enable_warmup=true", True), ("--enable_warmup", True)):  # fmt: skip
        latency = UCP.read_latency(tmp_path, perf_console().replace("--core_id=0", f"--core_id=0 {flag}"))
        assert latency is not None and latency.warmup_excluded is warm, flag


def test_stages_are_figures_and_the_total_is_the_time_in_the_order_of_node_numbers(tmp_path: Path) -> None:
    nodes = {
        "Node-1-CPU-Softmax_3": times(0.5),
        "Node-0-BPU-conv_1_bpu_segment_0": ucp_node(2.0),
        "Node-10-BPU-conv_9_bpu_segment_2": ucp_node(0.25),
        "Node-2-BPU-conv_5_bpu_segment_1": ucp_node(1.0),
    }
    (tmp_path / "profiler.log").write_text(profiler_log(nodes, prefix="ucp_version: 3.7.3\n", core="1,2"))
    ops = UCP.read_ops(tmp_path, "")
    first = next(op for op in ops if op.name == "conv_1_bpu_segment_0")
    assert (first.unit, first.kind, first.mean_us, first.index) == ("BPU", "subgraph", 2000.0, 0)
    assert first.figures == {"Stage1-GenerateBpuTask mean_us": 250.0, "Stage2-BpuCoreProcess mean_us": 1500.0}
    latency = UCP.read_latency(tmp_path, BANNER_UCP)
    assert latency is not None and latency.core == "1,2"
    measured = profile(latency, ops)
    assert measured.order_known
    assert [s.name for s in measured.segments] == [
        "conv_1_bpu_segment_0", "Softmax_3", "conv_5_bpu_segment_1", "conv_9_bpu_segment_2",
    ]  # fmt: skip


def test_the_placeholder_template_gives_nothing_and_says_what_is_broken(tmp_path: Path) -> None:
    (tmp_path / "profiler.log").write_text(captured("j6_profiler_log_TEMPLATE_placeholders.log"))
    (tmp_path / "profiler.csv").write_text(captured("j6_profiler_csv_TEMPLATE_placeholders.csv"))
    assert UCP.read_ops(tmp_path, "") == ()
    latency = UCP.read_latency(tmp_path, perf_console())
    assert latency is not None and sum("damaged" in p for p in latency.problems) == 2


def test_profiler_csv_of_another_run_is_noticed(tmp_path: Path) -> None:
    csv = "ucp_version,3.7.3\nrunning_condition\ncore_id,1,2\n\nperf_result\naverage_latency,9.5\nFPS,100\n\n"
    (tmp_path / "profiler.csv").write_text(csv)
    (tmp_path / "profiler.log").write_text(profiler_log())
    latency = UCP.read_latency(tmp_path, perf_console())
    assert latency is not None
    assert any(p.startswith("profiler.csv says average_latency 9.5") for p in latency.problems)


# --------------------------------------------------------------------------- files


def test_node_dumps_of_unknown_form_keep_their_own_names(tmp_path: Path) -> None:
    for name in ("add_12-output-0.bin", "GatherND_7_input_1_idx.bin", "odd.bin", "model_infer_output_0_y.bin"):
        (tmp_path / name).write_bytes(b"\x00")
    dumps = {d.path.name: (d.name, d.op, d.role) for d in UCP.read_dumps(tmp_path, "", ModelInfo("m"))}
    assert dumps == {
        "add_12-output-0.bin": ("add_12", "add_12", "output"),
        "GatherND_7_input_1_idx.bin": ("idx", "GatherND_7", "input"),
        "odd.bin": ("odd", "", "output"),
    }


def test_a_debug_run_needs_the_model_outputs_only_because_node_names_are_not_public() -> None:
    log = "hrt_model_exec infer\nInfer time: 1.0 ms\n"
    assert UCP.read_failure("debug", 0, log, ("model_infer_output_0_y.bin",)) is None


@pytest.mark.parametrize(
    ("shape", "dtype", "size"),
    [
        ((1, 5, 20, 30000), "s8", 3008000),
        ((6, 3, 512, 960), "s8", 9437184),
        ((30000, 4), "s32", 480000),
        ((6, 4, 4), "f32", 384),
        ((10, 128, 128, 2), "s16", 655360),
        ((1, 1000), "f32", 4096),
        ((1, 4), "f32", 256),
        ((1, 4), "f32", 128),
    ],
)
def test_captured_sizes_are_among_the_storages(shape: tuple[int, ...], dtype: str, size: int) -> None:
    from harness.consistency.reading.tensor_files import size_bytes

    sizes = {size_bytes(s) for s in UCP.storages(TensorSpec("t", dtype, shape), "BPU")}
    assert size in sizes


def test_dynamic_outputs_have_no_strides_to_decode_by(tmp_path: Path) -> None:
    (tmp_path / "model_infer_output_0_y.bin").write_bytes(b"\x00" * 4)
    spec = TensorSpec("y", "u8", (1, 4), stride_bytes=(-1, 1))
    (output,) = UCP.read_outputs(tmp_path, "", ModelInfo("m", outputs=(spec,)))
    assert output.spec is not None and output.spec.stride_bytes == ()


@pytest.mark.parametrize(
    ("key", "described"),
    [
        ("Node-0-BPU-conv_1_bpu_segment_0", ("conv_1_bpu_segment_0", "subgraph", "BPU", "compute")),
        ("Node-1-CPU-Softmax_3", ("Softmax_3", "Softmax", "CPU", "compute")),
        ("Node-1-CPU-Softmax_/head/Softmax", ("/head/Softmax", "Softmax", "CPU", "compute")),
        ("Node-2-CPU-m_output_layout_convert", ("m_output_layout_convert", "layout_convert", "CPU", "layout")),
        ("Node-3-CPU-Quantize_x_HzQuantize", ("x_HzQuantize", "Quantize", "CPU", "quantize")),
        ("Node-4-CPU-HzDequantize_y", ("y", "HzDequantize", "CPU", "dequantize")),
        ("Node-5-CPU-Preprocess", ("Preprocess", "Preprocess", "CPU", "pre")),
        ("Node-6-DSP-Resize_2", ("Resize_2", "Resize", "DSP", "compute")),
    ],
)  # fmt: skip
def test_nodes_off_the_accelerator_are_read_as_on_older_boards(key: str, described: tuple[str, ...]) -> None:
    """Quantizing, dequantizing and changes of layout are no ops that somebody could replace."""
    assert describe_node(key) == described
    is_older = key.startswith("Node-3") or key.startswith("Node-2")
    assert not is_older or describe_node(key.split("-", 3)[3])[:2] == described[:2]


def test_one_op_in_the_middle_is_one_cut_with_what_its_borders_cost(tmp_path: Path) -> None:
    nodes = {
        "Node-0-BPU-m_bpu_segment_0": ucp_node(2.0),
        "Node-1-CPU-m_output_layout_convert": times(0.1),
        "Node-2-CPU-Dequantize_conv1_HzDequantize": times(0.2),
        "Node-3-CPU-Softmax_3": times(0.5),
        "Node-4-CPU-Quantize_s_HzQuantize": times(0.3),
        "Node-5-BPU-m_bpu_segment_1": ucp_node(1.0),
    }
    (tmp_path / "profiler.log").write_text(profiler_log(nodes, prefix="ucp_version: 3.7.3\n"))
    measured = profile(Latency(4200.0), UCP.read_ops(tmp_path, ""))
    cuts = [one for one in find(None, measured) if one.rule == "T-201"]
    assert [one.subject for one in cuts] == ["Softmax_3"] and "layout conversion 600.0 us" in cuts[0].evidence
