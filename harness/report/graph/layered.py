"""A layered layout of boxes: columns by the longest way from an input, order by the median of neighbours, heights by
pooling. Deterministic, without a library; some hundred boxes in a tenth of a second."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness.report.graph.edges import Readers, ordered, sources_of

GAP_PX = 12  # between boxes of a column
LINE_GAP_PX = 7  # beside a line that passes a column
_SWEEPS = 8
_MOST_PASSED = 5000  # columns that lines pass, of all lines together; beyond it the longest lines are left out


@dataclass
class GraphNode:
    """A box (`box` is its place) or a line that passes a column (`box` is None)."""

    box: int | None
    column: int
    height_px: float
    middle_px: float = 0.0


@dataclass(frozen=True)
class Layout:
    """`nodes`: boxes first, in their order; `columns`: nodes from top to bottom; `lines`: nodes from a box to its
    reader; `left_out`: lines too long to be drawn."""

    nodes: list[GraphNode]
    columns: list[list[int]]
    lines: list[list[int]]
    left_out: int


def layout(heights_px: Sequence[float], readers: Readers, stages: Sequence[int | None]) -> Layout:
    """Places of boxes whose edges hold no circle. `stages`: boxes of a later stage stand right of all of an earlier
    one; None is free."""
    column = _columns(readers, stages)
    nodes = [GraphNode(place, column[place], height) for place, height in enumerate(heights_px)]
    edges = [(source, reader) for source, row in enumerate(readers) for reader in row]
    kept = _short_enough(edges, column)
    lines = [_line(nodes, edge) for edge in kept]
    columns: list[list[int]] = [[] for _ in range(max(column, default=-1) + 1)]
    for place, node in enumerate(nodes):
        columns[node.column].append(place)
    neighbours = _neighbours(len(nodes), lines)
    _arrange(columns, neighbours, nodes)
    _settle(columns, neighbours, nodes)
    return Layout(nodes, columns, lines, len(edges) - len(kept))


def _columns(readers: Readers, stages: Sequence[int | None]) -> list[int]:
    """The longest way to each box; boxes that read nothing move beside their first reader."""
    order = ordered(readers, range(len(readers)))
    column = _longest(readers, order, {})
    known = sorted({stage for stage in stages if stage is not None})
    first: dict[int, int] = {}
    for stage in known:
        earlier = [column[box] for box, own in enumerate(stages) if own is not None and own < stage]
        first[stage] = max(earlier, default=-1) + 1
        begin = {box: first[own] for box, own in enumerate(stages) if own is not None and own in first}
        column = _longest(readers, order, begin)
    sources = sources_of(readers)
    for box in range(len(readers)):
        if not sources[box] and readers[box] and stages[box] is None:
            column[box] = max(0, min(column[reader] for reader in readers[box]) - 1)
    low = min(column, default=0)
    return [one - low for one in column]


def _longest(readers: Readers, order: Sequence[int], begin: dict[int, int]) -> list[int]:
    column = [begin.get(box, 0) for box in range(len(readers))]
    for box in order:
        for reader in readers[box]:
            column[reader] = max(column[reader], column[box] + 1)
    return column


def _short_enough(edges: list[tuple[int, int]], column: Sequence[int]) -> list[tuple[int, int]]:
    passed, kept = 0, set()
    for edge in sorted(edges, key=lambda one: column[one[1]] - column[one[0]]):
        passed += column[edge[1]] - column[edge[0]] - 1
        if passed > _MOST_PASSED:
            break
        kept.add(edge)
    return [edge for edge in edges if edge in kept]


def _line(nodes: list[GraphNode], edge: tuple[int, int]) -> list[int]:
    """The nodes of a line: its box, one for each column that it passes, its reader."""
    source, reader = edge
    passing = []
    for column in range(nodes[source].column + 1, nodes[reader].column):
        passing.append(len(nodes))
        nodes.append(GraphNode(None, column, 0.0))
    return [source, *passing, reader]


Neighbours = tuple[list[list[int]], list[list[int]]]  # of each node: left, right


def _neighbours(count: int, lines: list[list[int]]) -> Neighbours:
    left: list[list[int]] = [[] for _ in range(count)]
    right: list[list[int]] = [[] for _ in range(count)]
    for line in lines:
        for one, other in pairwise(line):
            right[one].append(other)
            left[other].append(one)
    return left, right


def _arrange(columns: list[list[int]], neighbours: Neighbours, nodes: list[GraphNode]) -> None:
    """Orders each column by the mean place of its neighbours, there and back, as often as that helps."""
    place = {node: n for column in columns for n, node in enumerate(column)}
    best, fewest = [list(column) for column in columns], crossings(columns, neighbours[1])
    for sweep in range(_SWEEPS):
        beside = neighbours[sweep % 2]
        for column in columns if sweep % 2 == 0 else reversed(columns):
            keys = {node: _mean([place[one] for one in beside[node]], place[node]) for node in column}
            column.sort(key=keys.__getitem__)
            place.update((node, n) for n, node in enumerate(column))
        count = crossings(columns, neighbours[1])
        if count < fewest:
            best, fewest = [list(column) for column in columns], count
        if not fewest:
            break
    columns[:] = best


def _mean(places: Sequence[int], own: int) -> float:
    return sum(places) / len(places) if places else float(own)


def crossings(columns: Sequence[Sequence[int]], right: Sequence[Sequence[int]]) -> int:
    """Pairs of lines between neighbouring columns that cross."""
    count = 0
    for column, following in pairwise(columns):
        place = {node: n for n, node in enumerate(following)}
        ends = [place[one] for node in column for one in sorted(right[node], key=place.__getitem__)]
        count += _inversions(ends)
    return count


def _inversions(values: list[int]) -> int:
    """Pairs out of order, by merging."""
    if len(values) < 2:
        return 0
    half = len(values) // 2
    left, right = values[:half], values[half:]
    count = _inversions(left) + _inversions(right)
    left.sort()
    right.sort()
    passed = 0
    for value in right:
        while passed < len(left) and left[passed] <= value:
            passed += 1
        count += len(left) - passed
    return count


def _settle(columns: list[list[int]], neighbours: Neighbours, nodes: list[GraphNode]) -> None:
    """Heights: every node where the median of its neighbours is, as far as those beside it leave room."""
    for column in columns:
        top = 0.0
        for node in column:
            nodes[node].middle_px = top + nodes[node].height_px / 2
            top += nodes[node].height_px + _gap(nodes[node])
    for sweep in range(2 * _SWEEPS):
        beside = neighbours[sweep % 2]
        for column in columns if sweep % 2 == 0 else reversed(columns):
            _pool(column, beside, nodes)


def _gap(node: GraphNode) -> float:
    return LINE_GAP_PX if node.box is None else GAP_PX


def _pool(column: list[int], beside: list[list[int]], nodes: list[GraphNode]) -> None:
    """Nodes go where they want to be; those that would meet share the mean of their wishes. Lines wish harder."""
    offset, before = 0.0, None
    pools: list[list[float]] = []  # [sum of weight * wish, weight, count]
    offsets = []
    for node in column:
        one = nodes[node]
        if before is not None:
            offset += (before.height_px + one.height_px) / 2 + max(_gap(before), _gap(one))
        offsets.append(offset)
        wish = statistics.median(nodes[n].middle_px for n in beside[node]) if beside[node] else one.middle_px
        weight = 4.0 if one.box is None else 1.0
        pools.append([weight * (wish - offset), weight, 1])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] >= pools[-1][0] / pools[-1][1]:
            last = pools.pop()
            pools[-1] = [a + b for a, b in zip(pools[-1], last, strict=True)]
        before = one
    at = [total / weight for total, weight, count in pools for _ in range(int(count))]
    for node, begin, more in zip(column, at, offsets, strict=True):
        nodes[node].middle_px = begin + more
