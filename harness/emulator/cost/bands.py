"""How far an estimate may be off: 80 % of networks like it lay within, each predicted by a fit that never saw it.

Networks are alike by what their time goes into. The bands of `LIKE` are those of the chip that the prices were fitted
on; `scripts/fit_cost.py` writes them. A chip whose prices are scaled has the band of its room (`Soc.scaled_band`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.emulator.cost.model import COMPUTE, CONSTANTS, MEMORY, Work, total
from harness.emulator.model.compiled import CompiledModel
from harness.emulator.socs import Soc

SHARE = 0.8  # of like networks inside
LITTLE = 0.02  # of the latency: less on the CPU does not widen a band
MUCH = 0.1  # of the accelerator's time, from which on a network counts as of that kind
ATTENTION = ("attention_elements", "attention_heads", "matmul_macs")


@dataclass(frozen=True)
class Spread:
    """Factors on an estimate between which `SHARE` of like networks lay, and which networks those were."""

    low: float
    high: float
    of: str

    def widened(self, other: Spread, share: float) -> Spread:
        """Where `share` of the time is estimated with the band of `other`."""
        low, high = (mine * (1.0 - share) + theirs * share for mine, theirs in _pairs(self, other))
        return Spread(low, high, f"{self.of}; {other.of} for {100 * share:.0f} % of the time")


def _pairs(one: Spread, other: Spread) -> tuple[tuple[float, float], tuple[float, float]]:
    return (one.low, other.low), (one.high, other.high)


# Fitted by scripts/fit_cost.py: published over predicted, of networks that the fit had not seen.
LIKE = {
    "attention": Spread(0.818, 1.159, "16 networks with attention"),
    "depthwise": Spread(0.861, 1.197, "17 networks with depthwise convolutions"),
    "dense": Spread(0.909, 1.082, "30 networks of dense convolutions"),
}
# CPU ops are priced from a handful of published figures, which differ by such factors.
CPU = Spread(0.5, 2.0, "orders of magnitude")


def band_of(model: CompiledModel, soc: Soc, cpu_share: float) -> Spread:
    """The band of a model's latency on a chip; `cpu_share` of the time goes into ops on the CPU."""
    works = [Work(**amounts) for op in model.ops if op.subgraph for amounts in op.works]
    scaled = soc.scaled_band
    band = Spread(scaled.low, scaled.high, scaled.of) if scaled else LIKE[kind_of(works)]
    return band.widened(CPU, cpu_share) if cpu_share > LITTLE else band


def kind_of(works: Iterable[Work]) -> str:
    """The key of LIKE that a network's ops belong to."""
    amounts = total(works)
    times = {name: getattr(amounts, name) * getattr(CONSTANTS, f"{name}_ns") for name in (*COMPUTE, *MEMORY)}
    whole = sum(times.values()) or 1.0
    if sum(times[name] for name in ATTENTION) > MUCH * whole:
        return "attention"
    return "depthwise" if times["depthwise_macs"] > MUCH * whole else "dense"


def between(ratios: Sequence[float]) -> tuple[float, float]:
    """The bounds inside which the next of such ratios lies with a chance of SHARE, whatever their distribution."""
    ordered = sorted(ratios)
    last = len(ordered) - 1
    place = max(0.0, (1.0 - SHARE) / 2.0 * (len(ordered) + 1) - 1.0)
    return _at(ordered, min(place, last)), _at(ordered, max(0.0, last - place))


def _at(ordered: Sequence[float], place: float) -> float:
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
