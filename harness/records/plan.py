"""What the PC toolchain planned, beside what the board measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


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
class PlanSegment:
    """One subgraph on the accelerator: the compiler's estimate and the board's time."""

    name: str
    estimated_us: float | None
    measured_us: float | None

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
