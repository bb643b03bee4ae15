"""Roles and origins of a comparison's rows: the graph decides, single ops run again decide what it cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from harness.consistency.arithmetic import Evidence
from harness.consistency.origins import origins as on_graph
from harness.consistency.origins.alone import OpRunner, Single, is_slight, request_of, run_alone, value_of
from harness.consistency.origins.isolate import Request
from harness.consistency.origins.requantized import GROUP
from harness.consistency.origins.rounded import Rounding
from harness.consistency.origins.single_precision import of_single_ops
from harness.consistency.origins.ties import on_edges
from harness.consistency.reading.pairs import as_stored
from harness.consistency.reading.tensor_files import Array
from harness.records import Graph, Layer, Origin
from harness.reference.given_graph import INSERTED

Alone = Callable[..., Array | None]  # (tensor, rounding=None)
Requests = Callable[[str], Sequence[Request]]  # the op of a tensor, fed with the board's tensors and the reference's

SHOWN = 4  # names in a note


def _nothing(_tensor: str, _rounding: Rounding | None = None) -> Array | None:
    return None


def _no_requests(_tensor: str) -> Sequence[Request]:
    return ()


def _nothing_shown() -> Evidence | None:
    return None


@dataclass
class Localization:
    """Rows with roles and single figures, origins in execution order, and what should be known about them."""

    layers: list[Layer]
    origins: tuple[Origin, ...] = ()
    alone: Alone = _nothing  # what the op of an isolated origin gives with the board's inputs
    requests: Requests = _no_requests  # () where the op of a tensor cannot run alone
    notes: list[str] = field(default_factory=list)
    arithmetic: Callable[[], Evidence | None] = _nothing_shown  # what the single ops show of the board's precision
    shared: Mapping[str, str] = field(default_factory=dict)  # tensor of an interval -> unseen op of an earlier one
    fed_right: frozenset[str] = frozenset()  # tensors of ops that are known to have read the right values


def localize(graph: Graph, layers: Sequence[Layer], runner: OpRunner | None) -> Localization:
    """Give every differing row of the graph its role. Rows whose names the graph does not know keep none."""
    states = {layer.name: on_graph.STATES[layer.verdict] for layer in layers}
    reached = on_graph.reaches(graph, states)
    given = on_graph.roles(reached, states)
    singles = _singles(reached, given, layers, runner)
    inputs = {
        name: "cleared" if _input_on_edges(name, runner) else "origin"
        for name in graph.inputs
        if states.get(name) == "differs"
    }
    rows = {layer.name: layer for layer in layers}
    inserted = {
        name: "cleared"
        for name, role in given.items()
        if role != "propagated"
        and reached[name].op.kind == INSERTED
        and _inserted_on_edges(reached[name], rows, runner)
    }
    judged = {name: single.right for name, single in singles.items() if single.right or single.floor is None}
    copies = [name for name in given if reached[name].op.kind == INSERTED and _hands_on(reached[name], rows, runner)]
    settled = on_graph.settle(reached, inputs | given | inserted, judged | dict.fromkeys(copies, True))
    settled_rows = [_with_role(layer, settled.get(layer.name, ""), singles) for layer in layers]
    by_name = {layer.name: layer for layer in settled_rows}
    decided = [name for name, right in judged.items() if not right or settled[name] == "cleared"]
    origins = (*_input_origins(graph, by_name), *on_graph.origins(reached, by_name, decided))
    shared = on_graph.sharing(origins, reached, states)
    again = _nothing if runner is None else partial(_alone, reached, by_name, runner)
    shown = _nothing_shown if runner is None else partial(of_single_ops, reached, by_name, runner)
    notes = [
        *_notes(graph, states, reached, origins, runner),
        *_not_reproduced(singles),
        *_by_kernels(singles),
        *_near_edges(singles),
        *_cut(singles),
        *_dynamic(singles),
        *_requantized(singles),
        *_of_unseen(singles),
    ]
    requests = _no_requests if runner is None else partial(_requests, reached, by_name, runner)
    fed = on_graph.fed_right(graph, reached, states, decided)
    return Localization(settled_rows, origins, again, requests, notes, shown, shared, fed)


def _alone(
    reached: Mapping[str, on_graph.Reach],
    rows: Mapping[str, Layer],
    runner: OpRunner,
    tensor: str,
    rounding: Rounding | None = None,
) -> Array | None:
    request = request_of(reached[tensor], rows, runner)
    if request is None:
        return None
    value = next(iter(runner.isolator.run([replace(request, rounding=rounding)])))[1]
    return None if value is None else as_stored(value, runner.pair(tensor))


def _requests(
    reached: Mapping[str, on_graph.Reach], rows: Mapping[str, Layer], runner: OpRunner, tensor: str
) -> Sequence[Request]:
    reach = reached.get(tensor)
    if reach is None or reach.op.kind == INSERTED:
        return ()
    both = [request_of(reach, rows, runner, side) for side in ("board", "reference")]
    given = [request for request in both if request is not None]
    return given if len(given) == len(both) else ()


def _singles(
    reached: Mapping[str, on_graph.Reach], given: Mapping[str, str], layers: Sequence[Layer], runner: OpRunner | None
) -> dict[str, Single]:
    """Every differing row that the graph alone does not settle; on a board that rounds more than the PC, every one."""
    if runner is None:
        return {}
    settled = "" if runner.precision is not None else "origin"
    rows = {layer.name: layer for layer in layers}
    wanted = [
        name
        for name, role in given.items()
        if (role != settled or _may_be_right(rows[name], reached[name])) and reached[name].op.kind != INSERTED
    ]
    singles = run_alone(reached, wanted, rows, runner)
    return {name: one for name, one in singles.items() if given[name] != settled or one.right}


def _may_be_right(row: Layer, reach: on_graph.Reach) -> bool:
    """Whether an op that read what is right is run alone nevertheless: noise, or integers that unseen ops rounded."""
    integers = row.metrics is not None and row.metrics.max_step is not None
    return is_slight(row.metrics) or (integers and bool(reach.unseen))


def with_fingerprints(origins: Iterable[Origin], layers: Sequence[Layer]) -> tuple[Origin, ...]:
    """The origins with the fingerprints of their rows."""
    prints = {layer.name: layer.fingerprint for layer in layers}
    return tuple(replace(origin, fingerprint=prints.get(origin.tensor)) for origin in origins)


def _input_on_edges(name: str, runner: OpRunner | None) -> bool:
    """Whether the board rounded an equal input the other way, and only where either way is right."""
    real = runner.real(name) if runner is not None else None
    if runner is None or real is None:
        return False
    pair = runner.pair(name)
    if pair.form != "integer" or pair.board.dtype != pair.reference.dtype:
        return False
    return on_edges(pair.board, pair.reference, real, runner.isolator.tensors[name].spec.quantization)


def _inserted_on_edges(reach: on_graph.Reach, rows: Mapping[str, Layer], runner: OpRunner | None) -> bool:
    """The same of a quantizer that the graph does not hold, by the real values that the board gave it."""
    if runner is None or len(reach.frontier) != 1:
        return False
    pair, known = runner.pair(reach.tensor), runner.isolator.tensors.get(runner.isolator.repeats.get(reach.tensor, ""))
    if known is None or pair.form != "integer" or pair.board.dtype != pair.reference.dtype:
        return False
    real = value_of(reach.frontier[0], rows, runner, "board")
    if real is None or real.dtype.kind != "f":
        return False
    return on_edges(pair.board, pair.reference, real, known.spec.quantization)


def _hands_on(reach: on_graph.Reach, rows: Mapping[str, Layer], runner: OpRunner | None) -> bool:
    """Whether a cast that the graph does not hold gave the floats that the board gave it, rounded at most as the board
    rounds: what differs there was wrong, or noise, before it."""
    pair = runner.pair(reach.tensor) if runner is not None else None
    if runner is None or pair is None or len(reach.frontier) != 1 or pair.form != "float":
        return False
    given = value_of(reach.frontier[0], rows, runner, "board")
    if given is None or given.dtype.kind != "f" or given.size != pair.board.size:
        return False
    unit = runner.precision.unit if runner.precision is not None else 0.0
    given = np.asarray(given, np.float64).reshape(pair.board.shape)
    with np.errstate(invalid="ignore"):
        return bool(np.all(np.abs(pair.board - given) <= unit * np.abs(given)))


def with_one_cause(
    localized: Localization, layers: list[Layer], origins: Sequence[Origin]
) -> tuple[list[Layer], tuple[Origin, ...]]:
    """Intervals that share an op that was not compared as one origin, the first; unless the values tell another cause.

    Adds a note for each that was left out, whose row is `propagated`.
    """
    told_apart = {o.tensor for o in origins if o.fingerprint is not None and o.fingerprint.kind in OWN_CAUSE}
    left_out = {name: op for name, op in localized.shared.items() if name not in told_apart}
    localized.notes += [
        f"{name} differs, too: {op}, which was not compared, may be the one cause of both"
        for name, op in left_out.items()
    ]
    rows = [replace(row, role="propagated") if row.name in left_out else row for row in layers]
    return rows, tuple(origin for origin in origins if origin.tensor not in left_out)


OWN_CAUSE = ("other_tensor", "cut_off", "input_order", "dequantization")


def _with_role(layer: Layer, role: str, singles: Mapping[str, Single]) -> Layer:
    single = singles[layer.name].metrics if layer.name in singles else None
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


def _near_edges(singles: Mapping[str, Single]) -> list[str]:
    names = [name for name, single in singles.items() if single.near_edges]
    if not names:
        return []
    return [
        f"{_listed(names)}: what is off is one step off, and its real value lies close to the edge between both "
        "steps, or one axis was interpolated and rounded before the other: the integer kernel of an interpolation, "
        "not a fault"
    ]


def _cut(singles: Mapping[str, Single]) -> list[str]:
    names = [name for name, single in singles.items() if single.cut]
    if not names:
        return []
    return [
        f"{_listed(names)}: exactly the interpolated integers, cut towards zero where they lie between two steps: "
        "a kernel that interpolates what is stored and casts it (ONNX Runtime's Resize of int8), not a fault"
    ]


def _requantized(singles: Mapping[str, Single]) -> list[str]:
    names = [name for name, single in singles.items() if single.requantized]
    if not names:
        return []
    return [
        f"{_listed(names)}: off as far as the roundings of the ops before it that were not dumped make it, played on "
        "this PC with quantizers left out, ties rounded the other way or resized integers cast: a runtime that fuses "
        "ops; a fault that is smaller "
        "than this is not seen (dump those ops to see it)"
    ]


def _of_unseen(singles: Mapping[str, Single]) -> list[str]:
    unseen = {name: single.unseen for name, single in singles.items() if single.unseen}
    if not unseen:
        return []
    ops = "1 op" if max(unseen.values()) == 1 else f"up to {max(unseen.values())} ops"
    return [
        f"{_listed(list(unseen))}: behind {ops} that were not compared, and off as far as the roundings of those, "
        "played on this PC, make it: a fault that is smaller than this is not seen (dump those ops to see it)"
    ]


def _dynamic(singles: Mapping[str, Single]) -> list[str]:
    names = [name for name, single in singles.items() if single.dynamic]
    if not names:
        return []
    return [
        f"{_listed(names)}: what this PC computes with the op's inputs quantized once more in groups of {GROUP}: "
        "a runtime that multiplies integer weights dynamically (OpenVINO), not a fault"
    ]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"


def _by_kernels(singles: Mapping[str, Single]) -> list[str]:
    names = [name for name, single in singles.items() if single.kernel]
    if not names:
        return []
    return [
        f"{_listed(names)}: off, and exactly what onnxruntime computes on this PC "
        "with its optimizer on: the kernel of the fused op, not a fault"
    ]


def _not_reproduced(singles: Mapping[str, Single]) -> list[str]:
    """What the single errors are worth where the ops are not those that the reference was computed with."""
    floors = {name: single.floor for name, single in singles.items() if single.floor is not None}
    if not floors:
        return []
    ops = "1 op" if len(floors) == 1 else f"{len(floors)} ops"
    return [
        f"{ops} cannot be judged alone: fed with the reference's own tensors, what the graph computes misses the "
        f"reference by up to {max(floors.values()):.2g} (relative L2; first {next(iter(floors))}). Is the graph the "
        "float model of a quantized reference?"
    ]
