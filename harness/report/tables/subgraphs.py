"""What the comparison says of a profiled subgraph: never better than the worst layer inside it."""

from __future__ import annotations

from harness.records import Profile
from harness.report.tables.layers import STANDINGS
from harness.report.values import Row

_UNKNOWN = "not_compared"


def with_subgraphs(profile: Profile | None, layers: list[Row], standings: dict[str, str]) -> dict[str, str]:
    """`standings` (per op) with every profiled subgraph's own; "" for one of which nothing is known."""
    if profile is None:
        return standings
    subgraphs = [op for op in profile.ops if op.kind == "subgraph"]
    inside = {segment.name: segment.ops for segment in profile.segments}
    extended = dict(standings)
    for op in subgraphs:
        alone = sum(other.unit == op.unit for other in subgraphs) == 1
        members = [other for other in inside.get(op.name, ()) if other != op.name]
        extended[op.name] = _of_members(members, standings) if members else _of_unit(op.unit, layers) if alone else ""
    return extended


def _of_members(members: list[str], standings: dict[str, str]) -> str:
    """The worst of the ops inside; good only where each of them was judged."""
    return _worst([standings.get(name, _UNKNOWN) for name in members]) if set(members) & set(standings) else ""


def _of_unit(unit: str, layers: list[Row]) -> str:
    """The worst of the layers on that unit; good only where the whole network was compared: units may be unsaid."""
    own = [row["standing"] for row in layers if row["unit"] == unit and row["reason"] != "no_reference"]
    if not own:
        return ""
    missing = any(row["standing"] == _UNKNOWN and row["reason"] != "no_reference" for row in layers)
    return _worst([*own, _UNKNOWN] if missing else own)


def _worst(words: list[str]) -> str:
    return min(words, key=STANDINGS.index)
