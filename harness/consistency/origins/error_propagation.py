"""How a difference grows along the network, and what it does to the final outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from harness.consistency.reading.pairs import Pair
from harness.records import Layer, OutputEffect, PropagationPoint


def propagation_points(layers: Sequence[Layer]) -> tuple[PropagationPoint, ...]:
    """One point per compared row, in execution order: entire error, and single error where the op ran alone."""
    return tuple(
        PropagationPoint(
            index=layer.index,
            name=layer.name,
            relative_l2=layer.metrics.relative_l2,
            max_step=layer.metrics.max_step,
            mismatch_share=layer.metrics.mismatch_share,
            single_max_step=layer.single.max_step if layer.single else None,
            single_relative_l2=layer.single.relative_l2 if layer.single else None,
            role=layer.role,
        )
        for layer in layers
        if layer.metrics is not None
    )


def effects(layers: Sequence[Layer], pair: Callable[[str], Pair]) -> tuple[OutputEffect, ...]:
    """What is left of the difference at every compared output: relative L2, and top-1 of those that are a list."""
    return tuple(_effect(layer, pair) for layer in layers if layer.is_output and layer.metrics is not None)


def _effect(layer: Layer, pair: Callable[[str], Pair]) -> OutputEffect:
    assert layer.metrics is not None
    error = layer.metrics.relative_l2
    if not _is_list(layer):
        return OutputEffect(layer.name, error)
    both = pair(layer.name)
    board, reference = int(np.argmax(both.board)), int(np.argmax(both.reference))
    return OutputEffect(layer.name, error, board, reference, board == reference)


def _is_list(layer: Layer) -> bool:
    """Scores of one sample: a single axis is longer than one."""
    return sum(n > 1 for n in layer.shape) == 1
