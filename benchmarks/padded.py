"""How fast a board's Python hashes the valid bytes of padded dumps (agents/valid_md5.py), here, by this PC's Python.

Per layout: MB of file per second of CPU time (other work on the PC does not count), best of a few rounds, from the page
cache, the start of Python included; beside it `md5sum` over the same files, which hashes the padding too.

    python benchmarks/padded.py [--json] [--mb 64] [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.agent.valid import SCRIPT, Padded
from harness.assets import asset
from harness.consistency.reading.layouts import storage
from harness.consistency.reading.predicted import placed_rows
from harness.records import TensorSpec

LAYOUTS = {  # name: (dtype, valid shape, aligned shape), all NHWC
    "s8_C24_to_32": ("s8", (1, 56, 56, 24), (1, 56, 56, 32)),
    "s8_C144_to_256": ("s8", (1, 56, 56, 144), (1, 56, 56, 256)),
    "s8_C3_to_4_W_to_32": ("s8", (1, 224, 220, 3), (1, 224, 224, 4)),
    "s8_C16_to_32_W_padded": ("s8", (1, 57, 57, 16), (1, 57, 64, 32)),
    "s32_C10_to_16": ("s32", (1, 28, 28, 10), (1, 28, 28, 16)),
    "f32_C1_to_4": ("f32", (1, 160, 160, 1), (1, 160, 160, 4)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--mb", type=int, default=64, help="size of each file")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="harness-padded-") as name:
        figures = {layout: measure(Path(name), layout, given.mb, given.rounds) for layout in LAYOUTS}
    for layout, row in figures.items():
        print(f"{layout:<24} {row['valid_MB_per_s']:7.0f} MB/s   md5sum {row['md5sum_MB_per_s']:7.0f} MB/s")
    if given.json:
        print(json.dumps(figures))


def measure(folder: Path, layout: str, size_mb: int, rounds: int) -> dict[str, float]:
    dtype, shape, aligned = LAYOUTS[layout]
    one = storage(TensorSpec(layout, dtype, shape, "NHWC", aligned_shape=aligned)).size_bytes
    count = max(1, size_mb * 1_000_000 // one)
    spec = TensorSpec(layout, dtype, (count, *shape[1:]), "NHWC", aligned_shape=(count, *aligned[1:]))
    placed = placed_rows(spec)
    assert placed is not None
    job = Padded(layout, storage(spec).size_bytes, *placed)
    (folder / layout).write_bytes(bytes(range(256)) * (job.size_bytes // 256) + bytes(job.size_bytes % 256))
    ours = [
        cpu_seconds(folder, [sys.executable, "-I", "-S", str(asset(SCRIPT))], job.line.encode()) for _ in range(rounds)
    ]
    theirs = [cpu_seconds(folder, ["md5sum", layout], b"") for _ in range(rounds)]
    return {
        "valid_MB_per_s": job.size_bytes / 1e6 / min(ours),
        "md5sum_MB_per_s": job.size_bytes / 1e6 / min(theirs),
    }


def cpu_seconds(folder: Path, argv: Sequence[str], stdin: bytes) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(argv, cwd=folder, input=stdin, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert result.stdout
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
