"""Speed and memory of the comparison, side by side with others in one run.

    python benchmarks/compare.py [--json] [--quick]

- vs_polygraphy: how many times as fast as Polygraphy's CompareFunc.simple() on 200 MB of float32 outputs.
- vs_stream: differing float32 against a blocked numpy pass in cache-sized blocks that does the least a
  comparison can do at the same precision (float64): subtract, four dot products, largest absolute value.
- vs_memcmp: equal pairs against memcmp() of the C library.
- peak_mb: most resident memory (VmHWM, Python and numpy included) of a process that compares 8 GB of dumps.
- cpu_vs_polygraphy, peak_mb_folders, all_differ_vs_clean: whole commands (benchmarks/parts/folders.py), on 1 GB a side.

Polygraphy is installed into an environment of its own in the user's cache (benchmarks/parts/peers.py).

Every pair of figures is taken in turns, best of several. harness uses one thread per core (at most four); the
figures of one thread are shown too. numpy's BLAS is held to one thread, or its threads would get in the way of ours.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when numpy is loaded

import argparse
import ctypes
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.parts.folders import against_peer, all_differ
from benchmarks.parts.peers import NoPeer, add_to_path, polygraphy
from harness.consistency.metrics import blocks
from harness.consistency.metrics.pointwise import measure
from harness.consistency.reading.tensor_files import open_tensor, to_layout
from harness.records import TensorSpec

Array = npt.NDArray[Any]
MB = 1_000_000
STREAM_BLOCK = 65_536  # elements: the fastest of 8 Ki to 256 Ki for the plain pass on the machine of docs/metrics.md


def best_of(rounds: int, *works: Callable[[], object]) -> list[float]:
    """Least seconds of each, taken in turns so that noise falls on all of them."""
    least = [float("inf")] * len(works)
    for _ in range(rounds):
        for index, work in enumerate(works):
            started = time.perf_counter()
            work()
            least[index] = min(least[index], time.perf_counter() - started)
    return least


def float_pair(size_bytes: int) -> tuple[Array, Array]:
    """Reference of standard normals and a board that is off by about 1e-6 everywhere."""
    rng = np.random.default_rng(0)
    reference = rng.standard_normal(size_bytes // 4, dtype=np.float32)
    noise = rng.standard_normal(size_bytes // 4, dtype=np.float32)
    return reference + np.float32(1e-6) * noise, reference


# ------------------------------------------------------------------------- polygraphy


def against_polygraphy(rounds: int) -> dict[str, Any]:
    try:
        simple = _polygraphy()
    except (NoPeer, ImportError) as error:
        return {"vs_polygraphy": None, "polygraphy": str(error)}
    outputs = [float_pair(20 * MB) for _ in range(10)]
    theirs = simple(outputs)
    ours = [lambda: [measure(x, r) for x, r in outputs]] * 5  # a look takes 0.1 s, theirs 4 s: as much chance of quiet
    *mine, other = best_of(rounds, *ours, theirs)
    seconds = [min(mine), other]
    rates = [400 * MB / s / 1e9 for s in seconds]
    return {"vs_polygraphy": seconds[1] / seconds[0], "harness_gb_s": rates[0], "polygraphy_gb_s": rates[1]}


def _polygraphy() -> Callable[[list[tuple[Array, Array]]], Callable[[], object]]:
    add_to_path(polygraphy())
    from polygraphy.comparator import CompareFunc
    from polygraphy.comparator.struct import IterationResult
    from polygraphy.logger import G_LOGGER

    G_LOGGER.module_severity = G_LOGGER.CRITICAL  # its printing is not what is measured

    def prepared(outputs: list[tuple[Array, Array]]) -> Callable[[], object]:
        sides = [
            IterationResult({f"out{i}": pair[side] for i, pair in enumerate(outputs)}, runner_name=name)
            for side, name in enumerate(("board", "reference"))
        ]
        compare = CompareFunc.simple(atol=1e-5, rtol=1e-5)
        return lambda: compare(*sides)

    return prepared


# ------------------------------------------------------------------------- plain numpy and memcmp


def stream(board: Array, reference: Array, kind: type[np.floating[Any]]) -> tuple[float, ...]:
    """The plain pass: the sums behind relative L2 and cosine, and the largest difference."""
    x, r, d = (np.empty(STREAM_BLOCK, dtype=kind) for _ in range(3))
    dd = rr = xr = xx = largest = 0.0
    for first in range(0, len(board), STREAM_BLOCK):
        part = slice(first, first + STREAM_BLOCK)
        n = len(board[part])
        a, b, e = x[:n], r[:n], d[:n]
        if kind is np.float32:
            a, b = board[part], reference[part]
        else:
            np.copyto(a, board[part])
            np.copyto(b, reference[part])
        np.subtract(a, b, out=e)
        dd, rr = dd + float(np.dot(e, e)), rr + float(np.dot(b, b))
        xr, xx = xr + float(np.dot(a, b)), xx + float(np.dot(a, a))
        largest = max(largest, float(np.abs(e, out=e).max()))
    return dd, rr, xr, xx, largest


def against_stream(rounds: int, size_bytes: int) -> dict[str, Any]:
    board, reference = float_pair(size_bytes)
    ours, one, wide, narrow = best_of(
        rounds,
        lambda: measure(board, reference),
        lambda: with_one_thread(board, reference),
        lambda: stream(board, reference, np.float64),
        lambda: stream(board, reference, np.float32),
    )
    return {
        "vs_stream": wide / ours,
        "vs_stream_one_thread": wide / one,
        "vs_stream_float32_sums": narrow / ours,
        "differing_gb_s": 2 * size_bytes / ours / 1e9,
        "stream_gb_s": 2 * size_bytes / wide / 1e9,
    }


def with_one_thread(board: Array, reference: Array) -> None:
    workers, blocks.WORKERS = blocks.WORKERS, 1
    try:
        measure(board, reference)
    finally:
        blocks.WORKERS = workers


def against_memcmp(rounds: int, size_bytes: int) -> dict[str, Any]:
    board, _ = float_pair(size_bytes)
    same = board.copy()
    bytes_board, bytes_same = board.view(np.int8), same.view(np.int8)
    plain = ctypes.CDLL(None).memcmp
    plain.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    floats, integers, theirs = best_of(
        rounds,
        lambda: measure(board, same),
        lambda: measure(bytes_board, bytes_same),
        lambda: plain(board.ctypes.data, same.ctypes.data, board.nbytes),
    )
    return {
        "vs_memcmp": theirs / max(floats, integers),
        "equal_f32_gb_s": 2 * size_bytes / floats / 1e9,
        "equal_s8_gb_s": 2 * size_bytes / integers / 1e9,
        "memcmp_gb_s": 2 * size_bytes / theirs / 1e9,
    }


# ------------------------------------------------------------------------- memory


FILES = (  # (dtype, shape, aligned shape, layout): 8 GB of dumps with the references, padded and transposed too
    ("f32", (1, 64, 2048, 2048), (), "NCHW"),
    ("f32", (1, 2048, 2048, 64), (), "NHWC"),
    ("s8", (1, 4096, 4000, 60), (1, 4096, 4000, 64), "NHWC"),
    ("s16", (1, 128, 2048, 2048), (), "NCHW"),
)


def peak_memory(files: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="harness-compare-") as folder:
        command = [sys.executable, __file__, "--compare-folder", folder, "--files", str(files)]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, Any] = json.loads(result.stdout)
    return figures


def compare_folder(folder: Path, files: int) -> None:
    """Compare sparse files with a few written stretches; print the peak as JSON."""
    total = 0
    for dtype, shape, aligned, layout in FILES[:files]:
        spec = TensorSpec(dtype, dtype, shape, layout, aligned_shape=aligned)
        sides = [_sparse(folder / f"{side}.bin", spec, side) for side in (0, 1)]
        board, reference = (to_layout(open_tensor(path, spec), spec, "NCHW") for path in sides)
        metrics = measure(board, reference, spec, spec)
        assert 0 < metrics.mismatched < metrics.elements
        total += sum(path.stat().st_size for path in sides)
        del board, reference
        for path in sides:
            path.unlink()
    print(json.dumps({"peak_mb": _peak_kb() * 1024 / 1e6, "dumps_gb": total / 1e9}))


def _sparse(path: Path, spec: TensorSpec, side: int) -> Path:
    from harness.consistency.reading.tensor_files import size_bytes

    size = size_bytes(spec)
    with path.open("wb") as stream_:
        stream_.truncate(size)
        for place in range(0, size, size // 64):
            stream_.seek(place)
            stream_.write(bytes((side, 0, 1, 0)) * 1024)
    return path


def _peak_kb() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


# ------------------------------------------------------------------------- table


TARGETS = {"vs_polygraphy": 40.0, "vs_stream": 0.7, "vs_memcmp": 0.55, "peak_mb": 300.0}
TARGETS |= {"cpu_vs_polygraphy": 8.0, "peak_mb_folders": 200.0, "all_differ_vs_clean": 3.0}
AT_MOST = ("peak_mb", "peak_mb_folders", "all_differ_vs_clean")


def table(figures: dict[str, Any]) -> str:
    lines = []
    for key, value in figures.items():
        target = TARGETS.get(key)
        sign = "<=" if key in AT_MOST else ">="
        shown = f"{value:12.2f}" if isinstance(value, float) else f"{value!s:>12}"
        lines.append(f"{key:24}{shown}" + (f"   wanted {sign} {target:g}" if target else ""))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="smaller tensors, fewer rounds")
    parser.add_argument("--compare-folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--files", type=int, default=len(FILES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.compare_folder:
        compare_folder(options.compare_folder, options.files)
        return
    rounds, size = (3, 80 * MB) if options.quick else (15, 200 * MB)
    figures: dict[str, Any] = {"threads": blocks.WORKERS}
    figures |= against_polygraphy(min(rounds, 3))
    figures |= against_stream(rounds, size)
    figures |= against_memcmp(4 * rounds, size)  # a look takes 10 ms
    figures |= peak_memory(1 if options.quick else len(FILES))
    figures |= against_peer(256 if options.quick else 1000)
    figures |= all_differ(96 if options.quick else 224, rounds=2)
    print(table(figures))
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
