"""All variants of a cut-out op, likeliest first."""

from __future__ import annotations

from collections.abc import Collection, Iterator

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

# What makes variants -> their kinds.
GENERATORS: dict[Generator, tuple[str, ...]] = {
    weights.biases: ("bias",),
    functions.activations: ("activation", "function", "parameter"),
    windows.pads: ("padding",),
    axes.along: ("axis",),
    axes.operands: ("axis", "scale"),
    axes.joined: ("axis", "function"),
    axes.moved: ("axis",),
    axes.cut: ("axis", "padding"),
    axes.reduced: ("axis", "function", "normalization"),
    functions.formulas: ("function",),
    normalizations.epsilons: ("epsilon",),
    normalizations.normalizations: ("normalization",),
    resampling.resampling: ("resampling",),
    integers.zero_points: ("zero_point",),
    integers.other_scales: ("scale",),
    integers.roundings: ("truncation", "rounding", "saturation"),
    weights.scales: ("weight_scale",),
    weights.orders: ("weight_order",),
    weights.bits: ("weight_bits", "precision"),
    weights.gates: ("weight_order", "function"),
    weights.features: ("axis",),
    integers.accumulators: ("accumulator",),
    windows.geometry: ("window",),
    windows.pools: ("function", "window"),
    functions.added: ("activation",),
    whole.skipped: ("skipped_op",),
    whole.repeated: ("repeated_op",),
}


def variants(bench: Bench, kinds: Collection[str] = ()) -> Iterator[tuple[NodeScene, Variant]]:
    """Each with the node that it is of; those that may be of some `kinds`, () for all. Each is made as it is taken."""
    scenes = bench.scenes()
    for generate in [one for one, made in GENERATORS.items() if not kinds or set(kinds) & set(made)]:
        for scene in scenes:
            bench.check()
            if scene.y.size:
                yield from ((scene, variant) for variant in _made(generate, scene))


def _made(generate: Generator, scene: NodeScene) -> Iterator[Variant]:
    """Variants of one kind. Models are anybody's: one that a variant does not suit has no such variant."""
    try:
        yield from generate(scene)
    except (ValueError, TypeError, IndexError, KeyError, ArithmeticError):
        return
