"""What the PC toolchain planned, held against what the board measured: one row per node, one per subgraph.

Toolchain figures stay what they are: its cosine is of quantized against float on calibration data, its latency a static
estimate of the accelerator alone. They are shown beside the board's figures and never mixed with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from harness.diagnosis.blocks import blocks_of, composites_of
from harness.errors import InputError
from harness.profiling.ordering import word
from harness.records import Comparison, Layer, OpTime, Plan, PlanRow, PlanSegment, Profile
from harness.toolchains import read_any
from harness.toolchains.records import Artifact, LayerCost, PlannedNode, SegmentEstimate
from harness.toolchains.rooms import rooms
from harness.toolchains.same_nodes import CUT, merge_nodes

T = TypeVar("T")
_NUMBERED = re.compile(r"(?:subgraph|segment)_([0-9]{1,6})$")


def is_elsewhere(planned: str, measured: str) -> bool:
    """Whether a node ran on another unit than planned; False where either side does not tell."""
    return bool(planned and measured) and _unit_of(planned) != measured


def _unit_of(planned: str) -> str:
    return next((room.same_units[planned] for room in rooms() if planned in room.same_units), planned)


def find_beside(model: Path, model_name: str = "") -> tuple[Path, ...]:
    """Toolchain files of this model in its own folder: `<stem>_<what>`, of a packed file `<stem>_<name>_<what>`.

    A bare `<what>` counts only where the model has none of its own: a folder may hold several builds.
    """
    stem = model.stem
    names = [name for room in rooms() for name in room.beside]
    fronts = ([f"{stem}_{model_name}_"] if model_name else []) + [f"{stem}_", ""]
    for front in fronts:
        paths = tuple(path for what in names if (path := model.with_name(front + what)).is_file())
        if paths:
            return paths
    return ()


def read_build(paths: Iterable[Path]) -> list[tuple[Path, Artifact]]:
    """(file, what it holds) for every file that a reader knows; others are left to `harness inspect` to explain.

    A file that cannot be read is a problem of the plan: what was measured is judged all the same.
    """
    read = ((path, _read_one(path)) for path in paths)
    return [(path, artifact) for path, artifact in read if artifact is not None]


def _read_one(path: Path) -> Artifact | None:
    try:
        return read_any(path)
    except InputError as error:
        return Artifact("unreadable", "unreadable file", problems=(error.message.removeprefix(f"{path}: "),))


def join(build: Sequence[tuple[Path, Artifact]], profile: Profile | None, comparison: Comparison | None) -> Plan | None:
    """Plan and measurement in one; None when no file of a build was given."""
    if not build:
        return None
    artifacts = [artifact for _, artifact in build]
    nodes = merge_nodes(artifact.nodes for artifact in artifacts)
    ops = _by_word(profile.ops if profile else ())
    rows = comparison.layers if comparison else ()
    # Some toolchains name a row by its tensor; where a name is an op's, the op is meant.
    layers = {word(layer.name): layer for layer in rows} | {word(layer.op): layer for layer in rows if layer.op}
    ran = _segment_units(profile.ops if profile else ())
    return Plan(
        sources=tuple((artifact.kind, path.name) for path, artifact in build),
        march=next((a.march for a in artifacts if a.march), ""),
        versions={key: value for a in reversed(artifacts) for key, value in a.versions.items()},
        rows=tuple(_row(node, ops, layers, ran) for node in nodes),
        segments=_segments(artifacts, profile),
        messages=tuple(message for a in artifacts for message in a.messages),
        problems=tuple(f"{path.name}: {problem}" for path, a in build for problem in a.problems),
    )


# --------------------------------------------------------------------------- nodes


def _by_word(ops: Sequence[OpTime]) -> dict[str, OpTime]:
    """Ops that stand for one node (no subgraphs, no borders), by the letters of their names; twins are left out."""
    alone = [op for op in ops if op.category == "compute" and op.kind != "subgraph"]
    names = [word(op.name) for op in alone]
    return {name: op for name, op in zip(names, alone, strict=True) if names.count(name) == 1}


def _segment_units(ops: Sequence[OpTime]) -> dict[int, str]:
    """Number of a subgraph that ran -> its unit."""
    numbered = ((op, _NUMBERED.search(op.name)) for op in ops if op.kind == "subgraph")
    return {int(match[1]): op.unit for op, match in numbered if match}


def _by_segment(node: PlannedNode, ran: Mapping[int, str]) -> str:
    """Where a node ran that no profiler names alone: with its subgraph.

    Where the plan numbers no subgraphs, any on its unit will do: the profiler names every op off it, and this is none.
    """
    if node.subgraph is not None:
        return ran.get(node.subgraph, "")
    return node.unit if node.unit in ran.values() else ""


def _named(node: PlannedNode, by_word: Mapping[str, T]) -> T | None:
    """What carries the node's name; for a name that a table cut at its front, the only one that ends like it."""
    if not node.name_is_cut:
        return by_word.get(word(node.name))
    ends = [full for full in by_word if full.endswith(word(node.name.removeprefix(CUT)))]
    return by_word[ends[0]] if len(ends) == 1 else None


def _row(node: PlannedNode, ops: Mapping[str, OpTime], layers: Mapping[str, Layer], ran: Mapping[int, str]) -> PlanRow:
    op, layer = _named(node, ops), _named(node, layers)
    return PlanRow(
        name=node.name,
        kind=node.kind,
        planned_unit=node.unit,
        subgraph=node.subgraph,
        dtype=node.output_dtypes[0] if node.output_dtypes else node.input_dtype,
        measured_unit=op.unit if op else (layer.unit if layer and layer.unit else _by_segment(node, ran)),
        measured_us=op.mean_us if op else None,
        toolchain_cosine=node.cosine,
        board_verdict=layer.verdict if layer else "",
        board_one_minus_cosine=layer.metrics.one_minus_cosine if layer and layer.metrics else None,
    )


# --------------------------------------------------------------------------- segments


def _segments(artifacts: Sequence[Artifact], profile: Profile | None) -> tuple[PlanSegment, ...]:
    measured = {op.name: op.mean_us for op in (profile.ops if profile else ()) if op.kind == "subgraph"}
    estimated = {e.subgraph: e for artifact in artifacts for e in artifact.estimates}
    layers = {a.estimates[0].subgraph: a.layers for a in artifacts if len(a.estimates) == 1 and a.layers}
    rows = []
    for name, estimate in estimated.items():
        match = _same_segment(name, measured) or _only_one(estimated, measured)
        time_us, costs = measured.pop(match) if match else None, layers.get(name, ())
        rows.append(_segment(name or match, estimate, time_us, costs))
    return (*rows, *(PlanSegment(name, None, time_us) for name, time_us in measured.items()))


def _segment(name: str, estimate: SegmentEstimate, time_us: float | None, costs: Sequence[LayerCost]) -> PlanSegment:
    return PlanSegment(
        name,
        estimate.latency_us,
        time_us,
        estimate.ddr_bytes,
        blocks_of(costs),
        composites_of(costs),
        estimate.mac_shares,
        estimate.memory_bytes,
    )


def _only_one(estimated: Mapping[str, SegmentEstimate], measured: Mapping[str, float]) -> str:
    """The only subgraph that ran, for the only estimate where that names none: perf JSON of J6 has no name inside."""
    return next(iter(measured)) if list(estimated) == [""] and len(measured) == 1 else ""


def _same_segment(name: str, measured: Mapping[str, float]) -> str:
    """By name; else by the number at its end, when that fits exactly one (a graph may be renamed by the compiler)."""
    if name in measured:
        return name
    match = _NUMBERED.search(name)
    fitting = [m for m in measured if match and (other := _NUMBERED.search(m)) and other[1] == match[1]]
    return fitting[0] if len(fitting) == 1 else ""
