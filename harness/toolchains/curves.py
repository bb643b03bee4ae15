"""The curve of cosines along a network, and the symptoms A, B and C that it shows, whatever tool measured it.

The limits are those of Ingenic's post-quantization guide 1.0.1, chapter 8; its symptoms are found on every platform.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

GOOD, FAIR, BAD_END = 0.99, 0.98, 0.95  # the guide's own limits
TAIL_SHARE, TAIL_LEAST = 0.1, 3  # "the last few layers"
SHOWN = 4


@dataclass(frozen=True)
class Curve:
    """Cosines along the network, in the table's order."""

    names: tuple[str, ...]
    cosines: tuple[float, ...]

    @property
    def tail(self) -> int:
        """Index where "the last few layers" begin."""
        return len(self.cosines) - max(TAIL_LEAST, round(len(self.cosines) * TAIL_SHARE))

    @property
    def falls_at(self) -> int:
        """The first place below 98 %; the number of rows where there is none."""
        return next((i for i, cosine in enumerate(self.cosines) if cosine < FAIR), len(self.cosines))

    @property
    def low(self) -> list[int]:
        """Every place below 98 %."""
        return [i for i, cosine in enumerate(self.cosines) if cosine < FAIR]

    def shown(self, places: Sequence[int]) -> str:
        """Those places as names and cosines, the first SHOWN of them."""
        shown = ", ".join(f"{self.names[i]} {self.cosines[i]:.5f}" for i in places[:SHOWN])
        return shown + (f" and {len(places) - SHOWN} more" if len(places) > SHOWN else "")


def symptom(curve: Curve) -> str:
    """ "A", "B", "C", or "" where the table shows none of them. A is looked at first, as the guide does."""
    cosines = curve.cosines
    if not cosines:
        return ""
    if cosines[0] < GOOD:
        return "A"
    if curve.falls_at >= len(cosines):
        return "C" if cosines[-1] < BAD_END else ""
    if curve.falls_at >= curve.tail:
        return "C"
    return "B" if cosines[-1] < BAD_END else ""


def evidence(curve: Curve) -> str:
    """What the table shows of its symptom; "" without one."""
    first, last = curve.shown([0]), curve.shown([len(curve.cosines) - 1])
    kind = symptom(curve)
    if kind == "A":
        return f"first layer {first}; 99 % is usual"
    if kind == "B":
        return f"first layer {first}, drops at {curve.shown(curve.low)}, last layer {last}"
    return f"first layer {first}, only the last ones drop: {curve.shown(curve.low) or last}" if kind == "C" else ""
