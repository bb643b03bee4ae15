"""The network's ops with what is known of each: standing, error, unit, time. The table that the picture is drawn of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from harness.records import Graph, NetworkOps, Op, Run
from harness.report.drawings.drawings import sqnr_of
from harness.report.tables.layers import STANDINGS
from harness.report.tables.times import finite
from harness.report.values import Row, number

_BORDERS = ("quantize", "dequantize")


def graph_of(run: Run) -> Graph:
    """The logical graph, where the run carries it; without inputs and outputs where only its ops are kept."""
    if run.graph is not None:
        return run.graph
    ops = (run.comparison.extras.graph if run.comparison else None) or NetworkOps()
    return Graph(ops.ops, (), ())


def network_table(run: Run, layers: list[Row], time: Row | None) -> Row | None:
    """{"inputs", "outputs", "ops", "segments", "borders"}; None where the run keeps no graph.

    Ops are in the graph's order; `layers` are the positions of their rows in the table of layers, `timed` of the one
    in the table of ops, `segment` the place of the stretch on one unit that they ran in.
    """
    graph = graph_of(run)
    if not graph.ops:
        return None
    by_tensor = {row["name"]: row for row in reversed(layers)}
    segments = _segments(run)
    inside = {name: place for place, segment in enumerate(segments) for name in segment.pop("ops")}
    timed = _timed(time)
    ops = [_op(op, by_tensor, inside, segments, timed) for op in graph.ops]
    return {
        "inputs": _ends(graph.inputs or _inputs_of(graph.ops), by_tensor),
        "outputs": _ends(graph.outputs or _outputs_of(graph.ops), by_tensor),
        "ops": ops,
        "segments": segments,
        "borders": _borders(time),
    }


def _inputs_of(ops: Sequence[Op]) -> list[str]:
    made = {name for op in ops for name in op.outputs}
    return list(dict.fromkeys(name for op in ops for name in op.inputs if name not in made))


def _outputs_of(ops: Sequence[Op]) -> list[str]:
    read = {name for op in ops for name in op.inputs}
    return list(dict.fromkeys(name for op in ops for name in op.outputs if name not in read))


def _ends(names: Iterable[str], by_tensor: dict[str, Row]) -> list[Row]:
    rows = ((name, by_tensor.get(name)) for name in names)
    return [
        {"name": name, "layer": row["position"] if row else None, "standing": row["standing"] if row else ""}
        for name, row in rows
    ]


def _segments(run: Run) -> list[Row]:
    """Stretches of ops on one unit in the order of computing; [] where the profiler tells no order."""
    profile = run.profile
    if profile is None or not profile.order_known:
        return []
    return [
        {"name": segment.name, "unit": segment.unit, "time_us": finite(segment.time_us), "ops": list(segment.ops)}
        for segment in profile.segments
    ]


def _timed(time: Row | None) -> dict[str, Row]:
    rows = time["ops"] if time else []
    return {row["name"]: row for row in reversed(rows) if row["category"] != "wait" and row["kind"] != "subgraph"}


def _borders(time: Row | None) -> list[Row]:
    """How often quantize and dequantize were timed, and for how long."""
    rows = [(kind, [row for row in time["ops"] if row["category"] == kind]) for kind in _BORDERS] if time else []
    return [
        {"kind": kind, "count": len(ops), "time_us": sum(finite(op["mean_us"]) or 0.0 for op in ops)}
        for kind, ops in rows
        if ops
    ]


def _is_nonfinite(row: Row) -> bool:
    """Whether NaN or infinity are a part of what differs."""
    figures = (number(row["sqnr_db"]), number(row["relative_l2"]))
    return row["finite_only"] or any(one is not None and not math.isfinite(one) and one != math.inf for one in figures)


def _op(op: Op, by_tensor: dict[str, Row], inside: dict[str, int], segments: list[Row], timed: dict[str, Row]) -> Row:
    rows = [row for name in op.outputs if (row := by_tensor.get(name))]
    place = next((inside[name] for name in (op.name, *op.covers) if name in inside), None)
    time = next((timed[name] for name in (op.name, *op.covers, *op.outputs) if name in timed), None)
    units = (segments[place]["unit"] if place is not None else "", time["unit"] if time else "")
    return {
        "name": op.name,
        "kind": op.kind,
        "inputs": list(op.inputs),
        "outputs": list(op.outputs),
        "layers": [row["position"] for row in rows],
        "standing": min((row["standing"] for row in rows), key=STANDINGS.index, default=""),
        "sqnr_db": min((level for row in rows if (level := sqnr_of(row)) is not None), default=None),
        "nonfinite": any(map(_is_nonfinite, rows)),
        "unit": next((unit for unit in (*units, *(row["unit"] for row in rows)) if unit), ""),
        "segment": place,
        "timed": time["position"] if time else None,
        "time_us": finite(time["mean_us"]) if time else None,
        "share": time["share"] if time else None,
    }
