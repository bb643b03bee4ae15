"""Node data for Model Explorer: errors and times over the ONNX graph, keyed by the name of the node.

Its ONNX reader takes a node's name as the node's id; keys by tensor are not found, and a NaN makes it refuse the file.
Colours of our own beat its scales: a gradient is stretched over the values of the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from harness.errors import InputError
from harness.export.base import FolderForm
from harness.records import Run
from harness.report.tables.layers import WORDS, standing_by_op
from harness.report.values import Row, number, shortened

# Backgrounds of the page's light form, by standing.
_COLOURS = {
    "origin": "#fbe6e4", "suspect": "#efe7fa", "differs": "#fbe6e4", "propagated": "#fbecdc", "cleared": "#f3efd2",
    "not_compared": "#e9edf0", "within": "#e2f0f9", "exact": "#e1f3ec",
}  # fmt: skip
_INK = "#14202b"


def files(run: Run, _folder: Path) -> Mapping[str, bytes]:
    """Three files: standing and error of each op, and its time. Errors: InputError for a run without a graph."""
    from harness.report.graph.network import graph_of
    from harness.report.tables.run import tables

    nodes = {op.name for op in graph_of(run).ops if op.name}
    if not nodes:
        raise InputError(
            f"{run.id}: the run holds no graph, so no node has a name",
            "run it with --reference model_quantized_model.onnx, or with --graph ONNX",
        )
    data = tables(run)
    rows = [row for row in data["layers"] if row["op"] in nodes]
    left = sum(1 for row in data["layers"] if row["op"] and row["op"] not in nodes)
    return {
        "harness-standing.node_data.json": _standing(rows, left),
        "harness-error.node_data.json": _error(rows, left),
        "harness-time.node_data.json": _time(data, nodes),
    }


def _standing(rows: list[Row], left: int) -> bytes:
    """The worst standing of each op's tensors."""
    worst = standing_by_op(rows)
    held = {op: {"value": WORDS[standing], **_colour(standing)} for op, standing in worst.items()}
    return _written("harness: standing", held, left, "layers")


def _error(rows: list[Row], left: int) -> bytes:
    """1 - cosine; an exact layer has 0, one without a cosine its share of elements that differ, in no colour scale."""
    held = {}
    for row in reversed(rows):
        error = number(row["one_minus_cosine"])
        if error is not None and math.isfinite(error):
            held[row["op"]] = {"value": error, **_colour(row["standing"])}
        else:
            left += 1
    return _written("harness: 1 - cosine", held, left, "layers")


def _time(data: Row, nodes: set[str]) -> bytes:
    ops = data["time"]["ops"] if data["time"] else []
    timed = {row["name"]: number(row["mean_us"]) for row in ops if row["category"] != "wait"}
    held = {
        name: {"value": value}
        for name, value in timed.items()
        if name in nodes and value is not None and math.isfinite(value)
    }
    word = " (estimated)" if data["time"] and data["time"]["estimated"] else ""
    gradient = [{"stop": 0, "bgColor": "#ffffff"}, {"stop": 1, "bgColor": "#f5a742"}]
    return _written(f"harness: us{word}", held, len(timed) - len(held), "timed ops", {"gradient": gradient})


def _colour(standing: str) -> Row:
    return {"bgColor": _COLOURS[standing], "textColor": _INK}


def _written(name: str, results: Row, left: int, what: str, more: Row | None = None) -> bytes:
    title = f"{name}, {left} {what} are no node of the ONNX" if left else name
    held = {"name": title, "results": {shortened(key, 4000): value for key, value in results.items()}, **(more or {})}
    text = json.dumps(held, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode("utf-8", "backslashreplace")


MODEL_EXPLORER = FolderForm("node data for Model Explorer", files)
