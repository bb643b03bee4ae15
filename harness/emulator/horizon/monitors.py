"""`hrut_ddr` and `hrt_ucp_monitor` of an emulated board: `python -m harness.emulator.horizon.monitors hrut_ddr -t bpu`.

The board's clock is simulated, so nothing can be sampled while a tool runs. Each waits until it is stopped, and then
prints the seconds of the simulated run that was played beside it, in the form of the vendor's tool. All figures follow
from the cost model: estimates, as the run's times are.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from harness.emulator.cost.timing import Timeline
from harness.emulator.horizon.socs import DEFAULT, SOCS
from harness.emulator.model.compiled import CompiledModel
from harness.emulator.this_board import board_soc

MIB = 2.0**20
MOST_ROWS = 7200
WAIT_S = 24 * 3600.0


def activity(model: CompiledModel, line: Timeline) -> dict[str, float]:
    """What a played run asked of the board, for emulated.json: seconds, BPU time, DDR traffic.

    Weights are read in every frame; features that do not fit on the chip are written and read again.
    """
    works = [amounts for op in model.ops if op.subgraph for amounts in op.works]
    weights, spilled = (sum(float(one.get(name, 0.0)) for one in works) for name in ("weight_bytes", "spilled_bytes"))
    frames = len(line.latency_us)
    busy_us = sum(float(one.us.sum()) for one in line.steps if one.step.subgraph)
    return {
        "run_s": line.run_us / 1e6,
        "bpu_s": busy_us / 1e6,
        "read_bytes": frames * (weights + spilled / 2),
        "write_bytes": frames * spilled / 2,
        "weight_bytes": sum(float(op.weight_bytes) for op in model.ops),
    }


def main(argv: list[str]) -> int:
    """Wait to be stopped, then print what was played meanwhile; the exit code."""
    began = time.time()
    signal.signal(signal.SIGTERM, _stop)
    with contextlib.suppress(SystemExit):
        time.sleep(WAIT_S)
    played = _played(Path.cwd().parent, began)
    if played:
        cores = board_soc(SOCS, DEFAULT).cores
        is_csv = "-c" in argv
        text = (
            _monitor(played, cores) if argv[:1] == ["hrt_ucp_monitor"] else _csv(played) if is_csv else _table(played)
        )
        sys.stdout.write(text)
    return 0


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _played(folder: Path, since: float) -> dict[str, float]:
    """The activity of the newest run beside this one; empty without any."""
    files = [path for path in folder.rglob("emulated.json") if path.stat().st_mtime >= since - 1.0]
    for path in sorted(files, key=lambda one: one.stat().st_mtime, reverse=True):
        value = json.loads(path.read_text()).get("activity")
        if isinstance(value, dict) and value.get("run_s", 0.0) > 0.0:
            return {str(key): float(figure) for key, figure in value.items()}
    return {}


def _rates(played: Mapping[str, float]) -> tuple[int, float, float]:
    """Rows, MiB read and written a second."""
    rows = min(MOST_ROWS, max(1, round(played["run_s"])))
    return rows, played["read_bytes"] / played["run_s"] / MIB, played["write_bytes"] / played["run_s"] / MIB


def _csv(played: Mapping[str, float]) -> str:
    rows, read, write = _rates(played)
    start = int(time.time())
    lines = [f"{start + row},{read:.1f},{write:.1f}" for row in range(rows)]
    return "\n".join(["timestamp,read_MiB/s,write_MiB/s", *lines, ""])


def _table(played: Mapping[str, float]) -> str:
    rows, read, write = _rates(played)
    lines = []
    for row in range(rows):
        lines += [f"Time {364160.876 + row:.3f}s", "MB/S   P0:CPU   P1:BPU  P2:VIN  P3:CODEC  P4:GPU      SUM"]
        lines += [f"Read : {0:6d} {read:8.0f}        0        0        0 {read:8.0f}"]
        lines += [f"Write: {0:6d} {write:8.0f}        0        0        0 {write:8.0f}", ""]
    return "\n".join([*lines, ""])


def _monitor(played: Mapping[str, float], cores: int) -> str:
    rows, read, write = _rates(played)
    busy = min(100.0, 100.0 * played["bpu_s"] / played["run_s"] / cores)
    block = ["BPU Utilization:"]
    block += [f"  Core {core}: busy={busy:.1f}%  idle={100.0 - busy:.1f}%" for core in range(cores)]
    block += ["DDR Bandwidth:", f"  Read:  {read:.1f} MiB/s", f"  Write: {write:.1f} MiB/s"]
    block += ["ION Memory:", f"  uncache: {played['weight_bytes'] / MIB:.0f} MB", ""]
    return "\n".join(block * rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
