"""How far the figures of a profiler can be from what it measured: it prints so many digits and no more."""

from __future__ import annotations

from collections.abc import Sequence

COARSEST_US = 10.0  # Venus prints hundredths of a millisecond; nothing known prints less
FINEST_US = 1e-4


def print_step_us(figures_us: Sequence[float]) -> float:
    """The last digit that all of the figures show: 10 us where each is a multiple of it. 0.0 where none is seen."""
    step = COARSEST_US
    while step >= FINEST_US:
        if all(abs(figure / step - round(figure / step)) < 1e-6 for figure in figures_us):
            return step
        step /= 10
    return 0.0


def rounding_us(figures_us: Sequence[float]) -> float:
    """The most by which the sum of rounded figures can be off: half a last digit each."""
    return len(figures_us) * print_step_us(figures_us) / 2
