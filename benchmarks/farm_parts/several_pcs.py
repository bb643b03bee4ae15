"""A night of 1,000 boards on 20 PCs: how busy `harness farm` keeps them. Boards are timers, PCs are processes here.

Real: scheduler, submitting process, 20 worker processes, database, files by content, archives of reports, night.json,
page and JUnit. Played: the session on a board (transport, agent, tool), which is a timer, and judging, whose outcome is
a recorded run. So the figures say what harness and Dask need around a board's time, with the CPU of 20 PCs and of the
submitting one in this PC's cores; nothing of them is a measurement of a board.

- busy_min, busy_median: tool time of a board over the time from its first begin to its last end; the worst, the middle.
- busy_of_night_min: the same over the time from the first begin of any board; the ramp of the begin is in it.
- gap_s_max: longest pause between two jobs of one board.
- ramp_s: from the first begin on a board to the last board's first begin.
- overlaps: two jobs at once on one board; lost: pairs without a good verdict. Both must be 0.
- submit_cpu_s, scheduler_cpu_s, workers_cpu_s: CPU seconds.

    python -m benchmarks.farm_parts.several_pcs [--json] [--boards 1000] [--pcs 20] [--cases 2] [--tool-s 150]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from statistics import median

from benchmarks.farm import ROOT, record
from tests.farm.kit import free_port
from tests.history.postgres import programs, served

LEAST_BUSY = 0.95
WAIT_S = 600.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--boards", type=int, default=1000)
    parser.add_argument("--pcs", type=int, default=20)
    parser.add_argument("--cases", type=int, default=2)
    parser.add_argument("--tool-s", type=float, default=150.0, help="what a played tool takes, 20 % around it")
    parser.add_argument("--sqlite", action="store_true", help="a file in place of a PostgreSQL server")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="harness-farm-") as name, ExitStack() as stack:
        is_file = given.sqlite or programs() is None
        url = f"sqlite:///{name}/farm.sqlite" if is_file else stack.enter_context(served())
        figures = SimulatedFarm(Path(name), url, given.boards, given.pcs, given.cases, given.tool_s).measure()
    width = max(map(len, figures))
    for key, value in figures.items():
        print(f"{key:<{width}}  {value:g}")
    if given.json:
        print(json.dumps(figures))
    is_good = figures["busy_min"] >= LEAST_BUSY and not figures["overlaps"] and not figures["lost"]
    raise SystemExit(0 if is_good else 1)


class SimulatedFarm:
    """One night. Errors: SystemExit where a part of it does not start."""

    def __init__(self, folder: Path, url: str, boards: int, pcs: int, cases: int, tool_s: float) -> None:
        self.folder, self.pcs, self.cases, self.tool_s = folder, pcs, cases, tool_s
        self.names = [f"b{place:04}" for place in range(boards)]
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self.environment = {**os.environ, "HARNESS_HOME": str(folder / "home"), "XDG_STATE_HOME": str(folder / "state")}
        self.environment |= {"HARNESS_HISTORY": url, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def measure(self) -> dict[str, float]:
        record(self.folder, self.environment)
        (recorded,) = (self.folder / "runs/rec/emu-x5").glob("*/run.json")
        self._lab()
        scheduler = self._start("scheduler", "harness", "farm", "scheduler", "--listen", self.address)
        self._until("scheduler", "scheduler: ")
        workers = [self._worker(place, recorded.parent) for place in range(self.pcs)]
        for place in range(self.pcs):
            self._until(f"pc{place}", "connected with")
        began = time.time()
        words = ["harness", "farm", "submit", "suite.yaml", "--scheduler", self.address, "--json"]
        submit = self._start("submit", *words)
        submit_cpu_s, rss_mb = _usage(submit)
        took_s = time.time() - began
        for process in (*workers, scheduler):
            process.terminate()
        workers_cpu_s = sum(_usage(process)[0] for process in workers)
        scheduler_cpu_s = _usage(scheduler)[0]
        night = json.loads((self.folder / "submit.out").read_text())
        if "cells" not in night:
            raise SystemExit(f"harness farm submit: {night.get('error')}")
        good = sum(cell["word"] in ("pass", "new") for cell in night["cells"])
        return {
            **self._busy(),
            "took_s": took_s,
            "tool_s": self.tool_s,
            "boards": len(self.names),
            "pcs": self.pcs,
            "pairs": len(night["cells"]),
            "lost": len(self.names) * self.cases - good,
            "submit_cpu_s": submit_cpu_s,
            "submit_rss_mb": rss_mb,
            "scheduler_cpu_s": scheduler_cpu_s,
            "workers_cpu_s": workers_cpu_s,
            "load": os.getloadavg()[0],
        }

    def _lab(self) -> None:
        """hosts.yaml, suite.yaml, and boards that were well on the night before."""
        self._hosts("hosts.yaml", self.names)
        one = "{model: net.bin, inputs: [x.bin], reference: reference, modes: [release, profile], "
        one += "latency: {blocks: 1, max_drift_percent: 1000}, limits: {budget_s: 20000}}"
        cases = "".join(f"  case{place}: {one}\n" for place in range(self.cases))
        (self.folder / "suite.yaml").write_text(f"suite: farm\nboards: {{tags: [farm]}}\ncases:\n{cases}")
        health = self.folder / "state/harness/boards/health"
        health.mkdir(parents=True, exist_ok=True)
        for name in self.names:
            (health / f"{name}.json").write_text('{"word": "good", "reason": ""}')

    def _hosts(self, name: str, boards: list[str]) -> None:
        entry = "{platform: hbdnn, soc: x5, transport: local, emulated: true, tags: [farm]}"
        (self.folder / name).write_text("boards:\n" + "".join(f"  {board}: {entry}\n" for board in boards))

    def _worker(self, place: int, recorded: Path) -> subprocess.Popen[bytes]:
        own = self.names[place :: self.pcs]
        self._hosts(f"pc{place}.yaml", own)
        words = [
            str(recorded),
            str(self.tool_s),
            "played.log",
            *own,
            "--scheduler",
            self.address,
            "--name",
            f"pc{place}",
        ]
        return self._start(
            f"pc{place}",
            "benchmarks.farm_parts.played_worker",
            *words,
            "--runs",
            f"pcs/{place}",
            "--hosts",
            f"pc{place}.yaml",
        )

    def _start(self, name: str, *module: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("w") as log, (self.folder / f"{name}.out").open("w") as out:
            argv = [sys.executable, "-m", *module]
            return subprocess.Popen(argv, cwd=self.folder, env=self.environment, stdout=out, stderr=log)

    def _until(self, name: str, text: str) -> None:
        ends_at, path = time.monotonic() + WAIT_S, self.folder / f"{name}.log"
        while text not in path.read_text():
            if time.monotonic() > ends_at:
                raise SystemExit(f"{name} did not start: {path.read_text()[-500:]}")
            time.sleep(0.2)

    def _busy(self) -> dict[str, float]:
        turns: dict[str, list[tuple[float, float]]] = {name: [] for name in self.names}
        for line in (self.folder / "played.log").read_text().splitlines():
            name, began, ended = line.split()
            turns[name].append((float(began), float(ended)))
        ordered = [sorted(own) for own in turns.values() if own]
        first = min(own[0][0] for own in ordered)
        tool_s = [sum(end - begin for begin, end in own) for own in ordered]
        busy = [tool / (own[-1][1] - own[0][0]) for tool, own in zip(tool_s, ordered, strict=True)]
        of_night = [tool / (own[-1][1] - first) for tool, own in zip(tool_s, ordered, strict=True)]
        gaps = [after[0] - before[1] for own in ordered for before, after in pairwise(own)]
        return {
            "busy_min": min(busy),
            "busy_median": median(busy),
            "busy_of_night_min": min(of_night),
            "gap_s_max": max(gaps, default=0.0),
            "gap_s_median": median(gaps) if gaps else 0.0,
            "ramp_s": max(own[0][0] for own in ordered) - first,
            "overlaps": sum(gap < 0 for gap in gaps),
        }


def _usage(process: subprocess.Popen[bytes]) -> tuple[float, float]:
    """CPU seconds and most resident MB of a process, once it has ended."""
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return _cpu_s(usage), usage.ru_maxrss / 1024


def _cpu_s(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
