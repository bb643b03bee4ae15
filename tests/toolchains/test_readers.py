"""Readers of Horizon toolchain files, against real output and own text in the same formats."""

from __future__ import annotations

from collections import Counter

import pytest

from harness.toolchains.horizon.files import read_advice, read_node_info, read_quant_info, unit_of_tensor
from harness.toolchains.records import Artifact, SegmentEstimate
from tests.support.toolchain_samples import read


def units(artifact: Artifact) -> dict[str, int]:
    return dict(Counter(node.unit for node in artifact.nodes))


# --------------------------------------------------------------------------- hb_mapper


@pytest.mark.parametrize(
    ("model", "nodes", "fps", "latency_us", "outputs"),
    [
        ("yolo11n", 243, 193.52, 5167.5, 6),
        ("yolov5nu", 174, 301.16, 3320.5, 6),
        ("yolov8n", 175, 252.26, 3964.1, 6),
        ("yolov8n_seg", 197, 195.85, 5106.1, 10),
        ("yolov10n", 225, 173.79, 5754.1, 6),
    ],
)
def test_whole_x5_logs_give_their_tables_and_estimates(
    model: str, nodes: int, fps: float, latency_us: float, outputs: int
) -> None:
    log = read(f"x5_hb_mapper_log_{model}.txt")
    assert (log.kind, log.march, log.finished) == ("hb_mapper_log", "bayes-e", True)
    assert log.versions["hb_mapper"] == "1.24.3" and log.versions["hbdk_runtime"] == "3.15.55.0"
    assert units(log) == {"BPU": nodes}
    assert [(one.fps, one.latency_us) for one in log.estimates] == [(fps, latency_us)]
    assert len(log.outputs) == outputs and log.facts["output_count"] == outputs
    assert log.settings["calibration_parameters"]["calibration_type"] == "default"
    assert log.inputs[0]["input_type_rt"] == "nv12"
    assert log.problems == ()


def test_the_makertbin_log_with_a_cpu_op_gives_segments_types_and_calibration() -> None:
    log = read("x5_bear_hb_mapper_makertbin.log")
    assert units(log) == {"BPU": 209, "CPU": 1}
    cpu = next(node for node in log.nodes if node.unit == "CPU")
    assert (cpu.name, cpu.kind, cpu.subgraph, cpu.cosine, cpu.input_dtype) == (
        "/model.22/dfl/Softmax",
        "Softmax",
        None,
        0.985373,
        "f32",
    )
    assert log.nodes[0].cosine == 1.000043  # not clamped
    assert sum(node.name.endswith("_Requantize") for node in log.nodes) == 23
    assert next(node for node in log.nodes if node.kind == "HzRequantize").threshold is None
    assert log.estimates[0] == SegmentEstimate("main_graph_subgraph_0", 216.27, 4623.9, 18276256, 90.2899)
    assert log.estimates[1] == SegmentEstimate("main_graph_subgraph_1", 323.61, 3090.1, 15584512, 39.8949)
    assert (log.outputs[0].name, log.outputs[0].cosine, log.outputs[0].chebyshev) == ("output0", 0.99956, 173.24823)
    assert log.facts["calibration_samples"] == 100
    assert log.facts["calibration_chosen"] == "max-percentile:percentile=0.99995"
    assert log.settings["config.compiler_parameters"]["optimize_level"] == "O3"
    assert log.inputs == ({**log.inputs[0], "name": "images", "cal_data_type": "uint8", "norm_type": "data_scale"},)
    assert {m.subject for m in log.messages if "does not support data type" in m.text} == {"/model.22/dfl/Softmax"}
    assert all(m.severity == "note" for m in log.messages)
    assert log.problems == ()


def test_the_checker_log_has_no_cosines_and_two_segments() -> None:
    log = read("x5_bear_hb_mapper_checker.log")
    assert units(log) == {"BPU": 186, "CPU": 1}
    assert {node.subgraph for node in log.nodes} == {0, 1, None}
    assert all(node.cosine is None and node.threshold == 1.0 for node in log.nodes if node.kind != "HzRequantize")
    assert [(e.fps, e.latency_us) for e in log.estimates] == [(33.29, 30037.3), (117.41, 8517.0)]
    assert log.outputs == ()


def test_the_2021_caffe_log_keeps_blank_cells_blank() -> None:
    log = read("x3_2021_lenet_makertbin_caffe.txt")
    assert log.versions == {"hb_mapper": "1.1.58", "horizon_nn": "0.9.7", "hbdk": "3.16.6", "hbdk_runtime": "3.10.8"}
    assert (log.march, log.finished) == ("bernoulli2", True)  # "sucessfully" counts
    assert [(n.name, n.unit, n.cosine, n.threshold) for n in log.nodes[-2:]] == [
        ("ip2", "BPU", 0.999989, 2438.901855),
        ("ip2_reshape_0", "CPU", None, None),
    ]
    assert log.outputs[0].l2 == 2.969808
    assert log.inputs[0]["input_type_rt"] == "gray"
    assert log.facts["calibration_run"] == "kl" and log.facts["calibration_samples"] == 100


def test_the_2021_checker_has_only_places_and_types() -> None:
    log = read("x3_2021_lenet_checker_onnx.txt")
    assert units(log) == {"BPU": 7, "CPU": 1}
    assert log.nodes[-1].name == "29_reshape_0" and log.nodes[0].subgraph == 0
    assert log.finished is True


def test_the_2024_table_has_input_and_output_types() -> None:
    log = read("x5_2024_readme_repvgg_tables.txt")
    gemm, reshape = log.nodes[-2:]
    assert (gemm.input_dtype, gemm.output_dtypes, gemm.cosine) == ("s8", ("s32",), 0.768926)
    assert (reshape.unit, reshape.threshold, reshape.input_dtype) == ("CPU", None, "f32")
    assert log.nodes[4].name_is_cut and log.nodes[4].name == "...ge1.0/nonlinearity/Relu_output_0_calibrated_pad"
    assert log.outputs[0].cosine == 0.768926


@pytest.mark.parametrize(
    ("name", "nodes", "fps"),
    [
        ("x5_2024_readme_yolov10.txt", 221, 129.09),
        ("x5_2024_readme_yolov8.txt", 175, 260.75),
        ("x5_2024_readme_yolov8_cn.txt", 173, 267.3),
    ],
)
def test_2024_readme_logs(name: str, nodes: int, fps: float) -> None:
    log = read(name)
    assert (len(log.nodes), log.estimates[0].fps, log.facts["calibration_samples"]) == (nodes, fps, 50)


def test_blank_cells_in_a_2024_row_do_not_shift_the_type() -> None:
    log = read("x5_2024_readme_yolov8_cn.txt")
    row = next(n for n in log.nodes if n.name == "/model.2/Split_output_0_calibrated_Requantize")
    assert (row.cosine, row.threshold, row.input_dtype, row.output_dtypes) == (None, None, "s8", ("s8",))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x3_doc_checker_table_caffe_cpu_splits.txt", {"BPU": 8, "CPU": 9}),
        ("ultra_doc_checker_table_onnx_cpu_splits.txt", {"BPU": 17, "CPU": 21}),
        ("j5_2023_checker_table_head.log", {"BPU": 4}),
        ("j5_2023_checker_table_tail.log", {"BPU": 3}),
        ("x5_2024_yolo11n_int16_rows.txt", {"BPU": 10}),
    ],
)
def test_excerpts_of_tables_give_what_they_hold_and_say_what_is_missing(name: str, expected: dict[str, int]) -> None:
    log = read(name)
    assert units(log) == expected
    assert any("not in this text" in problem for problem in log.problems)


def test_rows_without_a_header_are_read_by_form_and_told() -> None:
    log = read("x5_2024_yolo11n_int16_rows.txt")
    assert log.nodes[2].cosine == 0.996334 and log.nodes[2].input_dtype == "s16"
    assert any("no header" in problem for problem in log.problems)


def test_errors_are_found_in_failing_logs() -> None:
    wrong = read("x3_2021_makertbin_error_input_name.txt")
    assert wrong.finished is False
    assert (wrong.messages[0].severity, wrong.messages[0].subject) == ("error", "data")
    missing = read("x3_doc_makertbin_error_missing_keys.txt")
    assert missing.finished is False and missing.messages[0].subject == "model_parameters"
    pack = read("x3_doc_hb_pack_error.txt")
    assert pack.finished is False


def test_the_vendors_list_of_messages_has_meanings_for_most() -> None:
    page = read("x3_doc_faq_error_messages.md")
    assert sum(bool(message.meaning) for message in page.messages) >= 18


def test_config_dump_hb_perf_and_model_info_blocks() -> None:
    head = read("x3_2022_makertbin_head_and_config_dump.log")
    assert head.settings["config.input_parameters"]["mean_value"] == "103.94 116.78 123.68"
    assert head.settings["config.model_parameters"]["march"] == "bernoulli2"
    perf = read("x3_2022_hb_perf.log")
    assert perf.kind == "hb_perf_log"
    assert [(e.subgraph, e.fps, e.latency_us, e.ddr_bytes) for e in perf.estimates] == [
        ("torch-jit-export_subgraph_0", 17494.14, 57.2, None),
        ("torch-jit-export_subgraph_1", 50261.36, 19.9, None),
    ]
    info = read("x3_doc_hb_model_info.txt")
    assert info.kind == "hb_model_info" and info.march == "bernoulli2"
    assert info.facts["input_types"] == ["NV12"] and len(info.facts["output_types"]) == 10
    assert info.inputs[0]["norm_type"] == "data_mean_and_scale"
    assert info.settings["compiler_parameters"]["hbdk_pass_through_params"] == "--fast --O3"


def test_deleted_and_deletable_nodes() -> None:
    assert len(read("x3_doc_hb_model_info_deleted_nodes.txt").facts["deleted_nodes"]) == 10
    listed = read("x3_doc_hb_model_modifier_list.txt")
    assert listed.facts["deletable_nodes"] == ["data_res2a_branch1_HzQuantize_TransposeInput0", "fc1000_reshape_0"]
    removed = read("x3_doc_hb_model_modifier_removed.txt")
    assert removed.facts["deleted_nodes"] == ["data_res2a_branch1_HzQuantize_TransposeInput0"]


# --------------------------------------------------------------------------- hb_compile and its files


def test_hb_compile_log_gives_memory_and_hashes_of_the_calibration_data() -> None:
    log = read("j6p_hb_compile_calibration.log")
    assert (log.kind, log.march, log.finished) == ("hb_compile_log", "nash-p", True)
    assert log.facts["memory_bytes"]["min memory requirement"] == 24185856
    assert log.facts["calibration_md5"]["rgb"] == "2ab0d1bdfb988287f7afe025bdbb9994"
    assert log.facts["calibration_md5"]["all"] == "f58bfbbc92d2e43749cd907c72cced65"
    assert all(message.severity == "note" for message in log.messages)
    short = read("j6p_hb_compile_precheck_filtered.log")
    assert short.facts["memory_bytes"]["static memory"] == 23579816
    assert next(m for m in short.messages if "featuremap" in m.text).count == 4


def test_node_info_rows_with_two_unquoted_types() -> None:
    table = read("j6p_node_info.csv")
    assert len(table.nodes) == 59 and units(table) == {"BPU": 59} and table.problems == ()
    two = [node for node in table.nodes if len(node.output_dtypes) == 2]
    assert [(n.name, n.output_dtypes, n.threshold) for n in two] == [
        ("/model/Mul_target_speed_mps_Reshape", ("f32", "s16"), 46.601097),
        ("/model/Sigmoid_1_confidence_Reshape", ("f32", "s16"), 0.999985),
    ]
    gemm = next(n for n in table.nodes if n.name == "/model/target_speed_head/Gemm")
    assert (gemm.cosine, gemm.quantized_cosine, gemm.kind) == (0.955581, 0.95541, "Conv")
    relu = table.nodes[1]
    assert relu.fused and relu.threshold is None and relu.cosine == 0.999961


def test_node_info_without_calibration_has_four_columns() -> None:
    table = read_node_info("Node,NodeType,ON,Output Data Type\nconv,Conv,BPU,si8\nm,Mul,CPU,f32\n")
    assert [(n.name, n.unit, n.output_dtypes, n.cosine) for n in table.nodes] == [
        ("conv", "BPU", ("s8",), None),
        ("m", "CPU", ("f32",), None),
    ]


def test_node_info_cut_in_its_last_row_leaves_the_row_out() -> None:
    text = "Node,NodeType,ON,Threshold,Calibrated Cosine,Quantized Cosine,Output Data Type\n"
    table = read_node_info(text + "a,Conv,BPU,1.5,0.999893,0.999959,si8\nb,Conv,BPU,1.5,0.999893,0.999959,si1")
    assert [node.name for node in table.nodes] == ["a"] and "line 3" in table.problems[0]


def test_quant_info_has_strings_for_cosines_and_no_device() -> None:
    info = read("x5_bear_quant_info.json")
    assert info.kind == "quant_info" and len(info.nodes) == 190 and info.problems == ()
    first = info.nodes[0]
    assert (first.name, first.cosine, first.threshold, first.unit) == ("HZ_PREPROCESS_FOR_images", 1.000043, 127.0, "")
    assert first.thresholds == ((127.0,), (0.005497, 0.003922, 0.00695), ())


def test_quant_info_of_j6_has_output_tensors() -> None:
    text = '{"conv": {"type": "Conv", "inputs": ["x"], "outputs": ["y"], "thresholds": [[1.5]], '
    text += '"cosine_similarity": "0.999"}, "model_output_tensor": {"y": {"cosine_similarity": "0.98"}}, "note": 3}'
    info = read_quant_info(text)
    assert [node.cosine for node in info.nodes] == [0.999]
    assert (info.outputs[0].name, info.outputs[0].cosine) == ("y", 0.98)
    assert "'note' is not a node" in info.problems[0]


def test_advice_maps_backends_to_units() -> None:
    text = """[{"tensor_names": [{"tensor_name": "a_quantized", "data_type": "si8"}], "backend": "Vpu"},
               {"tensor_names": [{"tensor_name": "b", "data_type": "f32"}], "backend": "external_cpu"}]"""
    advice = read_advice(text)
    assert (unit_of_tensor("a", advice), unit_of_tensor("b", advice), unit_of_tensor("c", advice)) == ("BPU", "CPU", "")


def test_model_desc_gives_the_build_settings_of_a_compiled_model() -> None:
    desc = read("j6p_hrt_model_exec_model_info.log")
    assert desc.kind == "model_desc" and desc.march == "nash-p"
    assert desc.versions == {"builder": "3.5.16", "hbdk": "4.11.11", "hmct": "2.8.4"}
    assert desc.settings["model_desc"]["CALI_TYPE"] == "skip"
    assert [block["name"] for block in desc.inputs] == ["rgb", "text_tokens", "targets", "state"]
    assert desc.inputs[2]["input_shape"] == "1x8x14"
