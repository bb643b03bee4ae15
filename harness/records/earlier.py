"""A run beside an earlier one: what was not the same, and what became of verdict, layers and latency."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.records.slots import stored


@dataclass(frozen=True)
class Change:
    """Something that was not the same in both runs."""

    what: str
    before: str
    now: str


@dataclass(frozen=True)
class VerdictChange:
    """Both words; `change` is `same`, `better`, `worse`, or `other` where one of them cannot be ranked."""

    before: str = ""
    now: str = ""
    change: str = ""


@dataclass(frozen=True)
class LayerChange:
    """A layer whose verdict is another one."""

    name: str
    before: str
    now: str


@dataclass(frozen=True)
class LayerChanges:
    """How many layers were compared in both runs, and those whose verdict is another one."""

    both: int = 0
    worse: tuple[LayerChange, ...] = ()
    better: tuple[LayerChange, ...] = ()
    no_longer_compared: tuple[LayerChange, ...] = ()
    newly_compared: tuple[LayerChange, ...] = ()


@dataclass(frozen=True)
class TimePart:
    """A part of the end-to-end time in both runs."""

    part: str
    before_us: float | None = None
    now_us: float | None = None


@dataclass(frozen=True)
class LatencyChange:
    """Usual end-to-end latency of both; `percent` only where the two can be held against each other.

    `low_percent` and `high_percent` are its 95 % interval, where both runs tell one; a record without them was made
    when means were compared.
    """

    before_us: float | None = None
    now_us: float | None = None
    percent: float | None = None
    low_percent: float | None = None
    high_percent: float | None = None
    basis: str = ""  # of the weaker side: "frames", "rounds", "bounds", "" (a mean alone)
    mean_before_us: float | None = None
    mean_now_us: float | None = None
    why_not: str = ""
    estimated: bool = field(default=False, metadata=stored(damaged=True))
    parts: tuple[TimePart, ...] = ()


@dataclass(frozen=True)
class Earlier:
    """The run of --previous, and what changed since. Without one `run` is "" and `why_none` says why.

    `passed_over` says which newer runs of a folder were not taken, because they were bad or slower.
    """

    run: str = ""
    why_none: str = field(default="", metadata=stored(optional=True))
    passed_over: str = field(default="", metadata=stored(optional=True))
    started_utc: str = ""
    changed: tuple[Change, ...] = ()
    verdict: VerdictChange = field(default_factory=VerdictChange)
    layers: LayerChanges = field(default_factory=LayerChanges)
    latency: LatencyChange = field(default_factory=LatencyChange)
    max_slower_percent: float | None = None
