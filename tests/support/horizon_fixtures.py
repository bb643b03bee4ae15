"""Output of the Horizon board tools as the tests make it: the vendor's formats, our own figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.support.toolchain_samples import SAMPLES


def captured(name: str, folder: str = "horizon-board") -> str:
    """Text of a real capture; the test is skipped where the samples are not."""
    path = SAMPLES / folder / name
    if not path.is_file():
        pytest.skip(f"real vendor output is not here: {SAMPLES / folder} (set HARNESS_SAMPLES)")
    return path.read_text(encoding="utf-8", errors="replace")


DASHES = "-" * 69

BANNER_X5 = """\
I0000 00:00:00.000000 4711 vlog_is_on.cc:197] RAW: Set VLOG level for "*" to 3
[BPU_PLAT]BPU Platform Version(1.3.6)!
[HBRT] set log level as 0. version = 3.15.55.0
[DNN] Runtime version = 1.24.5_(3.15.55 HBRT)
[A][DNN][packed_model.cpp:247][Model](2026-11-20,10:08:18.79.9) [HorizonRT] The model builder version = 1.24.3
"""

BANNER_UCP = """\
[UCP]: log level = 3
[UCP]: UCP version = 3.7.3
[VP]: log level = 3
[BPU][[BPU_MONITOR]][281473344962784][INFO]BPULib verison(2, 1, 2)[0d3f195]!
[DNN]: 3.7.3_(4.5.8 HBRT)
"""


def tensor_block(side: str, index: int, fields: Mapping[str, Any]) -> str:
    lines = "".join(f"{label}: {value}\n" for label, value in fields.items())
    return f"{side}[{index}]: \n{lines}\n"


def x5_info(
    inputs: Sequence[Mapping[str, Any]],
    outputs: Sequence[Mapping[str, Any]],
    name: str = "tiny",
    banner: str = BANNER_X5,
) -> str:
    """`hrt_model_exec model_info` as libdnn 1.24 prints it."""
    blocks = [tensor_block("input", i, t) for i, t in enumerate(inputs)]
    blocks += [tensor_block("output", i, t) for i, t in enumerate(outputs)]
    return (
        f"hrt_model_exec model_info --model_file={name}.bin\n{banner}Load model to DDR cost 12.5ms.\n"
        f"This model file has 1 model:\n[{name}]\t\n{DASHES}\n[model name]: {name}\n\n{''.join(blocks)}{DASHES}\n"
    )


def nv12(name: str, height: int, width: int) -> dict[str, Any]:
    return {
        "name": name,
        "input source": "HB_DNN_INPUT_FROM_PYRAMID",
        "valid shape": f"(1,3,{height},{width},)",
        "aligned shape": f"(1,3,{height},{width},)",
        "aligned byte size": height * width * 3 // 2,
        "tensor type": "HB_DNN_IMG_TYPE_NV12",
        "tensor layout": "HB_DNN_LAYOUT_NCHW",
        "quanti type": "NONE",
        "stride": "(0,0,0,0,)",
    }


def feature(name: str, shape: Sequence[int], dtype: str = "F32", layout: str = "NHWC", **more: Any) -> dict[str, Any]:
    """A tensor block; `more` takes labels with `_` for blanks (aligned_shape="(1,2,)")."""
    fields: dict[str, Any] = {
        "name": name,
        "valid shape": "(" + "".join(f"{n}," for n in shape) + ")",
        "tensor type": f"HB_DNN_TENSOR_TYPE_{dtype}",
        "tensor layout": f"HB_DNN_LAYOUT_{layout}",
        "quanti type": "NONE",
    }
    return fields | {key.replace("_", " ") if key != "quantizeAxis" else key: value for key, value in more.items()}


def perf_console(
    mean_ms: float = 2.5, frames: int = 200, threads: int = 1, run_ms: float = 510.0, core: int = 0
) -> str:
    """The `perf` console of libdnn 1.24."""
    total = mean_ms * frames
    return (
        f"hrt_model_exec perf --model_file tiny.bin --core_id={core} --frame_count={frames} --thread_num={threads}\n"
        f"I1120 10:08:17.891269 4711 main.cpp:233] profile_path: . exsit!\n{BANNER_X5}Load model to DDR cost 9.75ms.\n"
        f"Frame count: {frames},  Thread Average: {mean_ms:.6f} ms,  thread max latency: {mean_ms * 1.25:.6f} ms,  "
        f"thread min latency: {mean_ms * 0.75:.6f} ms,  FPS: {frames / run_ms * 1000:.6f}\n\nRunning condition:\n"
        f"  Thread number is: {threads}\n  Frame count   is: {frames}\n  Program run time: {run_ms:.6f} ms\n"
        f"Perf result:\n  Frame totally latency is: {total:.6f} ms\n  Average    latency    is: {mean_ms:.6f} ms\n"
        f"  Frame      rate       is: {frames / run_ms * 1000:.6f} FPS\n"
    )


def times(avg: float) -> dict[str, float]:
    return {"avg_time": avg, "max_time": avg * 1.5, "min_time": avg * 0.5}


NODES = {
    "BPU_torch_jit_subgraph_0": times(1.5),
    "BPU_torch_jit_subgraph_1": times(0.25),
    "Dequantize_mid_HzDequantize": times(0.03125),
    "Preprocess": times(0.015625),
    "Quantize_softmax_out_HzQuantize": times(0.0625),
    "Softmax_softmax": times(0.125),
    "torch_jit_subgraph_0_output_layout_convert": times(0.046875),
}


def profiler_log(
    nodes: Mapping[str, Any] | None = None,
    *,
    mean_ms: float = 2.5,
    fps: float = 392.156863,
    processor: str = "processor_latency",
    prefix: str = "",
    core: int | str = 0,
) -> str:
    """profiler.log: two sorted JSON blocks and `***`."""
    chosen = NODES if nodes is None else nodes
    first = {
        "perf_result": {"FPS": fps, "average_latency": mean_ms},
        "running_condition": {
            "core_id": core, "frame_count": 200, "model_name": "tiny", "run_time": 510.0, "thread_num": 1,
        },
    }  # fmt: skip
    second = {
        "model_latency": chosen,
        processor: {"BPU_inference_time_cost": times(1.75), "CPU_inference_time_cost": times(0.28125)},
        "task_latency": {"TaskPendingTime": times(0.0078125), "TaskRunningTime": times(2.25)},
    }
    return (
        f"{prefix}{json.dumps(first, indent=2, sort_keys=True)}\n***\n{json.dumps(second, indent=2, sort_keys=True)}\n"
    )


def ucp_node(avg: float) -> dict[str, Any]:
    return {
        "Stage1-GenerateBpuTask": times(avg * 0.125),
        "Stage2-BpuCoreProcess": times(avg * 0.75),
        "Total": times(avg),
    }


X5_SOMSTATUS = """\
=====================1=====================
temperature-->
\tDDR      : 51.5 (C)
\tBPU      : 52.5 (C)
\tCPU      : 53.5 (C)
cpu frequency-->
\t      min(M)\tcur(M)\tmax(M)
\tcpu0: 300\t1200\t1500
\tcpu1: 300\t300\t1500
bpu status information---->
\t      min(M)\tcur(M)\tmax(M)\tratio
\tbpu0: 500\t1000\t1000\t97
ddr frequency information---->
\t      min(M)\tcur(M)\tmax(M)
\tddr:  266\t4266\t4266
"""

X3_SOMSTATUS = """\
=====================1=====================
temperature-->
\tCPU      : 61.25 (C)
cpu frequency-->
\t      min\tcur\tmax
\tcpu0: 240000\t1200000\t1800000
bpu status information---->
\t     min\tcur\t\tmax\t\tratio
\tbpu0: 400000000\t1000000000\t1000000000\t12
\tbpu1: 400000000\t400000000\t1000000000\t0
"""
