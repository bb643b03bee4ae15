"""The comparison as tables: one row per layer, its standing, the origins with their neighbours."""

from __future__ import annotations

from collections import Counter

from harness.diagnosis.origins import ENDED, EXCEEDED, HOLDS, undumped_inputs
from harness.records import Comparison, Fingerprint, Layer, Metrics, NetworkOps, Op, Origin
from harness.records.codec import to_json
from harness.report.values import INFINITE, Row, as_json, decibel, number, scientific, share

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
    "origin": "origin: its inputs are right, or it is wrong when run alone",
    "suspect": "wrong, and could not be run alone",
    "differs": "outside the policy",
    "propagated": "wrong because an earlier op is",
    "cleared": "differs, but is right on the board's own inputs",
    "not_compared": "not compared",
    "within": "differs within the policy limits",
    "exact": "equal values",
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


def standing(layer: Layer) -> str:
    """One of STANDINGS. A word that this version does not know is never shown as good."""
    if layer.verdict == "differs":
        return layer.role if layer.role in STANDINGS else "differs"
    return layer.verdict if layer.verdict in VERDICT_STANDINGS else "not_compared"


def figures(metrics: Metrics | None) -> Row:
    """The figures of one pair plus `mismatch_share`; absent ones are None.

    `finite_only`: NaN or infinity differ, and relative figures are of elements that are finite on both sides.
    """
    if metrics is None:
        return {**dict.fromkeys(_FIGURES), "finite_only": False, "mismatch_share": None}
    row: Row = {key: as_json(getattr(metrics, key)) for key in _FIGURES}
    row["finite_only"] = not metrics.nonfinite_agree
    row["mismatch_share"] = metrics.mismatched / metrics.elements if metrics.elements else None
    return row


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


def _reason(layer: Layer) -> str:
    if layer.verdict not in VERDICT_STANDINGS:
        return f"verdict {layer.verdict!r} is not known to this version"
    return layer.reason


def layer_row(layer: Layer, position: int) -> Row:
    """One row of the per-layer table; `position` counts rows and is the page's anchor."""
    return {
        "position": position,
        "index": layer.index if layer.index >= 0 else None,
        "name": layer.name,
        "op": layer.op,
        "op_kind": layer.op_kind,
        "unit": layer.unit,
        "dtype": layer.dtype,
        "shape": list(layer.shape),
        "size_bytes": layer.size_bytes,
        "is_output": layer.is_output,
        "standing": standing(layer),
        "verdict": layer.verdict,
        "reason": _reason(layer),
        "note": layer.note,
        "match": layer.match,
        "board_file": layer.board_file,
        "hashed": layer.hashed if layer.hashed in HASHED else "",
        **figures(layer.metrics),
        "alone": figures(layer.single) if layer.single else None,
        "md5": _hashes(layer),
    }


def _hashes(layer: Layer) -> Row:
    return {
        "file_board": layer.file_md5_board,
        "file_reference": layer.file_md5_reference,
        "valid_board": layer.valid_md5_board,
        "valid_reference": layer.valid_md5_reference,
    }


def layer_rows(comparison: Comparison | None) -> list[Row]:
    """One row per layer, in execution order."""
    return [layer_row(layer, place) for place, layer in enumerate(comparison.layers)] if comparison else []


def waiver_rows(layers: list[Row]) -> list[Row]:
    """Layers that a waiver is about: `accepted` by it, `exceeded` (worse than it allows), or it has `ended`."""
    return [
        {"position": row["position"], "name": row["name"], "op": row["op"], "state": state, "said": sentence}
        for row in layers
        for state, sentence in [_waived(row)]
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
    counter = Counter(row["standing"] for row in layers)
    return {name: counter[name] for name in STANDINGS}


def hashed_sentence(layers: list[Row]) -> str:
    """`67 layers are equal by hash on the board, not downloaded: 38 by the md5 of the valid region and 29 by ...`."""
    counts = Counter(row["hashed"] for row in layers if row["hashed"])
    parts = [f"{counts[how]} by the md5 of {what}" for how, what in HASHED.items() if counts[how]]
    total = sum(counts.values())
    verb = "layer is" if total == 1 else "layers are"
    return f"{total} {verb} equal by hash on the board, not downloaded: {' and '.join(parts)}." if parts else ""


def coverage(comparison: Comparison | None, layers: list[Row]) -> Row | None:
    """How much was compared, with shares; None where there was no comparison. `inputs`: rows that are inputs of the
    network and no layers, by standing."""
    if comparison is None:
        return None
    row: Row = to_json(comparison.coverage)
    row["layers_share"] = _ratio(row["layers_compared"], row["layers_total"])
    row["bytes_share"] = _ratio(row["bytes_compared"], row["bytes_total"])
    row["inputs"] = counts([layer for layer in layers if layer["op_kind"] == "input"])
    row["whole"] = 0 < row["layers_total"] == row["layers_compared"]
    return row


def _ratio(part: int, total: int) -> float | None:
    return part / total if total else None


def origin_rows(comparison: Comparison | None, layers: list[Row], graph: NetworkOps) -> list[Row]:
    """Every origin with its fingerprint, figures, pictures and neighbours in the graph."""
    if comparison is None:
        return []
    by_tensor = {row["name"]: row for row in reversed(layers)}
    return [_origin(origin, comparison, by_tensor, graph) for origin in comparison.origins]


def _origin(origin: Origin, comparison: Comparison, by_tensor: dict[str, Row], graph: NetworkOps) -> Row:
    tensor = origin.tensor
    layer = next((layer for layer in comparison.layers if layer.name == tensor), None)
    picture = comparison.pictures.get(tensor)
    return {
        "op": origin.op or tensor,  # without a graph no op is known
        "op_kind": origin.op_kind,
        "tensor": tensor,
        "first": origin.first,
        "unseen": list(origin.unseen),
        "undumped": list(_undumped(origin, by_tensor, graph)),
        "certain": origin.certain,
        "how": origin.how,
        "fingerprint": fingerprint(origin.fingerprint or (layer.fingerprint if layer else None)),
        "layer": by_tensor.get(tensor),
        "histogram": _histogram(layer),
        "pictures": to_json(picture) if picture else {},
        "neighbours": (around := neighbours(graph, origin.op, by_tensor)),
        "equal_inputs": _equal_inputs(around),
    }


def _equal_inputs(around: Row | None) -> int:
    """How many tensors the op reads, where all of them are equal in every element; else 0."""
    read = around["inputs"] if around else []
    return len(read) if all(node["standing"] == "exact" for node in read) else 0


def _undumped(origin: Origin, by_tensor: dict[str, Row], graph: NetworkOps) -> tuple[str, ...]:
    """Inputs of the network just before an origin that the board did not dump."""
    compared = {name for name, row in by_tensor.items() if row["verdict"] != "not_compared"}
    return undumped_inputs(graph.ops, compared, origin.op, origin.first)


def fingerprint(mark: Fingerprint | None) -> Row | None:
    """The kind of fault with its evidence."""
    return to_json(mark) if mark is not None else None


def _histogram(layer: Layer | None) -> list[list[int]]:
    """(step, count) pairs of the tensor, ascending; [] where steps do not exist."""
    pairs = layer.metrics.histogram if layer and layer.metrics else ()
    return sorted([step, count] for step, count in pairs if count > 0)


def neighbours(graph: NetworkOps, op: str, by_tensor: dict[str, Row]) -> Row | None:
    """The ops around `op`: {"inputs": [...], "op": {...}, "consumers": [...]}; None where the graph has no such op."""
    centre = next((row for row in graph.ops if row.name == op), None)
    if centre is None:
        return None
    makers = {tensor: row for row in graph.ops for tensor in row.outputs}
    consumers = [row for row in graph.ops if set(centre.outputs).intersection(row.inputs)]
    return {
        "inputs": [_node(makers.get(tensor), tensor, by_tensor) for tensor in dict.fromkeys(centre.inputs)],
        "op": _node(centre, next(iter(centre.outputs), ""), by_tensor),
        "consumers": [_node(row, next(iter(row.outputs), ""), by_tensor) for row in consumers],
    }


def _node(op: Op | None, tensor: str, by_tensor: dict[str, Row]) -> Row:
    """One box: an op, or an input of the network where no op makes the tensor."""
    layer = by_tensor.get(tensor)
    return {
        "name": op.name if op else tensor,
        "kind": op.kind if op else "network input",
        "tensor": tensor,
        "standing": layer["standing"] if layer else "",
        "position": layer["position"] if layer else None,
        "sqnr_db": layer["sqnr_db"] if layer else None,
    }


def standing_by_op(layers: list[Row]) -> dict[str, str]:
    """The worst standing of each op's tensors; a dump that the reference does not know says nothing of its op."""
    worst: dict[str, str] = {}
    for row in (row for row in layers if row["reason"] != "no_reference"):
        op: str = row["op"]
        if op and STANDINGS.index(row["standing"]) < STANDINGS.index(worst.get(op, "exact")):
            worst[op] = row["standing"]
        elif op:
            worst.setdefault(op, row["standing"])
    return worst
