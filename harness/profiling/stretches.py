"""Op times in execution order -> subgraphs and the stretches between them, with what each stretch costs.

A stretch is everything between two subgraphs. It is a cut ("middle") where the accelerator's work behind it waits for
it: by the graph where that is known, else by the order alone. What no op accounts for is shared equally by the starts
of the accelerator, one per subgraph: a cut makes one start more. Where it cannot be that (several threads wait for each
other, ops overlap, the table of ops is not whole, the order is not known) it stays unattributed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.profiling.ordering import word
from harness.profiling.split import OUTLIERS
from harness.records import ErrorFactors, Graph, OffOp, Op, OpTime, Profile, Segmentation, Stretch, SubgraphTime

LEAST_US = 1e-3  # below a nanosecond what is left of a sum is its own rounding
_LOST = ("is truncated", "is damaged", "no avg_time")


def is_whole(profile: Profile) -> bool:
    """Whether the table of ops was read whole."""
    return not any(mark in problem for problem in profile.latency.problems for mark in _LOST)


def segmentation(profile: Profile, graph: Graph | None = None) -> Segmentation | None:
    """The parts of a frame's mean time; None where no subgraph ran on an accelerator, or nothing was timed."""
    timed = [op for op in profile.ops if op.category != "wait"]
    inside = [op for op in timed if op.kind == "subgraph"]
    if not inside or not profile.latency.mean_us > 0:
        return None
    runs = list(_runs(timed)) if profile.order_known else [_Run("", "", [op for op in timed if op.kind != "subgraph"])]
    stretches = [stretch for run in runs if run.ops and (stretch := _stretch(run, profile, graph))]
    outliers_us = profile.split_us.get(OUTLIERS, 0.0)
    whole = Segmentation(
        subgraphs=tuple(_subgraph(op, profile) for op in inside),
        stretches=tuple(stretches),
        end_to_end_us=profile.latency.mean_us,
        outliers_us=outliers_us,
        unattributed_us=profile.latency.mean_us - outliers_us - sum(op.mean_us for op in timed),
        estimated=profile.estimated,
        notes=_notes(profile, graph),
    )
    return _with_gains(_with_launches(whole, profile), profile.off_error)


def _subgraph(op: OpTime, profile: Profile) -> SubgraphTime:
    ops = next((len(s.ops) for s in profile.segments if s.name == op.name), 0)
    return SubgraphTime(op.name, op.unit, op.mean_us, ops, op.estimated)


def _notes(profile: Profile, graph: Graph | None) -> tuple[str, ...]:
    notes = []
    if not profile.order_known:
        notes.append("the op order is unknown: which ops cut the accelerator's graph cannot be told")
    elif graph is None:
        notes.append("cuts are told by the order of execution; with --reference or --graph by the network itself")
    if (profile.latency.threads or 1) > 1:
        notes.append("several threads ran: waiting is in the unattributed time; use --threads 1 for the cost of a cut")
    if not is_whole(profile):
        notes.append("part of the op times was lost: the unattributed time is theirs")
    return tuple(notes)


# --------------------------------------------------------------------------- runs of ops


@dataclass
class _Run:
    before: str
    after: str
    ops: list[OpTime] = field(default_factory=list)


def _runs(ops: Sequence[OpTime]) -> Iterator[_Run]:
    """What lies before the first subgraph, between each two, and behind the last."""
    run = _Run("", "")
    for op in ops:
        if op.kind == "subgraph":
            yield replace(run, after=op.name)
            run = _Run(op.name, "")
        else:
            run.ops.append(op)
    yield run


def _stretch(run: _Run, profile: Profile, graph: Graph | None) -> Stretch:
    outside = [op for op in run.ops if op.category == "compute"]
    return Stretch(
        place=_place(run, outside, profile, graph),
        before=run.before,
        after=run.after,
        ops=tuple(OffOp(op.name, op.kind, op.unit or "CPU", op.mean_us) for op in outside),
        own_us=sum(op.mean_us for op in outside),
        quantize_us=_spent(run, "quantize"),
        dequantize_us=_spent(run, "dequantize"),
        layout_us=_spent(run, "layout"),
        other_us=_spent(run, "pre"),
        estimated=any(op.estimated for op in run.ops),
    )


def _spent(run: _Run, category: str) -> float:
    return sum(op.mean_us for op in run.ops if op.category == category)


def _place(run: _Run, outside: Sequence[OpTime], profile: Profile, graph: Graph | None) -> str:
    if not profile.order_known:
        return ""
    if not run.before or not run.after:
        return "tail" if run.before else "head"
    known = _sides(outside, profile, graph) if graph else None
    if known is None:
        return "middle"
    if (True, True) in known:
        return "middle"
    return "tail" if any(before for before, _ in known) else "head"


def _sides(outside: Sequence[OpTime], profile: Profile, graph: Graph | None) -> list[tuple[bool, bool]] | None:
    """Per op of a stretch: does the accelerator work before it, and behind it? None where the graph has other names."""
    off = {word(op.name) for op in profile.ops if op.kind != "subgraph" and op.category == "compute"}
    named = {word(name): op for op in (graph.ops if graph else ()) for name in (op.name, *op.covers)}
    if graph is None or not outside or not all(word(op.name) in named for op in outside):
        return None

    ops = [named[word(op.name)] for op in outside]
    inside = {op.name for op in graph.ops if not any(word(name) in off for name in (op.name, *op.covers))}
    before = _beside(graph.ops, lambda op: op.outputs, lambda op: op.inputs)
    behind = _beside(graph.ops, lambda op: op.inputs, lambda op: op.outputs)
    return [(_reaches(op.name, before, inside), _reaches(op.name, behind, inside)) for op in ops]


Ends = Callable[[Op], Sequence[str]]


def _beside(ops: Sequence[Op], theirs: Ends, own: Ends) -> dict[str, list[str]]:
    """Name of an op -> names of the ops that share a tensor with it: `theirs` of them, its `own`."""
    holders: dict[str, list[str]] = {}
    for op in ops:
        for tensor in theirs(op):
            holders.setdefault(tensor, []).append(op.name)
    return {op.name: [name for tensor in own(op) for name in holders.get(tensor, ())] for op in ops}


def _reaches(start: str, beside: Mapping[str, Sequence[str]], inside: set[str]) -> bool:
    """Whether one of `inside` is met on the way from an op in one direction."""
    seen, waiting = {start}, [start]
    while waiting:
        for name in beside[waiting.pop()]:
            if name in inside:
                return True
            if name not in seen:
                seen.add(name)
                waiting.append(name)
    return False


# --------------------------------------------------------------------------- what it costs


def _with_launches(whole: Segmentation, profile: Profile) -> Segmentation:
    """The unattributed time shared by the starts of the accelerator, where it can be theirs."""
    alone = (profile.latency.threads or 1) == 1 and profile.order_known and is_whole(profile)
    if not alone or whole.unattributed_us < LEAST_US:
        return whole
    share_us = whole.unattributed_us / len(whole.subgraphs)
    stretches = tuple(replace(s, launch_us=share_us if s.place == "middle" else 0.0) for s in whole.stretches)
    left = max(0, len(whole.subgraphs) - len(whole.cuts))
    return replace(whole, stretches=stretches, launch_us=share_us * left, unattributed_us=0.0)


def _with_gains(whole: Segmentation, error: ErrorFactors | None) -> Segmentation:
    """What would be won: at least the borders of a cut (its ops take as long on the accelerator), at most all of it.

    All of that is time off the accelerator: where it is estimated, `error` says how far the bounds may be off.
    """
    return replace(whole, stretches=tuple(_gain(stretch, error) for stretch in whole.stretches))


def _gain(stretch: Stretch, error: ErrorFactors | None) -> Stretch:
    is_cut = stretch.place == "middle"
    around_us = stretch.borders_us + stretch.launch_us if is_cut else 0.0
    alone_us = around_us if len(stretch.ops) == 1 else 0.0  # of several the others keep the borders
    most_us = around_us + stretch.own_us
    ops = tuple(_gain_of_one(op, alone_us, error) for op in stretch.ops)
    band = error.around(around_us, most_us) if error and stretch.ops and stretch.estimated else None
    return replace(stretch, ops=ops, gain_low_us=around_us, gain_high_us=most_us, gain_band=band)


def _gain_of_one(op: OffOp, around_us: float, error: ErrorFactors | None) -> OffOp:
    most_us = around_us + op.time_us
    band = error.around(around_us, most_us) if error else None
    return replace(op, gain_low_us=around_us, gain_high_us=most_us, gain_band=band)
