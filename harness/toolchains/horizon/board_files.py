"""What board tools leave, for `harness inspect`: read by the platforms, shown like a toolchain's files.

Kept apart from the toolchains' readers, which know no platform.
"""

from __future__ import annotations

import re

from harness.platforms.horizon import dumps as horizon_dumps
from harness.platforms.horizon import profiler
from harness.records import OpTime
from harness.toolchains.base import FileProbe, FileReader, text_reader
from harness.toolchains.records import Artifact

PROFILER = re.compile(r'"(?:perf_result|model_latency|chip_latency|processor_latency)"\s*:\s*\{')
DUMP_NAME = re.compile(r"^(?:model_infer_(?:input|output)_\d+|layer-\d+-)", re.ASCII)


def _read_profiler(text: str) -> Artifact:
    log = profiler.read_profiler_log(text)
    ops = profiler.op_times(log)
    facts: dict[str, object] = {
        "fps": log.figure("perf_result", "FPS"),
        "frames": log.count("running_condition", "frame_count"),
        "threads": log.count("running_condition", "thread_num"),
        "processors_us": profiler.processor_times_us(log),
        "ops": [_op(op) for op in ops],
    }
    known = {key: value for key, value in facts.items() if value not in (None, {}, [])}
    return Artifact("profiler_log", "profiler.log of a board", log.versions, facts=known, problems=tuple(log.problems))


def _op(op: OpTime) -> dict[str, object]:
    return {"name": op.name, "unit": op.unit, "kind": op.kind, "mean_us": op.mean_us}


def _is_dump(probe: FileProbe) -> bool:
    return (
        probe.path.is_file() and DUMP_NAME.match(probe.path.name) is not None and probe.path.suffix in (".bin", ".npy")
    )


def _read_dump(probe: FileProbe) -> Artifact:
    """One tensor file of a board: its name tells what it is; its shape only model_info or a reference knows."""
    facts: dict[str, object] = {"bytes": probe.size_bytes}
    dumps = [one for one in horizon_dumps.node_dumps(probe.path.parent) if one.path == probe.path]
    if dumps:
        dump = dumps[0]
        facts |= {"tensor": dump.name, "op": dump.op, "unit": dump.unit, "role": dump.role, "layer": dump.index}
    return Artifact("dump", "tensor dump of a board", facts=facts)


def _is_dump_folder(probe: FileProbe) -> bool:
    return probe.path.is_dir() and any(DUMP_NAME.match(path.name) for path in probe.path.iterdir())


def _read_dump_folder(probe: FileProbe) -> Artifact:
    dumps = horizon_dumps.node_dumps(probe.path)
    outputs = sorted(path.name for path in probe.path.glob("model_infer_output_*.bin"))
    facts: dict[str, object] = {
        "node_dumps": len(dumps),
        "tensors": [dump.name for dump in dumps if dump.role == "output"],
        "outputs": outputs,
    }
    return Artifact("dumps", "dump folder of a board", facts=facts)


READERS = (
    FileReader("dumps", "dump folder of a board", _is_dump_folder, _read_dump_folder),
    FileReader("dump", "tensor dump of a board", _is_dump, _read_dump),
    text_reader("profiler_log", "profiler.log of a board", lambda t: PROFILER.search(t) is not None, _read_profiler),
)
