"""Where a network leaves its accelerator, what each such place costs, and why it does."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.records.running import Band
from harness.records.slots import stored

OFF_REASONS = ("forced", "limit", "unsupported", "tail", "passive", "default", "")


@dataclass(frozen=True)
class OffOp:
    """One op that ran off the accelerator. `reason` is one of OFF_REASONS; "" where nothing tells it."""

    name: str
    kind: str
    unit: str
    time_us: float
    reason: str = ""
    why: str = ""  # in a sentence
    advice: str = ""
    line: str = ""  # of the toolchain's log that says so
    line_number: int = 0
    gain_low_us: float = 0.0  # if it alone moved to the accelerator
    gain_high_us: float = 0.0
    gain_band: Band | None = field(default=None, metadata=stored(optional=True))  # of both, where times are estimated


@dataclass(frozen=True)
class Stretch:
    """Ops off the accelerator in a row, with what stands around them: at the "head", in the "middle" (a cut: between
    work on the accelerator), at the "tail"; "" where the order is not known."""

    place: str
    before: str  # the subgraph before, "" for none
    after: str
    ops: tuple[OffOp, ...]
    own_us: float
    quantize_us: float = 0.0
    dequantize_us: float = 0.0
    layout_us: float = 0.0
    other_us: float = 0.0  # preprocessing
    launch_us: float = 0.0  # one start of the accelerator more, of a cut
    gain_low_us: float = 0.0  # if all of its ops moved to the accelerator
    gain_high_us: float = 0.0
    gain_band: Band | None = field(default=None, metadata=stored(optional=True))  # of both, where times are estimated
    estimated: bool = field(default=False, metadata=stored(damaged=True))

    @property
    def borders_us(self) -> float:
        """What stands around the ops."""
        return self.quantize_us + self.dequantize_us + self.layout_us + self.other_us

    @property
    def total_us(self) -> float:
        """All that it takes of a frame."""
        return self.own_us + self.borders_us + self.launch_us


@dataclass(frozen=True)
class SubgraphTime:
    """One subgraph on the accelerator."""

    name: str
    unit: str
    time_us: float
    ops: int = 0
    estimated: bool = field(default=False, metadata=stored(damaged=True))


@dataclass(frozen=True)
class Segmentation:
    """A frame's mean time by subgraphs and stretches; `subgraphs`, `stretches`, `launch_us`, `outliers_us` and
    `unattributed_us` add up to `end_to_end_us`. `launch_us` is of the starts that no cut is to blame for."""

    subgraphs: tuple[SubgraphTime, ...]
    stretches: tuple[Stretch, ...]
    end_to_end_us: float
    launch_us: float = 0.0
    outliers_us: float = 0.0
    unattributed_us: float = 0.0  # what cannot be given to starts; negative where ops overlap
    estimated: bool = field(default=False, metadata=stored(damaged=True))
    notes: tuple[str, ...] = ()

    @property
    def sum_us(self) -> float:
        """All parts together."""
        parts = (self.launch_us, self.outliers_us, self.unattributed_us)
        return sum(s.time_us for s in self.subgraphs) + sum(s.total_us for s in self.stretches) + sum(parts)

    @property
    def cuts(self) -> tuple[Stretch, ...]:
        """Stretches in the middle."""
        return tuple(stretch for stretch in self.stretches if stretch.place == "middle")
