"""Normalizations: another epsilon, other statistics, scale and offset left out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.consistency.hypotheses.bench import NodeScene
from harness.consistency.hypotheses.variant import Variant, Variants
from harness.consistency.reading.tensor_files import Array

EPSILONS = (1e-5, 1e-3, 1e-6, 1e-12, 1e-4, 1e-7, 1e-8, 1e-9, 1e-2, 1e-10, 1e-1, 1e-11, 0.0)
AFFINE = {  # inputs that hold scale and offset
    "BatchNormalization": (1, 2),
    "InstanceNormalization": (1, 2),
    "LayerNormalization": (1, 2),
    "GroupNormalization": (1, 2),
    "SimplifiedLayerNormalization": (1, -1),
    "RMSNormalization": (1, -1),
}
SMALL = 0.02  # a constant that is added and no larger is an epsilon


def epsilons(op: NodeScene) -> Variants:
    """Another epsilon, or one that is added to the deviation instead of the variance."""
    if op.kind in AFFINE:
        now = float(op.attribute("epsilon", 1e-5))
        for other in EPSILONS:
            if abs(other - now) > 1e-3 * now:
                yield Variant("epsilon", f"epsilon {other:g} instead of {now:.3g}", op.again(epsilon=other))
        yield Variant("epsilon", "epsilon added to the deviation, not to the variance", _normalized(op, outside=now))
    elif op.kind == "Add":
        yield from _taken_apart(op)


def _taken_apart(op: NodeScene) -> Variants:
    """The step of a normalization that adds epsilon."""
    at = next((k for k in (0, 1) if op.is_constant(k) and op.given(k).size == 1), None)
    if at is None or not 0 < float(op.given(at).reshape(-1)[0]) <= SMALL:
        return
    now = float(op.given(at).reshape(-1)[0])
    for other in EPSILONS:
        if abs(other - now) > 1e-3 * now:
            value = op.again({at: np.full_like(op.given(at), other)})
            yield Variant("epsilon", f"epsilon {other:g} instead of {now:.3g}", value)


def _axes(op: NodeScene, x: Array) -> tuple[int, ...] | None:
    """Axes that the statistics are taken over; None where they are given."""
    if op.kind == "InstanceNormalization":
        return tuple(range(2, x.ndim))
    if op.kind in ("LayerNormalization", "SimplifiedLayerNormalization", "RMSNormalization"):
        return tuple(range(int(op.attribute("axis", -1)) % x.ndim, x.ndim))
    return None


def _along_channels(values: Array, op: NodeScene, x: Array) -> Array:
    if op.kind in ("BatchNormalization", "InstanceNormalization"):
        return values.reshape([-1 if axis == 1 else 1 for axis in range(x.ndim)])
    return values


def _normalized(
    op: NodeScene, outside: float | None = None, unbiased: bool = False, centred: bool = True
) -> Array | None:
    """The op in float64, with a change; None for a kind that is not told here."""
    x = op.given(0).astype(np.float64)
    axes = _axes(op, x)
    if op.kind == "BatchNormalization":
        mean, var = (_along_channels(op.given(k).astype(np.float64), op, x) for k in (3, 4))
    elif axes is not None:
        mean = x.mean(axis=axes, keepdims=True) if op.kind.startswith(("Layer", "Instance")) else np.zeros(1)
        count = int(np.prod([x.shape[a] for a in axes]))
        var = np.square(x - mean).sum(axis=axes, keepdims=True) / max(1, count - int(unbiased))
    else:
        return None
    epsilon = float(op.attribute("epsilon", 1e-5))
    deviation = np.sqrt(var) + outside if outside is not None else np.sqrt(var + epsilon)
    value = (x - (mean if centred else 0)) / deviation
    scale, offset = (
        _along_channels(op.given(k), op, x) if k > 0 and op.x(k) is not None else None for k in AFFINE[op.kind]
    )
    value = value if scale is None else value * scale
    return np.asarray(value if offset is None else value + offset, op.y.dtype)


def normalizations(op: NodeScene) -> Variants:
    """Scale, offset or statistics left out, exchanged or computed in another way."""
    if op.kind not in AFFINE:
        return
    for words, inputs in _without(op):
        yield Variant("normalization", words, op.again(inputs))
    if op.kind == "BatchNormalization":
        yield from _of_batch(op)
    elif _axes(op, op.given(0)) is not None:
        yield Variant("normalization", "the variance divided by n - 1 instead of n", _normalized(op, unbiased=True))
        yield Variant("normalization", "the mean not subtracted", _normalized(op, centred=False))


def _without(op: NodeScene) -> Iterator[tuple[str, dict[int, Array | None]]]:
    scale, offset = AFFINE[op.kind]
    one, zero = np.ones_like(op.given(scale)), np.zeros_like(op.given(offset)) if offset > 0 else np.zeros(0)
    yield "its scale left out", {scale: one}
    if offset > 0 and op.x(offset) is not None:
        yield "its offset left out", {offset: zero}
        yield "its scale and offset left out", {scale: one, offset: zero}
        yield "its scale and offset exchanged", {scale: op.given(offset), offset: op.given(scale)}


def _of_batch(op: NodeScene) -> Variants:
    x, mean, var = op.given(0), op.given(3), op.given(4)
    axes = tuple(axis for axis in range(x.ndim) if axis != 1)
    yield Variant("normalization", "its mean not subtracted", op.again({3: np.zeros_like(mean)}))
    yield Variant("normalization", "its variance taken as 1", op.again({4: np.ones_like(var)}))
    if (mean >= 0).all():
        yield Variant("normalization", "its mean and variance exchanged", op.again({3: var, 4: mean}))
    own = x.mean(axis=axes, dtype=np.float64).astype(mean.dtype), x.var(axis=axes, dtype=np.float64).astype(var.dtype)
    words = "statistics of this batch instead of the stored ones (training mode)"
    yield Variant("normalization", words, op.again({3: own[0], 4: own[1]}))
    squared = np.square(var).astype(var.dtype)
    yield Variant("normalization", "the variance taken for the deviation", op.again({4: squared}))
