"""Parts of a run.json besides its layers: profile, findings, model, modes, telemetry, plan."""

from __future__ import annotations

from typing import Any

from harness.diagnosis.plan import Plan, PlanRow, PlanSegment
from harness.profiling.telemetry import Sense
from harness.records import (
    Finding,
    Latency,
    Layer,
    ModelInfo,
    OpTime,
    Profile,
    Quantization,
    Segment,
    TensorSpec,
)
from harness.records.codec import to_json
from harness.toolchains.records import Message
from tests.support.fixtures_layers import Run, md5


def profile() -> Profile:
    times = (
        ("quantize_images", "Quantize", "CPU", "quantize", 118.0),
        ("yolo_n_subgraph_0", "subgraph", "BPU", "compute", 2310.4),
        ("dequantize_scores", "Dequantize", "CPU", "dequantize", 340.2),
        ("/head/Softmax", "Softmax", "CPU", "compute", 880.9),
        ("quantize_scores", "Quantize", "CPU", "quantize", 410.0),
        ("yolo_n_subgraph_1", "subgraph", "BPU", "compute", 1780.0),
        ("layout_boxes", "Transpose", "CPU", "layout", 131.5),
        ("dequantize_boxes", "Dequantize", "CPU", "dequantize", 390.0),
    )
    ops = tuple(
        OpTime(name, kind, unit, category, mean, mean * 0.94, mean * 1.21, 500, estimated=unit == "BPU")
        for name, kind, unit, category, mean in times
    )
    segments = (
        Segment("CPU", "quantize", ("quantize_images",), 118.0),
        Segment("BPU", "subgraph_0", ("yolo_n_subgraph_0",), 2310.4),
        Segment("CPU", "Softmax", ("dequantize_scores", "/head/Softmax", "quantize_scores"), 1631.1),
        Segment("BPU", "subgraph_1", ("yolo_n_subgraph_1",), 1780.0),
        Segment("CPU", "tail", ("layout_boxes", "dequantize_boxes"), 521.5),
    )
    latency = Latency(7001.2, 6890.0, 7720.5, 141.9, 500, 1, "0", total_us=3_500_600.0)
    split = {"BPU": 4090.4, "CPU": 880.9, "quantize": 1258.2, "layout": 131.5, "other": 0.0}
    unattributed = 7001.2 - sum(op.mean_us for op in ops)
    return Profile(latency, ops, split, segments, unattributed, True, True, "profiler.csv")


def findings() -> list[Finding]:
    return [
        Finding(
            "C-100",
            "error",
            "The board drops the last column of /model.4/cv2/Conv",
            "1 of 80 columns differs, all of it zero; every input of the op is exact.",
            "Read the output with its aligned stride of 96 bytes, or check the cache flush after it.",
            "/model.4/cv2/Conv",
        ),
        Finding(
            "L-021",
            "warning",
            "One CPU op cuts the network in two",
            "/head/Softmax takes 881 us itself and 750 us in quantize and dequantize around it.",
            "An int8 Softmax on the BPU is possible on this march.",
            "/head/Softmax",
        ),
    ]


def model_info() -> ModelInfo:
    return ModelInfo(
        name="yolo_n",
        inputs=(TensorSpec("images", "u8", (1, 3, 640, 640), "NV12"),),
        outputs=(
            TensorSpec("scores", "f32", (1, 8400, 80), ""),
            TensorSpec("boxes", "s32", (1, 80, 80, 64), "NHWC", quantization=Quantization((0.0123,))),
        ),
        input_sources=("pyramid",),
        models_in_file=("yolo_n",),
        load_us=41_200.0,
        versions={"runtime": "1.24.5", "builder": "1.24.3"},
    )


def mode(name: str, exit_code: int = 0, files: int = 3, **more: Any) -> Run:
    return {
        "mode": name,
        "command": [
            "hrt_model_exec",
            "infer",
            "--model_file=yolo n.bin",
            "--input_file=photo.nv12",
            "--enable_dump=true",
        ],
        "environment": {"LD_LIBRARY_PATH": "/opt/vendor/lib"},
        "exit_code": exit_code,
        "duration_s": 1.834,
        "folder": name,
        "files": [
            {
                "name": f"{name}-{index}.bin",
                "bytes": 102_400 + index,
                "md5": md5(name, index),
                "file": f"{name}-{index}.bin" if index != 1 else "",
                "obtained": ("pulled", "", "reused")[min(index, 2)],
            }
            for index in range(files)
        ],
        "failure": None,
        "notes": [],
        **more,
    }


def telemetry() -> Run:
    senses = [
        Sense(
            t_s=float(second),
            phase="during",
            temperatures_c={"cpu": 61.0 + 0.4 * second, "bpu": 63.5},
            clocks_mhz={"bpu0": 1000.0 if second < 6 else 800.0},
            load_percent={"bpu0": 97.0},
        )
        for second in range(9)
    ]
    return {"samples": to_json(senses)}


def plan(rows: list[Layer]) -> Plan:
    """Two nodes ran on another unit than planned, one was not seen; the second segment has no estimate."""
    nodes = [
        PlanRow(
            name=row.op,
            kind=f"HzSQuantized{row.op_kind}",
            planned_unit="BPU" if index != 5 else "JIT",
            subgraph=0,
            dtype="s8",
            measured_unit={3: "CPU", 8: "CPU", 11: ""}.get(index, "BPU"),
            measured_us=12.5 if index == 3 else None,
            toolchain_cosine=0.999992 if index else 1.0,
            board_verdict=row.verdict,
            board_one_minus_cosine=row.metrics.one_minus_cosine if row.metrics else None,
        )
        for index, row in enumerate(rows)
    ]
    return Plan(
        sources=(("hb_mapper_log", "yolo_n_hb_mapper_makertbin.log"), ("quant_info", "yolo_n_quant_info.json")),
        march="bayes-e",
        versions={"hb_mapper": "1.24.3", "hbdk": "3.49.15"},
        rows=tuple(nodes),
        segments=(
            PlanSegment("yolo_n_subgraph_0", 2308.1, 2310.4),
            PlanSegment("yolo_n_subgraph_1", None, 1780.0),
            PlanSegment("yolo_n_subgraph_2", 410.0, None),
        ),
        messages=(
            Message("note", "[info] use default calibration", "nothing was asked for", 12),
            Message("warning", "input0 does not support int16", "it runs as int8", 40, "/head/Softmax", 3),
        ),
        problems=("yolo_n_quant_info.json: a row without a name",),
    )
