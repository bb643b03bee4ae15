"""The graph of an ONNX for tensors that somebody else computed: names that meet, and tensors that it does not hold.

A toolchain inserts quantizers, casts and reshapes. What they make is the value of a tensor of the graph once more, and
is found by its values: such a tensor gets an op of its own (kind `inserted`), so that a fault in it is named.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.records import Graph, Op, TensorSpec
from harness.reference.folder import Array, Reference, ReferenceTensor
from harness.reference.graph import LogicalModel, LogicalTensor, read_logical
from harness.reference.spellings import meet

INSERTED = "inserted"  # the kind of an op that the graph does not hold
SAMPLE = 1 << 14  # elements of a tensor that are looked at
LIKE = 0.05  # relative L2 from which on a tensor is no quantized or cast copy of another
ENOUGH = 4  # elements; fewer are like anything


def with_graph(reference: Reference, model: Path) -> Reference:
    """Graph, ops and order from an ONNX. A tensor whose name it knows in another spelling gets the graph's name, and
    keeps its own as an alias; what the graph does not know is placed behind the tensor whose values it repeats."""
    logical = read_logical(model)
    tensors = _known(reference.tensors, logical)
    graph, tensors = _with_inserted(logical.graph, tensors, _owners(logical))
    ordered = sorted(tensors, key=lambda tensor: tensor.order)
    return replace(reference, tensors={t.name: t for t in ordered}, graph=graph, model=reference.model or model)


def _known(tensors: dict[str, ReferenceTensor], logical: LogicalModel) -> list[ReferenceTensor]:
    by_name = {t.name: t for t in logical.tensors}
    owners = _owners(logical)
    chosen = _chosen(tensors, logical, owners)
    names = {name: [owner] for name, owner in owners.items() if chosen.get(owner, name) == name}
    met = {name: owner for name, owner in meet(tensors, names).items() if owners.get(name, owner) == owner}
    strange = {name: tensor for name, tensor in tensors.items() if name not in met and name not in owners}
    met |= _begun(strange, by_name, frozenset(met.values()))
    return [_named_by(tensor, by_name.get(met.get(name, ""))) for name, tensor in tensors.items()]


def _owners(logical: LogicalModel) -> dict[str, str]:
    """The tensor of the graph by each of its ONNX names; its own name is nobody else's."""
    others = {alias: t.name for t in reversed(logical.tensors) for alias in (*t.aliases, t.onnx_name) if alias}
    return others | {t.name: t.name for t in logical.tensors}


def _chosen(tensors: dict[str, ReferenceTensor], logical: LogicalModel, owners: dict[str, str]) -> dict[str, str]:
    """Which name a tensor of the graph has in a folder that holds several of its names (a float, its quantized and its
    dequantized value): its own, else that of its data, else the first; the others are copies of it."""
    chosen: dict[str, str] = {}
    for t in logical.tensors:
        held = (name for name in (t.name, t.onnx_name, *t.aliases) if name in tensors and owners.get(name) == t.name)
        first = next(held, "")
        if first:
            chosen[t.name] = first
    return chosen


def _begun(
    tensors: dict[str, ReferenceTensor], logical: dict[str, LogicalTensor], taken: frozenset[str]
) -> dict[str, str]:
    """Tensors whose name begins with that of a tensor of the graph which has no other, and of its size: fc_out_mm."""
    free = sorted(set(logical) - taken, key=len, reverse=True)
    begun: dict[str, str] = {}
    for name in sorted(tensors, key=len):
        owner = next((one for one in free if _begins(name, one) and _may_be(tensors[name], logical[one])), "")
        if owner and owner not in begun.values():
            begun[name] = owner
    return begun


def _begins(name: str, owner: str) -> bool:
    return name.startswith(owner) and len(name) > len(owner) and not name[len(owner)].isalnum()


def _may_be(tensor: ReferenceTensor, logical: LogicalTensor) -> bool:
    if tensor.spec is None or not logical.spec.dtype or min(logical.spec.shape, default=1) < 0:
        return False
    return math.prod(tensor.spec.shape) == math.prod(logical.spec.shape)


def _named_by(tensor: ReferenceTensor, logical: LogicalTensor | None) -> ReferenceTensor:
    if logical is None:
        return tensor
    own = () if tensor.name == logical.name else (tensor.name,)
    return replace(
        tensor,
        spec=_with_steps(tensor.spec, logical.spec),
        name=logical.name,
        op=logical.op,
        op_kind=logical.op_kind,
        order=logical.order,
        is_input=logical.is_input,
        is_output=logical.is_output,
        onnx_name=tensor.onnx_name or logical.onnx_name,
        aliases=tuple(dict.fromkeys((*tensor.aliases, *own))),
    )


def _with_steps(spec: TensorSpec | None, known: TensorSpec) -> TensorSpec | None:
    """Integers of a file that tells no scale have that of the graph's tensor, where the dtype is its."""
    if spec is None or spec.quantization is not None or spec.dtype != known.dtype:
        return spec
    return replace(spec, quantization=known.quantization)


# --------------------------------------------------------------------------- what the graph does not hold


@dataclass(frozen=True)
class _Repeated:
    """A tensor that the graph does not know, and the one whose values it holds once more."""

    tensor: ReferenceTensor
    of: ReferenceTensor


def _with_inserted(
    graph: Graph, tensors: Sequence[ReferenceTensor], owners: dict[str, str]
) -> tuple[Graph, list[ReferenceTensor]]:
    known = {name for op in graph.ops for name in op.outputs} | set(graph.inputs)
    inside = [tensor for tensor in tensors if tensor.name in known]
    strangers = [tensor for tensor in tensors if tensor.name not in known]
    by_name = {tensor.name: tensor for tensor in inside}
    copied = [(one, by_name.get(owners.get(one.name, "")) or _like(one, inside)) for one in strangers]
    repeated = [_Repeated(one, of) for one, of in copied if of is not None]
    places = {item.tensor.name: item.of for item in repeated}
    ranked = sorted(tensors, key=lambda tensor: _place(tensor, places))
    placed = [replace(tensor, order=rank) for rank, tensor in enumerate(ranked)]
    named = [
        replace(t, op=t.name, op_kind=INSERTED, repeats=places[t.name].name) if t.name in places else t for t in placed
    ]
    return _grown(graph, repeated), named


def _place(tensor: ReferenceTensor, places: dict[str, ReferenceTensor]) -> tuple[int, int, int]:
    """Behind the tensor that it repeats; others as they came."""
    of = places.get(tensor.name)
    return (tensor.order, 0, 0) if of is None else (of.order, 1, tensor.order)


def _like(tensor: ReferenceTensor, inside: Iterable[ReferenceTensor]) -> ReferenceTensor | None:
    """The tensor of the graph that another one repeats. Of several (a Flatten repeats what it reads) the one whose name
    it begins with, else the last: what reads on reads that one."""
    sample = _sample(tensor)
    if sample is None:
        return None
    likes = [one for one in inside if _elements(one) == _elements(tensor) and _near(sample, _sample(one))]
    named = [one for one in likes if any(tensor.name.startswith(name) for name in (one.name, *one.aliases))]
    return max(named or likes, key=lambda one: one.order, default=None)


def _elements(tensor: ReferenceTensor) -> int:
    return math.prod(tensor.spec.shape) if tensor.spec is not None else -1


def _sample(tensor: ReferenceTensor) -> Array | None:
    """Some values as numbers; None for what is no number or cannot be read."""
    if tensor.spec is None or _elements(tensor) < ENOUGH:
        return None
    try:
        values = np.asarray(tensor.load()).reshape(-1)[:SAMPLE]
    except (OSError, ValueError):
        return None
    real = values.astype(np.float64) if values.dtype.kind in "fiu" else None
    return real if real is not None and np.isfinite(real).all() and np.ptp(real) > 0 else None


def _near(values: Array, other: Array | None) -> bool:
    if other is None or other.shape != values.shape:
        return False
    return float(np.linalg.norm(values - other)) <= LIKE * float(np.linalg.norm(other))


def _grown(graph: Graph, repeated: Sequence[_Repeated]) -> Graph:
    """The graph with an op for each inserted tensor; what read the tensor before it reads the inserted one."""
    latest: dict[str, str] = {}
    copies: dict[str, list[Op]] = {}
    for item in sorted(repeated, key=lambda item: item.tensor.order):
        name, of = item.tensor.name, item.of.name
        copies.setdefault(of, []).append(Op(name, INSERTED, (latest.get(of, of),), (name,)))
        latest[of] = name
    ops = [op for name in graph.inputs for op in copies.get(name, ())]
    for op in graph.ops:
        ops.append(replace(op, inputs=tuple(latest.get(name, name) for name in op.inputs)))
        ops += (copy for name in op.outputs for copy in copies.get(name, ()))
    return replace(graph, ops=tuple(ops))
