"""The toolchain's plan beside the board, as tables. Its cosine and the board's never share a column."""

from __future__ import annotations

from harness.diagnosis.plan import is_elsewhere
from harness.profiling.ordering import word
from harness.report.reach import Row, items, rows, section
from harness.report.tables.layers import VERDICT_STANDINGS
from harness.report.tables.times import finite
from harness.report.values import text, whole

_SEVERITIES = ("error", "warning", "note")


def plan_table(run: Row, standings: dict[str, str], layers: list[Row]) -> Row | None:
    """Nodes (those that ran elsewhere first), segments, what the toolchain said; None without files of a build."""
    plan = section(run, "plan")
    if not plan:
        return None
    ops = rows(section(run, "profile"), "ops")
    guessed = {word(text(op.get("name"))) for op in ops if op.get("estimated") is True}
    nodes = node_rows(plan, guessed, {word(op): standing for op, standing in standings.items()})
    nonfinite = {word(layer["op"]) for layer in layers if layer["finite_only"]}
    for row in (row for row in nodes if word(row["name"]) in nonfinite):
        row["board_one_minus_cosine"] = "nan"  # run.json's figure is of the finite elements alone
    planned = [row for row in nodes if row["planned_unit"]]
    return {
        "sources": [{"kind": text(kind), "file": text(file)} for kind, file in _pairs(items(plan, "sources"))],
        "march": text(plan.get("march")),
        "versions": {text(key): text(value) for key, value in section(plan, "versions").items()},
        "planned": len(planned),
        "seen": sum(bool(row["measured_unit"]) for row in planned),
        "moved": sum(row["moved"] for row in nodes),
        "nodes": nodes,
        "segments": segment_rows(plan, any(op.get("estimated") is True and op.get("kind") == "subgraph" for op in ops)),
        "messages": message_rows(plan),
        "problems": [text(problem) for problem in items(plan, "problems")],
    }


def _pairs(told: list[object]) -> list[tuple[object, object]]:
    return [(pair[0], pair[1]) for pair in told if isinstance(pair, list) and len(pair) == 2]


def node_rows(plan: Row, guessed: set[str], standings: dict[str, str]) -> list[Row]:
    """One row per node. `guessed` are ops that no clock measured, `standings` is per op: both by letters."""
    found = [_node(node, position, guessed, standings) for position, node in enumerate(rows(plan, "rows"))]
    return sorted(found, key=lambda row: not row["moved"])


def _node(node: Row, position: int, guessed: set[str], standings: dict[str, str]) -> Row:
    planned, measured, name = (text(node.get(key)) for key in ("planned_unit", "measured_unit", "name"))
    verdict = _verdict(text(node.get("board_verdict")))
    return {
        "position": position,
        "name": name,
        "kind": text(node.get("kind")),
        "subgraph": whole(node.get("subgraph")),
        "dtype": text(node.get("dtype")),
        "planned_unit": planned,
        "measured_unit": measured,
        "moved": is_elsewhere(planned, measured),
        "measured_us": finite(node.get("measured_us")),
        "estimated": word(name) in guessed,
        "toolchain_cosine": node.get("toolchain_cosine"),
        "board_verdict": verdict,
        "standing": standings.get(word(name), verdict) if verdict == "differs" else verdict,
        "board_one_minus_cosine": node.get("board_one_minus_cosine"),
    }


def _verdict(told: str) -> str:
    """A verdict word, or "" for none; one that this version does not know is not compared."""
    return told if told in VERDICT_STANDINGS or not told else "not_compared"


def segment_rows(plan: Row, guessed: bool) -> list[Row]:
    """The compiler's estimate and the board's time per segment; `ratio` is measured over estimated."""
    return [_segment(segment, guessed) for segment in rows(plan, "segments")]


def _segment(segment: Row, guessed: bool) -> Row:
    estimate, measured = finite(segment.get("estimated_us")), finite(segment.get("measured_us"))
    return {
        "name": text(segment.get("name")),
        "estimated_us": estimate,
        "measured_us": measured,
        "ratio": measured / estimate if estimate and measured is not None else None,
        "estimated": guessed and measured is not None,
    }


def message_rows(plan: Row) -> list[Row]:
    """What the toolchain said that matters, errors first."""
    found = [_message(message) for message in rows(plan, "messages")]
    return sorted(found, key=lambda m: _SEVERITIES.index(m["severity"]) if m["severity"] in _SEVERITIES else 3)


def _message(message: Row) -> Row:
    told = {key: text(message.get(key)) for key in ("severity", "text", "meaning", "subject")}
    return told | {"line": whole(message.get("line")), "count": whole(message.get("count"))}
