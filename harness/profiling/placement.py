"""Cut a graph into pieces on the accelerator, at the ops that run elsewhere."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass

from harness.records import Graph, Op


@dataclass(frozen=True)
class Piece:
    """Ops that run as one thing: one op off the accelerator, or a connected group on it."""

    ops: tuple[Op, ...]
    outside: bool


def cut_graph(graph: Graph, outside: Callable[[Op], bool]) -> list[Piece]:
    """Pieces in execution order.

    Two ops on the accelerator share a piece when data flows between them and equally many ops off the accelerator lie
    before both on the longest path: no piece waits for an op that waits for the piece.
    """
    off = {op.name for op in graph.ops if outside(op)}
    maker = {tensor: op for op in graph.ops for tensor in op.outputs}
    depth = _depths(graph, off, maker)
    group = _groups(graph, off, maker, depth)
    return _in_order(graph, off, maker, group)


def _before(op: Op, maker: dict[str, Op]) -> list[Op]:
    return [maker[tensor] for tensor in op.inputs if tensor in maker]


def _depths(graph: Graph, off: set[str], maker: dict[str, Op]) -> dict[str, int]:
    depth: dict[str, int] = {}
    for op in graph.ops:
        crossed = [
            depth[b.name] + (b.name in off and op.name not in off) for b in _before(op, maker) if b.name in depth
        ]
        depth[op.name] = max(crossed, default=0)
    return depth


def _groups(graph: Graph, off: set[str], maker: dict[str, Op], depth: dict[str, int]) -> dict[str, str]:
    """Op -> representative of its piece (union-find)."""
    parent = {op.name: op.name for op in graph.ops}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for op in graph.ops:
        for before in _before(op, maker):
            together = op.name not in off and before.name not in off and depth[before.name] == depth[op.name]
            if together:
                parent[root(op.name)] = root(before.name)
    return {name: root(name) for name in parent}


def _in_order(graph: Graph, off: set[str], maker: dict[str, Op], group: dict[str, str]) -> list[Piece]:
    """Pieces such that each comes after all it needs; ties in the graph's own order. Empty for a cycle."""
    members: dict[str, list[Op]] = {}
    needs: dict[str, set[str]] = {}
    for op in graph.ops:
        piece = group[op.name]
        members.setdefault(piece, []).append(op)
        needs.setdefault(piece, set()).update({group[b.name] for b in _before(op, maker)} - {piece})
    order = _sorted_by_need(needs)
    return [Piece(tuple(members[piece]), members[piece][0].name in off) for piece in order]


def _sorted_by_need(needs: dict[str, set[str]]) -> list[str]:
    """Kahn's order, smallest place first; empty when something waits for itself."""
    place = {piece: index for index, piece in enumerate(needs)}
    remaining = {piece: len(need) for piece, need in needs.items()}
    followers: dict[str, list[str]] = {piece: [] for piece in needs}
    for piece, need in needs.items():
        for earlier in need:
            followers[earlier].append(piece)
    ready = [(place[piece], piece) for piece, count in remaining.items() if count == 0]
    heapq.heapify(ready)
    order: list[str] = []
    while ready:
        _, piece = heapq.heappop(ready)
        order.append(piece)
        for follower in followers[piece]:
            remaining[follower] -= 1
            if remaining[follower] == 0:
                heapq.heappush(ready, (place[follower], follower))
    return order if len(order) == len(needs) else []
