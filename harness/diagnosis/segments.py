"""Subgraphs and what stands between them, with the reason of every op that left the accelerator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from harness import vendors
from harness.diagnosis.rules import DiagnosisVendor, OffView, WhyOff
from harness.profiling.ordering import word
from harness.profiling.stretches import segmentation
from harness.records import Graph, OffOp, Op, Run, Segmentation, Stretch


def explained(run: Run, graph: Graph | None) -> Segmentation | None:
    """The segmentation of a run's profile; None where nothing ran on an accelerator as a subgraph."""
    whole = segmentation(run.profile, graph) if run.profile else None
    if whole is None:
        return None
    units = {word(op.name): op.unit for stretch in whole.stretches for op in stretch.ops}
    beside = _neighbours(graph.ops if graph else (), units, whole.subgraphs[0].unit)
    return replace(whole, stretches=tuple(_with_reasons(run, stretch, beside) for stretch in whole.stretches))


Neighbours = tuple[tuple[str, str, str, str], ...]


def _with_reasons(run: Run, stretch: Stretch, beside: Mapping[str, Neighbours]) -> Stretch:
    return replace(stretch, ops=tuple(_with_reason(run, stretch.place, op, beside) for op in stretch.ops))


def _with_reason(run: Run, place: str, op: OffOp, beside: Mapping[str, Neighbours]) -> OffOp:
    info, plan = run.model_info, run.plan
    march = (info.versions.get("march", "") if info else "") or (plan.march if plan else "")
    planned = next((row.kind for row in plan.rows if word(row.name) == word(op.name)), "") if plan else ""
    kind = op.kind if op.kind and op.kind != "node" else planned
    neighbours = beside.get(word(op.name), ())
    view = OffView(op.name, kind, place, run.board.platform, run.board.soc, march, neighbours, plan)
    answer = next(_answers(view), None)
    if answer is None:
        return replace(op, why="nothing in the build's files tells why" if plan else "no build log tells why")
    reason, why, advice = answer.reason, answer.why, answer.advice
    return replace(op, reason=reason, why=why, advice=advice, line=answer.line, line_number=answer.line_number)


def _answers(view: OffView) -> Iterator[WhyOff]:
    """What the vendors' rooms say, harness's own first."""
    rooms = vendors.built_in("diagnosis", DiagnosisVendor)
    for room in rooms.values():
        if room.why_off is not None and (answer := room.why_off(view)) is not None:
            yield answer
    for name, room in vendors.added("diagnosis", DiagnosisVendor).items():
        rule = room.why_off
        if rule is not None and (answer := vendors.careful(name, lambda rule=rule: rule(view), None)) is not None:  # type: ignore[misc]
            yield answer


def _neighbours(ops: Sequence[Op], units: Mapping[str, str], accelerator: str) -> dict[str, Neighbours]:
    """By the letters of an op's name: the ops whose tensors it reads, and those that read its own."""
    makers = {tensor: op for op in ops for tensor in op.outputs}
    readers: dict[str, list[Op]] = {}
    for op in ops:
        for tensor in op.inputs:
            readers.setdefault(tensor, []).append(op)

    def row(side: str, other: Op) -> tuple[str, str, str, str]:
        unit = next((units[word(n)] for n in (other.name, *other.covers) if word(n) in units), accelerator)
        return side, other.name, other.kind, unit

    known: dict[str, Neighbours] = {}
    for op in ops:
        before = [row("before", makers[tensor]) for tensor in op.inputs if tensor in makers]
        behind = [row("behind", other) for tensor in op.outputs for other in readers.get(tensor, ())]
        for name in (op.name, *op.covers):
            known[word(name)] = tuple(dict.fromkeys([*before, *behind]))
    return known
