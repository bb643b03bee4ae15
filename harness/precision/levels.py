"""How near outputs are to the float model's, over all samples together: noise, the worst channel, cosine."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
LEAST_OF_CHANNEL = 4  # elements of a sample; fewer say nothing of a channel
MOST_CHANNELS = 4096
NO_NOISE_DB = 200.0  # what "no noise at all" counts as where levels are added up


@dataclass(frozen=True)
class Level:
    """One output. `sqnr_db` is 10 log10(|float|^2 / |float - given|^2); `channel_sqnr_db` that of its worst channel."""

    sqnr_db: float
    channel_sqnr_db: float
    cosine: float

    @property
    def noise_share(self) -> float:
        """Noise over signal, as a share of energy."""
        return float(10 ** (-self.sqnr_db / 10))


@dataclass
class EnergySums:
    """Energies of one output, added up sample by sample; per channel along `axis` where there is one."""

    axis: int | None
    signal: Array
    noise: Array
    given: float = 0.0
    product: float = 0.0

    def level(self) -> Level:
        """What the energies come to."""
        signal, noise = float(self.signal.sum()), float(self.noise.sum())
        judged = self.signal > 0
        worst = min(map(_db, self.signal[judged], self.noise[judged]), default=NO_NOISE_DB)
        norms = math.sqrt(signal * self.given)
        return Level(_db(signal, noise), worst, self.product / norms if norms else float(noise == 0))


@dataclass
class OutputSums:
    """The sums of every output, by name."""

    by_name: dict[str, EnergySums] = field(default_factory=dict)

    def add(self, given: Mapping[str, Array], exact: Mapping[str, Array]) -> None:
        """One more sample: float arrays of the same names and shapes; what is not float is left out."""
        for name, wanted in exact.items():
            if wanted.dtype.kind == "f" and wanted.size:
                self._add(name, np.asarray(given[name], np.float64), wanted.astype(np.float64))

    def levels(self) -> dict[str, Level]:
        """By output."""
        return {name: sums.level() for name, sums in self.by_name.items()}

    def _add(self, name: str, given: Array, exact: Array) -> None:
        axis = channel_axis(exact.shape)
        signal, noise = _energy(exact, axis), _energy(given - exact, axis)
        sums = self.by_name.setdefault(name, EnergySums(axis, np.zeros_like(signal), np.zeros_like(noise)))
        sums.signal += signal
        sums.noise += noise
        sums.given += float(np.square(given).sum())
        sums.product += float((given * exact).sum())


def channel_axis(shape: tuple[int, ...]) -> int | None:
    """Axis 1, as in NCHW; None for vectors and where a channel has too few elements."""
    if len(shape) < 3 or not 1 < shape[1] <= MOST_CHANNELS:
        return None
    return 1 if math.prod(shape) // shape[1] >= LEAST_OF_CHANNEL else None


def _energy(values: Array, axis: int | None) -> Array:
    square = np.square(values)
    if axis is None:
        return np.asarray([square.sum()])
    return np.asarray(square.sum(axis=tuple(i for i in range(values.ndim) if i != axis)))


def _db(signal: float, noise: float) -> float:
    """In decibels, bounded: NaN and infinite noise are the worst level, no noise the best."""
    if not math.isfinite(noise) or signal <= 0:
        return -NO_NOISE_DB if noise > 0 or not math.isfinite(noise) else NO_NOISE_DB
    return min(NO_NOISE_DB, 10 * math.log10(signal / noise)) if noise > 0 else NO_NOISE_DB
