"""What the toolchain planned beside what the board did: one row per node, one per BPU segment.

Pure. A board's profiler names CPU ops and whole BPU segments, so a node planned for the BPU is seen on it only
through its segment; what nobody saw stays None and is never counted as agreeing. The toolchain's cosine compares
quantized with float on calibration data; the board's compares board with PC reference: side by side, not the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.records import Comparison, Layer, OpTime, Profile
from harness.toolchains.records import Artifact, Estimate, PlannedNode

SEGMENT = re.compile(r"(?:subgraph|bpu_segment)_(?P<index>\d+)")
BORDER = ("quantize", "dequantize", "layout", "pre", "wait")


@dataclass(frozen=True)
class PlacementRow:
    """One node: planned by the toolchain, seen on the board."""

    name: str
    kind: str
    planned: str  # "BPU", "CPU", "" where the toolchain's files do not tell
    actual: str  # "BPU", "CPU", "" where the board did not show it
    agrees: bool | None  # None: one side is unknown
    subgraph: int | None = None
    dtype: str = ""
    threshold: float | None = None
    toolchain_cosine: float | None = None
    board_cosine: float | None = None
    measured_us: float | None = None  # of a CPU op
    estimated: bool = False  # the time was not measured by a clock
    note: str = ""


@dataclass(frozen=True)
class EstimateRow:
    """One BPU segment: the compiler's static estimate against the board's time."""

    subgraph: str
    estimated_us: float | None
    measured_us: float | None
    ratio: float | None  # measured / estimated
    emulated: bool = False  # the board's figure is itself an estimate


@dataclass(frozen=True)
class Join:
    placements: tuple[PlacementRow, ...]
    estimates: tuple[EstimateRow, ...]
    agree: int
    differ: int
    unseen: int
    sources: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def join(artifacts: Sequence[Artifact], profile: Profile | None = None, comparison: Comparison | None = None) -> Join:
    """Rows for the report from toolchain files and one run. Either of `profile` and `comparison` may be missing."""
    nodes, problems = merge_nodes(artifacts)
    ops = profile.ops if profile is not None else ()
    layers = comparison.layers if comparison is not None else ()
    segments = {index for op in ops if op.unit == "BPU" and (index := segment_of(op.name)) is not None}
    cpu = {op.name: op for op in ops if op.unit == "CPU" and op.category not in BORDER}
    by_op = _layers_by_op(layers)
    rows = [_row(node, cpu, segments, by_op) for node in nodes]
    rows.extend(_unplanned(nodes, cpu))
    estimates = tuple(one for artifact in artifacts for one in artifact.estimates)
    return Join(
        placements=tuple(rows),
        estimates=_estimate_rows(estimates, ops),
        agree=sum(row.agrees is True for row in rows),
        differ=sum(row.agrees is False for row in rows),
        unseen=sum(row.agrees is None for row in rows),
        sources=tuple(artifact.title for artifact in artifacts),
        problems=tuple(problems),
    )


def segment_of(name: str) -> int | None:
    """Index of the BPU segment in names like `BPU_main_graph_subgraph_1`."""
    match = SEGMENT.search(name)
    return int(match["index"]) if match else None


# --------------------------------------------------------------------------- nodes of several files


def merge_nodes(artifacts: Iterable[Artifact]) -> tuple[tuple[PlannedNode, ...], list[str]]:
    """Nodes of all files, each once. A name that a table cut in front joins the one full name that it ends."""
    merged: dict[str, PlannedNode] = {}
    problems: list[str] = []
    whole = sorted(artifacts, key=lambda artifact: any(node.name_is_cut for node in artifact.nodes))
    for artifact in whole:
        for node in artifact.nodes:
            key = full_name(node.name, merged)
            if key is None:
                problems.append(f"{node.name}: the cut name fits more than one node; not joined")
                key = node.name
            merged[key] = _merge(merged[key], node) if key in merged else node
    return tuple(replace(node, name=key) for key, node in merged.items()), problems


def full_name(name: str, known: Mapping[str, object]) -> str | None:
    """The full name that `name` stands for; None when it is cut and fits several."""
    if not name.startswith("..."):
        return name
    fits = [one for one in known if not one.startswith("...") and one.endswith(name[3:])]
    return fits[0] if len(fits) == 1 else name if not fits else None


def _merge(one: PlannedNode, two: PlannedNode) -> PlannedNode:
    """What either file knows; the first file's word where both do."""
    return replace(
        one,
        unit=one.unit or two.unit,
        subgraph=one.subgraph if one.subgraph is not None else two.subgraph,
        input_dtype=one.input_dtype or two.input_dtype,
        output_dtypes=one.output_dtypes or two.output_dtypes,
        cosine=one.cosine if one.cosine is not None else two.cosine,
        quantized_cosine=one.quantized_cosine if one.quantized_cosine is not None else two.quantized_cosine,
        threshold=one.threshold if one.threshold is not None else two.threshold,
        thresholds=one.thresholds or two.thresholds,
        inputs=one.inputs or two.inputs,
        outputs=one.outputs or two.outputs,
        fused=one.fused or two.fused,
    )


# --------------------------------------------------------------------------- rows


def _layers_by_op(layers: Sequence[Layer]) -> dict[str, Layer]:
    """Layers under their op and their tensor; the first of several outputs stands for the op."""
    found: dict[str, Layer] = {}
    for layer in layers:
        for key in (layer.name, layer.op):
            if key:
                found.setdefault(key, layer)
    return found


def _layer(node: PlannedNode, by_op: Mapping[str, Layer]) -> Layer | None:
    names = (node.name, *node.outputs)
    return next((by_op[name] for name in names if name in by_op), None)


def _row(node: PlannedNode, cpu: Mapping[str, OpTime], segments: set[int], by_op: Mapping[str, Layer]) -> PlacementRow:
    layer = _layer(node, by_op)
    op = cpu.get(node.name)
    actual = _actual(node, op, segments, layer)
    agrees = None if not actual or not node.unit else actual == node.unit
    return PlacementRow(
        name=node.name,
        kind=node.kind,
        planned=node.unit,
        actual=actual,
        agrees=agrees,
        subgraph=node.subgraph,
        dtype=node.input_dtype or ",".join(node.output_dtypes),
        threshold=node.threshold,
        toolchain_cosine=node.cosine,
        board_cosine=_cosine(layer),
        measured_us=op.mean_us if op is not None else None,
        estimated=op.estimated if op is not None else False,
        note=_note(node, agrees),
    )


def _actual(node: PlannedNode, op: OpTime | None, segments: set[int], layer: Layer | None) -> str:
    """Seen as a CPU op; else where its dump says; else on the BPU when its segment ran there.

    Where the plan numbers no segments (J6), any segment will do: the profiler names every CPU op, and it is none.
    """
    if op is not None:
        return "CPU"
    if layer is not None and layer.unit:
        return layer.unit
    if node.unit == "BPU" and (node.subgraph in segments or (node.subgraph is None and segments)):
        return "BPU"
    return ""


def _cosine(layer: Layer | None) -> float | None:
    metrics = layer.metrics if layer is not None else None
    distance = metrics.one_minus_cosine if metrics is not None else None
    return 1.0 - distance if distance is not None else None


def _note(node: PlannedNode, agrees: bool | None) -> str:
    if agrees is False:
        return f"planned for the {node.unit}, ran elsewhere: not the model of this log?"
    return "fused into the node before it" if node.fused else ""


def _unplanned(nodes: Sequence[PlannedNode], cpu: Mapping[str, OpTime]) -> list[PlacementRow]:
    """CPU ops of the board that no toolchain file names."""
    planned = {node.name for node in nodes}
    if not nodes:
        return []
    return [
        PlacementRow(
            name, op.kind, "", "CPU", None, measured_us=op.mean_us, estimated=op.estimated, note="in no toolchain file"
        )
        for name, op in cpu.items()
        if name not in planned
    ]


def _estimate_rows(estimates: Sequence[Estimate], ops: Sequence[OpTime]) -> tuple[EstimateRow, ...]:
    measured = {segment_of(op.name): op for op in ops if op.unit == "BPU" and op.category == "compute"}
    rows = []
    for one in estimates:
        index = segment_of(one.subgraph)
        op = measured.get(index) if index is not None else None
        mean = op.mean_us if op is not None else None
        known = mean is not None and one.latency_us
        ratio = mean / one.latency_us if known and mean is not None and one.latency_us else None
        rows.append(EstimateRow(one.subgraph, one.latency_us, mean, ratio, op.estimated if op is not None else False))
    return tuple(rows)
