"""Realistic run.json dictionaries, made from the records, so that a change of the records is felt here.

Every builder returns a fresh plain-JSON dictionary; `ALL` names them. Seeded, no clock, no machine facts.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from harness.consistency.pictures import error_map as drawn_map
from harness.consistency.policy import load_policy
from harness.consistency.temporal import determinism, observer
from harness.consistency.threeway import word as noise_word
from harness.diagnosis.plan import Plan, PlanRow, PlanSegment
from harness.profiling.telemetry import Sense
from harness.records import (
    Comparison,
    Coverage,
    Finding,
    Fingerprint,
    Latency,
    Layer,
    Metrics,
    ModelInfo,
    OpTime,
    Origin,
    Profile,
    Quantization,
    Segment,
    TensorSpec,
    Verdict,
)
from harness.store import to_json
from harness.toolchains.records import Message

Run = dict[str, Any]

_BLOCK = ("cv1/Conv", "act/Lut", "cv2/Conv", "act2/Lut", "m.0/Add", "cat/Concat")
_KINDS = {"Conv": "Conv", "Lut": "HzLut", "Add": "Add", "Concat": "Concat"}
_ORIGIN = 26


def md5(*parts: object) -> str:
    return hashlib.md5(repr(parts).encode()).hexdigest()


def op_name(index: int) -> str:
    return f"/model.{index // 6}/{_BLOCK[index % 6]}"


def exact_metrics(elements: int = 6400) -> Metrics:
    return Metrics(
        elements=elements,
        mismatched=0,
        max_step=0.0,
        mean_step=0.0,
        histogram=((0, elements),),
        relative_l2=0.0,
        max_abs=0.0,
        max_abs_over_range=0.0,
        one_minus_cosine=0.0,
    )


def wrong_metrics(sqnr_db: float, *, elements: int = 6400, mismatched: int = 80, max_step: int = 127) -> Metrics:
    relative = 10 ** (-sqnr_db / 20)
    tail = tuple((-step, 10) for step in range(max_step, max(max_step - 8, 1), -1))
    inner = ((-1, 7), (0, elements - mismatched), (1, 9))
    return Metrics(
        elements=elements,
        mismatched=mismatched,
        max_step=float(max_step),
        mean_step=-0.31,
        histogram=(*tail, *inner),
        relative_l2=relative,
        sqnr_db=sqnr_db,
        max_abs=2.54,
        max_abs_over_range=0.498,
        one_minus_cosine=relative**2 / 2,
        saturated_share_board=0.001,
        saturated_share_reference=0.001,
        zero_share_board=0.0141,
        zero_share_reference=0.0017,
    )


def layer(index: int, verdict: str = "exact", **more: Any) -> Layer:
    """One row; md5s agree where the verdict is exact."""
    op = more.pop("op", op_name(index))
    board = md5(op, "board" if verdict != "exact" else "same")
    reference = md5(op, "same")
    compared = verdict != "not_compared"
    base: dict[str, Any] = {
        "index": index,
        "name": f"{op}_output_0",
        "op": op,
        "op_kind": _KINDS.get(op.rsplit("/", 1)[-1], "Conv"),
        "verdict": verdict,
        "match": "rule" if compared else "",
        "unit": "CPU" if op.endswith("Softmax") else "BPU",
        "dtype": "s8",
        "shape": (1, 80, 80, 16),
        "size_bytes": 102_400,
        "file_md5_board": md5(board, "padded") if compared else "",
        "file_md5_reference": reference,
        "valid_md5_board": board if compared else "",
        "valid_md5_reference": reference,
        "metrics": exact_metrics() if verdict == "exact" else None,
        "board_file": f"debug/layer-{index}-{op.rsplit('/', 1)[-1]}.bin" if compared else "",
    }
    return Layer(**{**base, **more})


def exact_layers(count: int) -> list[Layer]:
    rows = [layer(index) for index in range(count)]
    rows[-1] = dataclasses.replace(rows[-1], is_output=True)
    return rows


def column_fingerprint() -> Fingerprint:
    return Fingerprint(
        kind="zeroed_region",
        certain=True,
        evidence="1 of 80 columns differs, all of it zero; the row is 80 bytes and the aligned stride 96",
        transform="",
        figures={"columns": [79], "zero_share": 1.0},
    )


def diverging_layers(count: int = 64, origin: int = _ORIGIN) -> list[Layer]:
    draw = random.Random(7)
    rows = exact_layers(count)
    for index in (7, 15):
        rows[index] = layer(
            index, "within", metrics=wrong_metrics(50 + index / 5, mismatched=3, max_step=1), reason="lut"
        )
    rows[origin] = layer(
        origin,
        "differs",
        role="origin",
        reason="conv: 0 steps allowed",
        metrics=wrong_metrics(19.5),
        single=wrong_metrics(19.5),
        fingerprint=column_fingerprint(),
    )
    for index in range(origin + 1, count):
        if index % 9 < 5:
            metrics = wrong_metrics(15 + 22 * draw.random(), mismatched=900)
            rows[index] = layer(index, "differs", role="propagated", metrics=metrics, is_output=index == count - 1)
    for index, reason in ((9, "no_dump"), (33, "truncated"), (51, "shape_differs")):
        if index < count:
            rows[index] = layer(index, "not_compared", reason=reason, note="the file holds 96,000 of 102,400 bytes")
    return rows


def error_map() -> Run:
    """20 rows by 80 columns, the last column wrong, as the comparison draws it."""
    reference = np.ones((1, 20, 80, 16), np.int8)
    board = reference.copy()
    board[:, :, 79] = 0
    return drawn_map(board, reference, TensorSpec("wrong", "s8", board.shape, "NHWC"))


def extras(rows: list[Layer]) -> Run:
    """What the comparison and the review add: as their modules write it."""
    repeats = [{row.name: row.valid_md5_board for row in rows if row.valid_md5_board} for _ in range(3)]
    repeats[2][rows[min(30, len(rows) - 1)].name] = md5("another")
    outputs = {rows[-1].name: md5("output")}
    return {
        "growth": [{"index": 0, "name": rows[0].name, "relative_l2": 0.0}],
        "outputs": [
            {"name": rows[-1].name, "relative_l2": 0.11, "top1_board": 3, "top1_reference": 5, "top1_same": False}
        ],
        "observer": observer({"release": outputs, "debug": outputs}),
        "determinism": {"debug": determinism(repeats)},
        "three_way": [
            {
                "index": row.index,
                "name": row.name,
                "ratio": 1.0 + row.index / 40,
                "word": noise_word(1.0 + row.index / 40, load_policy()),
                "board_noise": 0.2 + row.index / 200,
                "simulator_noise": 0.2,
            }
            for row in rows[:30]
        ],
        "ladder": {
            "stages": [
                {"name": "float", "inputs": {}, "alignment": "proven"},
                {"name": "reference", "inputs": {}, "alignment": "proven"},
                {"name": "board", "inputs": {}, "alignment": "unknown"},
            ],
            "steps": [
                {"from": "float", "to": "reference", "inputs": "proven", "word": "consistent_within", "detail": "ok"},
                {"from": "reference", "to": "board", "inputs": "unknown", "word": "diverges", "detail": "not proven"},
            ],
            "first": "board",
            "table": [{"name": row.name, "reference": "within", "board": row.verdict} for row in rows[-12:]],
            "detail": "first stage that departs: board",
        },
        "vote": {"agree": False, "dissenting": ["x5-03"], "detail": "x5-03 against 2 others"},
    }


def coverage_of(rows: list[Layer]) -> Coverage:
    compared = [row for row in rows if row.verdict != "not_compared"]
    return Coverage(len(compared), len(rows), sum(r.size_bytes for r in compared), sum(r.size_bytes for r in rows))


def graph_of(rows: list[Layer]) -> Run:
    """A chain with a skip over each block, as plain JSON."""
    ops = []
    for position, row in enumerate(rows):
        inputs = [rows[position - 1].name if position else "images"]
        if position % 6 == 4:
            inputs.append(rows[position - 3].name)
        ops.append({"name": row.op, "kind": row.op_kind, "inputs": inputs, "outputs": [row.name], "covers": []})
    return {"ops": ops, "inputs": ["images"], "outputs": [rows[-1].name], "source": "yolo_n_quantized.onnx"}


def comparison_of(verdict: Verdict, rows: list[Layer], **more: Any) -> Comparison:
    return Comparison(
        verdict=verdict,
        coverage=coverage_of(rows),
        layers=tuple(rows),
        reference={"kind": "onnx", "source": "yolo_n_quantized.onnx"},
        policy="default",
        graph_source="yolo_n_quantized.onnx",
        **more,
    )


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
                "came": ("link", "", "known")[min(index, 2)],
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


def base_run() -> Run:
    """Everything but modes' outcome, comparison, profile and verdict."""
    return {
        "format": 1,
        "harness_version": "0.1.0",
        "id": "yolo_n/emu-x5/20261120T091400Z",
        "state": "complete",
        "stopped_at": "",
        "started_utc": "2026-11-20T09:14:00Z",
        "finished_utc": "2026-11-20T09:14:21Z",
        "duration_s": 21.4,
        "case": {
            "name": "yolo_n",
            "model": {"name": "yolo n.bin", "bytes": 6_291_456, "md5": md5("model")},
            "inputs": [
                {
                    "tensor": "images",
                    "generated": False,
                    "name": "photo.nv12",
                    "file": "inputs/0_photo.nv12",
                    "bytes": 614_400,
                    "md5": md5("input"),
                }
            ],
            "reference": {
                "kind": "onnx",
                "name": "yolo_n_quantized.onnx",
                "md5": md5("reference"),
                "provenance": {"runner": {"onnxruntime": "1.31.1", "optimizations": "disabled", "threads": 1}},
            },
            "policy": "default",
            "options": {},
        },
        "board": {
            "name": "emu-x5",
            "platform": "hbdnn",
            "soc": "x5",
            "transport": "local",
            "address": "",
            "emulated": True,
            "facts": {"arch": "x86_64", "kernel": "6.1.0", "libc": "glibc 2.36"},
        },
        "host": {
            "os": "Debian 12",
            "python": "3.11.2",
            "cpu": "AMD EPYC",
            "cpu_flags": ["avx2", "avx512_vnni"],
            "harness": "0.1.0",
        },
        "versions": {"runtime": "1.24.5", "hbrt": "3.15.55", "builder": "1.24.3", "platform": "3.2.1"},
        "pushed": [
            {"name": "yolo n.bin", "bytes": 6_291_456, "md5": md5("model"), "sent_bytes": 6_291_456},
            {"name": "photo.nv12", "bytes": 614_400, "md5": md5("input"), "sent_bytes": 0},
        ],
        "timings_s": {"connecting": 0.41, "pushing the model": 0.9, "running debug": 11.2, "running profile": 6.7},
        "modes": [mode("release"), mode("debug", files=64), mode("profile", files=2)],
        "model_info": to_json(model_info()),
        "profile": to_json(profile()),
        "comparison": None,
        "plan": None,
        "memory": {},
        "telemetry": telemetry(),
        "findings": [],
        "verdict": {"word": "not_compared", "detail": "no reference was given", "exit_code": 0},
        "problems": [],
    }


def with_comparison(run: Run, comparison: Comparison, graph: bool = True) -> Run:
    run["comparison"] = to_json(comparison)
    run["verdict"] = to_json(comparison.verdict)
    if graph:
        run["graph"] = graph_of(list(comparison.layers))
    return run


def consistent_run(count: int = 64) -> Run:
    rows = exact_layers(count)
    verdict = Verdict("consistent", f"{count} of {count} layers are equal, byte for byte", 0)
    return with_comparison(base_run(), comparison_of(verdict, rows))


def partly_compared_run() -> Run:
    rows = exact_layers(64)
    rows[9] = layer(9, "not_compared", reason="no_dump")
    verdict = Verdict("consistent", "63 of 64 layers are equal, byte for byte", 0)
    return with_comparison(base_run(), comparison_of(verdict, rows))


def diverging_run(count: int = 64, origin: int = _ORIGIN) -> Run:
    rows = diverging_layers(count, origin)
    wrong = rows[origin]
    verdict = Verdict("diverges", f"{wrong.op} ({wrong.op_kind}) is the first op that is wrong", 1)
    comparison = comparison_of(
        verdict,
        rows,
        origins=(Origin(wrong.op, wrong.op_kind, wrong.name, fingerprint=column_fingerprint()),),
        first_difference=rows[7].name,
        pictures={wrong.name: {"map": error_map()}},
        extras=extras(rows),
        notes=("three layers were not compared",),
    )
    run = with_comparison(base_run(), comparison)
    run["findings"] = to_json(findings())
    run["plan"] = to_json(plan(rows))
    return run


def plan(rows: list[Layer]) -> Plan:
    """Two nodes ran elsewhere than planned, one was not seen; the second segment has no estimate."""
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


def waived_run() -> Run:
    """Good by a waiver only, next to waivers that no longer help; nothing differs without one."""
    rows = exact_layers(12)
    metrics = wrong_metrics(38.0, max_step=2)
    until = "waived until 2027-01-01: ties of the old kernel"
    rows[3] = layer(3, "within", metrics=metrics, reason=until, note="max step 2 > 1 (integers)")
    ended = "its waiver ended on 2026-01-01: known since spring"
    rows[5] = layer(5, "differs", role="origin", metrics=metrics, reason="max step 2 > 1 (integers)", note=ended)
    worse = "worse than its waiver allows (max_step 2 > 1): known"
    rows[7] = layer(7, "differs", role="propagated", metrics=metrics, reason="max step 2 > 1 (integers)", note=worse)
    origin = Origin(rows[5].op, rows[5].op_kind, rows[5].name)
    verdict = Verdict("diverges", f"{rows[5].op} ({rows[5].op_kind})", 1)
    return with_comparison(base_run(), comparison_of(verdict, rows, origins=(origin,)))


def memory_run() -> Run:
    """A board whose tool tells memory, fed with seeded noise, and whose dumps stayed where they were."""
    run = not_compared_run()
    figures = {"total_bytes": 67_108_864, "reserved_bytes": 8_388_608, "peak_bytes": 31_457_281}
    run["memory"] = {"nmem": figures, "release": {"peak_bytes": 31_457_280}}
    run["case"]["inputs"][0] |= {"generated": True, "name": "noise_images.bin"}
    run["notes"] = ["input images: seeded noise was generated, 614,400 bytes"]
    return run


def interval_run() -> Run:
    """Two origins: an interval with unseen ops, and a suspect of a run without a graph."""
    rows = diverging_layers()
    rows[_ORIGIN + 14] = layer(_ORIGIN + 14, "differs", role="suspect", metrics=wrong_metrics(28.0))
    origins = (
        Origin(rows[26].op, "Conv", rows[26].name, first=rows[24].name, unseen=(rows[25].op,), certain=False),
        Origin(rows[40].op, rows[40].op_kind, rows[40].name, certain=False, how="sequence"),
    )
    verdict = Verdict("diverges", "between two tensors; one op in between was not compared", 1)
    return with_comparison(base_run(), comparison_of(verdict, rows, origins=origins), graph=False)


def accumulated_run() -> Run:
    rows = exact_layers(64)
    for index in range(20, 64):
        metrics = wrong_metrics(60 - index / 2, mismatched=index, max_step=1 + index // 12)
        alone = dataclasses.replace(exact_metrics(), mismatched=1, max_step=1.0)
        rows[index] = layer(index, "differs", role="cleared", metrics=metrics, single=alone, is_output=index == 63)
    verdict = Verdict("consistent_accumulated", "every op is within its limits when fed with the board's inputs", 0)
    return with_comparison(base_run(), comparison_of(verdict, rows))


def not_comparable_run() -> Run:
    rows = [layer(index, "not_compared", reason="no_dump") for index in range(12)]
    verdict = Verdict("not_comparable", "no tensor of the reference has a partner on the board", 3)
    run = with_comparison(base_run(), comparison_of(verdict, rows))
    run["problems"] = ["the debug run left 12 files; none of their names is in the reference"]
    return run


def not_compared_run() -> Run:
    """The user gave no reference."""
    run = base_run()
    run["case"]["reference"] = None
    return run


def failed_run() -> Run:
    run = base_run()
    failure = {
        "kind": "memory",
        "message": "the board had no memory for the model",
        "hint": "stop other users of the ION heap, then run again",
        "evidence": "E hbmem_alloc failed: size 104857600 <-12>\nE load model failed",
    }
    run.update(
        state="failed",
        stopped_at="debug",
        profile=None,
        comparison=None,
        telemetry={"samples": []},
        modes=[mode("release"), mode("debug", exit_code=-9, files=0, failure=failure)],
        verdict={"word": "not_compared", "detail": "the board had no memory for the model", "exit_code": 3},
        problems=["debug: hbmem_alloc failed"],
    )
    return run


def interrupted_run() -> Run:
    """As a killed process leaves it: no end, no verdict, a mode without an exit code."""
    run = base_run()
    run.update(
        state="interrupted",
        stopped_at="profile",
        finished_utc="",
        duration_s=None,
        modes=[mode("release"), mode("profile", exit_code=0, files=0) | {"exit_code": None, "duration_s": None}],
        verdict=None,
        telemetry=None,
    )
    for late in ("model_info", "profile", "comparison", "findings", "problems", "pushed"):
        del run[late]
    return run


def no_profile_run() -> Run:
    run = diverging_run()
    run["profile"] = None
    run["modes"] = run["modes"][:2]
    run["telemetry"] = {"samples": []}
    return run


def unordered_profile_run() -> Run:
    """A profiler that sorts by name, on real hardware, with ops that overlap."""
    run = consistent_run()
    run["board"].update(name="t41-02", platform="magik", soc="t41", emulated=False, transport="ssh", address="10.0.0.7")
    run["profile"].update(order_known=False, segments=[], estimated=False, unattributed_us=-212.5)
    for op in run["profile"]["ops"]:
        op["estimated"] = False
    return run


def large_run(count: int = 500) -> Run:
    """More layers than columns of the strip and than rows of a page."""
    run = diverging_run(count, origin=count // 2)
    ops = [
        OpTime(
            op_name(index), _KINDS[_BLOCK[index % 6].split("/")[1]], "BPU", "compute", 3.0 + index % 17, estimated=True
        )
        for index in range(count)
    ]
    run["profile"]["ops"] = to_json(ops)
    run["modes"][1] = mode("debug", files=count)
    return run


HOSTILE_NAMES = (
    "<script>window.hurt=1</script>",
    "\"><img src=x onerror='window.hurt=1'>",
    "</style><b>'quotes\" & amp;",
    "rtl \u202eevil\u202c name",
    "line one\nline two\r\ttabbed\x00\x1b[31m",
    "lone \ud800 surrogate",
    "{{ 7 * 7 }}{% raw %}",
    "\u5377\u79ef\u5c42/\u8f93\u51fa_0",
    "javascript:window.hurt=1",
    "n" * 5000,
    "",
)


def hostile_run() -> Run:
    """Every text that a board, a model or a user can choose is chosen badly."""
    rows = diverging_layers()
    for index, name in enumerate(HOSTILE_NAMES):
        rows[index] = dataclasses.replace(rows[index], name=name, op=name, op_kind=name, note=name, board_file=name)
    bad = HOSTILE_NAMES[0]
    odd = dataclasses.replace(
        wrong_metrics(3.0), relative_l2=math.nan, sqnr_db=-math.inf, one_minus_cosine=math.nan, nan_board=4
    )
    rows[0] = dataclasses.replace(rows[0], verdict="differs", role="origin", metrics=odd)
    print_ = Fingerprint(bad, True, HOSTILE_NAMES[1], HOSTILE_NAMES[2])
    verdict = Verdict("diverges", HOSTILE_NAMES[4], 1)
    origin = Origin(rows[0].op, bad, rows[0].name, unseen=HOSTILE_NAMES, fingerprint=print_)
    run = with_comparison(base_run(), comparison_of(verdict, rows, origins=(origin,), notes=HOSTILE_NAMES))
    run["findings"] = to_json([Finding(name, name, name, name, name, name) for name in HOSTILE_NAMES])
    run["case"]["model"]["name"] = HOSTILE_NAMES[1]
    run["board"]["facts"] = {name: name for name in HOSTILE_NAMES}
    run["versions"] = {name: name for name in HOSTILE_NAMES}
    run["problems"] = list(HOSTILE_NAMES)
    run["modes"][0]["command"] = list(HOSTILE_NAMES)
    run["modes"][0]["files"][0]["name"] = bad
    run["profile"]["ops"][0]["name"] = bad
    run["profile"]["segments"][0]["name"] = bad
    run["plan"] = to_json(plan(rows))
    for row, name in zip(run["plan"]["rows"], HOSTILE_NAMES, strict=False):
        row |= {"name": name, "kind": name, "planned_unit": name, "dtype": name, "board_verdict": name}
    run["plan"]["messages"][0] |= {"text": bad, "meaning": bad, "subject": bad}
    run["memory"] = {name: {name: 1} for name in HOSTILE_NAMES}
    run["timings_s"] = dict.fromkeys(HOSTILE_NAMES, 1.0)
    run["notes"] = list(HOSTILE_NAMES)
    return run


def damaged_text(run: Run) -> str:
    """run.json cut in the middle."""
    whole = json.dumps(run)
    return whole[: len(whole) // 2]


ALL: dict[str, Callable[[], Run]] = {
    "consistent": consistent_run,
    "partly compared": partly_compared_run,
    "diverging": diverging_run,
    "interval": interval_run,
    "accumulated": accumulated_run,
    "not comparable": not_comparable_run,
    "not compared": not_compared_run,
    "failed": failed_run,
    "interrupted": interrupted_run,
    "no profile": no_profile_run,
    "unordered profile": unordered_profile_run,
    "waived": waived_run,
    "memory": memory_run,
    "large": large_run,
    "hostile": hostile_run,
}
