"""In which order did the ops run? Profilers that print a sorted table do not tell; other evidence may.

Evidence, best first: the platform says so, the profiler's own numbers, the node numbers of a debug run's dumps, the
graph together with the list of ops off the accelerator. Without evidence there is no order, and no segment is drawn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.profiling.placement import Piece, cut_graph
from harness.records import Graph, OpTime

_NUMBERED = re.compile(r"(?:^|_)subgraph_([0-9]+)$")


@dataclass(frozen=True)
class Arranged:
    """Ops in execution order, where that is from, and which graph ops each subgraph covers (where known).

    `unplaced` are quantize, dequantize and layout steps whose names lead nowhere; an op that computes is never one.
    """

    ops: tuple[OpTime, ...]
    how: str
    covers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unplaced: tuple[OpTime, ...] = ()


def ordered_ops(
    ops: Sequence[OpTime], *, order: Sequence[str] = (), graph: Graph | None = None, ordered: bool = False
) -> Arranged | None:
    """The ops in execution order; None when nothing tells it."""
    if not ops:
        return None
    covers = _covers(ops, graph)
    if ordered or len(ops) == 1:
        return Arranged(tuple(ops), "as printed by the profiler", covers)
    if all(op.index is not None for op in ops):
        return Arranged(tuple(sorted(ops, key=lambda op: op.index or 0)), "from the profiler's numbering", covers)
    sources = [(order, "from the numbering of the debug dumps")]
    if graph is not None:
        sources.append((_graph_order(ops, graph), "from the graph and the list of CPU ops"))
    for names, how in sources:
        if arranged := _by_names(ops, _places(names, graph)):
            return Arranged(arranged[0], how, covers, arranged[1])
    return None


# --------------------------------------------------------------------------- by names


def _places(order: Sequence[str], graph: Graph | None) -> dict[str, int]:
    """Name -> place in `order`; an op of the graph that is not named there stands at the tensor it makes."""
    place: dict[str, int] = {}
    for index, name in enumerate(order):
        place.setdefault(word(name), index)
    for op in graph.ops if graph and place else ():
        made = [place[word(tensor)] for tensor in op.outputs if word(tensor) in place]
        for name in (op.name, *op.covers) if made else ():
            place.setdefault(word(name), max(made))
    return place


def _by_names(ops: Sequence[OpTime], place: Mapping[str, int]) -> tuple[tuple[OpTime, ...], tuple[OpTime, ...]] | None:
    """(ops sorted by place, border ops without one); None when an op that computes has no place."""
    keys = [_key(op, place) for op in ops]
    placed = sorted((key, index) for index, key in enumerate(keys) if key is not None)
    unplaced = tuple(op for op, key in zip(ops, keys, strict=True) if key is None)
    if not place or any(op.category == "compute" for op in unplaced):
        return None
    return tuple(ops[index] for _, index in placed), unplaced


def word(name: str) -> str:
    """A name as dump files and profilers write it: other characters became `_`."""
    return re.sub(r"[^A-Za-z0-9]", "_", name)


_LAYOUT = re.compile(r"^(.+)_(input|output)_layout_convert$")
# Behind the name: two letters of the toolchain's maker, and what the step does.
_BORDER = re.compile(r"^(?:replaced_)?(.+?)(?:_[0-9]+)?_([A-Z][a-z])(?:Dequantize|Quantize|Calibration_\2Quantize)$")


def _key(op: OpTime, place: Mapping[str, int]) -> tuple[int, int] | None:
    """(place, side): layout conversion and preprocessing stand beside the node they serve."""
    if op.category == "pre":
        return (-1, 0)
    if match := _LAYOUT.match(op.name):
        index = place.get(word(match[1]))
        side = -1 if match[2] == "input" else 1
        return None if index is None else (index, side)
    index = place.get(word(op.name))
    if index is None and op.category in ("quantize", "dequantize") and (border := _BORDER.match(op.name)):
        index = place.get(word(border[1]))
        return None if index is None else (index, -1 if op.category == "quantize" else 2)
    return None if index is None else (index, 0)


# --------------------------------------------------------------------------- by graph


def _subgraphs(ops: Sequence[OpTime]) -> list[str] | None:
    """Names of accelerator subgraphs by their own number; None when one has no number or two share one."""
    names = [op.name for op in ops if op.kind == "subgraph"]
    numbers = [(int(match[1]) if (match := _NUMBERED.search(name)) else None) for name in names]
    if any(n is None for n in numbers) or len(set(numbers)) != len(numbers):
        return None
    return [name for _, name in sorted(zip([n or 0 for n in numbers], names, strict=True))]


def _pieces(ops: Sequence[OpTime], graph: Graph) -> list[Piece] | None:
    """The graph cut at the ops that the profiler shows off the accelerator; None when it does not fit."""
    names = {word(op.name) for op in graph.ops} | {word(n) for op in graph.ops for n in op.covers}
    outside = {word(op.name) for op in ops if op.kind != "subgraph" and op.category == "compute"}
    if not outside <= names:
        return None
    return cut_graph(graph, lambda op: any(word(n) in outside for n in (op.name, *op.covers)))


def _matched(ops: Sequence[OpTime], graph: Graph) -> list[tuple[str, Piece]] | None:
    """(name of the profiler, piece of the graph) in execution order, when counts and names agree."""
    subgraphs, pieces = _subgraphs(ops), _pieces(ops, graph)
    if subgraphs is None or pieces is None:
        return None
    inside = [piece for piece in pieces if not piece.outside]
    if len(inside) != len(subgraphs):
        return None
    names = iter(subgraphs)
    return [(piece.ops[0].name if piece.outside else next(names), piece) for piece in pieces]


def _graph_order(ops: Sequence[OpTime], graph: Graph) -> list[str]:
    order: list[str] = []
    for name, piece in _matched(ops, graph) or []:
        order.append(name)
        if piece.outside:
            order += [*piece.ops[0].covers, *piece.ops[0].outputs]
        else:
            order += [tensor for op in piece.ops for tensor in op.outputs]
    return order


def _covers(ops: Sequence[OpTime], graph: Graph | None) -> dict[str, tuple[str, ...]]:
    if graph is None:
        return {}
    matched = _matched(ops, graph) or []
    return {name: tuple(op.name for op in piece.ops) for name, piece in matched if not piece.outside}
