"""What a platform's tool is to do with a model: one way, or many in one session."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.records.json_values import Json

PROFILE_MODE = "profile"


@dataclass(frozen=True)
class Workload:
    """What a platform's tool is to do with a model, whatever it is compared with."""

    model_name: str = ""
    core: int | str = 0
    threads: int = 1
    frames: int = 200
    time_s: float = 0.0
    options: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """Threads, cores (0: any, `1,2`: a mask) and further options of the platform, as `--option` takes them."""

    threads: int = 1
    core: int | str = 0
    options: Mapping[str, Json] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """`threads 2, core 1,2, l2 6:6:6:6`."""
        core = "any core" if str(self.core) == "0" else f"core {self.core}"
        return ", ".join(
            [f"threads {self.threads}", core, *(f"{name} {value}" for name, value in self.options.items())]
        )

    def of(self, workload: Workload) -> Workload:
        """The workload in this setting."""
        options = {**workload.options, **self.options}
        return Workload(workload.model_name, self.core, self.threads, workload.frames, workload.time_s, options)

    def modes(self, place: int, rounds: int) -> tuple[str, ...]:
        """Names of its rounds in run.json: `profile-03-threads2-core1_2`, then the same with `-round2`, ..."""
        parts = [f"threads{self.threads}", f"core{self.core}", *(f"{k}{v}" for k, v in self.options.items())]
        words = "-".join(re.sub(r"[^A-Za-z0-9]+", "_", part)[:40] for part in parts)
        name = f"{PROFILE_MODE}-{place + 1:02d}-{words}"
        return (name, *(f"{name}-round{round_ + 1}" for round_ in range(1, rounds)))


@dataclass(frozen=True)
class SweepPlan:
    """Settings in the order in which they run, and what is wanted of the best; None: not asked for."""

    settings: tuple[Setting, ...] = ()
    latency_us: float | None = None  # of a frame, at most
    fps: float | None = None  # frames per second, at least


@dataclass(frozen=True)
class SoakPlan:
    """How long a model is measured again and again, and what ends it early."""

    duration_s: float = 3600.0
    max_drift_percent: float | None = None  # of the latency; None: told, not judged
