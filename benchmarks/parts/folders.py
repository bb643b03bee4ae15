"""Whole commands on whole folders: CPU time and peak memory of `harness compare`, and of a peer on the same files.

- cpu_vs_polygraphy: how many times less CPU time (user and system) `harness compare` takes than Polygraphy's comparison
  of the same .npy files, 50 tensors of float32 on either side, all different.
- peak_mb_folders: most resident memory of that `harness compare`.
- all_differ_vs_clean: CPU time of a network of 101 layers that all differ, each with an error of its own, over that of
  the same network without a difference. The reference is a folder of `harness reference`: single ops are run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from benchmarks.networks.models import mobilenet
from benchmarks.parts.peers import NoPeer, polygraphy, python_of

TENSORS = 50
CHANNELS = 64
ERROR = 1e-3  # of the values' spread
PEER = """
import sys
from pathlib import Path
import numpy as np
from polygraphy.comparator import CompareFunc
from polygraphy.comparator.struct import IterationResult
from polygraphy.logger import G_LOGGER

G_LOGGER.module_severity = G_LOGGER.CRITICAL
sides = [
    IterationResult({p.stem: np.load(p) for p in sorted(Path(folder).glob("*.npy"))}, runner_name=folder)
    for folder in sys.argv[1:]
]
CompareFunc.simple(atol=1e-5, rtol=1e-5)(*sides)
"""


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    cpu_s: float
    peak_mb: float


def cost(argv: Sequence[str], exit_code: int) -> Cost:
    """Run a command to its end. Errors: RuntimeError for another exit code."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as text:
        process = subprocess.Popen(argv, stdout=text, stderr=subprocess.STDOUT, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != exit_code:
            text.seek(0)
            raise RuntimeError(f"{argv[0]}: exit code {process.returncode}: {text.read()[-500:].decode()}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)


def compare_cost(reference: Path, board: Path, exit_code: int) -> Cost:
    """Of `harness compare`, text output."""
    return cost([sys.executable, "-m", "harness", "compare", str(reference), str(board)], exit_code)


def least(*costs: Cost) -> Cost:
    """The least of each figure."""
    return Cost(min(c.cpu_s for c in costs), min(c.peak_mb for c in costs))


# ------------------------------------------------------------------------- a pair of folders


def against_peer(size_mb: int) -> dict[str, Any]:
    """Folders of `size_mb` a side."""
    with tempfile.TemporaryDirectory(prefix="harness-folders-") as scratch:
        folders = reference, board = Path(scratch) / "reference", Path(scratch) / "board"
        _write_pair(*folders, size_mb)
        first = compare_cost(reference, board, 1)
        figures: dict[str, Any] = {}
        try:
            peer = cost([str(python_of(polygraphy())), "-c", PEER, str(reference), str(board)], 0)
            figures = {"polygraphy_cpu_s": peer.cpu_s, "polygraphy_peak_mb": peer.peak_mb}
        except NoPeer as error:
            figures = {"polygraphy": str(error)}
        mine = least(first, compare_cost(reference, board, 1))
        ratio = figures["polygraphy_cpu_s"] / mine.cpu_s if "polygraphy_cpu_s" in figures else None
        return {"cpu_vs_polygraphy": ratio, "cpu_s_folders": mine.cpu_s, "peak_mb_folders": mine.peak_mb, **figures}


def _write_pair(reference: Path, board: Path, size_mb: int) -> None:
    """Standard normals, and the same with an error everywhere."""
    rng = np.random.default_rng(0)
    side = int((size_mb * 1e6 / TENSORS / 4 / CHANNELS) ** 0.5)
    for folder in (reference, board):
        folder.mkdir()
    for index in range(TENSORS):
        values = rng.standard_normal((1, CHANNELS, side, side), dtype=np.float32)
        np.save(reference / f"layer_{index:03d}.npy", values)
        values += np.float32(ERROR) * rng.standard_normal(values.shape, dtype=np.float32)
        np.save(board / f"layer_{index:03d}.npy", values)


# ------------------------------------------------------------------------- a network, clean and all different


def all_differ(side: int, rounds: int) -> dict[str, Any]:
    """Of a network on pictures of side x side."""
    with tempfile.TemporaryDirectory(prefix="harness-network-") as scratch:
        folder = Path(scratch)
        layers = _write_network(folder, side)
        costs = [
            (
                compare_cost(folder / "reference", folder / "clean", 0),
                compare_cost(folder / "reference", folder / "all", 1),
            )
            for _ in range(rounds)
        ]
    clean, differing = (least(*some) for some in zip(*costs, strict=True))
    return {
        "all_differ_vs_clean": differing.cpu_s / clean.cpu_s,
        "clean_cpu_s": clean.cpu_s,
        "all_differ_cpu_s": differing.cpu_s,
        "layers": layers,
    }


def _write_network(folder: Path, side: int) -> int:
    """The reference, and two boards' dumps; how many layers they have."""
    onnx.save(mobilenet(side=side), str(folder / "model.onnx"))
    rng = np.random.default_rng(0)
    np.save(folder / "input.npy", rng.standard_normal((1, 3, side, side), dtype=np.float32))
    argv = ["reference", str(folder / "model.onnx"), "--input", str(folder / "input.npy"), "-o"]
    cost([sys.executable, "-m", "harness", *argv, str(folder / "reference")], 0)
    manifest = json.loads((folder / "reference" / "manifest.json").read_text())
    computed = [tensor for tensor in manifest["tensors"] if not tensor.get("is_input")]
    for board in ("clean", "all"):
        (folder / board).mkdir()
    for tensor in computed:
        values = np.load(folder / "reference" / tensor["file"])
        np.save(folder / "clean" / f"{tensor['name']}.npy", values)
        error = np.float32(ERROR) * values.std() * rng.standard_normal(values.shape, dtype=np.float32)
        np.save(folder / "all" / f"{tensor['name']}.npy", values + error)
    return len(computed)
