"""One configuration after the other: quantized as the emulated compiler does it, run on the samples, priced."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from harness.emulator.compiler.node_types import NodeSettings, offered
from harness.emulator.compiler.placement import place
from harness.emulator.compiler.quantize import Quantizer
from harness.emulator.rooms import room_of_soc
from harness.emulator.thresholds.calibrate import from_statistics, searched
from harness.emulator.thresholds.settings import DEFAULT, CalibratedRanges
from harness.emulator.thresholds.statistics import Statistics, ranges_of
from harness.precision.base import PrecisionVendor
from harness.precision.changed import ChangedModel, Price, price_of, run_model, settings_of
from harness.precision.explore.configurations import Configuration
from harness.precision.levels import OutputSums
from harness.precision.prepared import PreparedModel
from harness.precision.sensitivity import OutputAnswer, TaskScore
from harness.records import SequencePlan
from harness.review.samples.jitter import steps
from harness.review.samples.trajectories import frames_of

Array = NDArray[Any]


@dataclass(frozen=True)
class ExploredRow:
    """One configuration. `jitter`: output -> rms of the error's step from frame to frame over that of the motion.

    `same_as` is the configuration before it that gives the very same model; `method` how ranges were chosen; `refused`
    what the chip does not offer of it.
    """

    configuration: Configuration
    answer: OutputAnswer
    jitter: Mapping[str, float] = field(default_factory=dict)
    price: Price | None = None
    same_as: str = ""
    method: str = ""
    refused: tuple[str, ...] = ()


class Explorer:
    """Asked for one configuration after another; of one only its figures are kept."""

    def __init__(
        self,
        subject: PreparedModel,
        vendor: PrecisionVendor,
        statistics: Statistics,
        task: TaskScore,
        sequence: SequencePlan | None = None,
    ) -> None:
        self.subject, self.vendor, self.statistics = subject, vendor, statistics
        self.task, self.sequence, self.network = task, sequence, subject.network
        self.exact = ChangedModel.exact_outputs(subject)
        self._known: dict[str, ExploredRow] = {}  # by the digest of the quantized model

    def row(self, configuration: Configuration) -> ExploredRow:
        """What it gives on every sample, and what a run of it is estimated to take."""
        settings = self.settings(configuration)
        model, calibrated, refused = self.quantized(configuration, settings)
        digest = hashlib.md5(model.SerializeToString(deterministic=True), usedforsecurity=False).hexdigest()
        price = None if self.subject.soc.not_estimated else price_of(self.subject, settings)
        known, method = self._known.get(digest), calibrated.settings.words
        if known is not None:
            return replace(
                known,
                configuration=configuration,
                price=price,
                same_as=known.configuration.name,
                method=method,
                refused=refused,
            )
        outputs, sums = run_model(model, self.subject), OutputSums()
        for given, exact in zip(outputs, self.exact, strict=True):
            sums.add(given, exact)
        answer = OutputAnswer(sums.levels(), self.task(outputs))
        row = ExploredRow(configuration, answer, self._jitter(outputs), price, "", method, refused)
        self._known[digest] = row
        return row

    def settings(self, configuration: Configuration) -> NodeSettings:
        """Types and places in the emulator's words."""
        settings = settings_of(self.subject, self.vendor, configuration.changes)
        return replace(settings, on_accelerator=configuration.on_accelerator)

    def quantized(
        self, configuration: Configuration, settings: NodeSettings
    ) -> tuple[onnx.ModelProto, CalibratedRanges, tuple[str, ...]]:
        """The model as the emulated compiler would quantize it, by which ranges, and what it refuses."""
        subject, room = self.subject, room_of_soc(self.subject.soc)
        placed = place(self.network, room.op_rules(subject.soc), settings.on_cpu, settings.on_accelerator)
        units = {name: one.unit for name, one in placed.items()}
        wishes = settings.types.of(self.network)
        types, refused = offered(self.network, wishes, partial(room.takes_type, subject.soc))

        def quantize(calibrated: CalibratedRanges) -> onnx.ModelProto:
            return Quantizer(
                subject.model,
                units,
                calibrated.ranges,
                is_unsigned=subject.soc.is_unsigned,
                types=types,
                is_asymmetric=calibrated.settings.asymmetric and not subject.soc.is_unsigned,
                channels=calibrated.channels,
                means=calibrated.means,
            ).run()

        calibrated = self._calibrated(configuration, units, quantize)
        return quantize(calibrated), calibrated, refused

    def _calibrated(
        self,
        configuration: Configuration,
        units: Mapping[str, str],
        quantize: Callable[[CalibratedRanges], onnx.ModelProto],
    ) -> CalibratedRanges:
        settings = configuration.calibrating
        if configuration.samples:
            return CalibratedRanges(ranges_of(self.statistics, configuration.samples), settings)
        if settings.method == DEFAULT:
            model, feeds = self.subject.model, self.subject.calibration
            return searched(model, units, self.statistics, settings, feeds, quantize)
        return from_statistics(self.network, units, self.statistics, settings)

    def _jitter(self, outputs: Sequence[Mapping[str, Array]]) -> dict[str, float]:
        """Of samples that are windows of one sequence; empty without a sequence, and for one that does not move."""
        if self.sequence is None or len(outputs) < 2:
            return {}
        shares = {}
        for name in self.exact[0]:
            exact, given = (self._frames([one[name] for one in stage]) for stage in (self.exact, outputs))
            motion = _rms(steps(exact))
            if exact.dtype.kind == "f" and motion > 0:
                shares[name] = _rms(steps(given - exact)) / motion
        return shares

    def _frames(self, values: Sequence[Array]) -> Array:
        assert self.sequence is not None
        return np.concatenate([frames_of(np.asarray(value, np.float64), self.sequence) for value in values])


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0
