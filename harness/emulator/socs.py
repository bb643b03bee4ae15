"""What a chip is to the emulator; the chips themselves are in the vendors' rooms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.errors import UserError


@dataclass(frozen=True)
class Runtime:
    """One release of a board's runtime: the versions in its banner, and how its tool talks."""

    version: str
    hbrt: str  # of what runs the model inside of it
    builder: str  # of the model builder that belongs to it
    platform: str  # of the accelerator's platform or driver
    dialect: str  # a word of the vendor's room


@dataclass(frozen=True)
class StepNames:
    """How a chip's toolchain names what it adds to a graph, `{}` for what it is added to."""

    subgraph: str = "{}"
    quantize: str = "Quantize_{}"  # of a tensor
    dequantize: str = "Dequantize_{}"  # of what an op made
    preprocess: str = "Preprocess_{}"  # of a picture input


@dataclass(frozen=True)
class ScaledBand:
    """Factors on an estimate between which 80 % of measured latencies lay, and which those were."""

    low: float
    high: float
    of: str


@dataclass(frozen=True)
class Soc:
    """One chip as the emulator implements it. `tops` is int8, all cores together; the first runtime is the default."""

    name: str
    march: str
    family: str  # the platform of its boards
    cores: int
    tops: float
    bandwidth_gb_s: float
    compiler: str  # version in the toolchain's log
    runtimes: tuple[Runtime, ...]
    unit: str  # its accelerator, as the platform's tools call it
    cpu_scale: float = 1.0  # how much longer one core of its CPU takes than a Cortex-A55 at 1.5 GHz
    suffix: str = ".bin"  # of a compiled model
    joins_cores: bool = False  # whether it is public what its tools print of an inference on several cores
    has_planes: bool = False  # an NV12 input is two inputs, Y and UV
    takes_pictures: bool = False  # plain u8 pictures, normalised by the program: (pixel - mean) / var
    step_names: StepNames = StepNames()
    is_unsigned: bool = False  # features are uint8 with a zero point; weights and constants stay int8
    tells_units: bool = True  # whether its tools say where an op runs
    price_factors: Mapping[str, float] = field(default_factory=dict)  # amount -> over the fitted chip; else by peak
    scaled_band: ScaledBand | None = None  # of estimates by such prices; None for the chip that they were fitted on
    table_channels: int = 1  # channels that its activation tables take at a time
    hands_over_float: bool = False  # a convolution's accumulators leave as floats, no CPU dequantizes them
    not_estimated: str = ""  # why no time of it is estimated

    @property
    def builder(self) -> str:
        return self.runtimes[0].builder

    @property
    def hbrt(self) -> str:
        return self.runtimes[0].hbrt

    def runtime(self, version: str = "") -> Runtime:
        """The runtime of that version; the default one for "". Errors: UserError with the known versions."""
        for runtime in self.runtimes:
            if version in ("", runtime.version):
                return runtime
        known = ", ".join(r.version for r in self.runtimes)
        raise UserError(f"no runtime {version!r} for {self.name}", f"known: {known}")
