"""How long `harness --help` takes against an empty Python: the ratio that a user feels at every call.

    python benchmarks/startup.py [--json]

Both commands run in turn, so that a noisy machine disturbs them alike; the figure is the ratio of the medians.
JSON keys: help_s pass_s ratio runs.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 15
HARNESS = str(Path(sys.executable).parent / "harness")


def seconds(argv: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    empty, full = [sys.executable, "-c", "pass"], [HARNESS, "--help"]
    seconds(full)  # writes the bytecode
    pairs = [(seconds(empty), seconds(full)) for _ in range(RUNS)]
    pass_s, help_s = (statistics.median(column) for column in zip(*pairs, strict=True))
    figures = {"help_s": help_s, "pass_s": pass_s, "ratio": help_s / pass_s, "runs": RUNS}
    print(f"{'command':24}{'median':>10}")
    print(f"{'python -c pass':24}{pass_s * 1e3:8.1f} ms")
    print(f"{'harness --help':24}{help_s * 1e3:8.1f} ms")
    print(f"{'ratio':24}{figures['ratio']:10.2f}")
    if "--json" in sys.argv:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
