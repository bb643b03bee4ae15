"""The toolchain's plan beside the board, as tables. Its cosine and the board's never share a column."""

from __future__ import annotations

from harness.diagnosis.plan import is_elsewhere
from harness.profiling.ordering import word
from harness.records import Message, Plan, PlanRow, PlanSegment, Run
from harness.records.codec import to_json
from harness.report.tables.layers import VERDICT_STANDINGS
from harness.report.tables.times import finite
from harness.report.values import Row, as_json

_SEVERITIES = ("error", "warning", "note")


def plan_table(run: Run, standings: dict[str, str], layers: list[Row]) -> Row | None:
    """Nodes (moved ones first), segments, what the toolchain said; None without files of a build."""
    plan, ops = run.plan, run.profile.ops if run.profile else ()
    if plan is None:
        return None
    guessed = {word(op.name) for op in ops if op.estimated}
    nodes = node_rows(plan, guessed, {word(op): standing for op, standing in standings.items()})
    nonfinite = {word(layer["op"]) for layer in layers if layer["finite_only"]}
    for row in (row for row in nodes if word(row["name"]) in nonfinite):
        row["board_one_minus_cosine"] = "nan"  # run.json's figure is of the finite elements alone
    planned = [row for row in nodes if row["planned_unit"]]
    return {
        "sources": [{"kind": kind, "file": file} for kind, file in plan.sources],
        "march": plan.march,
        "versions": dict(plan.versions),
        "planned": len(planned),
        "seen": sum(bool(row["measured_unit"]) for row in planned),
        "moved": sum(row["moved"] for row in nodes),
        "nodes": nodes,
        "segments": segment_rows(plan, any(op.estimated and op.kind == "subgraph" for op in ops)),
        "messages": message_rows(plan),
        "problems": list(plan.problems),
    }


def node_rows(plan: Plan, guessed: set[str], standings: dict[str, str]) -> list[Row]:
    """One row per node. `guessed` are ops that no clock measured, `standings` is per op: both by letters."""
    rows = [_node(node, position, guessed, standings) for position, node in enumerate(plan.rows)]
    return sorted(rows, key=lambda row: not row["moved"])


def _node(node: PlanRow, position: int, guessed: set[str], standings: dict[str, str]) -> Row:
    verdict = _verdict(node.board_verdict)
    return {
        "position": position,
        "name": node.name,
        "kind": node.kind,
        "subgraph": node.subgraph,
        "dtype": node.dtype,
        "planned_unit": node.planned_unit,
        "measured_unit": node.measured_unit,
        "moved": is_elsewhere(node.planned_unit, node.measured_unit),
        "measured_us": finite(node.measured_us),
        "estimated": word(node.name) in guessed,
        "toolchain_cosine": as_json(node.toolchain_cosine),
        "board_verdict": verdict,
        "standing": standings.get(word(node.name), verdict) if verdict == "differs" else verdict,
        "board_one_minus_cosine": as_json(node.board_one_minus_cosine),
    }


def _verdict(verdict: str) -> str:
    """A verdict word, or "" for none; one that this version does not know is not compared."""
    return verdict if verdict in VERDICT_STANDINGS or not verdict else "not_compared"


def segment_rows(plan: Plan, guessed: bool) -> list[Row]:
    """The compiler's estimate and the board's time per segment; `ratio` is measured over estimated."""
    return [_segment(segment, guessed) for segment in plan.segments]


def _segment(segment: PlanSegment, guessed: bool) -> Row:
    estimate, measured = finite(segment.estimated_us), finite(segment.measured_us)
    return {
        "name": segment.name,
        "estimated_us": estimate,
        "measured_us": measured,
        "ratio": measured / estimate if estimate and measured is not None else None,
        "estimated": guessed and measured is not None,
        "ddr_bytes": segment.ddr_bytes,
        "bound": segment.bound,
        "blocks": to_json(segment.blocks),
        "has_totals": any(block.total_us for block in segment.blocks),
        "composites": to_json(segment.composites),
        "mac_shares": [{"types": types, "share": share} for types, share in segment.mac_shares.items()],
        "memory_bytes": dict(segment.memory_bytes),
    }


def message_rows(plan: Plan) -> list[Row]:
    """Toolchain messages that matters, errors first."""
    rows = [_message(message) for message in plan.messages]
    return sorted(rows, key=lambda m: _SEVERITIES.index(m["severity"]) if m["severity"] in _SEVERITIES else 3)


def _message(message: Message) -> Row:
    row: Row = to_json(message)
    return row
