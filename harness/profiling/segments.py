"""Stretches of consecutive ops on one unit, from ops in execution order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from harness.records import OpTime, Segment


def segments_of(ops: Sequence[OpTime], covers: Mapping[str, tuple[str, ...]] | None = None) -> tuple[Segment, ...]:
    """Segments in order; a subgraph of the accelerator is always one of its own. Waits are left out.

    `covers` maps a subgraph to the ops of the graph inside it, where that is known.
    """
    inside = covers or {}
    return tuple(_segment(stretch, inside) for stretch in _stretches([op for op in ops if op.category != "wait"]))


def _stretches(ops: Sequence[OpTime]) -> Iterator[list[OpTime]]:
    def stretch(pair: tuple[int, OpTime]) -> tuple[str, int]:
        index, op = pair
        return op.unit, index if op.kind == "subgraph" else -1

    for _, group in groupby(enumerate(ops), key=stretch):
        yield [op for _, op in group]


def _segment(ops: Sequence[OpTime], covers: Mapping[str, tuple[str, ...]]) -> Segment:
    first, last = ops[0], ops[-1]
    name = first.name if len(ops) == 1 else f"{first.name} .. {last.name}"
    names = tuple(n for op in ops for n in covers.get(op.name, (op.name,)))
    return Segment(unit=first.unit, name=name, ops=names, time_us=sum(op.mean_us for op in ops))
