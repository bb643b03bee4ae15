"""A profile run of an emulated board: every step is estimated, and a small clock simulates threads and cores."""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.emulator.cost import cpu, estimate
from harness.emulator.model.compiled import CompiledModel, Step
from harness.emulator.model.faults import Fault
from harness.emulator.socs import Soc


@dataclass
class StepTimes:
    """One step and its time in every frame."""

    step: Step
    us: NDArray[np.float64]


@dataclass
class Timeline:
    """What the simulated clock says. All in microseconds."""

    steps: list[StepTimes]
    latency_us: list[float] = field(default_factory=list)  # per frame, in order of their end
    pending_us: list[float] = field(default_factory=list)
    running_us: list[float] = field(default_factory=list)
    run_us: float = 0.0
    measured_frames: int = 0


def step_times(
    model: CompiledModel, soc: Soc, frames: int, slow: Sequence[Fault] = (), *, warm: bool = False
) -> list[StepTimes]:
    """The time of every step in `frames` frames; the first is a cold one unless `warm`. The same for the same model."""
    seed = zlib.crc32(model.name.encode())
    times = []
    for i, step in enumerate(model.steps):
        if step.subgraph:
            mean_us = estimate.subgraph_us(model, step.subgraph, soc)
        else:
            mean_us = cpu.step_us(model, step, soc.cpu_scale)
        us = estimate.with_jitter(mean_us, frames, seed + i)
        us[:1] *= 1.0 if warm or step.subgraph else cpu.COLD
        times.append(StepTimes(step, us * _slowness(step, model, slow)))
    return times


def _slowness(step: Step, model: CompiledModel, slow: Sequence[Fault]) -> float:
    factor = 1.0
    members = {op.name for op in model.ops if step.subgraph and op.subgraph == step.subgraph}
    for fault in slow:
        if fault.target == step.name or fault.target in members or step.name.endswith(f"_{fault.target}"):
            factor *= fault.number("by", 3.0)
    return factor


def cpu_share(line: Timeline) -> float:
    """Share of the steps' time that ops on the CPU take."""
    spent = [(one.step.work == "op", float(one.us.mean())) for one in line.steps]
    return sum(us for on_cpu, us in spent if on_cpu) / (sum(us for _, us in spent) or 1.0)


# --------------------------------------------------------------------------- the clock


def simulate(steps: list[StepTimes], frames: int, threads: int, cores: int) -> Timeline:
    """`threads` take frames in turn; accelerator steps wait for a free core, CPU steps run side by side."""
    line = Timeline(steps, measured_frames=frames)
    free = [0.0] * cores
    heapq.heapify(free)
    queue: list[tuple[float, int, int]] = []  # time, frame, step
    began: dict[int, float] = {}
    waited: dict[int, float] = {}
    following = 0
    for _ in range(min(threads, frames)):
        heapq.heappush(queue, (0.0, following, 0))
        following += 1
    while queue:
        now, frame, index = heapq.heappop(queue)
        began.setdefault(frame, now)
        if index == len(steps):
            _finish(line, now, began.pop(frame), waited.pop(frame, 0.0))
            if following < frames:
                heapq.heappush(queue, (now, following, 0))
                following += 1
            continue
        start = now
        if steps[index].step.subgraph:
            start = max(now, heapq.heappop(free))
            heapq.heappush(free, start + float(steps[index].us[frame]))
            waited[frame] = waited.get(frame, 0.0) + start - now
        heapq.heappush(queue, (start + float(steps[index].us[frame]), frame, index + 1))
    return line


def _finish(line: Timeline, now: float, began: float, waited: float) -> None:
    line.latency_us.append(now - began)
    line.pending_us.append(waited)
    line.running_us.append(now - began - waited)
    line.run_us = max(line.run_us, now)
