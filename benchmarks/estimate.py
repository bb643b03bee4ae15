"""Is the estimate of a model's latency near what boards measured, and is its placement what the toolchain does?

Latencies: 66 published RDK X5 figures, one frame with one thread. Five-fold: the mean over five shuffles of the median
and of the 90th percentile of the relative error, each model predicted by a fit that never saw it; family: whole
architectures left out. Placement: nodes of the five architectures whose real node tables are at hand, by name; a node
that we put on the CPU and that is in no table counts as wrong.

    python benchmarks/estimate.py [--json] [--verbose]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

if __package__ in (None, ""):
    import sys

    sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.cost_samples import SAMPLES, load_graph, load_samples
from harness.emulator.compiler.placement import place
from harness.emulator.cost.fit import PublishedLatency, Vector, cross_validate, five_folds
from harness.emulator.horizon.op_rules import rules_of
from harness.toolchains.horizon.log import read_build_log

SHUFFLES = 5
# Real node tables (X5, hb_mapper 1.24.3) of architectures whose graphs are at hand; Softmax was set to int8 on the BPU.
TABLES = {
    "YOLO11n": "x5_hb_mapper_log_yolo11n.txt",
    "YOLOv5nu": "x5_hb_mapper_log_yolov5nu.txt",
    "YOLOv8n": "x5_hb_mapper_log_yolov8n.txt",
    "YOLOv8n-Seg": "x5_hb_mapper_log_yolov8n_seg.txt",
    "YOLOv10n": "x5_hb_mapper_log_yolov10n.txt",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--verbose", action="store_true", help="print every model's error")
    given = parser.parse_args()
    if not (SAMPLES / "topologies").is_dir():
        raise SystemExit(f"{SAMPLES / 'topologies'} is not there: set HARNESS_SAMPLES to the folder of samples")
    samples = load_samples()
    figures = accuracy(samples, given.verbose) | {"placement_agreement": placement_agreement()}
    width = max(map(len, figures))
    for key, value in figures.items():
        print(f"{key:<{width}}  {value:.3f}" if isinstance(value, float) else f"{key:<{width}}  {value}")
    if given.json:
        print(json.dumps(figures))


def accuracy(samples: Sequence[PublishedLatency], verbose: bool = False) -> dict[str, float | int]:
    """The figures of the fit, cross-validated."""
    shuffled = [cross_validate(samples, five_folds(len(samples), seed)) for seed in range(SHUFFLES)]
    family = cross_validate(samples, [sample.family for sample in samples])
    if verbose:
        _print_errors(samples, np.mean(shuffled, axis=0), family)
    return {
        "models": len(samples),
        "median_abs_error": float(np.mean([np.median(np.abs(errors)) for errors in shuffled])),
        "p90_abs_error": float(np.mean([np.percentile(np.abs(errors), 90) for errors in shuffled])),
        "family_median": float(np.median(np.abs(family))),
        "family_p90": float(np.percentile(np.abs(family), 90)),
    }


def _print_errors(samples: Sequence[PublishedLatency], folds: Vector, family: Vector) -> None:
    print(f"{'model':<24}{'published ms':>13}{'five-fold':>11}{'family out':>11}")
    for sample, one, other in sorted(zip(samples, folds, family, strict=True), key=lambda row: -abs(row[1])):
        print(f"{sample.name:<24}{sample.latency_us / 1e3:>13.2f}{one:>+11.1%}{other:>+11.1%}")
    print()


def placement_agreement(folder: Path = SAMPLES) -> float:
    """Share of nodes that we place where the real toolchain did."""
    right = wrong = 0
    for name, log in TABLES.items():
        good, bad = _agreement(name, folder / "horizon-toolchain" / log, folder)
        right, wrong = right + good, wrong + bad
    return right / (right + wrong)


def _agreement(name: str, log: Path, folder: Path) -> tuple[int, int]:
    network = load_graph(name, folder)
    if network is None:
        raise SystemExit(f"no graph of {name} among the topologies")
    softmaxes = [node.name for node in network.nodes if node.op_type == "Softmax"]
    ours = place(network, rules_of("bayes-e"), on_accelerator=softmaxes)
    real = {node.name: node.unit for node in read_build_log(log.read_text(encoding="utf-8")).nodes}
    shared = [node for node in real if node in ours]
    right = sum(ours[node].unit == real[node] for node in shared)
    unseen = sum(placement.unit == "CPU" for node, placement in ours.items() if node not in real)
    return right, len(shared) - right + unseen


if __name__ == "__main__":
    main()
