"""Layers without a dump that must have had one: files were lost, or the board stopped writing them.

Most boards dump a part of the network only, and what they never dump is coverage. A hole is another thing, and is told
from it by evidence: layer numbers that are missing between others, an output of the network, a list of the PC's layers
of which only one in the middle is lacking. That a like layer has its dump is none: runtimes fuse some and not others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from harness.consistency.policy import Policy
from harness.consistency.reading.matching import Match, Matching
from harness.names import file_form
from harness.records import Dump, Gap, Graph
from harness.reference.open import Reference, ReferenceTensor


def mark_missing(
    matching: Matching,
    reference: Reference,
    graph: Graph | None,
    given: tuple[Sequence[Dump], Sequence[Gap] | None],
    policy: Policy,
) -> Matching:
    """The same rows; those without a dump that must have had one say `missing`, and why.

    `given` are all dumps, and what the platform knows by its own numbers: None where the dumps carry none.
    """
    dumps, gaps = given
    reasons = _missing_dumps(reference, graph, matching.rows, gaps) | _by_parameters(matching.rows, dumps)
    unlike = {} if gaps is not None else _alike(graph, matching.rows)
    rows = [_marked(row, reasons, unlike, policy) for row in matching.rows]
    return replace(matching, rows=tuple(rows))


def _marked(row: Match, reasons: Mapping[str, str], alike: Mapping[str, str], policy: Policy) -> Match:
    tensor = row.tensor
    if tensor is None or policy.is_optional(tensor.op, tensor.name):
        return row
    if tensor.name not in reasons:
        return replace(row, note=alike.get(tensor.name, row.note)) if row.reason == "no_dump" else row
    return replace(row, reason="missing", note=reasons[tensor.name])


def _missing_dumps(
    reference: Reference, graph: Graph | None, rows: Sequence[Match], gaps: Sequence[Gap] | None
) -> dict[str, str]:
    """Why each tensor without a dump must have had one, in words; tensors that need none are left out."""
    known = [row for row in rows if row.tensor is not None]
    dumped = {row.tensor.name for row in known if row.tensor is not None and row.reason != "no_dump"}
    lacking = [row.tensor for row in known if row.tensor is not None and row.reason == "no_dump"]
    if not lacking or not any(row.dump is not None and row.tensor and not row.tensor.is_input for row in known):
        return {}
    reasons = {} if gaps is None else dict(_numbered(gaps, lacking, known, _Neighbours(graph, dumped)))
    if gaps is None and reference.provenance.get("ordered"):
        reasons |= _in_order(lacking, known)
    return reasons | {t.name: "it is a network output" for t in lacking if t.is_output and t.name not in reasons}


def _by_parameters(rows: Sequence[Match], dumps: Sequence[Dump]) -> dict[str, str]:
    """Layers of which weights and the like were dumped: the board was at them, and leaves the output beside."""
    names = {file_form(dump.name).rpartition("_")[0]: dump.name for dump in dumps if dump.role == "parameter"}
    lacking = [row.tensor.name for row in rows if row.tensor is not None and row.reason == "no_dump"] if names else []
    own = {name: names[file_form(name)] for name in lacking if file_form(name) in names}
    return {name: f"{parameter} is in the folder, as for every such dump" for name, parameter in own.items()}


class _Neighbours:
    """Who makes and who reads a tensor, and whether all of that has its dump."""

    def __init__(self, graph: Graph | None, dumped: set[str]) -> None:
        ops = graph.ops if graph is not None else ()
        self.maker = {name: op for op in ops for name in op.outputs}
        self.readers: Mapping[str, list[str]] = defaultdict(list)
        self.kinds: Mapping[str, list[str]] = defaultdict(list)
        for op in ops:
            for name in op.inputs:
                self.readers[name] += op.outputs
                self.kinds[name].append(op.kind)
        self.dumped = dumped | set(graph.inputs if graph is not None else ())

    def has_all(self, tensor: str) -> bool:
        """Whether everything that its op reads, and everything that is made of it, has a dump."""
        maker, readers = self.maker.get(tensor), self.readers.get(tensor, [])
        return bool(maker and readers) and {*(maker.inputs if maker else ()), *readers} <= self.dumped

    def place(self, tensor: ReferenceTensor) -> tuple[str, ...]:
        """Kind of op and of what reads it: where a board keeps one such tensor to itself, it keeps all of them."""
        return (tensor.op_kind, *sorted(self.kinds.get(tensor.name, [])))


def _numbered(
    gaps: Sequence[Gap], lacking: Sequence[ReferenceTensor], rows: Sequence[Match], neighbours: _Neighbours
) -> Iterator[tuple[str, str]]:
    """Tensors that lie between the layers on both sides of a gap; in another branch, those with everything around.

    What a missing file held may be compared all the same, as a later op read it or as the model's own output.
    """
    pairs = [(row.dump, row.tensor) for row in rows if row.dump and row.tensor and not row.tensor.is_input]
    made = [(dump.index, tensor.order) for dump, tensor in pairs if dump.op and dump.role == "output"]
    read = [tensor.order for dump, tensor in pairs if dump.op and dump.role == "input"]
    ends = [tensor.order for dump, tensor in pairs if not dump.op]
    if len(read) >= sum(gap.files for gap in gaps):
        return
    for gap in gaps:
        low = max((order for index, order in made if index < gap.first), default=-1)
        high = min((order for index, order in made if index > gap.last), default=END)
        if sum(low < order < high for order in (*read, *ends)) >= gap.files:
            continue
        between = [t for t in lacking if low < t.order < high] or [t for t in lacking if neighbours.has_all(t.name)]
        others = f"; this one, or others of the {len(between)} that lie there" if len(between) > gap.files else ""
        yield from ((tensor.name, gap.evidence + others) for tensor in between)


END = 1 << 62


def _alike(graph: Graph | None, rows: Sequence[Match]) -> dict[str, str]:
    """Tensors with everything around them dumped, and with a dump of another one of their kind and place: no proof that
    theirs is lost, but worth a word in their row."""
    known = [row for row in rows if row.tensor is not None]
    neighbours = _Neighbours(graph, {row.tensor.name for row in known if row.tensor and row.reason != "no_dump"})
    dumped = {
        neighbours.place(row.tensor): row.tensor for row in known if row.tensor and row.dump and row.tensor.op_kind
    }
    notes = {}
    for tensor in (row.tensor for row in known if row.tensor is not None and row.reason == "no_dump"):
        like = dumped.get(neighbours.place(tensor))
        if like is not None and neighbours.has_all(tensor.name):
            notes[tensor.name] = f"all its neighbours have one, and so has {like.name!r}, between ops of the same kinds"
    return notes


def _in_order(lacking: Sequence[ReferenceTensor], rows: Sequence[Match]) -> dict[str, str]:
    """Of a PC's own list of the layers that the board runs: those between layers that have their dump.

    A name that begins with a slash becomes one with `_` on the PC, and cannot be written at all by some boards: it
    counts only where another such name has its dump.
    """
    dumped = [row.tensor for row in rows if row.tensor and row.dump]
    orders = [tensor.order for tensor in dumped]
    slashes = any(tensor.name.startswith("_") for tensor in dumped)
    reason = "the PC log lists it between layers with dumps"
    between = [tensor for tensor in lacking if min(orders) < tensor.order < max(orders)]
    return {tensor.name: reason for tensor in between if slashes or not tensor.name.startswith("_")}
