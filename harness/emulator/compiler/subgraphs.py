"""From placed ops to the accelerator's subgraphs and to the steps that the profiler names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.records import Op


def cut(ops: Sequence[Op], units: Mapping[str, str], stem: str) -> dict[str, str]:
    """Op name -> subgraph name for the accelerator's ops; `ops` in execution order.

    Two of them share a subgraph when data flows between them with no CPU op in between on any path; so no
    subgraph ever waits for a CPU op that waits for it.
    """
    maker = {name: op for op in ops for name in op.outputs}
    depth: dict[str, int] = {}
    for op in ops:
        before = [maker[name] for name in op.inputs if name in maker]
        entering = units[op.name] != "CPU"
        depth[op.name] = max(
            (depth[b.name] + (1 if entering and units[b.name] == "CPU" else 0) for b in before), default=0
        )
    groups = _connected(ops, units, depth, maker)
    order = list(dict.fromkeys(groups[op.name] for op in _by_depth(ops, depth) if op.name in groups))
    names = {group: f"{stem}_subgraph_{i}" for i, group in enumerate(order)}
    return {name: names[group] for name, group in groups.items()}


def _by_depth(ops: Sequence[Op], depth: Mapping[str, int]) -> list[Op]:
    return sorted(ops, key=lambda op: depth[op.name])


def _connected(
    ops: Sequence[Op], units: Mapping[str, str], depth: Mapping[str, int], maker: Mapping[str, Op]
) -> dict[str, str]:
    """Op -> a representative of its connected accelerator ops of the same depth (union by relabelling)."""
    group = {op.name: op.name for op in ops if units[op.name] != "CPU"}
    for op in ops:
        for name in op.inputs:
            before = maker.get(name)
            if before is None or op.name not in group or before.name not in group:
                continue
            if depth[before.name] == depth[op.name] and group[before.name] != group[op.name]:
                _merge(group, group[op.name], group[before.name])
    return group


def _merge(group: dict[str, str], old: str, new: str) -> None:
    for name, value in group.items():
        if value == old:
            group[name] = new


def schedule(ops: Sequence[Op], subgraphs: Mapping[str, str]) -> list[list[Op]]:
    """Ops in running order, those of one subgraph together in one list, each CPU op alone."""
    unit_of = {op.name: subgraphs.get(op.name, "cpu " + op.name) for op in ops}
    members: dict[str, list[Op]] = {}
    for op in ops:
        members.setdefault(unit_of[op.name], []).append(op)
    maker = {name: unit_of[op.name] for op in ops for name in op.outputs}
    needs = {
        unit: {maker[n] for op in group for n in op.inputs if n in maker} - {unit} for unit, group in members.items()
    }
    order: list[list[Op]] = []
    scheduled: set[str] = set()
    while len(scheduled) < len(members):
        ready = next(unit for unit in members if unit not in scheduled and needs[unit] <= scheduled)
        scheduled.add(ready)
        order.append(members[ready])
    return order
