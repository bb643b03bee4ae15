"""What one pass over a pair adds up. Sums merge, so pieces may be looked at one by one and by several threads."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

HISTOGRAM_LIMIT = 1024  # distinct steps kept; beyond, the histogram says nothing that max and mean do not


@dataclass
class Sums:
    """Sums over finite pairs, in the unit of the values given (steps of one scale, or real values).

    d is board minus reference, r the reference. Integers stay Python integers, so they are exact.
    """

    elements: int = 0
    mismatched: int = 0
    finite: int = 0  # pairs in which both are finite: the sums are over these
    dd: Any = 0
    dr: Any = 0
    rr: Any = 0
    d_sum: Any = 0
    d_low: Any = 0
    d_high: Any = 0
    r_low: Any = None
    r_high: Any = None
    max_step: float = 0.0
    step_sum: Any = 0
    steps: Counter[int] = field(default_factory=Counter)
    steps_kept: bool = True
    max_ulp: int | None = None
    nan_board: int = 0
    nan_reference: int = 0
    inf_board: int = 0
    inf_reference: int = 0
    nonfinite_agree: bool = True
    zero_board: int = 0
    zero_reference: int = 0
    rail_board: int = 0
    rail_reference: int = 0

    def add(self, other: Sums) -> None:
        """Take in the sums of another piece of the same tensor, in the same unit."""
        for name in _ADDED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.d_low, self.d_high = min(self.d_low, other.d_low), max(self.d_high, other.d_high)
        self.r_low, self.r_high = _least(self.r_low, other.r_low), _most(self.r_high, other.r_high)
        self.max_step = max(self.max_step, other.max_step)
        self.max_ulp = _most(self.max_ulp, other.max_ulp)
        self.nonfinite_agree &= other.nonfinite_agree
        self._add_steps(other)

    def _add_steps(self, other: Sums) -> None:
        self.steps_kept &= other.steps_kept
        if self.steps_kept:
            self.steps.update(other.steps)
            self.steps_kept = len(self.steps) <= HISTOGRAM_LIMIT
        if not self.steps_kept:
            self.steps.clear()

    def scaled(self, scale: float) -> Sums:
        """Sums of steps turned into sums of real values; step figures stay steps."""
        for name in ("dd", "dr", "rr"):
            setattr(self, name, float(getattr(self, name)) * scale * scale)
        for name in ("d_sum", "d_low", "d_high"):
            setattr(self, name, float(getattr(self, name)) * scale)
        if self.r_low is not None:
            self.r_low, self.r_high = float(self.r_low) * scale, float(self.r_high) * scale
        return self

    @property
    def max_abs(self) -> float:
        """The largest absolute difference."""
        return float(max(self.d_high, -self.d_low))


_ADDED = (
    *("elements", "mismatched", "finite", "dd", "dr", "rr", "d_sum", "step_sum"),
    *("nan_board", "nan_reference", "inf_board", "inf_reference"),
    *("zero_board", "zero_reference", "rail_board", "rail_reference"),
)


def _least(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else min(a, b)


def _most(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else max(a, b)
