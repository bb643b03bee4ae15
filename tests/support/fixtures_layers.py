"""Layers and comparisons as they stand in a run.json: right, diverging, and what was checked around them."""

from __future__ import annotations

import dataclasses
import hashlib
import random
from typing import Any

import numpy as np

from harness.consistency.checks.noise_ratio import word as noise_word
from harness.consistency.checks.repeatability import debug_vs_release, determinism
from harness.consistency.fingerprint.error_maps import error_map as drawn_map
from harness.consistency.policy import load_policy
from harness.records import (
    Comparison,
    Coverage,
    ErrorMap,
    Fingerprint,
    Layer,
    Metrics,
    TensorSpec,
    Verdict,
)

Run = dict[str, Any]

BLOCK = ("cv1/Conv", "act/Lut", "cv2/Conv", "act2/Lut", "m.0/Add", "cat/Concat")
KINDS = {"Conv": "Conv", "Lut": "HzLut", "Add": "Add", "Concat": "Concat"}
ORIGIN = 26


def md5(*parts: object) -> str:
    return hashlib.md5(repr(parts).encode()).hexdigest()


def op_name(index: int) -> str:
    return f"/model.{index // 6}/{BLOCK[index % 6]}"


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
        "op_kind": KINDS.get(op.rsplit("/", 1)[-1], "Conv"),
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


def diverging_layers(count: int = 64, origin: int = ORIGIN) -> list[Layer]:
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


def error_map() -> ErrorMap:
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
    policy = load_policy()
    return {
        "error_propagation": [{"index": 0, "name": rows[0].name, "relative_l2": 0.0}],
        "outputs": [
            {"name": rows[-1].name, "relative_l2": 0.11, "top1_board": 3, "top1_reference": 5, "top1_same": False}
        ],
        "debug_vs_release": debug_vs_release({"release": outputs, "debug": outputs}),
        "determinism": {"debug": determinism(repeats)},
        "three_way": [
            {
                "index": row.index,
                "name": row.name,
                "ratio": 1.0 + row.index / 40,
                "word": noise_word(1.0 + row.index / 40, policy),
                "board_noise": 0.2 + row.index / 200,
                "simulator_noise": 0.2,
            }
            for row in rows[:30]
        ],
        "stages": {
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
            "detail": "first differing stage: board",
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
