"""Which rows of two node tables are the same node.

Tables cut long names at the front, so several nodes may share what is left of a name. Such a row meets the full name
that ends with it by op type, cosine and threshold; where these do not decide, by its place among the rows of that name.
No row is dropped: one that meets no other stays a node of its own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from harness.toolchains.records import PlannedNode

CUT = "..."
END = 8  # characters: names are looked up by their ends
COSINE_DIGITS = 1.5e-6  # printed with six decimals, in some files with more
THRESHOLD_DIGITS = 1e-5  # relative: printed with six significant digits
FILLED = ("unit", "kind", "subgraph", "input_dtype", "output_dtypes", "cosine", "quantized_cosine", "threshold")
FILLED_LISTS = ("thresholds", "inputs", "outputs")
_KIND_PREFIX = re.compile(r"^Hz(?:SQuantized|Quantized|S)?")


def merge_nodes(tables: Iterable[Sequence[PlannedNode]]) -> tuple[PlannedNode, ...]:
    """Nodes of all tables in the first one's order; what a table lacks is taken from the later ones."""
    merged: list[PlannedNode] = []
    for table in tables:
        pairs = match_nodes(merged, table)
        for index, other in pairs.items():
            merged[index] = filled(merged[index], table[other])
        met = set(pairs.values())
        merged.extend(node for index, node in enumerate(table) if index not in met)
    return tuple(merged)


def filled(first: PlannedNode, second: PlannedNode) -> PlannedNode:
    """`first` with what it lacks from `second`, and the longer of both names."""
    lacking = {key: getattr(second, key) for key in (*FILLED, *FILLED_LISTS) if _empty(getattr(first, key))}
    name = second.name if first.name_is_cut and not second.name_is_cut else first.name
    return replace(first, name=name, fused=first.fused or second.fused, **lacking)


def _empty(value: object) -> bool:
    return value is None or value in ("", ())


def match_nodes(first: Sequence[PlannedNode], second: Sequence[PlannedNode]) -> dict[int, int]:
    """Index in `first` -> index in `second` of the same node; each row at most once."""
    pairs = _by_name(first, second)
    left = [index for index in range(len(first)) if index not in pairs]
    met = set(pairs.values())
    right = [index for index in range(len(second)) if index not in met]
    pairs.update(_by_tail(first, second, left, right))
    met = set(pairs.values())
    swapped = _by_tail(second, first, [i for i in right if i not in met], [i for i in left if i not in pairs])
    pairs.update({mine: other for other, mine in swapped.items()})
    return pairs


def _by_name(first: Sequence[PlannedNode], second: Sequence[PlannedNode]) -> dict[int, int]:
    """Rows with one name as printed: in order; those of a cut name by their figures first."""
    pairs: dict[int, int] = {}
    others = _indices(second)
    for name, mine in _indices(first).items():
        ends = others.get(name, [])
        met = _pair(first, second, mine, ends) if name.startswith(CUT) else {}
        left, right = [i for i in mine if i not in met], [i for i in ends if i not in met.values()]
        in_order = zip(left, right, strict=False) if len(left) == len(right) or not name.startswith(CUT) else ()
        pairs |= met | dict(in_order)
    return pairs


def _indices(nodes: Sequence[PlannedNode]) -> dict[str, list[int]]:
    by_name: dict[str, list[int]] = defaultdict(list)
    for index, node in enumerate(nodes):
        by_name[node.name].append(index)
    return by_name


def _by_tail(
    cut: Sequence[PlannedNode], full: Sequence[PlannedNode], left: Sequence[int], right: Sequence[int]
) -> dict[int, int]:
    """Cut rows of `cut` that remain, with the names of `full` that end like them. Longer tails first."""
    pairs: dict[int, int] = {}
    groups: dict[str, list[int]] = defaultdict(list)
    by_end: dict[str, list[int]] = defaultdict(list)
    for index in left:
        if cut[index].name_is_cut:
            groups[cut[index].name.removeprefix(CUT)].append(index)
    for index in right:
        by_end[full[index].name[-END:]].append(index)
    for tail in sorted(groups, key=len, reverse=True):
        met = set(pairs.values())
        near = by_end.get(tail[-END:], []) if len(tail) >= END else right
        ends = [index for index in near if index not in met and full[index].name.endswith(tail)]
        pairs |= _pair(cut, full, groups[tail], ends)
    return pairs


def _pair(
    first: Sequence[PlannedNode], second: Sequence[PlannedNode], mine: list[int], ends: list[int]
) -> dict[int, int]:
    """Rows of one name: those with the most equal figures first, and in order where figures are equal.

    A choice that nothing supports is not made: a row for which several names are equally good stays alone.
    """
    pairs: dict[int, int] = {}
    closed: set[int] = set()
    for score in (3, 2, 1, 0):
        free = [end for end in ends if end not in pairs.values()]
        rows = [row for row in mine if row not in pairs and row not in closed]
        fits = {row: tuple(end for end in free if likeness(first[row], second[end]) == score) for row in rows}
        for group in _alike(fits):
            names = fits[group[0]]
            if len(group) == len(names) or (len(group) > len(names) and score):
                pairs |= dict(zip(group, names, strict=False))
            else:
                closed |= set(group)
    return pairs


def _alike(fits: dict[int, tuple[int, ...]]) -> list[list[int]]:
    """Rows with the same candidates, in order. A candidate is in one group only: groups share no name."""
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for row, names in fits.items():
        if names:
            groups[names].append(row)
    seen: set[int] = set()
    chosen = []
    for names in sorted(groups, key=len):
        if not seen & set(names):
            chosen.append(groups[names])
            seen |= set(names)
    return chosen


def likeness(one: PlannedNode, other: PlannedNode) -> int:
    """How many of type, cosine and threshold are equal; -1 where the cosines contradict each other."""
    if one.cosine is not None and other.cosine is not None and abs(one.cosine - other.cosine) > COSINE_DIGITS:
        return -1
    same_cosine = one.cosine is not None and other.cosine is not None
    thresholds = (one.threshold, other.threshold)
    return (_kind(one) == _kind(other) != "") + same_cosine + _close(*thresholds)


def _close(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and abs(one - other) <= THRESHOLD_DIGITS * max(abs(one), abs(other))


def _kind(node: PlannedNode) -> str:
    return _KIND_PREFIX.sub("", node.kind)
