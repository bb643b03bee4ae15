"""What the PC toolchain planned, beside what the board measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.records.slots import stored


@dataclass(frozen=True)
class Message:
    """A line of a toolchain that matters, with its real meaning. `severity` is ours: "error", "warning", "note"."""

    severity: str
    text: str  # the tool's own words
    meaning: str
    line: int = 0  # 1-based in the file
    subject: str = ""  # node, input or key it is about
    count: int = 1


@dataclass(frozen=True)
class PlanRow:
    """One node: planned and measured. None and "" mean: that side does not tell."""

    name: str
    kind: str
    planned_unit: str
    subgraph: int | None = None
    dtype: str = ""
    measured_unit: str = ""
    measured_us: float | None = None
    toolchain_cosine: float | None = None
    board_verdict: str = ""
    board_one_minus_cosine: float | None = None


@dataclass(frozen=True)
class PlanBlock:
    """Layers of one segment whose names begin alike, by the compiler's estimate. Computing and moving overlap."""

    name: str
    layers: int
    compute_us: float
    load_store_us: float
    total_us: float = field(default=0.0, metadata=stored(optional=True))  # where the tool gives one time for both


@dataclass(frozen=True)
class PlanComposite:
    """An op of the network that the compiler split into several blocks, all of its kind in a segment together."""

    kind: str  # "Softmax", "LayerNorm", ...
    places: int  # such ops
    layers: int
    compute_us: float
    load_store_us: float
    total_us: float = field(default=0.0, metadata=stored(optional=True))


BALANCED = 1.2  # computing and moving that differ by less than this factor bound a segment together


@dataclass(frozen=True)
class PlanSegment:
    """One subgraph on the accelerator: the compiler's estimate and the board's time."""

    name: str
    estimated_us: float | None
    measured_us: float | None
    ddr_bytes: int | None = field(default=None, metadata=stored(optional=True))  # of one run
    blocks: tuple[PlanBlock, ...] = field(default=(), metadata=stored(optional=True))  # in the network's order
    composites: tuple[PlanComposite, ...] = field(default=(), metadata=stored(optional=True))  # dearest first
    mac_shares: Mapping[str, float] = field(default_factory=dict, metadata=stored(optional=True))  # by operand types
    memory_bytes: Mapping[str, int] = field(default_factory=dict, metadata=stored(optional=True))  # by what it holds

    @property
    def bound(self) -> str:
        """ "compute", "memory" or "both", by the estimated sums of its layers; "" where these are not known."""
        compute_us = sum(block.compute_us for block in self.blocks)
        moved_us = sum(block.load_store_us for block in self.blocks)
        if not compute_us + moved_us:
            return ""
        if max(compute_us, moved_us) < BALANCED * min(compute_us, moved_us):
            return "both"
        return "compute" if compute_us > moved_us else "memory"

    @property
    def ratio(self) -> float | None:
        """Measured over estimated."""
        return self.measured_us / self.estimated_us if self.estimated_us and self.measured_us is not None else None


@dataclass(frozen=True)
class Plan:
    """The joined view. `sources` are (kind, file)."""

    sources: tuple[tuple[str, str], ...]
    march: str
    versions: Mapping[str, str]
    rows: tuple[PlanRow, ...]
    segments: tuple[PlanSegment, ...]
    messages: tuple[Message, ...]
    problems: tuple[str, ...] = ()

    @property
    def estimated_us(self) -> float | None:
        """The compiler's estimate of all segments together; None when one is missing."""
        times = [segment.estimated_us for segment in self.segments]
        return sum(t for t in times if t is not None) if times and None not in times else None
