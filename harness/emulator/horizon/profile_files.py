"""profiler.log and profiler.csv of `perf --profile_path`, and the emulator's own record of what was estimated."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from harness.emulator.cost.bands import CPU, SHARE, Spread
from harness.emulator.cost.timing import StepTimes, Timeline
from harness.emulator.model.faults import Fault

SIDE_FILE = "emulated.json"
# How a UCP node's time is split is not public; task generation is taken as this share of the launch.
_GENERATE_SHARE = 0.05


def _spread(us: Iterable[float]) -> dict[str, float]:
    """avg, max, min in milliseconds, as printed by the profiler."""
    values = np.fromiter(us, np.float64) / 1000.0
    return {"avg_time": float(values.mean()), "max_time": float(values.max()), "min_time": float(values.min())}


def _summary(line: Timeline, condition: dict[str, object]) -> dict[str, dict[str, object]]:
    frames = len(line.latency_us)
    return {
        "perf_result": {
            "FPS": frames / (line.run_us / 1e6),
            "average_latency": float(np.mean(line.latency_us)) / 1000.0,
        },
        "running_condition": condition | {"frame_count": frames, "run_time": line.run_us / 1000.0},
    }


def _processors(line: Timeline) -> dict[str, object]:
    return {
        "BPU_inference_time_cost": _spread(_per_frame(line, "bpu")),
        "CPU_inference_time_cost": _spread(_per_frame(line, "cpu")),
    }


def _per_frame(line: Timeline, unit: str) -> Iterable[float]:
    chosen = [t.us for t in line.steps if bool(t.step.subgraph) == (unit == "bpu")]
    return np.sum(chosen, axis=0) if chosen else np.zeros(len(line.latency_us))


def _dump(value: Mapping[str, object]) -> str:
    return json.dumps(value, indent=2, sort_keys=True)


def hbdnn_log(line: Timeline, condition: dict[str, object], latency_key: str) -> str:
    """Two JSON blocks, keys sorted, indented by two, with a line of three stars between them."""
    details = {
        latency_key: _processors(line),
        "model_latency": {times.step.name: _spread(times.us) for times in line.steps},
        "task_latency": {
            "TaskPendingTime": _spread(line.pending_us),
            "TaskRunningTime": _spread(line.running_us),
        },
    }
    return "\n".join((_dump(_summary(line, condition)), "***", _dump(details), ""))


# --------------------------------------------------------------------------- UCP


def ucp_log(line: Timeline, condition: dict[str, object], version: str) -> str:
    """As `hbdnn_log`, with the version in front and stages inside BPU nodes. Keys of CPU nodes are not public."""
    details = {
        "model_latency": dict(_ucp_nodes(line)),
        "processor_latency": _processors(line),
        "task_latency": {"TaskRunningTime": _spread(line.running_us)},
    }
    return "\n".join((f"ucp_version: {version}", _dump(_summary(line, condition)), "***", _dump(details), ""))


def ucp_names(steps: Sequence[StepTimes]) -> list[str]:
    """`Node-<N>-BPU-<name>_bpu_segment_<M>` and, by analogy, `Node-<N>-CPU-<name>`."""
    names, segment = [], 0
    for i, times in enumerate(steps):
        if times.step.subgraph:
            names.append(f"Node-{i}-BPU-{times.step.subgraph}_bpu_segment_{segment}")
            segment += 1
        else:
            names.append(f"Node-{i}-CPU-{times.step.name}")
    return names


def _ucp_nodes(line: Timeline) -> Iterator[tuple[str, Any]]:
    for name, times in zip(ucp_names(line.steps), line.steps, strict=True):
        if times.step.subgraph:
            stages = {
                "Stage1-GenerateBpuTask": _spread(times.us * _GENERATE_SHARE),
                "Stage2-BpuCoreProcess": _spread(times.us * (1 - _GENERATE_SHARE)),
                "Total": _spread(times.us),
            }
            yield name, stages
        else:
            yield name, _spread(times.us)


def ucp_csv(line: Timeline, condition: dict[str, object], version: str) -> str:
    """key,value lines with section lines between them."""
    facts = _summary(line, condition)
    running, result = facts["running_condition"], facts["perf_result"]
    rows = [f"ucp_version,{version}", "running_condition"]
    rows += [f"{key},{running[key]}" for key in ("thread_num", "core_id", "frame_count", "run_time", "model_name")]
    rows += ["", "perf_result", f"average_latency,{result['average_latency']}", f"FPS,{result['FPS']}", ""]
    return "\n".join(rows) + "\n"


# --------------------------------------------------------------------------- the emulator's own


def side_record(
    soc: str,
    line: Timeline | None,
    faults: Sequence[Fault],
    effects: Sequence[dict[str, object]],
    band: Spread | None = None,
    ucp: bool = False,
) -> str:
    """emulated.json: which times are estimates and how far they may be off, which faults were planted."""
    record: dict[str, object] = {
        "emulated": True,
        "soc": soc,
        "estimated": ["BPU", "CPU"],
        "faults": [fault.text for fault in faults],
        "effects": list(effects),
    }
    if line is not None:
        record |= {"band": {"share": SHARE, **asdict(band)}} if band else {}
        record |= {"off_band": {"share": SHARE, **asdict(CPU), "of": f"CPU ops ({CPU.of})"}}
        names = ucp_names(line.steps) if ucp else [t.step.name for t in line.steps]
        record |= {
            "estimated_ops": names,
            "clock": "end-to-end latency, FPS and run time are simulated from these step times",
            "load": "the time to load the model is estimated from the size of its weights",
        }
    return json.dumps(record, indent=2) + "\n"
