"""Symptoms A to D of a network whose result is wrong, for every platform: where along the network accuracy is lost.

A: the first layer is low already. B: cosines fall from a layer on. C: only the last layers are low. D: all layers are
fine, and the result is wrong. The toolchain's cosines (quantized against float, on the PC) give the curve; the board's
own layers say whether anything is added on the board. Source: Ingenic's post-quantization guide, chapter 8; a vendor
whose room has rules of its own for it keeps them.
"""

from __future__ import annotations

from harness import vendors
from harness.diagnosis.rules import DiagnosisVendor, Findings, RunView, finding
from harness.toolchains.curves import Curve, evidence, symptom

RULE_OF = {"A": "S-601", "B": "S-602", "C": "S-603", "D": "S-604"}


def curve_of(view: RunView) -> Curve | None:
    """The toolchain's cosines in the order of its table; None where it left none."""
    rows = [(row.name, row.toolchain_cosine) for row in (view.plan.rows if view.plan else ())]
    known = [(name, cosine) for name, cosine in rows if cosine is not None]
    return Curve(tuple(name for name, _ in known), tuple(cosine for _, cosine in known)) if known else None


def letter_of(view: RunView) -> str:
    """ "A" to "D", or "" where nothing shows one. D: the curve is fine, and the board's layers are not."""
    curve = curve_of(view)
    letter = symptom(curve) if curve is not None else ""
    if letter or curve is None or curve.low or view.comparison is None:
        return letter
    is_input = any(origin.op_kind == "input" for origin in view.comparison.origins)
    return "D" if view.comparison.verdict.word == "diverges" and not is_input else ""


def symptoms(view: RunView) -> Findings:
    """S-601 to S-604."""
    curve, letter = curve_of(view), letter_of(view)
    own = (name for room in vendors.built_in("diagnosis", DiagnosisVendor).values() for name in room.symptoms_of)
    if curve is None or not letter or view.run.board.platform in own:
        return
    if letter != "D":
        place = 0 if letter == "A" else curve.low[0] if curve.low else len(curve.names) - 1
        yield finding(RULE_OF[letter], evidence(curve), subject=curve.names[place])
        return
    least = min(range(len(curve.cosines)), key=curve.cosines.__getitem__)
    words = f"all {len(curve.cosines)} layers are accurate on the PC (lowest: {curve.shown([least])})"
    yield finding("S-604", f"{words}; the board: {view.comparison.verdict.detail if view.comparison else ''}")


CHECKS = (symptoms,)
