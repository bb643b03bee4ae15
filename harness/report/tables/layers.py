"""The comparison as tables: one row per layer, its standing, the origins with their neighbours."""

from __future__ import annotations

from collections import Counter
from typing import Any

from harness.diagnosis.origins import ENDED, EXCEEDED, HOLDS, undumped_inputs
from harness.report.reach import Row, items, rows, section
from harness.report.values import INFINITE, decibel, number, scientific, share, text, whole

# Worst first. A layer has one standing: its verdict, or its role where the comparison gave it one.
STANDINGS = ("origin", "suspect", "differs", "propagated", "cleared", "not_compared", "within", "exact")
WORDS = {
    "origin": "origin",
    "suspect": "suspect",
    "differs": "differs",
    "propagated": "propagated",
    "cleared": "cleared alone",
    "not_compared": "not compared",
    "within": "within policy",
    "exact": "exact",
}
MEANINGS = {
    "origin": "wrong by itself: what it was fed is right, or it is wrong alone too",
    "suspect": "wrong, and could not be checked alone",
    "differs": "outside the policy",
    "propagated": "wrong because something before it is",
    "cleared": "differs, but is right when fed with the board's own inputs",
    "not_compared": "nothing is known about it",
    "within": "differs, inside the policy of its kind",
    "exact": "equal, byte for byte",
}
HASHED = {"valid": "the valid region", "file": "the file"}  # what the board hashed of a dump that was not pulled
VERDICT_STANDINGS = ("exact", "within", "differs", "not_compared")
_FIGURES = (
    "elements",
    "mismatched",
    "max_step",
    "mean_step",
    "relative_l2",
    "sqnr_db",
    "max_abs",
    "max_abs_over_range",
    "one_minus_cosine",
    "max_ulp",
    "nan_board",
    "nan_reference",
    "inf_board",
    "inf_reference",
    "saturated_share_board",
    "saturated_share_reference",
    "zero_share_board",
    "zero_share_reference",
)


def standing(layer: Row) -> str:
    """One of STANDINGS. A word that this version does not know is never shown as good."""
    verdict = layer.get("verdict")
    if verdict == "differs":
        role = layer.get("role")
        return str(role) if role in STANDINGS else "differs"
    return str(verdict) if verdict in VERDICT_STANDINGS else "not_compared"


def figures(metrics: Row) -> Row:
    """The figures of one pair plus `mismatch_share`; absent ones are None.

    `finite_only`: NaN or infinity does not agree, and relative figures are of elements that are finite on both sides.
    """
    found: Row = {key: metrics.get(key) for key in _FIGURES}
    found["finite_only"] = metrics.get("nonfinite_agree") is False
    elements, mismatched = number(found["elements"]), number(found["mismatched"])
    found["mismatch_share"] = mismatched / elements if elements and mismatched is not None else None
    return found


def beyond_a_step(row: Row) -> bool:
    """Whether `mismatched` counts what is over a step away: values compared as real numbers differ a little anyway."""
    step, most = number(row["max_step"]), number(row["max_abs"])
    return step is not None and (step % 1 != 0 or (row["mismatched"] == 0 and bool(most)))


def differing(row: Row) -> str:
    """Share of elements that differ, with what that means where it is not any difference at all."""
    return f"{share(row['mismatch_share'])}{' > 1 step' if beyond_a_step(row) else ''}"


def small(value: object, row: Row) -> str:
    """An error of a pair: never 0 where elements differ, never of the finite elements alone without saying so."""
    if row["finite_only"] and value is not None:
        return _nonfinite(row)
    return "< 1.2e-16" if number(value) == 0 and row["mismatched"] else scientific(value)


def level(value: object, row: Row) -> str:
    """SQNR of a pair; infinite for an exact one only."""
    return _nonfinite(row) if row["finite_only"] and value is not None else decibel(value)


def _nonfinite(row: Row) -> str:
    return "NaN" if row["nan_board"] or row["nan_reference"] else INFINITE


def _reason(layer: Row) -> str:
    if layer.get("verdict") not in VERDICT_STANDINGS:
        return f"verdict {text(layer.get('verdict'))!r} is not known to this version"
    return text(layer.get("reason"))


def layer_row(layer: Row, position: int) -> Row:
    """One row of the per-layer table; `position` counts rows and is the page's anchor."""
    measured = figures(section(layer, "metrics"))
    alone = section(layer, "single")
    return {
        "position": position,
        "index": whole(layer.get("index")),
        "name": text(layer.get("name")),
        "op": text(layer.get("op")),
        "op_kind": text(layer.get("op_kind")),
        "unit": text(layer.get("unit")),
        "dtype": text(layer.get("dtype")),
        "shape": items(layer, "shape"),
        "size_bytes": whole(layer.get("size_bytes")),
        "is_output": bool(layer.get("is_output")),
        "standing": standing(layer),
        "verdict": text(layer.get("verdict")),
        "reason": _reason(layer),
        "note": text(layer.get("note")),
        "match": text(layer.get("match")),
        "board_file": text(layer.get("board_file")),
        "hashed": told if (told := text(layer.get("hashed"))) in HASHED else "",
        **measured,
        "alone": figures(alone) if alone else None,
        "md5": _hashes(layer),
    }


def _hashes(layer: Row) -> Row:
    return {
        "file_board": text(layer.get("file_md5_board")),
        "file_reference": text(layer.get("file_md5_reference")),
        "valid_board": text(layer.get("valid_md5_board")),
        "valid_reference": text(layer.get("valid_md5_reference")),
    }


def layer_rows(comparison: Row) -> list[Row]:
    return [layer_row(layer, position) for position, layer in enumerate(rows(comparison, "layers"))]


def waiver_rows(layers: list[Row]) -> list[Row]:
    """Layers that a waiver is about: `accepted` by it, `exceeded` (worse than it allows), or it has `ended`."""
    return [
        {"position": row["position"], "name": row["name"], "op": row["op"], "state": state, "said": said}
        for row in layers
        for state, said in [_waived(row)]
        if state
    ]


def _waived(row: Row) -> tuple[str, str]:
    if row["verdict"] == "within" and row["reason"].startswith(HOLDS):
        return "accepted", f"{row['reason']}. Without it: {row['note']}" if row["note"] else row["reason"]
    if row["verdict"] == "differs" and ENDED in row["note"]:
        return "ended", row["note"]
    return ("exceeded", row["note"]) if row["verdict"] == "differs" and EXCEEDED in row["note"] else ("", "")


def counts(layers: list[Row]) -> dict[str, int]:
    """Layers per standing, worst first; every standing is named, zero included."""
    found = Counter(row["standing"] for row in layers)
    return {name: found[name] for name in STANDINGS}


def hashed_sentence(layers: list[Row]) -> str:
    """`67 layers are equal by the board's own hash, not pulled: 38 by the md5 of the valid region and 29 by ...`."""
    found = Counter(row["hashed"] for row in layers if row["hashed"])
    told = [f"{found[how]} by the md5 of {what}" for how, what in HASHED.items() if found[how]]
    total = sum(found.values())
    verb = "layer is" if total == 1 else "layers are"
    return f"{total} {verb} equal by the board's own hash, not pulled: {' and '.join(told)}." if told else ""


def coverage(comparison: Row) -> Row | None:
    """How much was compared, with shares; None where there was no comparison."""
    told = section(comparison, "coverage")
    if not told:
        return None
    found: Row = {key: whole(told.get(key)) or 0 for key in _COVERAGE}
    found["layers_share"] = _ratio(found["layers_compared"], found["layers_total"])
    found["bytes_share"] = _ratio(found["bytes_compared"], found["bytes_total"])
    found["whole"] = 0 < found["layers_total"] == found["layers_compared"]
    return found


_COVERAGE = ("layers_compared", "layers_total", "bytes_compared", "bytes_total")


def _ratio(part: int, total: int) -> float | None:
    return part / total if total else None


def origin_rows(comparison: Row, layers: list[Row], graph: Row) -> list[Row]:
    """Every origin with its fingerprint, figures, pictures and neighbours in the graph."""
    by_tensor = {row["name"]: row for row in reversed(layers)}
    return [_origin(origin, comparison, by_tensor, graph) for origin in rows(comparison, "origins")]


def _origin(origin: Row, comparison: Row, by_tensor: dict[str, Row], graph: Row) -> Row:
    tensor = text(origin.get("tensor"))
    layer = by_tensor.get(tensor)
    pictures = section(comparison, "pictures").get(tensor)
    return {
        "op": text(origin.get("op")) or tensor,  # without a graph no op is known
        "op_kind": text(origin.get("op_kind")),
        "tensor": tensor,
        "first": text(origin.get("first")),
        "unseen": [text(name) for name in items(origin, "unseen")],
        "undumped": list(_undumped(origin, by_tensor, graph)),
        "certain": origin.get("certain") is True,
        "how": text(origin.get("how")),
        "fingerprint": fingerprint(origin) or _of_layer(comparison, tensor),
        "layer": layer,
        "histogram": _histogram(comparison, tensor),
        "pictures": pictures if isinstance(pictures, dict) else {},
        "neighbours": neighbours(graph, text(origin.get("op")), by_tensor),
    }


def _undumped(origin: Row, by_tensor: dict[str, Row], graph: Row) -> tuple[str, ...]:
    """Inputs of the network just before an origin that the board did not dump."""
    ops = [
        {"name": text(op.get("name")), **{k: _names(op, k) for k in ("inputs", "outputs")}} for op in rows(graph, "ops")
    ]
    compared = {name for name, row in by_tensor.items() if row["verdict"] != "not_compared"}
    return undumped_inputs(ops, compared, text(origin.get("op")), text(origin.get("first")))


def fingerprint(holder: Row) -> Row | None:
    """The kind of fault with its evidence, from an origin or a layer."""
    found = section(holder, "fingerprint")
    if not found:
        return None
    return {
        "kind": text(found.get("kind")),
        "certain": found.get("certain") is True,
        "evidence": text(found.get("evidence")),
        "transform": text(found.get("transform")),
        "figures": section(found, "figures"),
    }


def _raw_layer(comparison: Row, tensor: str) -> Row:
    return next((row for row in rows(comparison, "layers") if row.get("name") == tensor), {})


def _of_layer(comparison: Row, tensor: str) -> Row | None:
    return fingerprint(_raw_layer(comparison, tensor))


def _histogram(comparison: Row, tensor: str) -> list[list[int]]:
    """(step, count) pairs of the tensor, ascending; [] where steps do not exist."""
    metrics = section(_raw_layer(comparison, tensor), "metrics")
    pairs = [pair for pair in items(metrics, "histogram") if isinstance(pair, list) and len(pair) == 2]
    found = [[whole(step), whole(count)] for step, count in pairs]
    return sorted([step, count] for step, count in found if step is not None and count is not None)


def neighbours(graph: Row, op: str, by_tensor: dict[str, Row]) -> Row | None:
    """The ops around `op`: {"inputs": [...], "op": {...}, "consumers": [...]}; None where the graph has no such op."""
    ops = rows(graph, "ops")
    centre = next((row for row in ops if row.get("name") == op), None)
    if centre is None:
        return None
    makers = {tensor: row for row in ops for tensor in _names(row, "outputs")}
    outputs = set(_names(centre, "outputs"))
    consumers = [row for row in ops if outputs.intersection(_names(row, "inputs"))]
    return {
        "inputs": [_node(makers.get(tensor), tensor, by_tensor) for tensor in dict.fromkeys(_names(centre, "inputs"))],
        "op": _node(centre, next(iter(_names(centre, "outputs")), ""), by_tensor),
        "consumers": [_node(row, next(iter(_names(row, "outputs")), ""), by_tensor) for row in consumers],
    }


def _names(row: Row, key: str) -> list[str]:
    return [text(name) for name in items(row, key)]


def _node(op: Row | None, tensor: str, by_tensor: dict[str, Row]) -> Row:
    """One box: an op, or an input of the network where no op makes the tensor."""
    layer = by_tensor.get(tensor)
    return {
        "name": text(op.get("name")) if op else tensor,
        "kind": text(op.get("kind")) if op else "network input",
        "tensor": tensor,
        "standing": layer["standing"] if layer else "",
        "position": layer["position"] if layer else None,
        "sqnr_db": layer["sqnr_db"] if layer else None,
    }


def standing_by_op(layers: list[Row]) -> dict[str, str]:
    """The worst standing of each op's tensors; a dump that the reference does not know says nothing of its op."""
    worst: dict[str, str] = {}
    for row in (row for row in layers if row["reason"] != "no_reference"):
        op: Any = row["op"]
        if op and STANDINGS.index(row["standing"]) < STANDINGS.index(worst.get(op, "exact")):
            worst[op] = row["standing"]
        elif op:
            worst.setdefault(op, row["standing"])
    return worst
