"""Roles and origins of a comparison's rows: the graph decides, single ops run again decide what it cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from harness.consistency.metrics.pointwise import measure
from harness.consistency.origins import origins as on_graph
from harness.consistency.origins.isolate import Isolator, Request
from harness.consistency.reading.pairs import Pair
from harness.consistency.reading.tensor_files import Array
from harness.records import Graph, Layer, Metrics, Origin
from harness.reference.given_graph import INSERTED

OpenPair = Callable[[str], Pair]
Allowed = Callable[[Layer, Pair, Metrics], bool]


@dataclass(frozen=True)
class OpRunner:
    """What isolation needs: the op runner, the pairs by name, graph inputs as the reference was fed, the limits."""

    isolator: Isolator
    pair: OpenPair
    fed: Callable[[str], Array]
    allowed: Allowed


def _nothing(_tensor: str) -> Array | None:
    return None


@dataclass
class Localization:
    """Rows with roles and single figures, origins in execution order, and what should be known about them."""

    layers: list[Layer]
    origins: tuple[Origin, ...] = ()
    alone: Callable[[str], Array | None] = _nothing  # what the op of an isolated origin gives with the board's inputs
    notes: list[str] = field(default_factory=list)


def localize(graph: Graph, layers: Sequence[Layer], runner: OpRunner | None) -> Localization:
    """Give every differing row of the graph its role. Rows whose names the graph does not know keep none."""
    states = {layer.name: on_graph.STATES[layer.verdict] for layer in layers}
    reached = on_graph.reaches(graph, states)
    given = on_graph.roles(reached, states)
    singles = _run_alone(reached, given, layers, runner)
    inputs = {name: "origin" for name in graph.inputs if states.get(name) == "differs"}
    settled = on_graph.settle(reached, inputs | given, {name: right for name, (_, right) in singles.items()})
    rows = [_with_role(layer, settled.get(layer.name, ""), singles) for layer in layers]
    by_name = {layer.name: layer for layer in rows}
    decided = [name for name, (_, right) in singles.items() if not right or settled[name] == "cleared"]
    origins = (*_input_origins(graph, by_name), *on_graph.origins(reached, by_name, decided))
    again = _nothing if runner is None else partial(_alone, reached, by_name, runner)
    return Localization(rows, origins, again, _notes(graph, states, reached, origins, runner))


def _alone(
    reached: Mapping[str, on_graph.Reach], rows: Mapping[str, Layer], runner: OpRunner, tensor: str
) -> Array | None:
    request = _request(reached[tensor], rows, runner)
    if request is None:
        return None
    value = next(iter(runner.isolator.run([request])))[1]
    return None if value is None else _as_stored(value, runner.pair(tensor))


def _as_stored(value: Array, pair: Pair) -> Array:
    return (value.view("uint8") if value.dtype == bool else value).reshape(pair.board.shape)


def with_fingerprints(origins: Iterable[Origin], layers: Sequence[Layer]) -> tuple[Origin, ...]:
    """The origins with the fingerprints of their rows."""
    prints = {layer.name: layer.fingerprint for layer in layers}
    return tuple(replace(origin, fingerprint=prints.get(origin.tensor)) for origin in origins)


def _with_role(layer: Layer, role: str, singles: Mapping[str, tuple[Metrics, bool]]) -> Layer:
    single = singles[layer.name][0] if layer.name in singles else None
    return replace(layer, role=role, single=single)


def _input_origins(graph: Graph, rows: Mapping[str, Layer]) -> tuple[Origin, ...]:
    wrong = [rows[name] for name in graph.inputs if name in rows and rows[name].role == "origin"]
    return tuple(Origin(op=row.name, op_kind="input", tensor=row.name, fingerprint=row.fingerprint) for row in wrong)


def _notes(
    graph: Graph,
    states: Mapping[str, str],
    reached: Mapping[str, on_graph.Reach],
    origins: Sequence[Origin],
    runner: OpRunner | None,
) -> list[str]:
    unseen = {n for n in graph.inputs if states.get(n, "unknown") == "unknown"}
    first = [o.op for o in origins if o.tensor in reached and unseen & set(reached[o.tensor].frontier)]
    notes = []
    if first:
        which = ", ".join(sorted(unseen))
        notes.append(f"the board did not dump its input {which}: the fault at {first[0]} may be in its input")
    if runner is None and any(not o.certain for o in origins):
        notes.append("suspects could not be run alone: the reference does not name its ONNX")
    if runner is not None:
        notes += [f"could not be run alone: {problem}" for problem in runner.isolator.problems]
    return notes


# --------------------------------------------------------------------------- running alone


def _run_alone(
    reached: Mapping[str, on_graph.Reach], given: Mapping[str, str], layers: Sequence[Layer], runner: OpRunner | None
) -> dict[str, tuple[Metrics, bool]]:
    """Single error of every differing row that the graph alone does not settle: figures, and whether it is right."""
    if runner is None:
        return {}
    rows = {layer.name: layer for layer in layers}
    wanted = [name for name, role in given.items() if role != "origin" and reached[name].op.kind != INSERTED]
    requests = (r for r in (_request(reached[name], rows, runner) for name in wanted) if r is not None)
    alone = {}
    for request, value in runner.isolator.run(requests):
        if value is not None:
            alone[request.target] = _judge_alone(rows[request.target], value, runner)
    return alone


def _request(reach: on_graph.Reach, rows: Mapping[str, Layer], runner: OpRunner) -> Request | None:
    feeds: dict[str, Array] = {}
    for name in reach.frontier:
        value = _board_value(name, rows, runner)
        if value is None:
            runner.isolator.problems.append(f"{reach.tensor}: {name} has a different scale than in the model")
            return None
        feeds[name] = value
    return Request(reach.tensor, feeds, float_side=runner.pair(reach.tensor).reference.dtype.kind == "f")


def _board_value(name: str, rows: Mapping[str, Layer], runner: OpRunner) -> Array | None:
    """What the board's op was given; for graph inputs that it did not dump, what the reference was."""
    row = rows.get(name)
    if row is None or row.verdict == "not_compared":
        return runner.fed(name)
    pair = runner.pair(name)
    return pair.board if pair.form in ("integer", "float") and pair.board.dtype == pair.reference.dtype else None


def _judge_alone(row: Layer, value: Array, runner: OpRunner) -> tuple[Metrics, bool]:
    pair = runner.pair(row.name)
    metrics = measure(pair.board, _as_stored(value, pair), pair.spec_board, pair.spec_reference)
    return metrics, runner.allowed(row, replace(pair, reference=_as_stored(value, pair)), metrics)
