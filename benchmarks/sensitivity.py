"""Sensitivity of a whole detector, op by op: YOLO11n of the published topologies, random weights, 8 samples.

- minutes_300: minutes of both cores together, CPU time / 2, per 300 nodes: what it takes on an idle PC of two cores.
- minutes_wall: minutes by the clock, whatever else the PC does.
- rss_mb: most resident memory of the process, samples and model included.
- baseline_db: SQNR of the worst output with everything in int8, so that a broken network is seen.

    python -m benchmarks.sensitivity [--json] [--side 320] [--samples 8]
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from benchmarks.estimate_parts.cost_samples import SAMPLES, load_graph

NAME = "YOLO11n"
CORES = 2
MOST_MINUTES = 10.0
MOST_RSS_MB = 1000.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--side", type=int, default=320)
    parser.add_argument("--samples", type=int, default=8)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="harness-sensitivity-") as name:
        figures = measure_network(Path(name), given.side, given.samples)
    for key, value in figures.items():
        print(f"{key:<14}{value:g}")
    if given.json:
        print(json.dumps(figures))
    good = figures["minutes_300"] <= MOST_MINUTES and figures["rss_mb"] <= MOST_RSS_MB
    raise SystemExit(0 if good and figures["baseline_db"] > 0 else 1)


def measure_network(folder: Path, side: int, samples: int) -> dict[str, float]:
    from harness.emulator.rooms import soc_named
    from harness.precision.prepared import prepare
    from harness.precision.sensitivity import measure

    model = filled(side)
    onnx.save(model, folder / "net.onnx")
    (folder / "cal").mkdir()
    for number, picture in enumerate(pictures(side, samples)):
        np.save(folder / "cal" / f"{number}.npy", picture)
    cpu_s, wall_s = time.process_time(), time.monotonic()
    subject = prepare(folder / "net.onnx", soc_named("x5"), folder / "cal", {})
    result = measure(subject, lambda what, completed, total: None)
    minutes = (time.process_time() - cpu_s) / 60
    nodes = len(model.graph.node)
    return {
        "minutes_300": round(minutes / CORES * 300 / nodes, 2),
        "minutes_wall": round((time.monotonic() - wall_s) / 60, 2),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
        "nodes": nodes,
        "ops": len(result.ops),
        "baseline_db": round(min(level.sqnr_db for level in result.baseline.outputs.values()), 1),
    }


def pictures(side: int, count: int) -> list[NDArray[np.float32]]:
    """Smooth noise of 0..1: neighbours are alike, as in photographs."""
    rng = np.random.default_rng(5)
    made = []
    for _ in range(count):
        walk = rng.standard_normal((1, 3, side, side)).cumsum(-1).cumsum(-2)
        made.append(((walk - walk.min()) / np.ptp(walk)).astype(np.float32))
    return made


def filled(side: int) -> onnx.ModelProto:
    """The network with seeded weights in place of its zeros, for pictures of that side."""
    graph = load_graph(NAME)
    if graph is None:
        raise SystemExit(f"no graph of {NAME} in {SAMPLES / 'topologies'}: set HARNESS_SAMPLES")
    model = graph.model
    rng = np.random.default_rng(11)
    for tensor in model.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.ndim == 4 and not value.any():
            fan_in = value[0].size
            weights = rng.standard_normal(value.shape) * (3.0 / fan_in) ** 0.5
            tensor.CopyFrom(numpy_helper.from_array(weights.astype(np.float32), tensor.name))
    _resize(model, side)
    return model


def _resize(model: onnx.ModelProto, side: int) -> None:
    """Sizes of the attention at the smallest scale follow the picture's."""
    old, new = 640 // 32, side // 32
    sizes: dict[int, int] = {old: new, old * old: new * new}
    shapes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    for tensor in model.graph.initializer:
        if tensor.name in shapes:
            whole: NDArray[Any] = numpy_helper.to_array(tensor)
            changed = np.array([sizes.get(int(size), int(size)) for size in whole], whole.dtype)
            tensor.CopyFrom(numpy_helper.from_array(changed, tensor.name))
    for dim in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_value = side
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]


if __name__ == "__main__":
    main()
