"""Time on the accelerator: an estimate, never a measurement: the fitted model of `model.py`, with seeded jitter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.emulator.cost import model as cost_model
from harness.emulator.cost.model import COMPUTE, MEMORY, Constants, Work
from harness.emulator.model.compiled import BoardOp, CompiledModel
from harness.emulator.socs import Soc

JITTER = 0.015  # sigma of the relative spread between frames: an assumption
# Of the chip whose boards the constants were fitted on (docs/cost-model.md), one core and its memory.
_FITTED_TOPS, _FITTED_GB_S = 10.0, 17.0


def subgraph_us(model: CompiledModel, name: str, soc: Soc) -> float:
    """Estimated time of one subgraph on one core, its launch included, in microseconds."""
    works = (work for op in model.ops if op.subgraph == name for work in op_works(op))
    prices = constants_of(soc)
    return cost_model.accelerator_us(works, constants=prices) + prices.call_ns / 1e3


def constants_of(soc: Soc) -> Constants:
    """Prices of another chip: those that its room knows, the others by its peak (TOPS of one core, bandwidth)."""
    factors = peak_factors(soc) | dict(soc.price_factors)
    known = cost_model.CONSTANTS
    return replace(known, **{f"{name}_ns": getattr(known, f"{name}_ns") * factor for name, factor in factors.items()})


def peak_factors(soc: Soc) -> dict[str, float]:
    """Amount -> the fitted chip's peak over this one's, of one core: arithmetic by TOPS, memory by bandwidth."""
    compute, memory = _FITTED_TOPS / (soc.tops / soc.cores), _FITTED_GB_S / soc.bandwidth_gb_s
    return dict.fromkeys((*COMPUTE, "ops"), compute) | dict.fromkeys(MEMORY, memory)


def op_works(op: BoardOp) -> list[Work]:
    """What an op of a compiled model asks of the accelerator, as counted when it was built (`cost/graph.py`)."""
    return [Work(**amounts) for amounts in op.works]


def with_jitter(mean_us: float, frames: int, seed: int) -> NDArray[np.float64]:
    """Times of `frames` runs around an estimate, in microseconds; the same for the same seed."""
    rng = np.random.default_rng(seed)
    return np.asarray(mean_us * np.exp(rng.normal(0.0, JITTER, frames)), np.float64)
