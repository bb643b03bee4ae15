"""One model measured many times in one session: what came of each setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.records.running import Band, Failure
from harness.records.slots import stored
from harness.records.workload import Setting


@dataclass(frozen=True)
class SweepPoint:
    """What one setting gave. Figures are None where it failed (`failure`), or was not reached."""

    setting: Setting
    modes: tuple[str, ...] = ()  # of run.json, one per round
    usual_us: float | None = None  # median of a frame's latency, or the mean where that is all that is known
    low_us: float | None = None  # of its 95 % interval, or of its bounds
    high_us: float | None = None
    basis: str = ""  # as of Distribution; "" for a mean alone
    min_us: float | None = None
    max_us: float | None = None
    fps: float | None = None
    frames: int | None = None
    hottest_c: float | None = None  # while it ran
    is_on_front: bool = False  # no other setting has both a lower latency and a higher rate
    estimated: bool = field(default=False, metadata=stored(damaged=True))
    band: Band | None = field(default=None, metadata=stored(optional=True))  # of `usual_us`, where it is estimated
    failure: Failure | None = None
    problems: tuple[str, ...] = ()

    @property
    def fps_bounds(self) -> tuple[float, float] | None:
        """Between which rates an estimated one lies: as far off as its latency is."""
        if self.band is None or self.fps is None or not self.usual_us:
            return None
        return self.fps * self.usual_us / self.band.high_us, self.fps * self.usual_us / self.band.low_us


@dataclass(frozen=True)
class Sweep:
    """All points of a sweep; `best` is the place of the recommended one, None where there is none."""

    points: tuple[SweepPoint, ...] = ()
    latency_us: float | None = None  # wanted
    fps: float | None = None  # wanted
    best: int | None = None
    why_best: str = ""


@dataclass(frozen=True)
class SoakStretch:
    """One turn of a soak: a profile run, and a release run whose outputs are held against the first turn's."""

    at_s: float  # since the soak began, pauses of a resumed one left out
    mode: str = ""  # of the profile run
    usual_us: float | None = None
    low_us: float | None = None
    high_us: float | None = None
    max_us: float | None = None
    fps: float | None = None
    frames: int | None = None
    temperatures_c: Mapping[str, float] = field(default_factory=dict)  # highest
    clocks_mhz: Mapping[str, float] = field(default_factory=dict)  # lowest
    memory_available_bytes: float | None = None  # lowest
    differing: tuple[str, ...] | None = None  # outputs that are not the first turn's; None: not known
    failure: Failure | None = None


@dataclass(frozen=True)
class Soak:
    """All turns of a soak. `first_bad` and `first_failure` are places in `stretches`."""

    stretches: tuple[SoakStretch, ...] = ()
    planned_s: float = 0.0
    lasted_s: float = 0.0
    first_bad: int | None = None
    first_failure: int | None = None
    drift: float | None = None  # median latency of the last quarter of the turns over that of the first, minus 1
    memory_drift_bytes: float | None = None  # likewise, available memory: the last quarter less the first
    max_drift_percent: float | None = None
    estimated: bool = field(default=False, metadata=stored(damaged=True))
