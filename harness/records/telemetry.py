"""What a board sensed of itself, as it is kept, and frames of a profile on one time axis with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.records.slots import stored


@dataclass(frozen=True)
class SensorSample:
    """One look at a board: `values` by sysfs path (text) or by the agent's words (numbers), or the maps of a status
    tool, from the board's own name of the thing to its figure."""

    t_s: float | None = None  # seconds since the run or the board began
    phase: str = ""  # "before", "after", or the mode that ran
    values: Mapping[str, float | str | None] = field(default_factory=dict, metadata=stored(optional=True))
    clock: str = field(default="", metadata=stored(optional=True))
    temperatures_c: Mapping[str, float] = field(default_factory=dict, metadata=stored(optional=True))
    clocks_mhz: Mapping[str, float] = field(default_factory=dict, metadata=stored(optional=True))
    max_clocks_mhz: Mapping[str, float] = field(default_factory=dict, metadata=stored(optional=True))
    load_percent: Mapping[str, float] = field(default_factory=dict, metadata=stored(optional=True))
    governors: Mapping[str, str] = field(default_factory=dict, metadata=stored(optional=True))
    voltages_mv: Mapping[str, float] = field(default_factory=dict, metadata=stored(optional=True))
    bandwidth_mib_s: Mapping[str, float] = field(default_factory=dict, metadata=stored(optional=True))
    memory_mib: Mapping[str, float] = field(default_factory=dict, metadata=stored(optional=True))
    power_mw: Mapping[str, float] = field(default_factory=dict, metadata=stored(optional=True))
    problems: tuple[str, ...] = field(default=(), metadata=stored(optional=True))


@dataclass(frozen=True)
class Telemetry:
    """Samples in order; governors and highest clocks hold for all of them."""

    samples: tuple[SensorSample, ...] = ()
    governors: Mapping[str, str] = field(default_factory=dict, metadata=stored(optional=True))
    max_clocks_mhz: Mapping[str, float] = field(default_factory=dict, metadata=stored(optional=True))


@dataclass(frozen=True)
class TimedSeries:
    """One figure over time: (seconds on the axis, value), in order of time."""

    name: str
    unit: str  # "us", "C", "MHz", "%", "bytes", "MiB/s", "MiB", "mV"
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class FrameTimeline:
    """All series of the profile runs; 0 is where the first of them began. `sentence` says what moved together."""

    duration_s: float = 0.0
    series: tuple[TimedSeries, ...] = ()
    sentence: str = ""
    estimated: bool = field(default=False, metadata=stored(damaged=True))
    notes: tuple[str, ...] = ()
