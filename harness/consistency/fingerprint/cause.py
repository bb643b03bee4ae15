"""What kind of fault an origin shows: the fingerprint, with all that is known around the tensor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from harness.consistency.fingerprint.classify import classify
from harness.consistency.fingerprint.context import FingerprintContext
from harness.consistency.origins.isolate import Isolator, Request
from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.pairs import Pair
from harness.consistency.reading.specs import open_array
from harness.consistency.reading.tensor_files import Array, value_range
from harness.records import Fingerprint, Graph, Layer, Op
from harness.reference.given_graph import INSERTED
from harness.reference.open import Reference

MOST_INPUTS = 8  # graph inputs tried in each other's place


@dataclass(frozen=True)
class LayerContext:
    """What a comparison knows besides the pair: graph, reference, the frame before, a way to run single ops."""

    graph: Graph | None
    reference: Reference
    previous: Reference | None = None
    isolator: Isolator | None = None
    equal: frozenset[str] = frozenset()  # tensors of the board that are the reference's, within limits
    weighted: frozenset[str] = frozenset()  # tensors whose op, or one of the unseen ops before it, has weights
    in_memory: bool = True  # the dump at hand lies as the board's memory does

    def op_of(self, tensor: str) -> Op | None:
        """The op that makes `tensor`, if the reference holds all that it reads."""
        for op in self.graph.ops if self.graph is not None else ():
            if tensor in op.outputs:
                return op if all(name in self.reference.tensors for name in op.inputs) else None
        return None

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the network's inputs; () without a graph."""
        return self.graph.inputs if self.graph is not None else ()


def fed(reference: Reference, name: str) -> Array:
    """A tensor as the reference's next op got it: its float side where it has one. Errors: TensorError."""
    tensor = reference.tensors[name]
    side = tensor.alternate or tensor
    if side.spec is None:
        raise TensorError(f"{name}: no dtype in the reference", "", "unreadable")
    return open_array(side.path, side.spec)


def is_open(mark: Fingerprint) -> bool:
    """Whether a fingerprint says little enough that the values of another tensor would be the better answer."""
    return not mark.certain and mark.kind in ("unclassified", "stale", "preprocessing", "permutation", "scale")


def cause(layer: Layer, pair: Pair, scene: LayerContext, repeats: tuple[Array, ...] = ()) -> Fingerprint:
    """The fingerprint of a differing layer."""
    assert layer.metrics is not None
    pair = _widened(pair)
    swapped = None if repeats else _swapped(layer.name, pair, scene)
    if swapped is not None:
        return swapped
    context = _context(layer.name, pair, scene, repeats)
    mark = classify(pair.board, pair.reference, pair.spec_reference, layer.metrics, context)
    return _of_input(mark) if context.is_input and not mark.certain else mark


def _widened(pair: Pair) -> Pair:
    """Floats of two widths in the wider one: values can be held against each other then."""
    if pair.form != "float" or pair.board.dtype == pair.reference.dtype:
        return pair
    wide = np.promote_types(pair.board.dtype, pair.reference.dtype)
    return replace(pair, board=pair.board.astype(wide), reference=pair.reference.astype(wide))


def _of_input(mark: Fingerprint) -> Fingerprint:
    """Of a network input nothing was computed: other values are other content, or were made in another way."""
    if mark.kind == "stale":
        evidence = f"not a preprocessing difference: {mark.evidence.partition(':')[0]}"
        return replace(mark, kind="other_input", evidence=evidence)
    if mark.kind == "unclassified":
        return replace(mark, kind="preprocessing", evidence=f"the network input differs: {mark.evidence}")
    return mark


def _context(name: str, pair: Pair, scene: LayerContext, repeats: tuple[Array, ...]) -> FingerprintContext:
    op = scene.op_of(name)
    inputs = op.inputs if op is not None else ()
    runs = scene.isolator is not None and bool(inputs) and op is not None and op.kind != INSERTED
    return FingerprintContext(
        previous=_previous(name, pair, scene),
        repeats=repeats,
        stored=pair.stored,
        is_input=name in scene.inputs,
        weighted=name in scene.weighted,
        in_memory=scene.in_memory,
        first_op=bool(inputs) and set(inputs) <= set(scene.inputs),
        inputs_equal=bool(inputs) and set(inputs) <= scene.equal,
        inputs=tuple(np.asarray(fed(scene.reference, n)) for n in inputs),
        recompute=partial(_recompute, scene.isolator, name, inputs) if runs else None,
    )


def _previous(name: str, pair: Pair, scene: LayerContext) -> Array | None:
    tensor = scene.previous.tensors.get(name) if scene.previous is not None else None
    if tensor is None or tensor.spec is None:
        return None
    with suppress(TensorError):
        array = open_array(tensor.path, tensor.spec)
        return array if array.shape == pair.board.shape and array.dtype == pair.board.dtype else None
    return None


def _recompute(isolator: Isolator | None, name: str, names: Sequence[str], inputs: Sequence[Array]) -> Array:
    """The op alone with other inputs; an empty array, which equals nothing, where it cannot be computed."""
    assert isolator is not None
    value = next(iter(isolator.run([Request(name, dict(zip(names, inputs, strict=True)))])))[1]
    return np.zeros(0) if value is None else value


# --------------------------------------------------------------------------- inputs in each other's place


def _swapped(name: str, pair: Pair, scene: LayerContext) -> Fingerprint | None:
    """Whether the board's values are what the op gives when it is fed another input of the network."""
    op = scene.op_of(name)
    if name in scene.inputs:
        return _swapped_input(name, pair, scene)
    if (
        op is None
        or op.kind == INSERTED
        or scene.isolator is None
        or not op.inputs
        or not set(op.inputs) <= set(scene.inputs)
    ):
        return None
    for mine, other in _exchanges(op.inputs, scene):
        given = [fed(scene.reference, other if n == mine else n) for n in op.inputs]
        if np.array_equal(_recompute(scene.isolator, name, op.inputs, given), pair.board):
            return Fingerprint(
                "input_order", True, f"{op.name} alone reproduces the board's values with {other} instead of {mine}"
            )
    return None


def _swapped_input(name: str, pair: Pair, scene: LayerContext) -> Fingerprint | None:
    for _, other in _exchanges((name,), scene):
        tensor = scene.reference.tensors[other]
        if tensor.spec is None:
            continue
        kept = np.array_equal(open_array(tensor.path, tensor.spec), pair.board)
        if kept or np.array_equal(_as_fed(fed(scene.reference, other), pair), pair.board):
            return Fingerprint("input_order", True, f"the board's {name} holds the reference's {other}")
    return None


def _as_fed(values: Array, pair: Pair) -> Array:
    """Floats as the network's quantizer at this input makes integers of them; anything else as it is."""
    q = pair.spec_reference.quantization
    if q is None or q.axis is not None or values.dtype.kind != "f" or pair.board.dtype.kind not in "iu":
        return values
    low, high = value_range(pair.spec_reference)
    steps = np.rint(values / np.float32(q.scales[0])) + (q.zero_points[0] if q.zero_points else 0)
    quantized: Array = np.clip(steps, low, high).astype(pair.board.dtype)
    return quantized


def _exchanges(names: Sequence[str], scene: LayerContext) -> Iterator[tuple[str, str]]:
    """(input of the op, another input of the network that fits in its place)."""
    for mine in names:
        for other in scene.inputs[:MOST_INPUTS]:
            if other not in names and other in scene.reference.tensors:
                a, b = fed(scene.reference, mine), fed(scene.reference, other)
                if a.shape == b.shape and a.dtype == b.dtype:
                    yield mine, other
