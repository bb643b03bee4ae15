"""Time of a Horizon board's own CPU around the accelerator, and of loading a model: estimated too, never this PC's.

Prices are of one Cortex-A55 at 1.5 GHz (RDK X5), per element that an op makes; other chips by their core and clock
(`Soc.cpu_scale`).
Quantizing and changing the layout at a border is fitted with the accelerator (`border_elements_ns`). One node off the
accelerator, a Softmax and the cold first frame are those of a published profile of an X3 (a Softmax of 1000 elements:
84 us, 167 us at most); tables are what the 27 Erfs of a RepViT on X3 leave (28 ms in all). The others are assumptions
of the same class: one to three nanoseconds for a pass over memory, 4 GMAC/s.
"""

from __future__ import annotations

from harness.emulator.cost.model import CONSTANTS, TABLE_LOOKUP
from harness.emulator.model.compiled import CompiledModel, Step
from harness.emulator.socs import Soc

NODE_US = 40.0  # dispatch of one node
SOFTMAX_NS, TABLE_NS, PASS_NS, TRANSPOSE_NS, MACS_NS = 13.0, 3.1, 1.5, 3.0, 0.25
PREPROCESS_US = 4.0  # X3: 6.5 us
COLD = 2.0  # the first frame of a run without a warm-up
LAYOUT_SHARE = 0.35  # of the price of a border: copying; the rest is the conversion
# Loading: a fixed part to open and check the file, then the program is read from the board's storage and copied to the
# accelerator's memory (one read, one write). 35 MB/s is what published consoles come to, within a factor of 4:
# X5 26 to 157 ms for networks of 3 M weights, 123 ms for 4 M, 250 ms for 7 M; X3 73 ms for 4 M; J6 2 s for 26 M.
LOAD_MS, STORAGE_GB_S, COPIES = 1.0, 0.035, 2
_SOFTMAXES = ("Softmax", "LogSoftmax")
_TABLES = TABLE_LOOKUP | {"Div"}


def step_us(model: CompiledModel, step: Step, cpu_scale: float) -> float:
    """Estimated time of one step off the accelerator, in microseconds."""
    return cpu_scale * _step_us(model, step)


def convert_us(elements: int, cpu_scale: float) -> float:
    """Estimated time to quantize or dequantize so many values, in microseconds."""
    return cpu_scale * elements * CONSTANTS.border_elements_ns * (1.0 - LAYOUT_SHARE) / 1e3


def load_ms(weight_bytes: int, soc: Soc) -> float:
    """Estimated time to load a file whose models have so many bytes of weights, in milliseconds.

    The file's own size does not count: the emulator's files are packed, and not of the size of a board's.
    """
    size_gb = weight_bytes / 1e9
    return LOAD_MS * soc.cpu_scale + size_gb * (1.0 / STORAGE_GB_S + COPIES / soc.bandwidth_gb_s) * 1e3


def _step_us(model: CompiledModel, step: Step) -> float:
    if step.work == "preprocess":
        return PREPROCESS_US
    if step.work == "layout":
        return step.elements * CONSTANTS.border_elements_ns * LAYOUT_SHARE / 1e3
    if step.work == "convert":
        return convert_us(step.elements, 1.0)
    op = next(op for op in model.ops if op.name == step.op)
    return NODE_US + (step.elements * _element_ns(op.kind) + op.macs * MACS_NS) / 1e3


def _element_ns(kind: str) -> float:
    if kind in _SOFTMAXES:
        return SOFTMAX_NS
    return TABLE_NS if kind in _TABLES else TRANSPOSE_NS if kind == "Transpose" else PASS_NS
