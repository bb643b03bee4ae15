"""Is the latency that an emulated board reports near what boards measured, and is its placement the toolchain's?

Every published RDK X5 network is built with random weights (`harness emulator build --times-only`: values are not
computed; Softmaxes on the BPU and int16 as the zoo built them, a picture as input) and profiled by `harness run --board
emu-x5`; what the report says is compared with the published figure (one frame, one thread; the classification table
was measured with an older runtime, whose calls cost more) and with the formula on the float graph.
`median_abs_error` and `p90_abs_error` are of the five-fold predictions, mean over five shuffles, times what the board
says over what the formula says; `family_*` likewise with whole architectures left out; `report_*` are of the report as
it is, whose prices have seen the networks. `band_coverage` is the share of published latencies inside the bands that
the other networks give. Networks in LEFT_OUT are in none of the figures.

    python benchmarks/estimate.py [--json] [--verbose] [--only N] [--formula] [--keep FILE]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.estimate_parts.cost_samples import INT16_BUILDS, SAMPLES, load_graph, load_samples
from harness.emulator.compiler.placement import place
from harness.emulator.cost.bands import between, kind_of
from harness.emulator.cost.fit import PublishedLatency, Vector, cross_validate, five_folds
from harness.emulator.cost.model import CONSTANTS, estimate
from harness.emulator.horizon.op_rules import rules_of
from harness.toolchains.horizon.log import read_build_log

SHUFFLES = 5
# Published networks that are not what their graphs here are, with the reason.
LEFT_OUT = {
    "FastViT_SA12": "built before its branches were merged (the zoo's first config)",
    "FastViT_S12": "built before its branches were merged (the zoo's first config)",
    "FastViT_T12": "built before its branches were merged (the zoo's first config)",
}
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
    parser.add_argument("--only", type=int, default=0, metavar="N", help="N networks of at most 10 ms, evenly spread")
    parser.add_argument("--formula", action="store_true", help="no boards: the formula's figures alone")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="go on with the boards' latencies in FILE (JSON)")
    given = parser.parse_args()
    if not (SAMPLES / "topologies").is_dir():
        raise SystemExit(f"{SAMPLES / 'topologies'} is not there: set HARNESS_SAMPLES to the folder of samples")
    samples = [sample for sample in load_samples() if sample.name not in LEFT_OUT]
    small = [sample for sample in samples if sample.latency_us <= 10_000.0]
    chosen = small[:: max(1, len(small) // given.only)][: given.only] if given.only else samples
    boards = {} if given.formula else board_latencies(chosen, given.keep)
    figures = accuracy(samples, chosen, boards, given.verbose) | {"placement_agreement": placement_agreement()}
    width = max(map(len, figures))
    for key, value in figures.items():
        print(f"{key:<{width}}  {value:.3f}" if isinstance(value, float) else f"{key:<{width}}  {value}")
    if given.json:
        print(json.dumps(figures))


# --------------------------------------------------------------------------- the board that people run


def board_latencies(samples: Sequence[PublishedLatency], kept: Path | None) -> dict[str, float]:
    """Latency in microseconds that the report says, by name. `kept` holds those of an earlier call that was stopped."""
    known: dict[str, float] = json.loads(kept.read_text()) if kept and kept.is_file() else {}
    for sample in samples:
        if sample.name not in known:
            with tempfile.TemporaryDirectory(prefix="harness-estimate-") as folder:
                known[sample.name] = reported_us(sample.name, Path(folder))
            if kept:
                kept.write_text(json.dumps(known))
        print(f"{sample.name:<24}{_beside(sample, known[sample.name])}", flush=True)
    return {sample.name: known[sample.name] for sample in samples}


def _beside(sample: PublishedLatency, board_us: float) -> str:
    """Board, formula and published, with the older runtime's calls where the figure was published with them."""
    formula, older_us = formula_us(sample), older_call_us(sample)
    return (
        f"emu-x5 {(board_us + older_us) / 1e3:>8.2f} ms, formula {(formula + older_us) / 1e3:>8.2f} ms,"
        f" published {sample.latency_us / 1e3:>8.2f} ms"
    )


def formula_us(sample: PublishedLatency) -> float:
    """What the float graph of a network takes, as a board of today calls it."""
    return estimate([sample.works], sample.output_elements).total_us


def older_call_us(sample: PublishedLatency) -> float:
    """What a published figure holds more than a board of today."""
    return CONSTANTS.older_runtime_ns / 1e3 if sample.older_runtime else 0.0


def reported_us(name: str, folder: Path) -> float:
    """What run.json says of a network built with random weights, in microseconds."""
    network = load_graph(name)
    assert network is not None
    onnx.save(with_random_weights(network.model), folder / "net.onnx")
    entering = network.inputs[0].name
    options = ["--soc", "x5", "--times-only", "--input-type", f"{entering}=nv12"]
    options += [part for node in network.nodes if node.op_type == "Softmax" for part in ("--on-bpu", node.name)]
    options += ["--int16", "all"] if name in INT16_BUILDS else []
    _harness(folder, "emulator", "build", "net.onnx", *options)
    profile = ["run", "net.bin", "--board", "emu-x5", "--mode", "profile", "--frames", "100"]
    answer = _harness(folder, *profile, "--wait", "600", "--json")  # another run may hold the board
    return float(json.loads(answer)["profile"]["latency"]["mean_us"])


def _harness(folder: Path, *argv: str) -> str:
    command = [sys.executable, "-m", "harness", *argv]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=3600)
    if result.returncode:
        raise SystemExit(f"{' '.join(argv)}: exit code {result.returncode}: {(result.stderr or result.stdout)[-2000:]}")
    return result.stdout


def with_random_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with seeded weights of He's size where the published graph has zeros."""
    draw = np.random.default_rng(0)
    noise = draw.standard_normal(2**16, np.float32)
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for tensor in result.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) > 1:
            fan_in = max(1, int(np.prod(tensor.dims[1:])))
            values = np.resize(noise, tuple(tensor.dims)) * np.float32((2 / fan_in) ** 0.5)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return result


# --------------------------------------------------------------------------- the fit


def accuracy(
    samples: Sequence[PublishedLatency],
    chosen: Sequence[PublishedLatency],
    boards: dict[str, float],
    verbose: bool = False,
) -> dict[str, float | int]:
    """The figures of `chosen`, each predicted by fits that never saw it, times what its board adds to the formula."""
    named = {sample.name for sample in chosen}
    keep = np.array([sample.name in named for sample in samples])
    ratios = {sample.name: boards[sample.name] / formula_us(sample) for sample in chosen if sample.name in boards}
    factor = np.array([ratios.get(sample.name, 1.0) for sample in samples])
    folds = [five_folds(len(samples), seed) for seed in range(SHUFFLES)]
    shuffled = [((cross_validate(samples, fold) + 1.0) * factor - 1.0)[keep] for fold in folds]
    family = ((cross_validate(samples, [sample.family for sample in samples]) + 1.0) * factor - 1.0)[keep]
    mean = np.mean(shuffled, axis=0)
    if verbose:
        _print_errors(chosen, mean, family)
    figures: dict[str, float | int] = {
        "models": len(chosen),
        "median_abs_error": float(np.mean([np.median(np.abs(errors)) for errors in shuffled])),
        "p90_abs_error": float(np.mean([np.percentile(np.abs(errors), 90) for errors in shuffled])),
        "family_median": float(np.median(np.abs(family))),
        "family_p90": float(np.percentile(np.abs(family), 90)),
        "within_10pct": float(np.mean(np.abs(mean) <= 0.10)),
        "band_coverage": float(np.mean(inside(samples, factor)[keep])),
    }
    return figures | (_of_reports(chosen, boards, ratios) if boards else {})


def inside(samples: Sequence[PublishedLatency], factor: Vector) -> NDArray[np.bool_]:
    """Which published latencies lie in the band that the other networks of their kind give."""
    ratios = unseen_ratios(samples) / factor
    kinds = np.array([kind_of(sample.works) for sample in samples])
    covered = np.zeros(len(samples), bool)
    for index, ratio in enumerate(ratios):
        others = (kinds == kinds[index]) & (np.arange(len(samples)) != index)
        low, high = between(list(ratios[others]))
        covered[index] = low <= ratio <= high
    return covered


def unseen_ratios(samples: Sequence[PublishedLatency]) -> Vector:
    """Published over predicted, by fits that saw no network of the family."""
    return np.asarray(1.0 / (cross_validate(samples, [sample.family for sample in samples]) + 1.0))


def _of_reports(
    chosen: Sequence[PublishedLatency], boards: dict[str, float], ratios: dict[str, float]
) -> dict[str, float | int]:
    """The reports as they are against what was published, and the boards against the formula."""
    reported = np.array([(boards[one.name] + older_call_us(one)) / one.latency_us - 1.0 for one in chosen])
    return {
        "report_median_abs_error": float(np.median(np.abs(reported))),
        "report_p90_abs_error": float(np.percentile(np.abs(reported), 90)),
        "formula_vs_board_max": max(max(r, 1 / r) for r in ratios.values()),
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
