"""Ops as numbers: who reads whom, and orders in which every op stands behind all that it reads."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterable, Sequence

from harness.report.values import Row

Readers = list[list[int]]  # of each node, ascending


def readers_of(ops: Sequence[Row]) -> Readers:
    """The ops that read each op's outputs. A record may hold circles: an edge that closes one is left out."""
    maker: dict[str, int] = {}
    for place, op in enumerate(ops):
        for name in op["outputs"]:
            maker.setdefault(name, place)
    readers: list[set[int]] = [set() for _ in ops]
    for place, op in enumerate(ops):
        for name in op["inputs"]:
            source = maker.get(name, place)
            if source != place:
                readers[source].add(place)
    return without_circles([sorted(one) for one in readers])


def without_circles(readers: Readers) -> Readers:
    """The same without edges that go back in the order; nothing is lost where there is no circle."""
    rank = {node: place for place, node in enumerate(ordered(readers, range(len(readers))))}
    return [[reader for reader in row if rank[reader] > rank[node]] for node, row in enumerate(readers)]


def ordered(readers: Readers, groups: Sequence[Hashable]) -> list[int]:
    """Every node behind all that it reads, staying in one group as long as it can; what is in circles comes last."""
    waiting = [0] * len(readers)
    for row in readers:
        for reader in row:
            waiting[reader] += 1
    anywhere = [node for node, count in enumerate(waiting) if not count]
    ready: dict[Hashable, list[int]] = {}
    for node in anywhere:
        ready.setdefault(groups[node], []).append(node)
    order: list[int] = []
    group: Hashable = None
    placed = [False] * len(readers)
    while anywhere:
        node = heapq.heappop(ready[group]) if ready.get(group) else heapq.heappop(anywhere)
        if placed[node]:
            continue
        placed[node], group = True, groups[node]
        order.append(node)
        for reader in readers[node]:
            waiting[reader] -= 1
            if not waiting[reader]:
                heapq.heappush(anywhere, reader)
                heapq.heappush(ready.setdefault(groups[reader], []), reader)
    return order + [node for node, done_with in enumerate(placed) if not done_with]


def contracted(readers: Readers, group: Sequence[int], count: int) -> Readers:
    """The graph of `count` groups, where node n is in group[n]: no edge inside of one, none twice."""
    joined: list[set[int]] = [set() for _ in range(count)]
    for node, row in enumerate(readers):
        for reader in row:
            if group[reader] != group[node]:
                joined[group[node]].add(group[reader])
    return [sorted(row) for row in joined]


def sources_of(readers: Readers) -> Readers:
    """The same edges by their other end."""
    sources: Readers = [[] for _ in readers]
    for node, row in enumerate(readers):
        for reader in row:
            sources[reader].append(node)
    return sources


def in_circles(readers: Readers) -> set[int]:
    """Nodes that lie in a circle or between two: what is left when ends are taken away as often as there are any."""
    return _trimmed(readers) & _trimmed(sources_of(readers))


def _trimmed(readers: Readers) -> set[int]:
    waiting = [0] * len(readers)
    for row in readers:
        for reader in row:
            waiting[reader] += 1
    free = [node for node, count in enumerate(waiting) if not count]
    left = set(range(len(readers)))
    while free:
        node = free.pop()
        left.discard(node)
        free += _released(readers[node], waiting)
    return left


def _released(nodes: Iterable[int], waiting: list[int]) -> list[int]:
    freed = []
    for node in nodes:
        waiting[node] -= 1
        if not waiting[node]:
            freed.append(node)
    return freed
