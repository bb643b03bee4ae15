"""How a model's outputs leave the accelerator: in which type, what that costs in error, and what dequantizing takes.

An output that ends in a convolution or a linear layer is handed over as its accumulators: int32, which a CPU
dequantizes, or float32 where the accelerator does it (`Soc.hands_over_float`). Any other output leaves rounded to its
own type. Source of the types: article on high-precision outputs of linear layers, Nov. 2025 (J6 E and M: int32, P and
H: float32); of the figures: this PC, by the emulated compiler's quantization.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.emulator.compiler.node_types import INT16_LEVELS
from harness.emulator.compiler.operands import LEVELS, moves_data
from harness.emulator.compiler.quantize import Quantizer
from harness.emulator.cost.cpu import convert_us
from harness.emulator.model.execute import open_session
from harness.precision.changed import ChangedModel
from harness.precision.levels import OutputSums
from harness.precision.prepared import PreparedModel
from harness.precision.sensitivity import Array, side_by_side
from harness.toolchains.fed_back import fed_back

INT16, INT8 = "int16", "int8"


@dataclass(frozen=True)
class OutputTail:
    """One output. `leaves_as` is its type at the accelerator's edge: int32, float32, int8 or uint8, or "cpu" where the
    CPU makes it.

    `sqnr_db` is of the output in that type, and of a convolution's also as int16 and int8 (`set_model_output_int8`).
    `dequantize_us` is what the board's CPU is estimated to take for it in every frame, removed with the node; 0 where
    no CPU has to, None where the chip's times are not estimated. `readers` read the output on inside of the model.
    """

    output: str
    op: str
    kind: str
    leaves_as: str
    sqnr_db: Mapping[str, float]
    elements: int
    dequantize_us: float | None
    readers: tuple[str, ...] = ()
    feeds: str = ""  # the input that it is again in the next frame

    @property
    def is_high(self) -> bool:
        """Whether it leaves as the accumulators of a convolution."""
        return self.leaves_as in ("int32", "float32")

    @property
    def sentence(self) -> str:
        """For people: what it leaves as, what that costs, and what reads it on."""
        return "; ".join(one for one in (self._leaving(), self._cost(), self._read(), self._fed()) if one)

    def _leaving(self) -> str:
        if self.leaves_as == "cpu":
            return f"{self.output}: {self.kind} {self.op} on the CPU makes it"
        levels = ", ".join(f"{kind} {value:.1f} dB" for kind, value in self.sqnr_db.items())
        return f"{self.output}: {self.kind} {self.op} leaves as {self.leaves_as} ({levels})"

    def _cost(self) -> str:
        if not self.dequantize_us:
            return ""
        return f"a Dequantize on the CPU takes {self.dequantize_us:.1f} us for {self.elements} values (estimated)"

    def _read(self) -> str:
        if not self.readers:
            return ""
        how = {
            "int32": "dequantize and quantize for them become one rescale on the accelerator",
            "float32": "a quantize of the vector unit makes their input; its price is not known",
        }.get(self.leaves_as, "they read the same rounded values")
        return f"read on by {', '.join(self.readers)}: {how}"

    def _fed(self) -> str:
        return f"is {self.feeds} again in the next frame: keep one type and scale for both" if self.feeds else ""


def output_tails(subject: PreparedModel) -> tuple[OutputTail, ...]:
    """Every output of the model with all its ops in int8, in the model's order."""
    network = subject.network
    units = {name: one.unit for name, one in subject.placements.items()}
    quantizer = Quantizer(subject.model, units, subject.ranges, is_unsigned=subject.soc.is_unsigned)
    given = _run(quantizer, subject)
    named = [(name, network.shape(name) or ()) for name in network.output_names]
    states = dict(fed_back(named, [(name, network.shape(name) or ()) for name in network.input_names]))
    return tuple(_tail(name, quantizer, subject, given, states) for name in network.output_names)


def _tail(
    name: str, quantizer: Quantizer, subject: PreparedModel, given: list[dict[str, Array]], states: Mapping[str, str]
) -> OutputTail:
    network, soc = subject.network, subject.soc
    maker = network.producer[name]
    while moves_data(maker) and maker.input[0] in network.producer:
        maker = network.producer[maker.input[0]]
    is_high = quantizer.is_full_precision(maker.output[0])
    on_cpu = subject.placements[maker.name].unit == "CPU"
    rounded = "uint8" if soc.is_unsigned else "int8"
    leaves_as = "cpu" if on_cpu else rounded if not is_high else "float32" if soc.hands_over_float else "int32"
    elements = int(np.prod(network.shape(name) or ()))
    is_free = on_cpu or leaves_as == "float32"
    cost = None if soc.not_estimated else 0.0 if is_free else convert_us(elements, soc.cpu_scale)
    readers = tuple(node.name for node in network.consumers.get(name, ()))
    levels = _levels(name, subject, given, leaves_as, is_high)
    return OutputTail(name, maker.name, maker.op_type, leaves_as, levels, elements, cost, readers, states.get(name, ""))


def _levels(
    name: str, subject: PreparedModel, given: list[dict[str, Array]], leaves_as: str, is_high: bool
) -> dict[str, float]:
    """SQNR by type; empty for an output that is not float."""
    values = {leaves_as: [one[name] for one in given]}
    if is_high:
        low, high = subject.ranges[name]
        peak = max(abs(low), abs(high)) or 1.0
        for kind, levels in ((INT16, INT16_LEVELS), (INT8, LEVELS)):
            values[kind] = [_rounded(one, peak / levels, levels) for one in values[leaves_as]]
    exact = ChangedModel.exact_outputs(subject)
    levels_by_type: dict[str, float] = {}
    for kind, arrays in values.items():
        sums = OutputSums()
        for one, wanted in zip(arrays, exact, strict=True):
            sums.add({name: one}, {name: wanted[name]})
        levels_by_type.update((kind, level.sqnr_db) for level in sums.levels().values())
    return levels_by_type


def _rounded(value: Array, scale: float, levels: int) -> Array:
    return np.asarray(np.clip(np.rint(value / scale), -levels, levels) * scale, np.float32)


def _run(quantizer: Quantizer, subject: PreparedModel) -> list[dict[str, Array]]:
    session, names = open_session(quantizer.run().SerializeToString()), subject.network.output_names
    return list(side_by_side(lambda feed: dict(zip(names, session.run(names, feed), strict=True)), subject.feeds))
