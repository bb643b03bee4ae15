"""Who is to blame, as findings: one per origin, and what waivers accept."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from harness.consistency.fingerprint import kinds
from harness.diagnosis.results import unstable
from harness.diagnosis.rules import Findings, RunView, finding
from harness.records import Comparison, Layer, Op, Origin

MOST = 4  # origins with a finding of their own; where more ops are wrong at once, the page lists them
# How a waiver is worded in a layer: consistency/verdicts.py writes these.
HOLDS, ENDED, EXCEEDED = "waived until ", "its waiver ended on ", "worse than its waiver allows"
UNSTABLE = "first find why the same input gives different results; kind and metrics are from one run"


def origins(view: RunView) -> Findings:
    """What is to blame, where it is known; the first in execution order comes first."""
    origins_of_ops = [o for o in view.comparison.origins if o.op_kind != "input"] if view.comparison else []
    for place, origin in enumerate(origins_of_ops[:MOST]):
        lacking = _lacking(view, origin)
        more = len(origins_of_ops) - MOST if place == MOST - 1 else 0
        yield finding(
            "C-100",
            _evidence(origin, lacking) + _caveat(view) + (f"; {more} more origins in the report" if more > 0 else ""),
            subject=origin.op or origin.tensor,
            title=_title(origin, lacking),
            advice=UNSTABLE if unstable(view) else _advice(origin),
        )


def _caveat(view: RunView) -> str:
    """Layers are seen in the debug run; where that computes something else, so may its origin be."""
    answer = view.checks.debug_vs_release
    other = answer is not None and answer.same is False and not unstable(view)
    return "; seen in the debug run, which does not give the outputs of the release run" if other else ""


def undumped_inputs(ops: Sequence[Op], compared: Collection[str], op: str, first: str) -> tuple[str, ...]:
    """Inputs of the network that feed `op`, or that `first` (of an interval) names, and that the board did not dump.

    `ops` are a graph's; none are known without it.
    """
    made = {name for row in ops for name in row.outputs}
    unseen = {name for row in ops for name in row.inputs if name not in made and name not in compared}
    near = {name for row in ops if row.name == op for name in row.inputs}
    return tuple(sorted(unseen & (set(first.split(", ")) if first else near)))


def _lacking(view: RunView, origin: Origin) -> tuple[str, ...]:
    graph = view.comparison.extras.graph if view.comparison else None
    layers = view.comparison.layers if view.comparison else ()
    compared = {layer.name for layer in layers if layer.verdict != "not_compared"}
    return undumped_inputs(graph.ops, compared, origin.op, origin.first) if graph is not None else ()


def _title(origin: Origin, lacking: tuple[str, ...]) -> str:
    named = origin.op or origin.tensor
    if origin.how == "sequence":
        return f"{named} is the first difference in file order; without a graph, an earlier op may be the origin"
    if origin.unseen:
        count = len(origin.unseen)
        unseen = "1 op" if count == 1 else f"{count} ops"
        suspect = "" if origin.certain else ", and its inputs are not all equal"
        return f"{named}, or one of the {unseen} before it that could not be compared, is the origin{suspect}"
    if not origin.certain:
        return f"{named} is a suspect: beyond its limits, and it could not be run alone"
    if origin.how == "isolated":
        return f"{named} is an origin: on the board's own inputs the PC gives a different result"
    if lacking:
        return f"{named} differs; its input or the op itself is wrong"
    return f"{named} differs although all its inputs are equal"


def _evidence(origin: Origin, lacking: tuple[str, ...]) -> str:
    mark = origin.fingerprint
    parts = [f"tensor {origin.tensor}"] if origin.tensor != origin.op else []
    if lacking:
        parts.append(f"the board did not dump its input {', '.join(lacking)}")
    elif origin.first:
        parts.append(f"equal up to {origin.first}")
    if origin.unseen:
        parts.append(f"not compared: {', '.join(origin.unseen[:MOST])}{' ...' if len(origin.unseen) > MOST else ''}")
    if mark is None:
        parts.append("fault kind not determined")
    elif mark.kind == "unclassified":
        parts.append(f"unknown fault kind: {mark.evidence}")
    else:
        parts.append(f"{mark.kind.replace('_', ' ')}{'' if mark.certain else ' (not certain)'}: {mark.evidence}")
    return "; ".join(parts)


def _advice(origin: Origin) -> str:
    if origin.unseen:
        return "dump the tensors in between (debug mode, more layers): the origin is among them"
    mark = origin.fingerprint
    if mark is None:
        return ""
    advice = kinds.advice(mark.kind)
    if mark.transform and mark.transform not in mark.evidence:
        advice = f"{advice} Transform that makes both equal: {mark.transform}.".strip()
    if advice and not mark.certain and mark.kind != "unclassified":
        return (
            f"The fault kind is not certain. If it is {mark.kind.replace('_', ' ')}: {advice[:1].lower()}{advice[1:]}"
        )
    return advice


# --------------------------------------------------------------------------- waivers


def waivers(view: RunView) -> Findings:
    """Differences that a waiver accepts, and waivers that no longer do."""
    layers = view.comparison.layers if view.comparison else ()
    for layer in layers:
        if layer.verdict == "differs" and (ENDED in layer.note or EXCEEDED in layer.note):
            yield finding("C-106", f"{layer.note}; it differs: {layer.reason}", subject=layer.op or layer.name)
    accepted = [layer for layer in layers if is_waived(layer)]
    if accepted:
        named = ", ".join(f"{layer.op or layer.name} ({layer.reason})" for layer in accepted[:MOST])
        more = f" and {len(accepted) - MOST} more" if len(accepted) > MOST else ""
        count = f"{len(accepted)} layer{'' if len(accepted) == 1 else 's'}"
        yield finding("C-107", f"{count}: {named}{more}", subject=accepted[0].op or accepted[0].name)


def is_waived(layer: Layer) -> bool:
    """Whether only a waiver makes this layer `within`."""
    return layer.verdict == "within" and layer.reason.startswith(HOLDS)


# --------------------------------------------------------------------------- inputs


def inputs(view: RunView) -> Findings:
    """Network inputs that are not the reference's: what is computed from them says nothing about the board."""
    comparison = view.comparison
    if comparison is None:
        return
    wrong = [o for o in comparison.origins if o.op_kind == "input"]
    for origin in wrong[:MOST]:
        mark = origin.fingerprint
        sure = "" if mark is None or mark.certain else " (not certain)"
        evidence = f"{mark.kind.replace('_', ' ')}{sure}: {mark.evidence}" if mark is not None else ""
        yield finding("C-103", evidence or "its bytes differ", subject=origin.tensor, advice=_input_advice(origin))
    if not wrong and comparison.verdict.word == "diverges":
        yield from _fed_another(view, comparison)


def _input_advice(origin: Origin) -> str:
    mark = origin.fingerprint
    return kinds.advice(mark.kind) if mark is not None and mark.kind in INPUT_KINDS else ""


INPUT_KINDS = ("preprocessing", "input_order", "other_tensor", "endianness")


def _fed_another(view: RunView, comparison: Comparison) -> Findings:
    """By the hashes that a reference folder keeps of its inputs; an ONNX was fed here, with the board's own."""
    inputs, case = comparison.reference.provenance.get("inputs"), view.run.case
    if not isinstance(inputs, list) or (case.reference is not None and case.reference.name.endswith(".onnx")):
        return
    made = {str(row.get("name")): row for row in inputs if isinstance(row, Mapping)}
    for fed in case.inputs:
        own = made.get(fed.tensor) or (next(iter(made.values())) if len(made) == 1 else {})
        if own.get("bytes") == fed.size_bytes is not None and own.get("md5") != fed.md5:
            yield finding(
                "C-103",
                f"{fed.name} has the md5 {fed.md5}, the reference's input has md5 {own.get('md5')}",
                subject=fed.tensor or str(own.get("name")),
            )


CHECKS = (origins, inputs, waivers)
