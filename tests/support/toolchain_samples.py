"""Where real vendor output lies (not in the repository), and own text in the same formats."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.toolchains import read_any
from harness.toolchains.records import Artifact

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = Path(os.environ.get("HARNESS_SAMPLES", ROOT.parent / "shared" / "samples"))
TOOLCHAIN = SAMPLES / "horizon-toolchain"


def sample(name: str) -> Path:
    """A real file; the test is skipped where the samples are not."""
    path = TOOLCHAIN / name
    if not path.is_file():
        pytest.skip(f"real vendor output is not here: {TOOLCHAIN} (set HARNESS_SAMPLES)")
    return path


SIMULATORS = SAMPLES / "vendor-simulators"


def simulator_sample(name: str) -> str:
    """A folder or archive of dumps of a vendor's PC simulator; the test is skipped where the samples are not."""
    path = SIMULATORS / name
    if not path.exists():
        pytest.skip(f"real vendor output is not here: {SIMULATORS} (set HARNESS_SAMPLES)")
    return str(path)


def read(name: str) -> Artifact:
    """What the readers make of a real file."""
    artifact = read_any(sample(name))
    assert artifact is not None
    return artifact


def record(text: str, file: str = "tool.py") -> str:
    return f"2026-01-02 03:04:05,678 file: {file} func: {file[:-3]} line No: 9 {text}"


def table(title: str, header: list[str], rows: list[list[str]]) -> str:
    """A fixed-width table as the vendor prints it: two blanks between columns, rows padded but the last."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: list[str]) -> str:
        return "".join(cell.ljust(width + 2) for cell, width in zip(cells, widths, strict=True))

    body = [line(row) for row in rows]
    body[-1] = body[-1].rstrip()
    rule = sum(width + 2 for width in widths)
    return "\n".join([record(title), "=" * rule, line(header), "-" * rule, *body])


def x5_log() -> str:
    """A makertbin log file of the 1.x generation: two segments, a Softmax on the CPU, one output."""
    nodes = table(
        "The main quantized node information:",
        ["Node", "ON", "Subgraph", "Type", "Cosine Similarity", "Threshold", "DataType"],
        [
            ["HZ_PREPROCESS_FOR_images", "BPU", "id(0)", "HzSQuantizedPreprocess", "1.000043", "127.0", "int8"],
            ["/net/conv1/Conv", "BPU", "id(0)", "HzSQuantizedConv", "0.999453", "1.01807", "int8"],
            ["/net/Softmax", "CPU", "--", "Softmax", "0.985373", "19.5613", "float"],
            ["/net/Softmax_calibrated_Requantize", "BPU", "id(1)", "HzRequantize", "--", "--", "int16"],
            ["/net/conv2/Conv", "BPU", "id(1)", "HzSQuantizedConv", "0.998111", "634.64", "int16"],
        ],
    )
    outputs = table(
        "The quantized model output:",
        ["Output", "Cosine Similarity", "L1 Distance", "L2 Distance", "Chebyshev Distance"],
        [["scores", "0.998111", "4.238816", "0.036393", "173.248230"]],
    )
    lines = [
        record("Start hb_mapper...."),
        record("hbdk version 3.49.15"),
        record("horizon_nn version 1.1.0"),
        record("hb_mapper version 1.24.3"),
        record("The specified model compilation architecture: bayes-e."),
        record("The input0 of Node(name:/net/Softmax, type:Softmax) does not support data type: int16"),
        record("Select max-percentile:percentile=0.99995 method."),
        record("Compile submodel: main_graph_subgraph_0"),
        record("consumed time 90.2899"),
        record("FPS=216.27, latency = 4623.9 us, DDR = 18276256 bytes   (see main_graph_subgraph_0.html)"),
        record("Compile submodel: main_graph_subgraph_1"),
        record("consumed time 39.8949"),
        record("FPS=323.61, latency = 3090.1 us, DDR = 15584512 bytes   (see main_graph_subgraph_1.html)"),
        nodes,
        outputs,
        record("############# compiler_parameters info #############"),
        record("compile_mode        : latency"),
        record("Convert to runtime bin file successfully!"),
        record("End Model Convert"),
    ]
    return "\n".join(lines) + "\n"
