"""What precision asks of a vendor: which types an op may have on a chip, and how a choice is written as config."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness import vendors
from harness.emulator.compiler.node_types import NodeTypes
from harness.emulator.rooms import rooms
from harness.emulator.socs import Soc
from harness.emulator.thresholds.settings import PLAIN_CALIBRATION, CalibrationSettings
from harness.errors import InputError

FLOAT = "float"  # on the CPU; every vendor's word for it is in its own files


@dataclass(frozen=True)
class TypeChange:
    """One op in another type. `why` says what was measured, for the comment beside it."""

    op: str
    kind: str
    option: str
    why: str = ""


@dataclass(frozen=True)
class ConfigTarget:
    """What a config is written for. `inputs` are name and shape, in the model's order."""

    model: Path
    soc: Soc
    calibration: Path
    inputs: tuple[tuple[str, tuple[int, ...]], ...]
    outputs_of: frozenset[str] = frozenset()  # ops whose output is one of the model, in int8 if nothing is changed
    file_count: int = 0  # of calibration samples
    outputs: tuple[str, ...] = ()
    model_edits: tuple[str, ...] = ()  # what was done to the model itself
    calibrating: CalibrationSettings = PLAIN_CALIBRATION  # how the samples become ranges
    on_accelerator: tuple[str, ...] = ()  # ops that are forced off the CPU


@dataclass(frozen=True)
class WrittenConfig:
    """Files by name; the first is what the toolchain is given, and what the emulated build reads."""

    files: Mapping[str, str]
    command: str  # how the toolchain is called with it
    pictures: str = ""  # the folder in which the samples have to lie as pictures; "" where the toolchain reads arrays


@dataclass(frozen=True)
class CalibrationOffer:
    """What the toolchain of a march lets one choose of the calibration: words of CalibrationSettings.

    `missing`: what people ask for and it has not, with the reason.
    """

    methods: tuple[str, ...] = ()
    percentile: bool = False
    per_channel: bool = False
    asymmetric: bool = False
    bias_correction: bool = False
    missing: Mapping[str, str] = field(default_factory=dict)


def _no_offer(march: str) -> CalibrationOffer:
    return CalibrationOffer(missing={"calibration": f"no options of a toolchain are known for {march}"})


@dataclass(frozen=True)
class PrecisionVendor:
    """The options of one vendor's chips.

    `options(march, op type)` gives the words of types that the op may have beside int8, cheapest first; FLOAT is one.
    `types(march, op type, option)` is what an option means; `sources(march)` where it is written that it is offered.
    """

    options: Callable[[str, str], tuple[str, ...]]
    types: Callable[[str, str, str], NodeTypes]
    widens_outputs: Callable[[str], bool]  # of a march: whether outputs of the model have a type of their own setting
    sources: Callable[[str], str]
    write: Callable[[ConfigTarget, Sequence[TypeChange]], WrittenConfig]
    calibrations: Callable[[str], CalibrationOffer] = _no_offer


def room_of(soc: Soc) -> PrecisionVendor:
    """The part of the vendor whose chip it is. Errors: InputError for a chip of a vendor without one."""
    name = next((name for name, room in rooms().items() if soc.name in room.socs), "")
    parts = vendors.parts("precision", PrecisionVendor)
    if name not in parts:
        raise InputError(f"{soc.name}: no toolchain is known whose config could be written", "give another --soc")
    return parts[name]
