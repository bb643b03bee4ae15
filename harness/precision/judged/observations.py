"""What is said of calibration data: a observation with its figures, and the range of each tensor."""

from __future__ import annotations

from dataclasses import dataclass

OUTLIER, COVERAGE, CLIPPED, UNUSED, DUPLICATE, PREPROCESSING = (
    "outlier",
    "coverage",
    "clipped",
    "unused",
    "duplicate",
    "preprocessing",
)
BAD, WARNING, NOTE = "bad", "warning", "note"


@dataclass(frozen=True)
class CalibrationObservation:
    """One thing that is wrong, or that is not known. `subject` is a sample, a tensor or an input."""

    kind: str
    severity: str  # bad, warning, note
    subject: str
    text: str
    next: str = ""


@dataclass(frozen=True)
class TensorRange:
    """One float tensor over the calibration samples. `sample` has its largest magnitude, which is `alone` times the
    largest of any other sample; `above_half` values of `elements` lie above half of it. `clipped` is the share of the
    run's values beyond the range, `used` the run's largest magnitude over the calibration's; None without a run."""

    tensor: str
    op: str
    low: float
    high: float
    sample: str
    alone: float | None
    above_half: int
    elements: int
    clipped: float | None = None
    used: float | None = None
