"""A night of many boards from one process: how long beside the boards' own time, and how much memory.

Boards are played by a tool that waits and writes recorded output, so the figures are of harness and of this PC, which
runs the boards' agents too. Nothing here is a measurement of a board.

- makespan_ratio: time of the whole night over the longest board's own tool time (what its tool was made to wait).
- rss_mb: most resident memory of the harness process, without the agents that play the boards.
- cpu_s_per_run: CPU of the harness process itself for one case on one board.
- agents_cpu_s_per_run: CPU of the agents' answers on top of it: of boards elsewhere that is the boards'.
- pairs, measured: how many there were, and how many got a verdict that is good.

    python -m benchmarks.farm [--json] [--boards 100] [--cases 5] [--tool-s 150]
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[1]
PLAYED = """#!/bin/sh
from={source}
case "$1" in
  model_info) mode=info; wait_s=0 ;;
  perf) mode=profile; wait_s={half} ;;
  *) mode=release; wait_s={half} ;;
esac
sleep "$wait_s"
for file in "$from/$mode"/*; do
  case "$file" in */log.txt) ;; *) cp -r "$file" . ;; esac
done
cat "$from/$mode/log.txt"
"""
MOST_RATIO, MOST_RSS_MB = 1.15, 600.0
A_LOOK_S = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--boards", type=int, default=100)
    parser.add_argument("--cases", type=int, default=5)
    parser.add_argument("--tool-s", type=float, default=150.0, help="how long the played tool takes for one case")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="harness-farm-") as name:
        figures = measure(Path(name), given.boards, given.cases, given.tool_s)
    width = max(map(len, figures))
    for key, value in figures.items():
        print(f"{key:<{width}}  {value:g}")
    if given.json:
        print(json.dumps(figures))
    is_good = figures["makespan_ratio"] <= MOST_RATIO and figures["rss_mb"] <= MOST_RSS_MB
    raise SystemExit(0 if is_good and figures["measured"] == figures["pairs"] else 1)


def measure(folder: Path, boards: int, cases: int, tool_s: float) -> dict[str, float]:
    """Figures of one night. Errors: SystemExit where the recording or the night did not work."""
    environment = {**os.environ, "HARNESS_HOME": str(folder / "home"), "XDG_STATE_HOME": str(folder / "state")}
    record(folder, environment)
    lab(folder, boards, cases, tool_s)
    began = time.monotonic()
    answer = folder / "night.json"
    with (folder / "night.log").open("w") as log, answer.open("w") as out:
        argv = [sys.executable, "-m", "harness", "nightly", "suite.yaml", "--json"]
        process = subprocess.Popen(argv, cwd=folder, env=environment, stdout=out, stderr=log)
        own_s = watched(process.pid)
        _, _, usage = os.wait4(process.pid, 0)
    took_s = time.monotonic() - began
    night = json.loads(answer.read_text())
    if "cells" not in night:
        raise SystemExit(f"harness nightly: {night.get('error')}")
    good = sum(cell["word"] in ("pass", "new") for cell in night["cells"])
    return {
        "makespan_ratio": took_s / (tool_s * cases),
        "rss_mb": usage.ru_maxrss / 1024,
        "cpu_s_per_run": own_s / max(1, len(night["cells"])),
        "agents_cpu_s_per_run": (usage.ru_utime + usage.ru_stime - own_s) / max(1, len(night["cells"])),
        "makespan_s": took_s,
        "tool_s": tool_s * cases,
        "pairs": len(night["cells"]),
        "measured": good,
    }


def watched(pid: int) -> float:
    """CPU seconds of a process itself, without its children, by the last look before it ends."""
    ticks, place = os.sysconf("SC_CLK_TCK"), Path(f"/proc/{pid}/stat")
    own_s = 0.0
    while True:
        fields = place.read_text().rpartition(")")[2].split()
        own_s = (int(fields[11]) + int(fields[12])) / ticks or own_s
        if fields[0] == "Z":
            return own_s
        time.sleep(A_LOOK_S)


def record(folder: Path, environment: dict[str, str]) -> None:
    """One real run of the emulated tool: what it printed and wrote is what the boards will."""
    model = folder / "net.onnx"
    onnx.save(network(), str(model))
    np.random.default_rng(1).standard_normal((1, 16, 32, 32)).astype(np.float32).tofile(folder / "x.bin")
    for words in (
        "emulator build net.onnx --soc x5 -o net.bin",
        "reference net_quantized_model.onnx --input x=x.bin -o reference",
        "run net.bin --board emu-x5 --input x.bin --reference reference --mode release,profile --pull all --case rec",
    ):
        argv = [sys.executable, "-m", "harness", *words.split()]
        result = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise SystemExit(f"harness {words}: exit code {result.returncode}: {result.stderr[-500:]}")


def network() -> onnx.ModelProto:
    """Eight convolutions of 16 channels on 32 x 32: small, as this is about harness."""
    chance = np.random.default_rng(0)
    nodes, constants, last = [], [], "x"
    for place in range(8):
        weight = (chance.standard_normal((16, 16, 3, 3)) / 12).astype(np.float32)
        constants.append(numpy_helper.from_array(weight, f"w{place}"))
        name = f"c{place}"
        nodes.append(helper.make_node("Conv", [last, f"w{place}"], [name], name=f"conv{place}", pads=[1] * 4))
        last = name
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 16, 32, 32)) for name in ("x", last)]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], initializer=constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def lab(folder: Path, boards: int, cases: int, tool_s: float) -> None:
    """hosts.yaml, suite.yaml, and the tool that plays."""
    (recorded,) = (folder / "runs" / "rec" / "emu-x5").glob("*/run.json")
    tools = folder / "tools"
    tools.mkdir()
    script = tools / "hrt_model_exec"
    source = shlex.quote(str(recorded.parent))
    script.write_text(PLAYED.format(source=source, half=tool_s / 2))
    script.chmod(0o755)
    entries = [
        f"  b{place:03}: {{platform: hbdnn, soc: x5, transport: local, emulated: true, tags: [farm], tools: [{tools}], "
        f"work: {folder}/work/b{place:03}}}\n"
        for place in range(boards)
    ]
    (folder / "hosts.yaml").write_text("boards:\n" + "".join(entries))
    head = "suite: farm\nboards: {tags: [farm]}\ncases:\n"
    one = "{model: net.bin, inputs: [x.bin], reference: reference, modes: [release, profile], "
    one += "latency: {blocks: 1, max_drift_percent: 1000}, limits: {timeout_s: 3000, budget_s: 20000}}"
    (folder / "suite.yaml").write_text(head + "".join(f"  case{place}: {one}\n" for place in range(cases)))


if __name__ == "__main__":
    main()
