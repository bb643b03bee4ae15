"""Who is to blame. With a graph: an op whose output differs while nothing that reaches it does.

Every compared tensor has a frontier: the nearest compared tensors (or graph inputs) that it is computed from. Ops in
between that were not compared are `unseen`, and widen the origin to an interval. States of a tensor are `equal`,
`within`, `differs` and `unknown`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.records import Graph, Layer, Op, Origin
from harness.reference.given_graph import INSERTED

STATES = {"exact": "equal", "within": "within", "differs": "differs", "not_compared": "unknown"}


@dataclass(frozen=True)
class Reach:
    """What a compared tensor is computed from."""

    tensor: str
    op: Op
    frontier: tuple[str, ...]  # nearest compared tensors and graph inputs
    unseen: tuple[str, ...]  # ops between the frontier and `op`, in execution order
    kinds: tuple[str, ...] = ()  # of the op and of those that are unseen


def reaches(graph: Graph, states: Mapping[str, str]) -> dict[str, Reach]:
    """The reach of every compared op output. `states` holds tensors that were compared; others are unknown."""
    order = {op.name: i for i, op in enumerate(graph.ops)}
    producer = {name: op for op in graph.ops for name in op.outputs}
    reached = {}
    for op in graph.ops:
        for tensor in op.outputs:
            if states.get(tensor, "unknown") != "unknown":
                reached[tensor] = _reach(tensor, op, producer, states, order)
    return reached


def _reach(
    tensor: str, op: Op, producer: Mapping[str, Op], states: Mapping[str, str], order: Mapping[str, int]
) -> Reach:
    frontier: dict[str, None] = {}
    unseen: dict[str, None] = {}
    kinds = [op.kind]
    waiting, seen = list(op.inputs), set(op.inputs)
    while waiting:
        name = waiting.pop()
        maker = producer.get(name)
        if maker is None or states.get(name, "unknown") != "unknown":
            frontier[name] = None
            continue
        if maker.kind != INSERTED:  # nobody's op: what it makes is another's value once more
            kinds += [maker.kind] if maker.name not in unseen else []
            unseen[maker.name] = None
        fresh = [n for n in maker.inputs if n not in seen]
        seen.update(fresh)
        waiting += fresh
    return Reach(tensor, op, tuple(sorted(frontier)), tuple(sorted(unseen, key=order.__getitem__)), tuple(kinds))


def roles(reached: Mapping[str, Reach], states: Mapping[str, str]) -> dict[str, str]:
    """Role of every differing tensor by its frontier alone: `origin`, `suspect` or `propagated`."""
    given = {}
    for tensor, reach in reached.items():
        if states[tensor] == "differs":
            around = {states.get(name, "equal") for name in reach.frontier}  # a graph input not dumped was fed
            given[tensor] = "propagated" if "differs" in around else "suspect" if "within" in around else "origin"
    return given


def settle(reached: Mapping[str, Reach], given: Mapping[str, str], alone: Mapping[str, bool]) -> dict[str, str]:
    """Roles after isolation. `alone` tells of tensors run again with the board's own inputs: True where the
    op is right alone. A propagated difference whose op is wrong alone is a second origin; one whose op is right
    stays propagated, unless nothing that reaches it is to blame: then it only grew, and is cleared. What could not
    be run alone is a suspect then."""
    settled = dict(given)
    for tensor, role in given.items():
        right = alone.get(tensor)
        if right is False:
            settled[tensor] = "origin"
        elif role in ("suspect", "origin") and right:
            settled[tensor] = "cleared"
    for tensor in reached:  # in the graph's topological order
        if settled.get(tensor) == "propagated" and not _is_explained(reached, settled, tensor):
            settled[tensor] = "cleared" if alone.get(tensor) else "suspect"
    return settled


def _is_explained(reached: Mapping[str, Reach], settled: Mapping[str, str], tensor: str) -> bool:
    """Whether anything that directly reaches the tensor is an origin, or carries an origin's difference."""
    return any(settled.get(name) in ("origin", "suspect", "propagated") for name in reached[tensor].frontier)


def origins(reached: Mapping[str, Reach], layers: Mapping[str, Layer], isolated: Iterable[str]) -> tuple[Origin, ...]:
    """Origins and unresolved suspects, in execution order; one per op."""
    by_isolation = set(isolated)
    listed: dict[tuple[str, tuple[str, ...]], Origin] = {}
    for tensor, reach in reached.items():
        layer = layers[tensor]
        if layer.role in ("origin", "suspect"):
            key = (reach.op.name, reach.unseen)
            listed.setdefault(key, _origin(reach, layer, tensor in by_isolation))
    return tuple(listed.values())


def fed_right(
    graph: Graph, reached: Mapping[str, Reach], states: Mapping[str, str], isolated: Iterable[str]
) -> frozenset[str]:
    """Tensors whose difference cannot have come in from before: all that their op read was compared, and is right or
    was fed to the op again, alone. A network input reads nothing."""
    again = set(isolated)
    whole = (t for t, reach in reached.items() if not reach.unseen and _is_fed_right(reach, states, t in again))
    return frozenset((*graph.inputs, *whole))


def _is_fed_right(reach: Reach, states: Mapping[str, str], again: bool) -> bool:
    known = ("equal", "within", "differs") if again else ("equal", "within")
    return all(states.get(name, "unknown") in known for name in reach.frontier)


def sharing(listed: Sequence[Origin], reached: Mapping[str, Reach], states: Mapping[str, str]) -> dict[str, str]:
    """Tensors of intervals that share an op that was not compared with an earlier interval -> that op: one cause is
    enough for both. An op that something right is computed from as well is none."""
    right = {op for tensor, reach in reached.items() if states[tensor] in ("equal", "within") for op in reach.unseen}
    kept: list[Origin] = []
    sharing: dict[str, str] = {}
    for origin in listed:
        shared = next((op for one in kept for op in one.unseen if op in origin.unseen and op not in right), "")
        if shared:
            sharing[origin.tensor] = shared
        else:
            kept.append(origin)
    return sharing


def _origin(reach: Reach, layer: Layer, isolated: bool) -> Origin:
    return Origin(
        op=reach.op.name,
        op_kind=reach.op.kind,
        tensor=reach.tensor,
        first=", ".join(reach.frontier[:3]) if reach.unseen else "",
        unseen=reach.unseen,
        certain=layer.role == "origin",
        how="isolated" if isolated else "graph",
        fingerprint=layer.fingerprint,
    )


def sequence_origin(layers: Sequence[Layer]) -> tuple[Origin, ...]:
    """Without a graph: the first difference in execution order, which may be another one's consequence."""
    first = next((layer for layer in layers if layer.verdict == "differs"), None)
    if first is None:
        return ()
    before = [layer for layer in layers[: layers.index(first)] if layer.verdict in ("exact", "within")]
    return (
        Origin(
            op=first.op,
            op_kind=first.op_kind,
            tensor=first.name,
            first=before[-1].name if before else "",
            certain=False,
            how="sequence",
            fingerprint=first.fingerprint,
        ),
    )
