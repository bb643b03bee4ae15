"""profiler.log of `perf --profile_path`, and the emulator's own record of what was estimated."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.emulator.faults import Fault
from harness.emulator.timing import MEASURE_BUDGET_S, Timeline

SIDE_FILE = "emulated.json"


def _spread(us: Iterable[float]) -> dict[str, float]:
    """avg, max, min in milliseconds, as the profiler prints them."""
    values = np.fromiter(us, np.float64) / 1000.0
    return {"avg_time": float(values.mean()), "max_time": float(values.max()), "min_time": float(values.min())}


def profiler_log(line: Timeline, condition: dict[str, Any], latency_key: str) -> str:
    """Two JSON blocks, keys sorted, indented by two, with a line of three stars between them."""
    frames = len(line.latency_us)
    summary = {
        "perf_result": {
            "FPS": frames / (line.run_us / 1e6),
            "average_latency": float(np.mean(line.latency_us)) / 1000.0,
        },
        "running_condition": condition | {"frame_count": frames, "run_time": line.run_us / 1000.0},
    }
    nodes = {times.step.name: _spread(times.us) for times in line.steps}
    details = {
        latency_key: {
            "BPU_inference_time_cost": _spread(_per_frame(line, "bpu")),
            "CPU_inference_time_cost": _spread(_per_frame(line, "cpu")),
        },
        "model_latency": nodes,
        "task_latency": {
            "TaskPendingTime": _spread(line.pending_us),
            "TaskRunningTime": _spread(line.running_us),
        },
    }
    return "\n".join((_dump(summary), "***", _dump(details), ""))


def _per_frame(line: Timeline, unit: str) -> Iterable[float]:
    chosen = [t.us for t in line.steps if (t.step.work == "bpu") == (unit == "bpu")]
    return np.sum(chosen, axis=0) if chosen else np.zeros(len(line.latency_us))


def _dump(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, sort_keys=True)


def side_record(soc: str, line: Timeline | None, faults: Sequence[Fault], effects: Sequence[dict[str, Any]]) -> str:
    """emulated.json: which times are estimates, which were measured, which faults were planted."""
    record: dict[str, Any] = {
        "emulated": True,
        "soc": soc,
        "estimated": ["BPU"],
        "measured": ["CPU"],
        "faults": [fault.text for fault in faults],
        "effects": list(effects),
    }
    if line is not None:
        record |= {
            "estimated_ops": [t.step.name for t in line.steps if not t.measured],
            "measured_ops": [t.step.name for t in line.steps if t.measured],
            "measured_on": "this PC's CPU (CPU time of one thread, onnxruntime); not a board's CPU",
            "clock": "end-to-end latency, FPS and run time come from a played clock over these step times",
            "measure_budget_s": MEASURE_BUDGET_S,
        }
    return json.dumps(record, indent=2) + "\n"


def write_profile(folder: Path, text: str) -> Path:
    path = folder / "profiler.log"
    path.write_text(text)
    return path
