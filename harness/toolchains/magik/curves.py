"""Symptoms A, B and C of the vendor's quantization guide, from the transform tool's cosine tables alone.

The main table compares the quantized network with the float one on the PC, per layer. Two more tables quantize one
side only: weights (`weight_fake_quant`) or features (`feature_fake_quant`); the side with the lower cosine at the
worst layer is the one that loses. `max_absolu` is the largest difference of a layer: it shows outliers that a mean
cosine hides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.toolchains.curves import GOOD, TAIL_LEAST, Curve

SIDES = {"weight_fake_quant": "weights", "feature_fake_quant": "features"}
NEAR = 0.002  # of two cosines: no side is said to lose more


def losing_side(main: Curve, sides: Mapping[str, Curve]) -> str:
    """Which side loses at the main table's worst layer, by the tables that quantize one side; "" where they do not say.

    `sides` is table kind (SIDES) -> its curve.
    """
    if not main.cosines or not sides:
        return ""
    worst = main.names[min(range(len(main.cosines)), key=main.cosines.__getitem__)]
    by_side = {
        SIDES[kind]: curve.cosines[curve.names.index(worst)]
        for kind, curve in sides.items()
        if kind in SIDES and worst in curve.names
    }
    if len(by_side) < len(SIDES):
        return ""
    figures = ", ".join(f"{side} alone {cosine:.5f}" for side, cosine in by_side.items())
    if max(by_side.values()) - min(by_side.values()) < NEAR:
        return f"at {worst}: {figures}; both alike"
    return f"at {worst}: {figures}; the {min(by_side, key=by_side.__getitem__)} lose more"


def outliers(names: Sequence[str], max_abs: Sequence[float], curve: Curve) -> str:
    """The largest `max_absolu` of a layer whose cosine is good: a few wrong values that a mean hides; "" for none.

    Layers have scales of their own, so a difference stands out only ten times above the median of the table.
    """
    if len(max_abs) < TAIL_LEAST:
        return ""
    median = sorted(max_abs)[len(max_abs) // 2]
    place = max(range(len(max_abs)), key=max_abs.__getitem__)
    good = dict(zip(curve.names, curve.cosines, strict=True)).get(names[place], 0.0) >= GOOD
    if median <= 0 or max_abs[place] < 10 * median or not good:
        return ""
    return f"{names[place]} has a cosine of {GOOD:.0%} or more, and a largest difference of {max_abs[place]:.5f}"
