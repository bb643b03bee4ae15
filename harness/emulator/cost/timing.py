"""A profile run: CPU steps are measured, accelerator steps estimated, and a small clock simulates threads and cores."""

from __future__ import annotations

import heapq
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.emulator.cost import estimate
from harness.emulator.model import layout
from harness.emulator.model.compiled import CompiledFile, CompiledModel, Step
from harness.emulator.model.execute import open_session
from harness.emulator.model.faults import Fault
from harness.emulator.socs import Soc
from harness.records import TensorSpec

MEASURE_BUDGET_S = 1.0  # per run; further frames take times drawn from the measured ones
_MIN_MEASURED = 5


@dataclass
class StepTimes:
    """One step: its time in every frame, and whether a clock measured it."""

    step: Step
    us: NDArray[np.float64]
    measured: bool


@dataclass
class Timeline:
    """What the simulated clock measured. All in microseconds."""

    steps: list[StepTimes]
    latency_us: list[float] = field(default_factory=list)  # per frame, in order of their end
    pending_us: list[float] = field(default_factory=list)
    running_us: list[float] = field(default_factory=list)
    run_us: float = 0.0
    measured_frames: int = 0


def measure(
    file: CompiledFile, model: CompiledModel, soc: Soc, frames: int, slow: Sequence[Fault] = (), *, warm: bool = False
) -> list[StepTimes]:
    """The time of every step in `frames` frames; the first is a cold one unless `warm`."""
    cpu = [step for step in model.steps if not step.subgraph]
    measured = _measure_cpu(file, model, cpu, frames + warm, soc)
    measured = {name: times[warm:] for name, times in measured.items()}
    seed = zlib.crc32(model.name.encode())
    times = []
    for i, step in enumerate(model.steps):
        if step.subgraph:
            us = estimate.with_jitter(estimate.subgraph_us(model, step.subgraph, soc), frames, seed + i)
        else:
            us = _drawn(measured[step.name], frames, seed + i)
        times.append(StepTimes(step, us * _slowness(step, model, slow), not step.subgraph))
    return times


def _slowness(step: Step, model: CompiledModel, slow: Sequence[Fault]) -> float:
    factor = 1.0
    members = {op.name for op in model.ops if step.subgraph and op.subgraph == step.subgraph}
    for fault in slow:
        if fault.target == step.name or fault.target in members or step.name.endswith(f"_{fault.target}"):
            factor *= fault.number("by", 3.0)
    return factor


def _drawn(samples: Sequence[float], frames: int, seed: int) -> NDArray[np.float64]:
    """The measured times, then (beyond the budget) draws from them."""
    known = np.asarray(samples[:frames], np.float64)
    extra = np.random.default_rng(seed).choice(samples[1:] or samples, max(0, frames - len(known)))
    return np.concatenate([known, extra])


def _measure_cpu(
    file: CompiledFile, model: CompiledModel, steps: Sequence[Step], frames: int, soc: Soc
) -> dict[str, list[float]]:
    works = {step.name: _work(file, model, step, soc) for step in steps}
    times: dict[str, list[float]] = {step.name: [] for step in steps}
    end = time.perf_counter() + MEASURE_BUDGET_S
    for frame in range(frames):
        if frame >= _MIN_MEASURED and time.perf_counter() > end:
            break
        for name, work in works.items():
            began = time.thread_time_ns()  # CPU time: what else this PC does is no part of the board
            work()
            times[name].append((time.thread_time_ns() - began) / 1000.0)
    return times


def _work(file: CompiledFile, model: CompiledModel, step: Step, soc: Soc) -> Callable[[], Any]:
    """Something to call whose duration is the step's: the op itself on seeded data, or the copy that it does."""
    rng = np.random.default_rng(0)
    if step.work == "graph":
        session = open_session(file.read(step.file))
        feed = {item.name: _data(item.shape, item.type, rng) for item in session.get_inputs()}
        return lambda: session.run(None, feed)
    if step.work == "layout":
        tensors = [model.tensor(name) for name in step.tensors]
        arrays = [np.zeros(t.spec.shape, layout.NUMPY[t.spec.dtype]) for t in tensors]
        specs = [layout.stored(t.spec, soc.unit, soc.family) for t in tensors]
        memories = [np.zeros(layout.file_bytes(spec), np.uint8) for spec in specs]
        return lambda: _fill_all(memories, arrays, specs)
    inputs = [bytes(item.bytes) for item in model.inputs]
    return lambda: [bytearray(data) for data in inputs]


def _fill_all(memories: Sequence[layout.Array], arrays: Sequence[layout.Array], specs: Sequence[TensorSpec]) -> None:
    for memory, array, spec in zip(memories, arrays, specs, strict=True):
        layout.fill(memory, array, spec)


def _data(shape: Sequence[int], kind: str, rng: np.random.Generator) -> NDArray[Any]:
    """Seeded floats, ones of any other type; `kind` is onnxruntime's word for it, `tensor(int8)`."""
    word = kind.removeprefix("tensor(").removesuffix(")")
    dtype = np.dtype({"float": "float32", "double": "float64"}.get(word, word))
    values = rng.standard_normal(tuple(shape)) if dtype.kind == "f" else np.ones(tuple(shape))
    return np.asarray(values, dtype)


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
