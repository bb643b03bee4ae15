"""Time on the BPU: an estimate, never a measurement. A roofline per op plus costs per subgraph, with seeded jitter."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.emulator.compiled import BoardOp, CompiledModel
from harness.emulator.layout import file_bytes
from harness.emulator.socs import Soc


@dataclass(frozen=True)
class Constants:
    """The free figures of the estimate. All are assumptions until a fit replaces them (docs/emulator.md)."""

    compute_share: float = 0.45  # of the peak that dense convolutions reach
    depthwise_share: float = 0.06  # of the peak for few multiply-adds per byte (depthwise, MatVec)
    bandwidth_share: float = 0.70  # of the memory's peak
    vector_gelements_s: float = 4.0  # elements per second and core of everything that is no matrix op, times 1e9
    launch_us: float = 90.0  # per subgraph: task set-up, driver, interrupt
    op_us: float = 1.0  # per op: instruction fetch and synchronisation
    jitter: float = 0.015  # sigma of the relative spread between frames


CONSTANTS = Constants()
_ARITHMETIC_INTENSITY = 32  # multiply-adds per byte below which a matrix op does not fill the array


def subgraph_us(model: CompiledModel, name: str, soc: Soc) -> float:
    """Estimated time of one subgraph on one core, in microseconds."""
    members = [op for op in model.ops if op.subgraph == name]
    return CONSTANTS.launch_us + sum(op_us(model, op, soc) for op in members)


def op_us(model: CompiledModel, op: BoardOp, soc: Soc) -> float:
    """The larger of compute and memory time, plus the fixed cost of an op."""
    moved = op.weight_bytes + sum(file_bytes(model.tensor(n).stored) for n in (*op.inputs, *op.outputs))
    memory_us = op.weight_bytes / (soc.bandwidth_gb_s * 1e3 * CONSTANTS.bandwidth_share)
    per_core = soc.tops * 1e6 / soc.cores / 2  # multiply-adds per microsecond
    if op.macs:
        dense = op.macs / max(moved, 1) >= _ARITHMETIC_INTENSITY
        share = CONSTANTS.compute_share if dense else CONSTANTS.depthwise_share
        compute_us = op.macs / (per_core * share)
    else:
        made = sum(math.prod(model.tensor(n).spec.shape) for n in op.outputs)
        compute_us = made / (CONSTANTS.vector_gelements_s * 1e3)
    return max(compute_us, memory_us) + CONSTANTS.op_us


def with_jitter(mean_us: float, frames: int, seed: int) -> NDArray[np.float64]:
    """Times of `frames` runs around an estimate, in microseconds; the same for the same seed."""
    rng = np.random.default_rng(seed)
    return np.asarray(mean_us * np.exp(rng.normal(0.0, CONSTANTS.jitter, frames)), np.float64)
