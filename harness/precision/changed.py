"""A model with some ops in other types: what it gives on every sample, and what a run of it is estimated to take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import onnx

from harness.emulator.compiler.compile import BuildOptions, compile_model
from harness.emulator.compiler.node_types import NodeSettings, TypeWishes, offered
from harness.emulator.compiler.operands import moves_data
from harness.emulator.compiler.placement import place
from harness.emulator.compiler.quantize import Quantizer
from harness.emulator.cost import bands, cpu, estimate, timing
from harness.emulator.cost.graph import op_works
from harness.emulator.cost.model import CONSTANTS, op_us
from harness.emulator.model.execute import open_session
from harness.emulator.model.nodes import ModelGraph
from harness.emulator.rooms import room_of_soc
from harness.precision.base import FLOAT, PrecisionVendor, TypeChange
from harness.precision.levels import OutputSums
from harness.precision.prepared import PreparedModel
from harness.precision.sensitivity import Array, OutputAnswer, TaskScore, side_by_side


@dataclass(frozen=True)
class Price:
    """One inference with one thread, estimated; the band in which 80 % of networks like it lay, as factors."""

    latency_us: float
    low: float
    high: float
    of: str


def settings_of(subject: PreparedModel, vendor: PrecisionVendor, changes: Sequence[TypeChange]) -> NodeSettings:
    """The changes in the emulator's words. Where outputs have a setting of their own, it follows from the changes."""
    march = subject.soc.march
    types = {change.op: vendor.types(march, change.kind, change.option) for change in changes}
    wide = {name: one for name, one in types.items() if not one.is_plain}
    makers = makers_of_outputs(subject.network)
    outputs = "int16" if vendor.widens_outputs(march) and makers & wide.keys() else ""
    on_cpu = tuple(change.op for change in changes if change.option == FLOAT)
    return NodeSettings(TypeWishes(wide, outputs=outputs), on_cpu)


def makers_of_outputs(network: ModelGraph) -> frozenset[str]:
    """Names of the ops that make the model's outputs, before they are only moved, and of those that move them."""
    return frozenset(name for output in network.output_names for name in _makers(network, output))


def _makers(network: ModelGraph, output: str) -> Iterator[str]:
    node = network.producer.get(output)
    while node is not None:
        yield node.name
        node = network.producer.get(node.input[0]) if moves_data(node) else None


class ChangedModel:
    """Asked for one set of changes after another; what was asked before is not computed again."""

    def __init__(self, subject: PreparedModel, vendor: PrecisionVendor, task: TaskScore) -> None:
        self.subject, self.vendor, self.task = subject, vendor, task
        self.network = subject.network
        self.exact = self.exact_outputs(subject)
        self._answers: dict[frozenset[tuple[str, str]], OutputAnswer] = {}
        self._prices: dict[frozenset[tuple[str, str]], Price | None] = {}

    @staticmethod
    def exact_outputs(subject: PreparedModel) -> list[dict[str, Array]]:
        """The float outputs that are right, of every sample."""
        return run_model(subject.reference or subject.model, subject)

    def answer(self, changes: Sequence[TypeChange]) -> OutputAnswer:
        """Levels of the outputs over all samples, and the task."""
        key = frozenset((change.op, change.option) for change in changes)
        if key not in self._answers:
            self._answers[key] = self._answer(settings_of(self.subject, self.vendor, changes))
        return self._answers[key]

    def _answer(self, settings: NodeSettings) -> OutputAnswer:
        subject = self.subject
        rules = room_of_soc(subject.soc).op_rules(subject.soc)
        units = {name: one.unit for name, one in place(self.network, rules, settings.on_cpu).items()}
        takes = partial(room_of_soc(subject.soc).takes_type, subject.soc)
        types, _ = offered(self.network, settings.types.of(self.network), takes)  # as a build does
        unsigned = subject.soc.is_unsigned
        quantized = Quantizer(subject.model, units, subject.ranges, is_unsigned=unsigned, types=types).run()
        outputs, sums = run_model(quantized, subject), OutputSums()
        for given, exact in zip(outputs, self.exact, strict=True):
            sums.add(given, exact)
        return OutputAnswer(sums.levels(), self.task(outputs))

    # ---------------------------------------------------------------- what it takes

    def price(self, changes: Sequence[TypeChange]) -> Price | None:
        """The whole model with the changes; None where the chip's times are not estimated."""
        key = frozenset((change.op, change.option) for change in changes)
        if key not in self._prices:
            not_estimated = self.subject.soc.not_estimated
            self._prices[key] = None if not_estimated else self._price(changes)
        return self._prices[key]

    def _price(self, changes: Sequence[TypeChange]) -> Price:
        return price_of(self.subject, settings_of(self.subject, self.vendor, changes))

    def costs_us(self) -> dict[str, dict[str, float]]:
        """Op -> option -> about what it adds, alone: for the order of a search, not for a total."""
        units = {name: one.unit for name, one in self.subject.placements.items()}
        works = dict(op_works(self.network, units, self.subject.soc.table_channels))
        prices, march = estimate.constants_of(self.subject.soc), self.subject.soc.march
        costs: dict[str, dict[str, float]] = {}
        for node in self.network.nodes:
            work = works.get(node.name)
            plain_us = op_us(work, prices) if work is not None else 0.0
            own = costs.setdefault(node.name, {})
            for option in self.vendor.options(march, node.op_type):
                if option == FLOAT:
                    own[option] = self._on_cpu_us(node.name) - plain_us
                elif work is not None:
                    types = self.vendor.types(march, node.op_type, option)
                    own[option] = op_us(work.passed(types.passes), prices) - plain_us
                else:
                    own[option] = 0.0
        return costs

    def _on_cpu_us(self, name: str) -> float:
        """A node of the CPU in the middle of the accelerator's: itself, the border on both sides, one more call."""
        node = next(node for node in self.network.nodes if node.name == name)
        sizes = [self._size(one) for one in (*self.network.data_inputs(node), *node.output)]
        border_us = sum(sizes) * CONSTANTS.border_elements_ns / 1e3
        own_us = cpu.NODE_US + sum(sizes) * cpu.PASS_NS / 1e3
        return (border_us + own_us) * self.subject.soc.cpu_scale + CONSTANTS.call_ns / 1e3

    def _size(self, name: str) -> int:
        size = 1
        for dim in self.network.shape(name) or ():
            size *= dim
        return size


def price_of(subject: PreparedModel, settings: NodeSettings) -> Price:
    """The whole model with those types and places, for a chip whose times are estimated."""
    network = subject.network
    options = BuildOptions(
        subject.soc,
        shapes={name: network.shape(name) or () for name in network.input_names},
        on_cpu=settings.on_cpu,
        on_accelerator=settings.on_accelerator,
        types=settings.types,
        times_only=True,
    )
    model = compile_model(subject.path, options).model
    steps = timing.step_times(model, subject.soc, 1, warm=True)
    line = timing.Timeline(steps)
    band = bands.band_of(model, subject.soc, timing.cpu_share(line))
    means_us = [
        estimate.subgraph_us(model, step.step.subgraph, subject.soc)
        if step.step.subgraph
        else cpu.step_us(model, step.step, subject.soc.cpu_scale)
        for step in steps
    ]
    return Price(sum(means_us), band.low, band.high, band.of)


def run_model(model: onnx.ModelProto, subject: PreparedModel) -> list[dict[str, Array]]:
    """The outputs of every sample, by the names of the float model."""
    session, names = open_session(model.SerializeToString()), subject.network.output_names
    return list(side_by_side(lambda feed: dict(zip(names, session.run(names, feed), strict=True)), subject.feeds))
