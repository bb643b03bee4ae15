"""Which configurations are tried: places, types, calibration methods, samples, and some of them together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from harness.emulator.rooms import room_of_soc
from harness.emulator.thresholds.settings import (
    DEFAULT,
    KL,
    MAX,
    MIX,
    PLAIN_CALIBRATION,
    USUAL_PERCENTILE,
    CalibrationSettings,
)
from harness.errors import InputError
from harness.precision.base import FLOAT, CalibrationOffer, PrecisionVendor, TypeChange
from harness.precision.explore.blocks import attention_blocks, layer_norms, softmaxes
from harness.precision.prepared import PreparedModel
from harness.precision.sensitivity import Sensitivity

PERCENTILES = (0.99, 0.999, 0.9999, USUAL_PERCENTILE)
SHARES = {"eighth": 8, "quarter": 4, "half": 2}
MOST_ON_CPU = (1, 3)  # worst ops
PLACES, TYPES, CALIBRATION, SAMPLES, TOGETHER = "places", "types", "calibration", "samples", "together"


@dataclass(frozen=True)
class Configuration:
    """One set of settings. `samples` are places in the calibration folder; empty: all of them."""

    name: str
    what: str
    group: str
    changes: tuple[TypeChange, ...] = ()
    on_accelerator: tuple[str, ...] = ()
    calibrating: CalibrationSettings = PLAIN_CALIBRATION
    samples: tuple[int, ...] = ()
    is_ranked: bool = False  # whether which ops it names follows from a sensitivity measurement


class ConfigurationPlan:
    """All configurations of a model. Without `result` ranked ones name ops in the graph's order: for names alone."""

    def __init__(self, subject: PreparedModel, vendor: PrecisionVendor, result: Sensitivity | None = None) -> None:
        self.subject, self.vendor, self.network = subject, vendor, subject.network
        self.offer: CalibrationOffer = vendor.calibrations(subject.soc.march)
        self.noise: Mapping[str, float] = {} if result is None else _noises(result)
        self.units = {name: one.unit for name, one in subject.placements.items()}
        self.kinds = {node.name: node.op_type for node in self.network.nodes}

    def all(self) -> tuple[Configuration, ...]:
        """In the order in which they are tried, `int8` first."""
        plain = Configuration("int8", "all int8, ranges are the largest values", PLACES)
        made = [plain, *self._places(), *self._types(), *self._calibrations(), *self._samples()]
        return (*made, *self._together())

    # ---------------------------------------------------------------- places

    def _places(self) -> Iterator[Configuration]:
        softmax, norms = softmaxes(self.network), [name for one in layer_norms(self.network) for name in one]
        if softmax:
            yield self._on_cpu("softmax-cpu", "every Softmax on the CPU", softmax)
        if norms:
            yield self._on_cpu("layernorm-cpu", "every layer normalization on the CPU", norms)
        if softmax and norms:
            yield self._on_cpu("softmax-layernorm-cpu", "both on the CPU", [*softmax, *norms])
        rules = room_of_soc(self.subject.soc).op_rules(self.subject.soc)
        movable = [name for name in softmax if self.units[name] == "CPU" and self._may_move(name)]
        if movable:
            what = f"every Softmax on the {rules.unit}, in int8"
            yield Configuration("softmax-accelerator", what, PLACES, on_accelerator=tuple(movable))
        yield from self._attention()
        products = [name for name, kind in self.kinds.items() if kind == "MatMul"]
        if products:
            yield self._on_cpu("matmul-cpu", "every MatMul on the CPU", products)
        ranked = self._ranked([name for name, unit in self.units.items() if unit != "CPU"])
        for count in MOST_ON_CPU:
            if count < len(ranked):
                what = f"the {count} most sensitive ops on the CPU"
                yield replace(self._on_cpu(f"worst-{count}-cpu", what, ranked[:count]), is_ranked=True)

    def _may_move(self, name: str) -> bool:
        """Whether the march has an int16 form of it at all: then the accelerator takes the op."""
        return any(word != FLOAT for word in self.vendor.options(self.subject.soc.march, self.kinds[name]))

    def _attention(self) -> Iterator[Configuration]:
        blocks = sorted(attention_blocks(self.network), key=lambda block: -sum(self.noise.get(one, 0) for one in block))
        if not blocks:
            return
        products = [name for block in blocks for name in block if self.kinds[name] == "MatMul"]
        yield self._on_cpu("attention-products-cpu", "the products of all attention blocks on the CPU", products)
        for label, count in (("1", 1), ("half", len(blocks) // 2), ("all", len(blocks))):
            if count and (label != "half" or 1 < count < len(blocks)):
                names = [name for block in blocks[:count] for name in block]
                what = f"the {count} most sensitive of {len(blocks)} attention blocks on the CPU"
                ranked = count < len(blocks)
                yield replace(self._on_cpu(f"attention-{label}-cpu", what, names), is_ranked=ranked)

    def _on_cpu(self, name: str, what: str, ops: Sequence[str]) -> Configuration:
        return Configuration(name, what, PLACES, tuple(TypeChange(op, self.kinds[op], FLOAT, what) for op in ops))

    # ---------------------------------------------------------------- types

    def _types(self) -> Iterator[Configuration]:
        for word in self._words():
            ops = self._taking(word)
            yield self._typed(word, f"{word} in all {len(ops)} ops that the march states it for", word, ops)
            ranked = self._ranked(ops)
            for share, parts in SHARES.items():
                count = len(ops) // parts
                if count:
                    what = f"{word} in the {count} most sensitive ops of {len(ops)}"
                    yield replace(self._typed(f"{word}-worst-{share}", what, word, ranked[:count]), is_ranked=True)

    def _words(self) -> list[str]:
        march = self.subject.soc.march
        words = [word for kind in dict.fromkeys(self.kinds.values()) for word in self.vendor.options(march, kind)]
        return [word for word in dict.fromkeys(words) if word != FLOAT]

    def _taking(self, word: str) -> list[str]:
        march = self.subject.soc.march
        return [
            name
            for name, kind in self.kinds.items()
            if self.units[name] != "CPU" and word in self.vendor.options(march, kind)
        ]

    def _typed(self, name: str, what: str, word: str, ops: Sequence[str]) -> Configuration:
        return Configuration(name, what, TYPES, tuple(TypeChange(op, self.kinds[op], word, what) for op in ops))

    def _ranked(self, ops: Sequence[str]) -> list[str]:
        return sorted(ops, key=lambda name: -self.noise.get(name, 0.0))

    # ---------------------------------------------------------------- calibration

    def _calibrations(self) -> Iterator[Configuration]:
        if self.offer.percentile:
            for share in PERCENTILES:
                what = f"ranges cut at {share:g} of the values"
                yield _calibrated(f"percentile-{share:g}", what, CalibrationSettings(MAX, share))
        words = {
            KL: "ranges of the least KL divergence",
            MIX: "a method for each tensor: the least squared error",
            DEFAULT: "the best of max, percentile and KL on the whole model",
        }
        for method in self.offer.methods:
            if method in words:
                yield _calibrated(method, words[method], CalibrationSettings(method))
        for word, what in (
            ("per_channel", "a scale for each channel of what convolutions read"),
            ("asymmetric", "feature maps with a zero point"),
            ("bias_correction", "biases take back what rounding the weights moves"),
        ):
            if getattr(self.offer, word):
                yield _calibrated(word.replace("_", "-"), what, _with(word))

    def _samples(self) -> Iterator[Configuration]:
        count = len(self.subject.calibration)
        parts = {"samples-1": (0,), "samples-quarter": range(count // 4), "samples-half": range(count // 2)}
        parts["samples-other-half"] = range(count // 2, count)
        for name, places in parts.items():
            if 0 < len(places) < count and (len(places) > 1 or name == "samples-1"):
                which = "last" if places[0] else "first"
                what = f"ranges of the {which} {len(places)} of {count} samples"
                yield Configuration(name, what, SAMPLES, samples=tuple(places))

    def _together(self) -> Iterator[Configuration]:
        for types in self._types():
            if types.is_ranked and not types.name.endswith("half"):
                continue
            for word in ("asymmetric", "bias_correction"):
                if getattr(self.offer, word):
                    settings = _with(word)
                    yield _joined(types, word.replace("_", "-"), settings)
            if self.offer.percentile:
                yield _joined(types, "percentile-0.9999", CalibrationSettings(MAX, 0.9999))


def _with(word: str) -> CalibrationSettings:
    """The largest values as ranges, and one switch on."""
    return CalibrationSettings(
        per_channel=word == "per_channel",
        asymmetric=word == "asymmetric",
        bias_correction=word == "bias_correction",
    )


def _calibrated(name: str, what: str, settings: CalibrationSettings) -> Configuration:
    return Configuration(name, what, CALIBRATION, calibrating=settings)


def _joined(types: Configuration, name: str, settings: CalibrationSettings) -> Configuration:
    what = f"{types.what}; {name}"
    return replace(types, name=f"{types.name}+{name}", what=what, group=TOGETHER, calibrating=settings)


def _noises(result: Sensitivity) -> dict[str, float]:
    """Op -> noise over signal of the worst output, with the op alone in int8."""
    return {
        op.name: max((level.noise_share for level in op.answers["alone"].outputs.values()), default=0.0)
        for op in result.ops
        if "alone" in op.answers
    }


def chosen(configurations: Sequence[Configuration], names: Sequence[str]) -> tuple[Configuration, ...]:
    """Those of the names, in their own order; all without names. Errors: InputError for an unknown name."""
    known = [one.name for one in configurations]
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
            raise InputError(f"no configuration {name!r} for this model and chip", hint)
    return tuple(one for one in configurations if not names or one.name in names)
