"""One latency and a list of op times -> a Profile: split by unit, segments, what no op accounts for.

Nothing is scaled to fit: the time between the sum of the ops and the end-to-end latency stays visible as
`unattributed_us`; what a few slow frames add to the mean is a part of its own. Waits (queue times, totals of a task)
are kept in the table and belong to no sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from harness.profiling.distribution import distribution
from harness.profiling.ordering import Arranged, ordered_ops
from harness.profiling.rounding import rounding_us
from harness.profiling.segments import segments_of
from harness.records import Distribution, Dump, Graph, Latency, OpTime, Profile

OVERLAP = 0.005  # the tools print three to six decimals of a millisecond: smaller excess is rounding
QUANTIZE, LAYOUT, OTHER, OUTLIERS = "quantize", "layout", "other", "outliers"
OUTLIERS_SHARE = 0.05  # of the median: outliers that add less to the mean are counted and have no part of the time
# Categories of OpTime -> the part of the split they count for; "compute" counts for its unit, "wait" for nothing.
_PARTS = {"quantize": QUANTIZE, "dequantize": QUANTIZE, "layout": LAYOUT, "pre": OTHER}


def profile(
    latency: Latency,
    ops: Sequence[OpTime],
    graph: Graph | None = None,
    *,
    order: Sequence[str] = (),
    ordered: bool = False,
    folder: Path | None = None,
    notes: Sequence[str] = (),
) -> Profile:
    """Put the times together. All times in microseconds.

    The order of `ops` is taken as the execution order when `ordered`; else it is looked for in `order` (names of nodes
    as a debug run dumped them, see `order_of_dumps`), then in the ops' own sequence numbers, then in `graph`. Where
    none tells, `order_known` is False and there are no segments. `folder` names the source.
    """
    timed = tuple(op for op in ops if op.category != "wait")
    waits = tuple(op for op in ops if op.category == "wait")
    arranged = ordered_ops(timed, order=order, graph=graph, ordered=ordered)
    body = timed if arranged is None else (*arranged.ops, *arranged.unplaced)
    attributed = sum(op.mean_us for op in timed)
    known = distribution(latency)
    slow_us = _outliers_us(known, latency.mean_us - attributed) if timed else 0.0
    return Profile(
        latency=latency,
        ops=(*body, *waits),
        split_us=split(timed) | ({OUTLIERS: slow_us} if slow_us else {}),
        segments=() if arranged is None else segments_of(arranged.ops, arranged.covers),
        unattributed_us=latency.mean_us - attributed - slow_us if timed else 0.0,
        order_known=arranged is not None,
        estimated=any(op.estimated for op in timed),
        source=folder.name if folder else "",
        notes=(*notes, *_basis_notes(known), *_notes(latency, timed, waits, arranged)),
        distribution=known,
    )


def _outliers_us(known: Distribution | None, unattributed_us: float) -> float:
    """What slow frames add to the mean latency and no op has: the ops' own means may hold it already."""
    if known is None or known.outliers_add_us <= OUTLIERS_SHARE * known.median_us:
        return 0.0
    return max(0.0, min(known.outliers_add_us, unattributed_us))


def split(ops: Iterable[OpTime]) -> dict[str, float]:
    """unit -> compute time, then "quantize", "layout", "other" where there is any. Waits do not count."""
    parts: dict[str, float] = {}
    for op in ops:
        if op.category != "wait":
            part = part_of(op)
            parts[part] = parts.get(part, 0.0) + op.mean_us
    return dict(sorted(parts.items(), key=lambda item: (item[0] in (QUANTIZE, LAYOUT, OTHER), item[0])))


def part_of(op: OpTime) -> str:
    """The part of the split that an op's time counts for."""
    return (op.unit or OTHER) if op.category == "compute" else _PARTS.get(op.category, OTHER)


def shares(profile_: Profile) -> Mapping[str, float]:
    """Each part of the split over the end-to-end latency, with "unattributed"; empty without a latency."""
    whole = profile_.latency.mean_us
    if whole <= 0:
        return {}
    parts = {**profile_.split_us} | ({"unattributed": profile_.unattributed_us} if profile_.ops else {})
    return {part: time_us / whole for part, time_us in parts.items()}


def order_of_dumps(dumps: Iterable[Dump]) -> tuple[str, ...]:
    """Names of nodes, and of the tensors each one made, in the order a debug run numbered their dumps."""
    numbered = sorted((d for d in dumps if d.index >= 0 and d.op), key=lambda d: d.index)
    names = (name for d in numbered for name in ((d.op, d.name) if d.role == "output" else (d.op,)))
    return tuple(dict.fromkeys(names))


# --------------------------------------------------------------------------- what a reader must know


def _basis_notes(known: Distribution | None) -> list[str]:
    if known is None or known.basis != "bounds":
        return []
    return ["the tool prints least, mean and most only: no percentiles; --rounds 5 gives the latency an interval"]


def _notes(latency: Latency, timed: Sequence[OpTime], waits: Sequence[OpTime], arranged: Arranged | None) -> list[str]:
    notes = []
    if not timed:
        notes.append("no op times reported: only the end-to-end latency is known")
    if (latency.threads or 1) > 1:
        notes.append(
            f"{latency.threads} threads ran at once: latency includes waiting for the accelerator, op times overlap, "
            "and FPS is not 1000 / latency in ms. Use --threads 1 for per-frame times"
        )
    excess_us = sum(op.mean_us for op in timed) - latency.mean_us
    if excess_us > max(latency.mean_us * OVERLAP, rounding_us([op.mean_us for op in timed])):
        notes.append("the op times add up to more than the end-to-end time: ops overlap")
    if arranged:
        notes.append(f"order of ops: {arranged.how}")
    if arranged and arranged.unplaced:
        names = ", ".join(op.name for op in arranged.unplaced)
        notes.append(f"not in a segment (position unknown from the name): {names}")
    if waits:
        notes.append("waits and task totals are shown but not added: " + ", ".join(op.name for op in waits))
    return notes
