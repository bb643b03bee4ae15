"""Prices of chips that few networks are published of: fitted on those few, each of them left out once to judge it.

A chip's prices are the RDK X5's (`cost/model.py`) times a factor per group of amounts; a factor without evidence stays
at what the chip's peak says. Every published network is built for the chip (`--times-only`, a picture as input), so
what runs on its CPU, borders and cuts are those of the emulated board. A rate is cores over the time on one core. The
band holds 80 % of published over predicted, each predicted by a fit that has not seen the network.

    python benchmarks/chips.py x3|s100|s100p [--json]
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from scipy.optimize import least_squares

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.estimate_parts.cost_samples import SAMPLES, load_graph
from benchmarks.estimate_parts.x3_networks import NETWORKS
from harness.emulator.compiler.compile import compile_model
from harness.emulator.compiler.options import BuildOptions
from harness.emulator.compiler.pixels import PixelInput
from harness.emulator.cost import cpu
from harness.emulator.cost.bands import between
from harness.emulator.cost.estimate import op_works, peak_factors
from harness.emulator.cost.model import COMPUTE, CONSTANTS, MEMORY
from harness.emulator.horizon.socs import SOCS
from harness.emulator.model.compiled import CompiledModel
from harness.emulator.socs import Soc

Vector = NDArray[np.float64]
PULL = 0.1  # weight of one logarithmic unit away from the peak's factor, against a relative error of 1
RATE_WEIGHT = 0.5  # of an error in a rate, against one in a latency
FORGIVE = 0.05  # relative error beyond which the loss grows linearly
_OTHERS = tuple(name for name in (*COMPUTE, "ops") if name != "dense_macs")
GROUPS: dict[str, tuple[tuple[str, ...], ...]] = {
    "x3": (
        ("dense_macs",),
        ("depthwise_macs",),
        ("lookup_elements",),
        tuple(name for name in _OTHERS if name not in ("depthwise_macs", "lookup_elements")),
        MEMORY,
        ("call",),
    ),
    **dict.fromkeys(("s100", "s100p"), (("dense_macs",), _OTHERS, MEMORY, ("call",))),
}
# Names of the tables -> the graph that has their number of weights.
GRAPHS = {
    "MobileOne": "MobileOne_S1",
    "RepGhost": "RepGhostNet_100",
    "RepViT": "RepViT_m0_9",
    "YOLOv8n-seg": "YOLOv8n-Seg",
}
LEFT_OUT = {"fcos": "neither its backbone's size nor its head is published"}


@dataclass(frozen=True)
class PublishedOnChip:
    """One published network as it was built for the chip; times of amounts at the X5's prices, microseconds."""

    name: str
    compute: Vector  # ops x COMPUTE
    memory: Vector  # ops x MEMORY
    ops_us: float
    calls: int
    cpu_us: float
    latency_us: float  # one frame, one thread; 0: not published
    frame_us: float  # per frame at the highest rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("soc", choices=sorted(GROUPS))
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    given = parser.parse_args()
    soc = SOCS[given.soc]
    samples = load(soc)
    factors, unseen = fit(samples, soc), leave_one_out(samples, soc)
    for name, factor in factors.items():
        print(f"{name:<24}{factor:>10.3f}")
    print(f"{'network':<16}{'published ms':>13}{'fit':>8}{'left out':>9}")
    for sample, ratio in zip(samples, unseen, strict=True):
        seen = judged(sample, factors, soc) / published(sample) - 1.0
        print(f"{sample.name:<16}{published(sample) / 1e3:>13.2f}{seen:>+8.0%}{1 / ratio - 1:>+9.0%}")
    low, high = between(list(unseen))
    figures = {
        "networks": len(samples),
        "median_abs_error": float(np.median(np.abs(1 / unseen - 1))),
        "low": low,
        "high": high,
    }
    print(", ".join(f"{key} {value:.3g}" for key, value in figures.items()))
    if given.json:
        print(json.dumps(figures))


# --------------------------------------------------------------------------- what is published


def load(soc: Soc) -> list[PublishedOnChip]:
    """Every published network of the chip that has a graph, once. Exits where the table is not there."""
    table = SAMPLES / "board-measurements" / ("x3.csv" if soc.name == "x3" else "s100.csv")
    if not table.is_file():
        raise SystemExit(f"{table} is not there: set HARNESS_SAMPLES to the folder of samples")
    with table.open(newline="", encoding="utf-8") as file:
        rows = {row["model"]: row for row in csv.DictReader(file) if row["soc"] == soc.name}
    samples = []
    for name, row in rows.items():  # a row that stands twice counts once
        model = graph_of(name)
        if model is not None:
            samples.append(_sample(name, row, built(model, soc), soc))
        else:
            print(f"{name}: left out, {LEFT_OUT.get(name, 'no graph of it is at hand')}", file=sys.stderr)
    return samples


def graph_of(name: str) -> onnx.ModelProto | None:
    """The graph of a published network; None where there is none."""
    if name in NETWORKS:
        return NETWORKS[name][1]()
    network = load_graph(GRAPHS.get(name, name))
    return network.model if network is not None else None


def built(model: onnx.ModelProto, soc: Soc) -> CompiledModel:
    """Placed and priced for the chip, a picture as input."""
    with tempfile.TemporaryDirectory(prefix="harness-chips-") as folder:
        path = Path(folder) / "net.onnx"
        onnx.save(model, path)
        picture = {model.graph.input[0].name: PixelInput()}
        return compile_model(path, BuildOptions(soc, pixels=picture, times_only=True)).model


def _sample(name: str, row: dict[str, str], model: CompiledModel, soc: Soc) -> PublishedOnChip:
    works = [work for op in model.ops if op.subgraph for work in op_works(op)]

    def priced(names: Sequence[str]) -> Vector:
        prices = [getattr(CONSTANTS, f"{name}_ns") / 1e3 for name in names]
        amounts = [[float(getattr(work, name)) for name in names] for work in works]
        return np.asarray(np.array(amounts) * np.array(prices), np.float64)

    return PublishedOnChip(
        name,
        priced(COMPUTE),
        priced(MEMORY),
        ops_us=sum(work.ops for work in works) * CONSTANTS.ops_ns / 1e3,
        calls=len({op.subgraph for op in model.ops if op.subgraph}),
        cpu_us=sum(cpu.step_us(model, step, soc.cpu_scale) for step in model.steps if not step.subgraph),
        latency_us=float(row["latency_ms_1thread"] or 0.0) * 1e3,
        frame_us=1e6 / float(row["fps_best"]),
    )


def published(sample: PublishedOnChip) -> float:
    """What a network is judged by: its latency, or its time per frame where no latency is published."""
    return sample.latency_us or sample.frame_us


# --------------------------------------------------------------------------- the fit


def predict(sample: PublishedOnChip, factors: dict[str, float], soc: Soc) -> tuple[float, float]:
    """(latency, time per frame at the highest rate) in microseconds."""
    compute = sample.compute @ np.array([factors[name] for name in COMPUTE]) + 1e-9
    memory = sample.memory @ np.array([factors[name] for name in MEMORY]) + 1e-9
    top, p = np.maximum(compute, memory), CONSTANTS.overlap
    busy = float((top * ((compute / top) ** p + (memory / top) ** p) ** (1.0 / p)).sum())
    busy += sample.ops_us * factors["ops"] + sample.calls * CONSTANTS.call_ns / 1e3 * factors["call"]
    return busy + sample.cpu_us, busy / soc.cores


def judged(sample: PublishedOnChip, factors: dict[str, float], soc: Soc) -> float:
    """The prediction of what is `published`."""
    latency, frame = predict(sample, factors, soc)
    return latency if sample.latency_us else frame


def fit(samples: Sequence[PublishedOnChip], soc: Soc) -> dict[str, float]:
    """Factors over the X5's prices, one per amount and one per call."""
    peak, groups = {**peak_factors(soc), "call": 1.0}, GROUPS[soc.name]

    def factors_of(vector: Vector) -> dict[str, float]:
        moved = {name: math.exp(float(value)) for names, value in zip(groups, vector, strict=True) for name in names}
        return {name: factor * moved.get(name, 1.0) for name, factor in peak.items()}

    def residuals(vector: Vector) -> Vector:
        factors, errors = factors_of(vector), list(PULL * vector)
        for sample in samples:
            latency, frame = predict(sample, factors, soc)
            if sample.latency_us:
                errors.append(math.log(latency / sample.latency_us))
            errors.append((RATE_WEIGHT if sample.latency_us else 1.0) * math.log(frame / sample.frame_us))
        return np.array(errors)

    start = np.zeros(len(groups))
    return factors_of(np.asarray(least_squares(residuals, start, loss="soft_l1", f_scale=FORGIVE, max_nfev=100).x))


def leave_one_out(samples: Sequence[PublishedOnChip], soc: Soc) -> Vector:
    """Published over predicted, each network by a fit on the others."""
    ratios = []
    for held in samples:
        factors = fit([one for one in samples if one is not held], soc)
        ratios.append(published(held) / judged(held, factors, soc))
    return np.array(ratios)


if __name__ == "__main__":
    main()
