"""Published RDK X5 latencies with the graphs of the same models, as samples for the cost model.

Reads `board-measurements/x5.csv` and `topologies/*.onnx.gz` under $HARNESS_SAMPLES (default ../shared/samples).
"""

from __future__ import annotations

import csv
import gzip
import os
import re
import tempfile
from pathlib import Path

import onnx
import onnxruntime as ort

from harness.emulator.cost.fit import PublishedLatency
from harness.emulator.cost.graph import network_works, output_elements
from harness.emulator.model.nodes import ModelGraph, name_nodes

SAMPLES = Path(os.environ.get("HARNESS_SAMPLES", Path(__file__).resolve().parents[3] / "shared" / "samples"))
# Built with `optimization: set_all_nodes_int16`, as the zoo's yaml files of these models say
# (D-Robotics/rdk_model_zoo@0789b0509ba1, demos/classification/EfficientFormer/yaml).
INT16_BUILDS = ("EfficientFormer_l1", "EfficientFormer_l3")
# Its fps column repeats the one-thread figure (1000 / latency), so the latency of four threads is taken.
FPS_IS_ONE_THREAD = ("EdgeNeXt_base", "EdgeNeXt_small", "EdgeNeXt_x_small")


def load_graph(name: str, folder: Path = SAMPLES) -> ModelGraph | None:
    """The graph of a published model, shapes known; None when it is not among the topologies."""
    path = folder / "topologies" / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.onnx.gz"
    if not path.is_file():
        return None
    model = onnx.load_from_string(gzip.decompress(path.read_bytes()))
    if any(node.op_type == "Shape" for node in model.graph.node):  # only these lack shapes
        model = onnx.shape_inference.infer_shapes(_folded(model), data_prop=True)
    name_nodes(model.graph.node)
    return ModelGraph(model)


def _folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """Constants folded by onnxruntime, so that computed shapes are known."""
    with tempfile.TemporaryDirectory(prefix="harness-cost-") as folder:
        target = Path(folder) / "folded.onnx"
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(target)
        options.log_severity_level = 3
        off = ["MatMulAddFusion"]
        ort.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"], disabled_optimizers=off
        )
        return onnx.load(str(target))


def load_samples(folder: Path = SAMPLES) -> list[PublishedLatency]:
    """Every published model that has a graph, in the table's order."""
    samples = []
    with (folder / "board-measurements" / "x5.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            network = load_graph(row["model"], folder)
            if network is not None:
                samples.append(_sample(row, network))
    return samples


def _sample(row: dict[str, str], network: ModelGraph) -> PublishedLatency:
    name = row["model"]
    fps = float(row["fps_4thread"] or row["fps_2thread"])
    throughput_us = float(row["latency_ms_4thread"]) / 4 * 1e3 if name in FPS_IS_ONE_THREAD else 1e6 / fps
    return PublishedLatency(
        name=name,
        works=tuple(work.as_int16 if name in INT16_BUILDS else work for work in network_works(network)),
        output_elements=output_elements(network),
        latency_us=float(row["latency_ms_1thread"]) * 1e3,
        throughput_us=throughput_us,
        older_runtime="/classification/" in row["source"],
    )
