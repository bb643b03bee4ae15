"""Boards whose nights are played: kinds of noise that were measured or are feared, and what a sitting on them gives."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

NIGHTS = 90


@dataclass(frozen=True)
class NoiseKind:
    """One kind of board. Shares of the level; `odd`: of nights, each up to `odd_most` slower."""

    name: str
    night: float = 0.006
    block: float = 0.006
    odd: float = 0.0
    odd_most: float = 0.15
    drift: float = 0.0  # over all nights
    persistence: float = 0.0  # of a night's noise in the next
    gaps: float = 0.0
    epochs: int = 0  # changes of the image, each with a level of its own
    builds: float = 0.5  # of nights that have a new model, of the same speed


KINDS = (
    NoiseKind("clean"),
    NoiseKind("odd 3 %", odd=0.03),
    NoiseKind("odd 10 %", odd=0.10),
    NoiseKind("drift +2 %", drift=0.02),
    NoiseKind("AR 0.6", persistence=0.6),
    NoiseKind("gaps", odd=0.03, gaps=0.2),
    NoiseKind("epochs", odd=0.03, epochs=2),
    NoiseKind("all", odd=0.05, drift=0.02, persistence=0.6, gaps=0.1, epochs=1),
)


@dataclass
class PlayedBoard:
    """One pair: its true level by night and model, what a night gives, what a block of a sitting gives.

    `block_noise`: relative medians and quiet frames of blocks as they were recorded, (blocks, 2); None draws medians.
    """

    kind: NoiseKind
    chance: np.random.Generator
    step: float = 0.0  # share by which the model of `step_at` and all later ones are slower
    step_at: int = -1
    block_noise: NDArray[np.float64] | None = None
    nights: int = NIGHTS
    state: list[float] = field(default_factory=list)  # what the board's day does to every model
    model: list[int] = field(default_factory=list)  # number of the build of each night
    epoch: list[int] = field(default_factory=list)
    is_gap: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        kind, chance = self.kind, self.chance
        cuts = set(chance.choice(np.arange(20, self.nights), kind.epochs, replace=False)) if kind.epochs else set()
        noise, level, build, epoch = 0.0, 1.0, 0, 0
        for night in range(self.nights):
            fresh = chance.normal(0, kind.night)
            noise = kind.persistence * noise + fresh * np.sqrt(1 - kind.persistence**2)
            build += int(night == self.step_at or chance.random() < kind.builds)
            if night in cuts and abs(night - self.step_at) > 8:
                epoch, level = epoch + 1, level * (1 + chance.uniform(-0.06, 0.06))
            odd = chance.uniform(0, kind.odd_most) if chance.random() < kind.odd else 0.0
            drift = 1 + kind.drift * night / self.nights
            self.state.append(level * drift * (1 + odd))
            self.model.append(build)
            self.epoch.append(epoch)
            self.is_gap.append(bool(chance.random() < kind.gaps and night != self.step_at))
            self.state[-1] *= 1 + noise

    def speed(self, model: int) -> float:
        """Time of a model on a perfect board."""
        is_slow = self.step_at >= 0 and model >= self.model[self.step_at]
        return 5000.0 * (1 + self.step if is_slow else 1.0)

    def value_us(self, night: int) -> float:
        """What the night's measurement gives."""
        return self.speed(self.model[night]) * self.state[night]

    def sit_down(self) -> None:
        """A sitting begins at any block of the recording; its neighbours stay neighbours."""
        self._place = int(self.chance.integers(0, len(self.block_noise))) if self.block_noise is not None else 0

    def block(self, night: int, model: int) -> tuple[float, ...]:
        """One block of a sitting on that night, median and quiet frames in us; without frames the median alone.

        Its day meets every model alike, each block has noise of its own.
        """
        own_us = self.speed(model) * self.state[night]
        if self.block_noise is None:
            return (own_us * (1 + self.chance.normal(0, self.kind.block)),)
        noise = self.block_noise[self._place % len(self.block_noise)]
        self._place += 1
        return tuple(float(own_us * (1 + one)) for one in noise)
