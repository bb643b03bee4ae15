"""All variants of a cut-out op, likeliest first."""

from __future__ import annotations

from collections.abc import Iterator

from harness.consistency.hypotheses import (
    axes,
    functions,
    integers,
    normalizations,
    resampling,
    weights,
    whole,
    windows,
)
from harness.consistency.hypotheses.bench import Bench, NodeScene
from harness.consistency.hypotheses.variant import Generator, Variant

GENERATORS: tuple[Generator, ...] = (
    weights.biases,
    functions.activations,
    windows.pads,
    axes.along,
    axes.operands,
    axes.joined,
    axes.moved,
    axes.cut,
    axes.reduced,
    functions.formulas,
    normalizations.epsilons,
    normalizations.normalizations,
    resampling.resampling,
    integers.zero_points,
    integers.other_scales,
    integers.roundings,
    weights.scales,
    weights.orders,
    weights.bits,
    weights.gates,
    weights.features,
    integers.accumulators,
    windows.geometry,
    windows.pools,
    functions.added,
    whole.skipped,
    whole.repeated,
)
MOST_NODES = 12  # of an interval; in a longer one a variant says little


def variants(bench: Bench) -> Iterator[tuple[NodeScene, Variant]]:
    """Each with the node that it is of."""
    scenes = bench.scenes()[:MOST_NODES]
    for generate in GENERATORS:
        for scene in scenes:
            if scene.y.size:
                yield from ((scene, variant) for variant in _made(generate, scene))


def _made(generate: Generator, scene: NodeScene) -> Iterator[Variant]:
    """Variants of one kind. Models are anybody's: one that a variant does not suit has no such variant."""
    try:
        yield from generate(scene)
    except (ValueError, TypeError, IndexError, KeyError, ArithmeticError, StopIteration):
        return
