"""Tables of the toolchains about precision, joined with what a board's layers show and with harness's own answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import InputError
from harness.precision.sensitivity import OpSensitivity
from harness.records import Layer, Run
from harness.toolchains import read_any
from harness.toolchains.records import Artifact

CUT = "..."
WORST_FIRST = ("cosine", "quantized_cosine", "sqnr")  # small is bad; of all others large is


@dataclass(frozen=True)
class FigureRow:
    """One row of a toolchain's table; `metrics` by its names. A cut name keeps its end."""

    name: str
    kind: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ToolchainTable:
    """A table in the tool's order. `title` says which, `of` whether of nodes, weights or activations."""

    title: str
    of: str
    rows: tuple[FigureRow, ...]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class JoinedOp:
    """One op with all that is known of it. The board's part is "" and None without a run."""

    name: str
    kind: str
    unit: str
    measured: OpSensitivity | None = None
    table: Mapping[str, float] = field(default_factory=dict)
    verdict: str = ""
    board_sqnr_db: float | None = None  # board against the quantized reference; None for an exact one too


def read_table(path: Path) -> ToolchainTable:
    """Sensitivity and similarity tables, logs with cosines, quant_info.json, node_info.csv.

    Errors: InputError for a file without any figure of a node.
    """
    artifact = read_any(path)
    rows = _rows(artifact) if artifact is not None else ()
    if artifact is None or not rows:
        what = "no such table" if artifact is None else f"{artifact.title}: no figure of a node in it"
        raise InputError(f"{path}: {what}", "give a sensitivity table, a build's log or its quant_info.json")
    return ToolchainTable(artifact.title, str(artifact.facts.get("of", "node")), rows, artifact.problems)


def _rows(artifact: Artifact) -> tuple[FigureRow, ...]:
    if artifact.similarities:
        return tuple(FigureRow(row.name, row.kind, dict(row.metrics)) for row in artifact.similarities)
    rows = []
    for node in artifact.nodes:
        figures = {"cosine": node.cosine, "quantized_cosine": node.quantized_cosine}
        known = {name: value for name, value in figures.items() if value is not None}
        if known:
            rows.append(FigureRow(node.name, node.kind, known))
    return tuple(rows)


def join(measured: Sequence[OpSensitivity], table: ToolchainTable | None, run: Run | None) -> tuple[JoinedOp, ...]:
    """Ops in the order of the measurement, else of the table, else of the run's layers."""
    layers = {layer.op: layer for layer in (run.comparison.layers if run and run.comparison else ())}
    rows = {row.name: row for row in (table.rows if table else ())}
    ops = {op.name: op for op in measured}
    names = list(ops) or [_whole(name, layers) for name in rows] or list(layers)
    return tuple(_joined(name, ops.get(name), _row(name, rows), layers.get(name)) for name in names)


def _joined(name: str, op: OpSensitivity | None, row: FigureRow | None, layer: Layer | None) -> JoinedOp:
    kind = op.kind if op else layer.op_kind if layer else row.kind if row else ""
    return JoinedOp(
        name,
        kind,
        (layer.unit if layer else "") or (op.unit if op else ""),
        op,
        row.metrics if row else {},
        layer.verdict if layer else "",
        layer.metrics.sqnr_db if layer and layer.metrics else None,
    )


def _whole(name: str, layers: Iterable[str]) -> str:
    """The layer that a cut name is the end of; the name itself where none or several are."""
    ends = [one for one in layers if name.startswith(CUT) and one.endswith(name.removeprefix(CUT))]
    return ends[0] if len(ends) == 1 else name


def _row(name: str, rows: Mapping[str, FigureRow]) -> FigureRow | None:
    if name in rows:
        return rows[name]
    ends = [row for one, row in rows.items() if one.startswith(CUT) and name.endswith(one.removeprefix(CUT))]
    return ends[0] if len(ends) == 1 else None
