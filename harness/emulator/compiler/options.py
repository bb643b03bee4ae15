"""What `harness emulator build` was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.emulator.compiler.node_types import TypeWishes
from harness.emulator.compiler.pixels import PixelInput, plane_names
from harness.emulator.socs import Soc
from harness.emulator.thresholds.settings import PLAIN_CALIBRATION, CalibrationSettings

EVERY_NODE = "all"


@dataclass(frozen=True)
class BuildRequest:
    """Options of `harness emulator build` as they were typed."""

    soc: str
    calibration: Path | None
    types: tuple[str, ...]
    mean: str
    var: str
    scale: str
    colour: str
    shapes: tuple[str, ...]
    on_cpu: tuple[str, ...]
    on_accelerator: tuple[str, ...]
    output_type: str
    debug_layers: bool
    cores: int
    seed: int
    times_only: bool
    int16: tuple[str, ...]
    quantize: str = "int8"  # of chips that the vendor's own compiler builds for: "int8", "f16", "bf16"
    layer_types: tuple[str, ...] = ()  # of those: LAYER=TYPE
    config: Path | None = None  # of the vendor's toolchain: types and places of nodes


@dataclass(frozen=True)
class BuildOptions:
    """What a model is compiled with."""

    soc: Soc
    calibration: Path | None = None
    calibrating: CalibrationSettings = PLAIN_CALIBRATION  # how the samples become ranges
    pixels: Mapping[str, PixelInput] = field(default_factory=dict)  # NV12 inputs
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    on_cpu: tuple[str, ...] = ()
    on_accelerator: tuple[str, ...] = ()
    output_type: str = "float"  # of outputs that the accelerator makes: wide_outputs.OUTPUT_TYPES
    debug_layers: bool = True
    cores: int = 1  # that one inference runs on, as the toolchain's core_num
    seed: int = 0
    times_only: bool = False  # placed and priced, neither calibrated nor run: a model without values
    int16: tuple[str, ...] = ()  # nodes that are priced with int16 activations, or EVERY_NODE; times_only
    types: TypeWishes = field(default_factory=TypeWishes)  # nodes with other types than int8
    name: str = ""
    mean: str = "0"  # of the pictures that some boards take: (pixel - mean) / var
    var: str = "255"

    @property
    def picture_inputs(self) -> dict[str, str]:
        """Inputs of the compiled model that hold pixels -> "NV12", or "Y" and "UV" where they are two."""
        return plane_names(self.pixels, self.soc.has_planes)
