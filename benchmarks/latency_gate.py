"""Does `--max-slower` call an unchanged model slower, and does it see 5 %?

Frames of a small network are timed on this PC, in turn for all sides of all pairs, so that what else the PC does falls
on all alike. They are then replayed: a board of platform ort whose Python is a script that hands out recorded frames,
and two calls of `harness run` for each pair, the second with `--previous auto --max-slower 2`. Of a planted pair every
frame of the second side is 5 % longer.

    python benchmarks/latency_gate.py [--json] [--unchanged 200] [--planted 100] [--record FILE | --replay FILE]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).parents[1]))

from click.testing import CliRunner

from harness.cli import cli

LIMIT_PERCENT, PLANTED = 2.0, 1.05
INFO = """versions: {"runtime": "replayed frames", "python": "3"}
model: {"graph": "convolution", "load_us": 1.0}
input: {"name": "x", "dtype": "f32", "shape": [1, 8, 32, 32]}
output: {"name": "y", "dtype": "f32", "shape": [1, 8, 32, 32]}
result: {"ok": true}
"""
PLAYER = """#!/bin/sh
# Plays the runner of a board with ONNX Runtime: hands out recorded frames.
here=$(dirname "$0")
case "$*" in
  *"--mode info"*) cat "$here/info.txt" ;;
  *"--mode profile"*) cat "$here/info.txt"; cp "$here/latency.json" latency.json; echo '{"ops": []}' > ops.json ;;
  *) exit 1 ;;
esac
"""
HOSTS = """boards:
  replayed:
    platform: ort
    soc: pc
    transport: local
    work: {work}
    options: {{python: {python}}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--unchanged", type=int, default=200, help="pairs of the same model")
    parser.add_argument("--planted", type=int, default=100, help="pairs whose second side is 5 %% slower")
    parser.add_argument("--frames", type=int, default=200, help="frames of each side")
    parser.add_argument("--record", type=Path, help="keep the frames as .npy")
    parser.add_argument("--replay", type=Path, help="take the frames of --record")
    given = parser.parse_args()
    pairs = given.unchanged + given.planted
    frames_us = np.load(given.replay)[:pairs] if given.replay else record(pairs, given.frames)
    if given.record:
        np.save(given.record, frames_us)
    figures = judged(frames_us, given.unchanged)
    for key, value in figures.items():
        print(f"{key:<16}{value}")
    if given.json:
        print(json.dumps(figures))


def convolution() -> onnx.ModelProto:
    """A 3x3 convolution of 8 channels, 32x32: some tens of microseconds on a PC."""
    weight = numpy_helper.from_array(np.full((8, 8, 3, 3), 0.01, np.float32), "w")
    node = helper.make_node("Conv", ["x", "w"], ["y"], name="conv", pads=[1, 1, 1, 1])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8, 32, 32]) for name in ("x", "y")]
    graph = helper.make_graph([node], "convolution", ends[:1], ends[1:], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def record(pairs: int, frames: int) -> NDArray[np.float64]:
    """Microseconds of `frames` inferences of both sides of each pair: [pair, side, frame].

    One sitting: a frame of every side in turn, then the next, so that every series spans the same seconds. Three times
    as many turns are timed as are kept, and the quietest are kept, in order, and the clock is that of this thread which
    stands while another program runs: load decides nothing. One session serves all sides, because two sessions of one
    model differ by a percent or more (where their memory lies).
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(convolution().SerializeToString(), options, providers=["CPUExecutionProvider"])
    feed = {"x": np.ones((1, 8, 32, 32), np.float32)}
    times = np.zeros((3 * frames, 2 * pairs))
    for row in times:
        for place in range(len(row)):
            began = time.thread_time_ns()
            session.run(None, feed)
            row[place] = (time.thread_time_ns() - began) / 1e3
    quiet = np.sort(np.argsort(np.median(times, axis=1))[:frames])
    return np.ascontiguousarray(times[quiet].T).reshape(pairs, 2, frames)


def judged(frames_us: NDArray[np.float64], unchanged: int) -> dict[str, float | int]:
    """What the command says of each pair."""
    with tempfile.TemporaryDirectory(prefix="harness-gate-") as folder:
        gates = [
            _gate(Path(folder), pair, 1.0 if place < unchanged else PLANTED) for place, pair in enumerate(frames_us)
        ]
    same, planted = gates[:unchanged], gates[unchanged:]
    return {
        "pairs": len(same),
        "false_slower": sum(gate == "slower" for gate in same),
        "undecided": sum(gate == "undecided" for gate in same),
        "planted_5pct": len(planted),
        "found_5pct": sum(gate == "slower" for gate in planted) / max(1, len(planted)),
    }


def _gate(folder: Path, pair: NDArray[np.float64], factor: float) -> str:
    """The word of the second of two runs."""
    runs = folder / "runs"
    shutil.rmtree(runs, ignore_errors=True)
    argv = _board(folder)
    for side, times in enumerate((pair[0], pair[1] * factor)):
        (folder / "latency.json").write_text(json.dumps(_latency(times.tolist())))
        result = CliRunner().invoke(cli, [*argv, "--runs", str(runs)])
        answer = json.loads(result.stdout)
        wanted = 1 if answer.get("gate") == "slower" else 0
        if result.exit_code != wanted or (side and answer["previous"].get("why_none")):
            raise SystemExit(f"exit code {result.exit_code}: {result.stdout[:2000]}{result.stderr}")
    return str(answer["gate"])


def _board(folder: Path) -> list[str]:
    """The command line of both runs, and the board's files where they are not there yet."""
    python, hosts, model = folder / "player", folder / "hosts.yaml", folder / "convolution.onnx"
    if not hosts.is_file():
        python.write_text(PLAYER)
        python.chmod(0o755)
        (folder / "info.txt").write_text(INFO)
        model.write_bytes(convolution().SerializeToString())
        hosts.write_text(HOSTS.format(work=folder / "work", python=python))
    limit = ["--previous", "auto", "--max-slower", f"{LIMIT_PERCENT:g}"]
    return ["run", str(model), "--board", "replayed", "--hosts", str(hosts), "--mode", "profile", "--json", *limit]


def _latency(samples_us: Sequence[float]) -> dict[str, object]:
    """latency.json as agents/ort_runner.py writes it."""
    return {
        "format": 1,
        "mean_us": sum(samples_us) / len(samples_us),
        "min_us": min(samples_us),
        "max_us": max(samples_us),
        "total_us": sum(samples_us),
        "frames": len(samples_us),
        "threads": 1,
        "warmup": 3,
        "samples_us": list(samples_us),
    }


if __name__ == "__main__":
    main()
