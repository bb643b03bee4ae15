"""Time on the accelerator: an estimate, never a measurement: the fitted model of `model.py`, with seeded jitter."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from harness.emulator.cost import model as cost_model
from harness.emulator.cost.model import Scale, Shape, Work
from harness.emulator.model.compiled import BoardOp, CompiledModel
from harness.emulator.socs import Soc

JITTER = 0.015  # sigma of the relative spread between frames: an assumption
# Of the chip whose boards the constants were fitted on (docs/cost-model.md), one core and its memory.
_FITTED_TOPS, _FITTED_GB_S = 10.0, 17.0


def subgraph_us(model: CompiledModel, name: str, soc: Soc) -> float:
    """Estimated time of one subgraph on one core, its launch included, in microseconds."""
    work = cost_model.total(op_work(model, op) for op in model.ops if op.subgraph == name)
    return cost_model.accelerator_us(work, scale=scale_of(soc)) + cost_model.CONSTANTS.call_ns / 1e3


def scale_of(soc: Soc) -> Scale:
    """Another chip by its peak: TOPS of one core, bandwidth of the memory. Not fitted."""
    return Scale(
        compute=_FITTED_TOPS / (soc.tops / soc.cores),
        memory=_FITTED_GB_S / soc.bandwidth_gb_s,
    )


def op_work(model: CompiledModel, op: BoardOp) -> Work:
    """What an op of a compiled model asks of the accelerator, from its shapes, multiply-adds and weights."""
    inputs = [_shape(model, name) for name in op.inputs]
    outputs = [_shape(model, name) for name in op.outputs]
    made = sum(math.prod(shape) for shape in outputs)
    per_output = op.macs // made if made else 0
    if op.kind == "Conv" and per_output and inputs and len(inputs[0]) > 2:
        weight, groups = _kernel(per_output, inputs[0][1], outputs[0][1])
        return cost_model.work_of(op.kind, inputs, outputs, weight, groups)
    constant = op.kind in ("Gemm", "MatMul") and len(inputs) == 1 and per_output > 0
    weight = (per_output, outputs[0][-1]) if constant and outputs[0] else ()
    work = cost_model.work_of(op.kind, inputs, outputs, weight)
    if op.macs and op.kind == "ConvTranspose":
        work += Work(dense_macs=float(op.macs))
    return work if weight else work + Work(weight_bytes=float(op.weight_bytes))


def _kernel(per_output: int, channels: int, made_channels: int) -> tuple[Shape, int]:
    """(OIHW weight, groups) from the multiply-adds per output element; a compiled model does not keep the attribute.

    A dense kernel reads every input channel, so its count is a multiple of them; any other is taken as depthwise.
    """
    if channels and per_output % channels == 0:
        return (made_channels, channels, 1, per_output // channels), 1
    return (made_channels, 1, 1, per_output), channels


def _shape(model: CompiledModel, name: str) -> Shape:
    return model.tensor(name).spec.shape


def with_jitter(mean_us: float, frames: int, seed: int) -> NDArray[np.float64]:
    """Times of `frames` runs around an estimate, in microseconds; the same for the same seed."""
    rng = np.random.default_rng(seed)
    return np.asarray(mean_us * np.exp(rng.normal(0.0, JITTER, frames)), np.float64)
